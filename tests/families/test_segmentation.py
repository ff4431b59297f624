"""Segmentation: its data, its loss, and the weights that are shipped."""

import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from zooready.errors import InputInvalid
from zooready.evaluation import label_images as scoring
from zooready.families import FAMILIES, load_record, load_weights, quality, segmentation, shipped
from zooready.images.matching import match
from zooready.training.module import HELD_OUT


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def segmenter():
    return scoring.Segmenter(load_weights("segmentation"))


def test_a_pair_can_be_made_again_and_another_index_gives_another(monkeypatch):
    pair = segmentation.pair(3, 0)
    segmentation._field.cache_clear()
    again = segmentation.pair(3, 0)
    for name in ("input", "target", "truth"):
        np.testing.assert_array_equal(getattr(pair, name), getattr(again, name))
    assert (pair.input.shape, pair.target.shape, pair.truth.shape) == ((1, 160, 160), (2, 160, 160), (160, 160))
    assert not np.array_equal(pair.input, segmentation.pair(4, 0).input)


def test_targets_are_foreground_and_distance_of_the_truth():
    pair = segmentation.field(1, 1, 128)
    np.testing.assert_array_equal(pair.target[0], pair.truth > 0)
    assert ((pair.target[1] > 0) == (pair.truth > 0)).all()
    assert all(pair.target[1][pair.truth == name].max() == 1 for name in range(1, pair.truth.max() + 1))


