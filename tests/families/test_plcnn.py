"""The classifier's data, loss, record and shipped weights."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from zooready.data.augmentation import placed
from zooready.errors import InputInvalid
from zooready.families import FAMILIES, load_record, load_weights, plcnn, quality
from zooready.training.module import HELD_OUT


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_a_pair_can_be_made_again_and_changes_with_each_number():
    pair = plcnn.pair(3, 0)
    plcnn.cell.cache_clear()
    again = plcnn.pair(3, 0)
    np.testing.assert_array_equal(pair.input, again.input)
    np.testing.assert_array_equal(pair.target, again.target)
    assert (pair.input.shape, pair.input.dtype, pair.target.shape) == ((1, 96, 96), np.float32, (10,))
    assert not np.array_equal(pair.input, plcnn.pair(3, 1).input)
    assert not np.array_equal(pair.input, plcnn.pair(4, 0).input)


def test_cells_of_each_class_come_in_turn():
    assert [int(plcnn.cell(0, number).truth) for number in range(12)] == [*range(10), 0, 1]
    assert all(plcnn.cell(0, number).target.argmax() == number for number in range(10))
    assert not np.array_equal(plcnn.cell(0, 0).input, plcnn.cell(HELD_OUT, 0).input)
    assert not np.array_equal(plcnn.cell(0, 0).input, plcnn.cell(0, 0, difficulty=2.0).input)


def test_training_also_sees_cells_as_a_worse_microscope_takes_them():
    pair = plcnn.cell(0, 4)
    pairs = [(plcnn.varied(pair, np.random.default_rng(seed)), placed(pair.input, np.random.default_rng(seed))) for seed in range(20)]
    changed = sum(not np.array_equal(varied.input, only_placed) for varied, only_placed in pairs)
    assert 8 <= changed < 20


def test_training_sees_every_class():
    seen = {int(plcnn.pair(0, index).truth) for index in range(80)}
    assert seen == set(range(10))


def test_an_example_says_its_class_once():
    example = plcnn.example(np.ones((2, 5, 6), np.uint16), 1, 3, 0.2)
    assert example.target.tolist() == [0, 1, 0]
    assert (int(example.truth), example.pixel_size_um, example.input.dtype) == (1, 0.2, np.float32)
    for image, label in ((np.ones((5, 6)), 1), (np.ones((1, 5, 6)), 3), (np.ones((1, 5, 6)), -1)):
        with pytest.raises(InputInvalid, match=r"give \(c, y, x\), and a class from 0 to 2"):
            plcnn.example(image, label, 3)


def test_half_of_the_images_keep_every_value_and_all_keep_their_shape():
    image = np.random.default_rng(0).normal(size=(2, 20, 20)).astype(np.float32)
    copies = [placed(image, np.random.default_rng(seed)) for seed in range(60)]
    exact = [np.array_equal(np.sort(copy.ravel()), np.sort(image.ravel())) for copy in copies]
    assert 15 < sum(exact) < 45
    assert {copy.shape for copy in copies} == {(2, 20, 20)}
    assert len({copy.tobytes() for copy, is_exact in zip(copies, exact, strict=True) if is_exact}) == 8  # turns and mirror images


def test_images_that_are_not_square_keep_their_sides():
    image = np.arange(30, dtype=np.uint16).reshape(1, 5, 6)
    assert {placed(image, np.random.default_rng(seed)).shape for seed in range(30)} == {(1, 5, 6)}


def test_scale_and_shift_set_how_far_a_cell_may_go():
    y, x = np.mgrid[:65, :65] - 32
    disc = (np.hypot(y, x) < 10)[None] * 100.0

    def seen(**settings):
        images = [placed(disc, np.random.default_rng(seed), **settings)[0] for seed in range(60)]
        areas = [(image > 50).sum() / (disc > 50).sum() for image in images]
        away = [np.hypot(*(np.argwhere(image > 50).mean(0) - 32)) for image in images]
        return min(areas), max(areas), max(away)

    assert seen(scale=0.0, shift=0.0) == pytest.approx((1, 1, 0), abs=0.05)
    low, high, away = seen(scale=0.3, shift=0.0)
    assert low == pytest.approx(0.7**2, abs=0.1)
    assert high == pytest.approx(0.7**-2, abs=0.25)
    assert away < 0.5
    assert 4 < seen(scale=0.0, shift=0.1)[2] < 0.1 * 65 * 2**0.5 + 1


def test_the_loss_is_lowest_at_the_target_and_takes_logits_alone_or_with_maps():
    target = torch.eye(3)
    right, wrong = 4 * target, 4 * target.roll(1, 0)
    assert plcnn.loss(right, target) < plcnn.loss(torch.zeros(3, 3), target) < plcnn.loss(wrong, target)
    assert plcnn.loss((right, torch.zeros(3, 3, 2, 2)), target) == plcnn.loss(right, target)
    assert plcnn.loss(1000 * target, target) > plcnn.loss(right, target)  # smoothed labels never ask for certainty


def test_metrics_of_a_known_output():
    pair = plcnn.example(np.ones((1, 4, 4)), 2, 3)
    metrics = plcnn.metrics((torch.log(torch.tensor([[1.0, 1.0, 2.0]])), torch.zeros(1, 3, 4, 4)), pair)
    assert metrics == pytest.approx({"accuracy": 1.0, "score_of_true_class": 0.5, "cross_entropy": np.log(2)})
    assert plcnn.metrics(torch.tensor([[5.0, 0.0, 0.0]]), pair)["accuracy"] == 0


def test_a_record_for_other_classes_and_channels():
    family = plcnn.family(("CHO golgi", "CHO nucleus", "other"), ("mCherry", "GFP"), (0.1, 0.2))
    assert family.outputs[0].channels == family.outputs[1].channels == ("CHO golgi", "CHO nucleus", "other")
    assert (family.input.channels, family.pixel_size_um) == (("mCherry", "GFP"), (0.1, 0.2))
    logits, maps = family.network.architecture.build().eval()(torch.rand(1, 2, 40, 30))
    scores, same = family.network.head.build()(logits, maps)
    assert (scores.shape, same.shape) == ((1, 3), (1, 3, 40, 30))
    assert float(scores.detach().sum()) == pytest.approx(1)
    assert family.sample is None
    with pytest.raises(InputInvalid, match="these classes are not simulated, only the ten patterns are: train on a folder of images"):
        family.training.pair(0, 0)


@pytest.mark.parametrize("classes", [("one",), ("one", "one")])
def test_classes_must_be_at_least_two_distinct_ones(classes):
    with pytest.raises(InputInvalid, match=r"give at least two distinct names"):
        plcnn.family(classes)


def test_the_sample_is_one_cell_the_same_every_time():
    first, again = plcnn.sample(), plcnn.sample()
    assert first.array.shape == (96, 96)
    assert first.array.dtype == np.uint16
    np.testing.assert_array_equal(first.array, again.array)
    assert FAMILIES["plcnn"].pixel_size_um[0] <= first.pixel_size_um <= FAMILIES["plcnn"].pixel_size_um[1]


def test_weights_are_small_and_their_record_is_theirs():
    path = files("zooready").joinpath("weights", "plcnn.safetensors")
    content, record = path.read_bytes(), load_record("plcnn")
    assert len(content) <= 5_000_000
    assert hashlib.sha256(content).hexdigest() == record["sha256"]
    network = FAMILIES["plcnn"].network.architecture.build()
    network.load_state_dict(load_weights("plcnn"))
    assert sum(p.numel() for p in network.parameters()) == record["parameters"]
    assert load_file(path).keys() == network.state_dict().keys()


def test_the_list_tells_the_measured_quality():
    assert f"{load_record('plcnn')['metrics']['folds_accuracy']:.2f} (features and" in quality("plcnn")


def test_the_shipped_network_names_its_sample():
    family = FAMILIES["plcnn"]
    network = family.network.architecture.build().eval()
    network.load_state_dict(load_weights("plcnn"))
    image = torch.as_tensor(plcnn.sample().array.astype(np.float32))[None, None]
    with torch.no_grad():
        scores, maps = family.network.head.build()(*network(family.network.normalization.build()(image)))
    assert plcnn.CLASSES[int(scores.argmax())] == plcnn.SAMPLE[0]
    assert maps.shape == (1, 10, 96, 96)
