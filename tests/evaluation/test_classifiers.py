"""Measuring classifiers: confusion, calibration, disturbances, and the record of the shipped weights."""

import json

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_score, recall_score

from zooready.evaluation import classifiers
from zooready.evaluation.cards import page
from zooready.families import FAMILIES, load_record, load_weights, plcnn

COUNT = 40  # cells that the tests measure on


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def weights():
    return load_weights("plcnn")


@pytest.fixture(scope="module")
def measured(weights):
    torch.set_num_threads(1)
    return classifiers.tables(weights, COUNT)


@pytest.fixture(scope="module")
def logits(weights):
    torch.set_num_threads(1)
    pairs = classifiers.held_out(COUNT)
    return classifiers.Scorer(weights).logits([pair.input for pair in pairs]), classifiers.labels(pairs)


def test_the_tables_agree_with_scikit_learn(measured, logits):
    scores, truth = logits
    predicted = scores.argmax(1)
    everyone = list(range(10))
    assert measured["metrics"]["accuracy"] == pytest.approx(accuracy_score(truth, predicted), abs=1e-4)
    np.testing.assert_array_equal(measured["confusion"]["counts"], confusion_matrix(truth, predicted, labels=everyone))
    rows = measured["tables"]["classes"]
    assert [row["method"] for row in rows] == list(plcnn.CLASSES)
    np.testing.assert_allclose([row["recall"] for row in rows], recall_score(truth, predicted, labels=everyone, average=None), atol=1e-4)
    precision = precision_score(truth, predicted, labels=everyone, average=None, zero_division=0)
    np.testing.assert_allclose([row["precision"] for row in rows], precision, atol=1e-4)


def test_scores_and_temperature_agree_with_pytorch_and_scikit_learn(logits):
    scores, truth = logits
    np.testing.assert_allclose(classifiers.softmax(scores, 0.7), torch.softmax(torch.as_tensor(scores) / 0.7, 1).numpy(), rtol=1e-9)
    truth = np.where(np.arange(len(truth)) % 7, truth, (truth + 1) % 10)  # with some wrong answers among them, too sure is too low
    best = classifiers.chosen_temperature(scores, truth)
    losses = [log_loss(truth, classifiers.softmax(scores, t), labels=list(range(10))) for t in (0.9 * best, best, 1.1 * best)]
    assert losses[1] == min(losses)


def test_the_calibration_error_of_known_scores():
    certain = np.array([[1.0, 0.0]] * 4)
    assert classifiers.calibration_error(certain, np.array([0, 0, 0, 0])) == 0
    assert classifiers.calibration_error(certain, np.array([0, 0, 0, 1])) == pytest.approx(0.25)
    two_bins = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert classifiers.calibration_error(two_bins, np.array([0, 0, 0, 1])) == pytest.approx((0.1 + 0.1) / 2)
    assert classifiers.calibration_error(two_bins, np.array([0, 0, 0, 1]), bins=1) == pytest.approx(0)


@pytest.mark.parametrize("how", list(classifiers.DISTURBANCES))
def test_a_disturbance_can_be_made_again_and_changes_the_image(how):
    pairs = classifiers.held_out(3)
    first, again = classifiers.disturbed(pairs, how), classifiers.disturbed(pairs, how)
    np.testing.assert_array_equal(first, again)
    assert [image.dtype for image in first] == [np.float32] * 3
    assert not any(np.array_equal(image, pair.input) for image, pair in zip(first, pairs, strict=True))


def test_disturbances_do_what_they_say():
    rng = np.random.default_rng(0)
    flat = np.full((64, 64), 100.0)
    flat[0, 0] = 0
    lit = classifiers.lit_unevenly(np.where(np.arange(64)[:, None] < 2, 0.0, flat), rng)
    assert lit.max() / lit[2:].min() > 2
    image = np.zeros((64, 64))
    image[:, 32:] = 200.0
    assert (classifiers.noisy(image, rng) - image).std() == pytest.approx(20, rel=0.1)
    np.testing.assert_allclose(classifiers.blurred(image, rng, 2.0), ndimage.gaussian_filter(image, 2.0))
    y, x = np.mgrid[:64, :64] - 31.5
    areas = [(classifiers.resized(np.hypot(y, x) < 20, pixel) > 0.5).sum() for pixel in (0.8, 1.0, 1.25)]
    assert areas[0] / areas[1] == pytest.approx(1 / 0.8**2, rel=0.05)
    assert areas[2] / areas[1] == pytest.approx(1 / 1.25**2, rel=0.05)


