"""A classifier says which images are of another kind than it knows: in predict, in measure, and by the rule that ships with PLCNN."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from zooready.bundle import stated
from zooready.bundle.specs import known_kind
from zooready.commands.runs import trained
from zooready.errors import BundleInvalid
from zooready.evaluation.classifiers import Scorer, held_out
from zooready.families import load_record, load_weights
from zooready.measurement import Measurer
from zooready.prediction import embedding, load, predict
from zooready.prediction.embedding import strangers, watched
from zooready.records import Image
from zooready.tensors import KnownKind


@pytest.fixture
def judged(open_bundle):
    """A classifier whose rule is: the first value that its last layer is given lies above that of a dark image, plus ``above``."""

    def made(above):
        bundle = open_bundle("patterns")
        dark = watched(bundle)(np.zeros((1, 1, 48, 48), np.float32)).embedding[0]
        weights = np.zeros(len(dark))
        weights[int(dark.argmax())] = 1.0
        return replace(bundle, known_kind=KnownKind(weights=tuple(weights), bias=-float(dark.max()) - above, kept=0.95))

    return made


def test_predict_tells_an_image_of_another_kind_and_no_other(judged):
    image = Image(array=np.zeros((48, 48), np.uint16), axes="yx", pixel_size_um=0.3)
    empty = "every pixel of the image is 0: there is nothing in it, and the result says nothing."
    assert predict(judged(1e-3), image).notes == (empty,)
    first, note = predict(judged(-1e-3), image).notes
    assert first == empty
    assert note.startswith("the image is not of the kind that the network was trained on, by a rule that 95% of such images pass")
    stack = Image(array=np.zeros((3, 48, 48), np.uint16), axes="tyx", pixel_size_um=0.3)
    assert predict(judged(-1e-3), stack).notes[-1].startswith("3 of 3 planes are not of the kind")


def test_the_scores_are_the_same_with_and_without_a_rule(judged, three):
    image, _ = three
    with_rule = judged(0.0)
    assert predict(with_rule, image).scores == predict(replace(with_rule, known_kind=None), image).scores


@pytest.fixture
def counted(monkeypatch):
    """How often ONNX Runtime was started, and how often it ran an image larger than the pieces that memory is measured on."""
    counts = {"sessions": 0, "runs": 0}

    class Counting(onnxruntime.InferenceSession):
        def __init__(self, *given, **how):
            counts["sessions"] += 1
            super().__init__(*given, **how)

        def run(self, *given):
            counts["runs"] += 1
            return super().run(*given)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Counting)
    return counts


@pytest.mark.parametrize("has_rule", [True, False])
def test_the_runtime_starts_once_and_runs_once_for_each_image(judged, three, counted, has_rule):
    bundle = replace(judged(-1e6), trusted=True)
    counted.update(sessions=0, runs=0)
    loaded = load(bundle if has_rule else replace(bundle, known_kind=None), "onnx", "cpu")
    for _ in range(3):
        prediction = predict(bundle, three[0], loaded=loaded)
        assert any("not of the kind" in note for note in prediction.notes) == has_rule
    assert counted == {"sessions": 1, "runs": 3}


def test_what_predict_does_not_need_is_not_computed(judged, monkeypatch):
    taken = []
    start = embedding.graph_run
    monkeypatch.setattr(
        embedding, "graph_run", lambda bundle, content, outputs, device: taken.append(outputs) or start(bundle, content, outputs)
    )
    bundle = judged(0.0)
    taken.clear()
    load(bundle, "onnx", "cpu")
    watched(bundle)
    ((*promised, seen), (*_, pooled, last)) = taken
    assert promised == [name for name, _ in bundle.kinds]
    assert seen not in (pooled, last)


def test_measure_has_a_column_and_counts(judged, three):
    image, labels = three
    for above, other in ((1e6, 0), (-1e6, 1)):
        rows, notes = Measurer.of(judged(above)).rows("cells.tif", image, labels)
        assert [row["other_kind"] for row in rows] == [other] * 3
        assert any(note.startswith("cells.tif: 3 of 3 objects are not of the kind") for note in notes) == bool(other)


def test_a_bundle_without_a_rule_says_nothing(open_bundle, three):
    rows, _ = Measurer.of(open_bundle("patterns")).rows("cells.tif", *three)
    assert "other_kind" not in rows[0]
    assert known_kind(open_bundle("patterns")) is None


def test_a_rule_for_another_network_is_refused(open_bundle):
    bundle = replace(open_bundle("patterns"), known_kind=KnownKind(weights=(1.0, 2.0), bias=0.0, kept=0.95))
    with pytest.raises(BundleInvalid, match="states 2 weights that tell images of another kind, and its last layer is given 12 values"):
        predict(bundle, Image(array=np.zeros((48, 48), np.uint16), axes="yx", pixel_size_um=0.3))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [1, 2],
        {"weights": [], "bias": 0, "kept": 0.9},
        {"weights": [1, "2"], "bias": 0, "kept": 0.9},
        {"weights": [1], "bias": 0, "kept": 2},
    ],
)
def test_a_rule_that_is_none_is_a_fault(wrong, open_bundle):
    faults = {}
    assert stated.known_kind(wrong, faults) is None
    with pytest.raises(BundleInvalid, match=r"config\.zooready\.kind is .*; give weights: \[numbers\], bias: a number, kept: 0 to 1"):
        known_kind(replace(open_bundle("patterns"), faults=faults))


def test_the_rule_that_ships_with_plcnn_keeps_cells_and_tells_what_is_none(open_bundle):
    faults = {}
    rule = stated.known_kind(trained("plcnn").provenance["kind"], faults)
    assert rule is not None
    assert not faults
    scorer = Scorer(load_weights("plcnn"))

    def told(images):
        with torch.no_grad():
            seen = scorer.network.embedding(scorer.normalization(torch.as_tensor(np.stack(images).astype(np.float32))))
        return strangers(seen.numpy(), rule, open_bundle("patterns")).mean()

    cells = [pair.input for pair in held_out(40)]
    rng = np.random.default_rng(4)
    assert told(cells) <= 0.1
    assert told([image.max() - image for image in cells]) >= 0.6
    assert told([rng.normal(500, 50, (1, 96, 96)) for _ in range(20)]) >= 0.9


def test_the_card_has_the_rates_of_images_that_were_never_fitted_on():
    rows = {row["method"]: row["told"] for row in load_record("plcnn")["tables"]["images of another kind"]}
    assert rows["simulated cells as training sees them"] <= 0.08
    assert rows["real nuclei"] > 0.3