def test_relative_distance_is_one_in_the_middle_and_ignores_the_border():
    labels = np.zeros((9, 12), np.int32)
    labels[2:7, 2:7] = 1
    labels[:, 9:] = 2
    distance = segmentation.relative_distance(labels)
    assert distance[4, 4] == 1
    np.testing.assert_allclose(distance[4, 2:7], [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(distance[:, 9:], np.tile([1 / 3, 2 / 3, 1], (9, 1)), rtol=1e-6)
    assert segmentation.relative_distance(np.ones((4, 5), np.int32)).min() == 1


def test_labels_of_files_are_renumbered_and_masks_become_objects():
    image, labels = np.zeros((1, 6, 6)), np.zeros((6, 6), np.uint16)
    labels[0:2, 0:2], labels[4:, 4:] = 300, 7
    assert sorted(np.unique(segmentation.pair_of(image, labels).truth)) == [0, 1, 2]
    assert sorted(np.unique(segmentation.pair_of(image, (labels > 0) * 255).truth)) == [0, 1, 2]
    assert segmentation.pair_of(image, labels * 0).truth.max() == 0


def test_numbers_of_objects_beyond_the_whole_numbers_of_float64_stay_apart():
    labels = np.zeros((8, 9), np.uint64)
    labels[1:3, 1:3], labels[1:3, 3:5] = 2**53 + 1, 2**53 + 2
    assert segmentation.pair_of(np.zeros((1, 8, 9)), labels).truth.max() == 2


@pytest.mark.parametrize("labels", [np.zeros((3, 6, 6)), np.full((6, 6), -1), np.full((6, 6), 0.5)])
def test_what_is_no_label_image_is_refused(labels):
    with pytest.raises(InputInvalid, match=r"a label image of shape .* give \(y, x\), 0 background"):
        segmentation.pair_of(np.zeros((1, 6, 6)), labels)


def test_the_loss_is_lowest_for_the_truth_and_each_part_counts():
    target = torch.as_tensor(segmentation.field(1, 1, 64).target)[None]
    best = segmentation.loss(target, target)
    for channel in (0, 1):
        wrong = target.clone()
        wrong[:, channel] = 1 - wrong[:, channel]
        assert segmentation.loss(wrong, target) > best + 0.1


def test_metrics_of_the_truth_are_perfect_and_need_a_truth():
    pair = segmentation.field(1, 4, 128)  # 47 nuclei, none far below the mean area
    metrics = segmentation.metrics(torch.as_tensor(pair.target)[None], pair)
    assert metrics["f1_50"] == 1
    assert metrics["mean_iou"] > 0.9
    with pytest.raises(InputInvalid, match="without a label image cannot be scored"):
        segmentation.scores(pair.truth, None)


def test_an_error_on_a_seam_between_nuclei_costs_more_than_elsewhere():
    labels = np.zeros((64, 64), np.int32)
    labels[4:60, 4:32], labels[4:60, 32:60] = 1, 2
    target = torch.as_tensor(segmentation.pair_of(np.zeros((1, 64, 64)), labels).target)[None]

    def cost(*column):
        wrong = target.clone()
        wrong[0, 1, 20:40, slice(*column)] += 0.2
        return float(segmentation.loss(wrong, target) - segmentation.loss(target, target))

    assert cost(31, 33) > 4 * cost(17, 19) > 0


def test_the_real_image_has_the_bytes_that_its_origin_tells():
    folder = segmentation.files("zooready").joinpath("samples")
    origin = folder.joinpath("ORIGIN.md").read_text(encoding="utf-8")
    for name in ("nuclei.tif", "nuclei-labels.tif"):
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() in origin
    assert segmentation.sample().array.shape == (512, 512)
    assert len(np.unique(segmentation.sample_labels())) == 126


def test_the_registry_builds_the_network_that_the_weights_fit():
    family = FAMILIES["segmentation"]
    network = family.network.architecture.build()
    network.load_state_dict(load_weights("segmentation"))
    assert 500_000 < sum(p.numel() for p in network.parameters()) < 2_000_000
    labels = family.network.head.build()(torch.rand(1, 2, 8, 8))[1]
    assert labels.shape == (1, 1, 8, 8)


def test_weights_are_small_and_their_record_is_theirs():
    path = segmentation.files("zooready").joinpath("weights", "segmentation.safetensors")
    content, record = path.read_bytes(), load_record("segmentation")
    assert len(content) <= 8_000_000
    assert hashlib.sha256(content).hexdigest() == record["sha256"]
    assert segmentation.HEAD.kwargs["foreground"] == record["thresholds"]["foreground"]
    assert segmentation.HEAD.kwargs["core"] == record["thresholds"]["core"]
    assert "/" not in json.dumps(record).replace("BSD-3", "")
    assert load_file(path).keys() == load_weights("segmentation").keys()


def test_weights_that_are_not_shipped_are_named():
    with pytest.raises(InputInvalid, match="no weights called 'cells' are shipped: train them with `zooready train cells`"):
        load_weights("cells")
    with pytest.raises(InputInvalid, match="no record of weights called 'cells'"):
        load_record("cells")


def test_the_list_tells_the_measured_quality(monkeypatch):
    assert "segmentation" in shipped()
    metrics = load_record("segmentation")["metrics"]
    assert f"real development image {metrics['f1_50_real']:.2f} (Otsu and watershed {metrics['f1_50_real_otsu']:.2f})" in quality(
        "segmentation"
    )
    monkeypatch.setattr("zooready.families.shipped", lambda: ())
    assert quality("segmentation") == "no weights shipped"


def test_the_real_image_is_segmented_as_well_as_promised_and_as_recorded(segmenter):
    scores = scoring.measured(segmenter, [(segmentation.sample().array, segmentation.sample_labels())])
    assert scores["f1_50"] >= 0.85
    assert scores["f1_75"] >= 0.70
    for name, value in load_record("segmentation")["tables"]["real"]["network"].items():
        assert abs(scores[name] - value) < 0.02


def test_the_network_beats_otsu_and_li_on_held_out_fields_and_on_the_real_image(segmenter):
    for methods in scoring.tables(segmenter, count=6).values():
        for rival in ("otsu", "li"):
            assert methods["network"]["f1_50"] > methods[rival]["f1_50"]
            assert methods["network"]["f1_75"] > methods[rival]["f1_75"]


def test_measuring_uses_fields_that_no_training_saw():
    assert scoring.HELD_OUT_SEED not in {0, HELD_OUT}


@pytest.mark.parametrize("rule", ["otsu", "li"])
def test_classical_methods_part_touching_discs_and_survive_constant_images(rule):
    y, x = np.mgrid[:80, :80]
    truth = np.where(np.hypot(y - 40, x - 26) < 14, 1, np.where(np.hypot(y - 40, x - 53) < 14, 2, 0))
    assert match(truth, scoring.classical((truth > 0) * 200.0 + 10, rule), 0.8).f1 == 1
    assert not scoring.classical(np.full((9, 9), 5), rule).any()


def test_any_size_can_be_segmented(segmenter):
    for size in ((1, 1), (33, 17)):
        assert segmenter(np.zeros(size, np.uint16)).shape == size


def test_a_record_names_scores_by_place_and_method():
    metrics = scoring.flat({"simulated": {"network": {"f1_50": 0.9}}, "real": {"network": {"f1_50": 0.8}, "otsu": {"f1_50": 0.7}}})
    assert metrics == {"f1_50": 0.9, "f1_50_real": 0.8, "f1_50_real_otsu": 0.7}
    record = load_record("segmentation")
    assert scoring.flat({images: record["tables"][images] for images in ("simulated", "real")}) == record["metrics"]