def test_features_beat_intensities_and_both_beat_chance():
    pairs = classifiers.held_out(160, seed=1)
    measured, truth = classifiers.features([pair.input for pair in pairs]), classifiers.labels(pairs)
    assert measured.shape == (160, len(classifiers.names()))
    intensity = [name.startswith("intensity") for name in classifiers.names()]
    scores = {
        name: classifiers.classical(measured[:110][:, columns], truth[:110], method).score(measured[110:][:, columns], truth[110:])
        for name, method, columns in (("few", "forest", intensity), ("forest", "forest", slice(None)), ("svm", "svm", slice(None)))
    }
    assert min(scores["forest"], scores["svm"]) > scores["few"] + 0.1 > 0.2


def test_the_network_is_as_good_as_recorded_and_beats_features_on_the_same_cells(measured):
    recorded = load_record("plcnn")["metrics"]["accuracy"]
    assert measured["metrics"]["accuracy"] > recorded - 0.08  # of 40 cells; twice the standard error
    assert measured["metrics"]["accuracy"] >= 0.85


def test_the_bars_that_the_record_must_pass():
    metrics = load_record("plcnn")["metrics"]
    assert metrics["folds_accuracy"] >= 0.88
    assert metrics["folds_accuracy"] >= metrics["folds_best_classical"] + 0.05
    assert metrics["folds_accuracy"] >= metrics["folds_best_rival"]
    rows = {row["method"]: row for row in load_record("plcnn")["tables"]["folds"]}
    assert 0.75 <= rows["features + random forest"]["accuracy"] <= 0.85
    for rival in ("ResNet-like", "VGG-like", "VGG-like, normalised"):
        assert rows[rival]["parameters"] == pytest.approx(rows["PLCNN"]["parameters"], rel=0.1)


def test_the_record_holds_every_table_and_says_what_the_paper_contradicts():
    record = load_record("plcnn")
    assert set(record["tables"]) == set(record["measured_on"])
    assert set(record["tables"]) >= {"folds", "share", "classes", "robustness", "robustness of features", "claims"}
    rows = {row["method"]: row for row in record["tables"]["folds"]}
    assert np.array(record["confusion"]["counts"]).sum() == classifiers.HELD_OUT_CELLS
    assert [row["cells"] for row in record["tables"]["share"]] == [2700, 2400, 2100, 1800, 1500]
    for title in ("robustness", "robustness of features"):
        assert {row["method"] for row in record["tables"][title]} == {"as simulated", *classifiers.DISTURBANCES}
    assert any("91.0 %" in note and "80.2 %" in note and "Yeast" in note for note in record["notes"])
    assert f"{rows['VGG-like, normalised']['accuracy']:.3f}" in record["notes"][0]
    claims = {row["method"]: row for row in record["tables"]["claims"]}
    assert (claims["PLCNN"]["Yeast"], claims["PLCNN, by its own confusion matrix"]["Yeast"]) == (91.0, 80.2)
    assert json.loads(json.dumps(record)) == record
    assert all(note in page(FAMILIES["plcnn"], record) for note in record["notes"])


def test_the_heads_temperature_is_the_one_that_was_chosen_on_other_cells():
    record = load_record("plcnn")
    assert record["thresholds"]["temperature"] == plcnn.TEMPERATURE == FAMILIES["plcnn"].network.head.kwargs["temperature"]
    assert record["metrics"]["ece"] <= record["metrics"]["ece_without_temperature"]
    assert len({0, classifiers.CHOSEN_SEED, classifiers.HELD_OUT_SEED}) == 3
