import numpy as np
import pytest
import torch
from PIL import Image

from zooready.evaluation import deconvolution, deconvolution_cards, evaluation_of, microscope_range, record
from zooready.evaluation import mrbcr as evaluation
from zooready.evaluation import mrbcr3d as stack_evaluation
from zooready.evaluation.contract import Evaluation
from zooready.evaluation.grids import grid
from zooready.families import FAMILIES, mrbcr, mrbcr3d
from zooready.images.similarity import psnr
from zooready.simulate import volumes
from zooready.simulate.fields import stack_otf
from zooready.simulate.modalities import WIDE_FIELD
from zooready.simulate.optics import convolved

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def untrained():
    """Weights of a network that returns its input: its numbers must be those of the input itself."""
    return mrbcr.FAMILY.network.architecture.build().state_dict()


@pytest.fixture
def few(monkeypatch):
    """Two fields a set instead of dozens."""
    for name, value in {"HELD_OUT_FIELDS": 2, "UNSEEN_FIELDS": 2, "LUCY_ITERATIONS": (10, 30, 100), "WIENER_NOISE": (0.01,)}.items():
        monkeypatch.setattr(deconvolution, name, value)
    for name in ("PER_KIND", "PER_BLUR", "UNSEEN_PER_BLUR", "PER_CONDITION"):
        monkeypatch.setattr(evaluation, name, 1)
    monkeypatch.setattr(microscope_range, "LUCY_ITERATIONS", (10, 30))
    monkeypatch.setattr(microscope_range, "CONDITIONS", dict(tuple(microscope_range.CONDITIONS.items())[:2]))


def test_every_family_can_be_judged():
    assert all(isinstance(evaluation_of(family), Evaluation) for family in FAMILIES.values())


def test_a_network_that_does_nothing_scores_as_the_input(untrained, few):
    measured = evaluation.EVALUATION.measure(untrained)
    for title in ("held-out", "unseen"):
        rows = {row["method"]: row for row in measured["tables"][title]}
        assert rows["m-rBCR"]["psnr"] == pytest.approx(rows["input itself"]["psnr"], abs=0.001)
        assert rows["m-rBCR"]["fields"] == 2
    assert [row["method"].split()[0] for row in measured["tables"]["specimens"]][-2:] == ["tissue", "shells"]
    for title in ("specimens", "conditions", evaluation.BLUR, evaluation.BLUR_UNSEEN):
        assert all(row["m-rBCR, dB"] == pytest.approx(row["input itself, dB"], abs=0.01) for row in measured["tables"][title])
    assert measured["metrics"]["psnr"] == measured["metrics"]["psnr_input"]
    assert measured["metrics"]["psnr_range"] == measured["metrics"]["psnr_range_input"] < measured["metrics"]["psnr_range_rl_best"]
    assert set(measured["measured_on"]) == set(measured["tables"])


def test_the_spot_check_uses_the_first_fields_of_each_set():
    stacks = stack_evaluation.stacks(mrbcr3d.SPECIMENS, deconvolution.HELD_OUT_SEED, 4)
    fields = deconvolution.fields(evaluation.KNOWN, deconvolution.HELD_OUT_SEED, 4)
    for sets, whole in ((stack_evaluation.sets, stacks), (evaluation.sets, fields)):
        spot = sets(deconvolution_cards.SPOT)
        assert len(spot["held-out"]) == deconvolution_cards.SPOT
        assert np.array_equal(spot["held-out"][2].image, whole[2].image)


def test_the_spot_check_of_a_network_that_does_nothing_is_that_of_the_input(untrained):
    spot = evaluation.EVALUATION.spot(untrained)
    fields = evaluation.sets(deconvolution_cards.SPOT)["unseen"]
    assert spot["psnr_unseen"] == pytest.approx(np.mean([psnr(field.image, field.truth) for field in fields]), abs=0.001)


def test_images_are_drawn_with_the_failures(untrained, few, tmp_path, monkeypatch):
    monkeypatch.setattr(deconvolution, "HELD_OUT_FIELDS", 6)
    drawn = evaluation.EVALUATION.draw(untrained, tmp_path)
    assert [file for file, _ in drawn] == ["mrbcr-range.png", "mrbcr-examples.png", "mrbcr-failures.png"]
    assert all(Image.open(tmp_path / file).width > 500 for file, _ in drawn)
    assert drawn[2][1].startswith("Failure cases: of 8")


def test_a_grid_has_a_panel_for_every_image(tmp_path):
    plane, colours = np.arange(64.0).reshape(8, 8), np.zeros((8, 8, 3), np.uint8)
    grid(tmp_path / "one.png", ("a",), [("x", [plane])])
    grid(tmp_path / "more.png", ("a", "b"), [("x", [plane, plane]), ("y", [colours, colours])])
    small, large = (Image.open(tmp_path / f"{name}.png").size for name in ("one", "more"))
    assert large[0] > 1.5 * small[0]
    assert large[1] > 1.5 * small[1]


def test_shared_contrast_is_that_of_the_truth(tmp_path):
    plane = np.arange(64.0).reshape(8, 8)
    for name, shared in (("shared", True), ("separate", False)):
        grid(tmp_path / f"{name}.png", ("a", "b"), [("x", [plane / 4, plane])], shared=shared)
    dark, bright = (np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"), float).mean() for name in ("shared", "separate"))
    assert dark < bright


@pytest.fixture
def judged():
    """An evaluation of one number."""
    return Evaluation(
        measure=lambda weights: {"tables": {"new": [{"method": "m", "x": 1.0}]}, "metrics": {"x": 1.0}, "measured_on": {"new": "here"}},
        spot=lambda weights: {"x": 1.0},
        draw=lambda weights, folder: [("a.png", "An image.")],
        data="the simulation in words",
        suited=("this",),
        unsuited=("that",),
        limits=("so far",),
    )


def test_a_record_keeps_tables_that_other_trainings_made_and_replaces_what_was_measured_again(judged, tmp_path):
    begun = {"seed": 3, "data": "simulated", "tables": {"new": [], "peers": [{"method": "p", "x": 2.0}]}, "metrics": {"x": 9.0, "y": 2.0}}
    merged = record(begun, {"w": torch.zeros(2, 3), "n.running_mean": torch.zeros(4)}, judged, tmp_path)
    assert list(merged["tables"]) == ["new", "peers"]
    assert merged["tables"]["new"][0]["x"] == 1.0
    assert merged["metrics"] == {"x": 1.0, "y": 2.0}
    assert (merged["seed"], merged["data"], merged["parameters"], merged["spot"]) == (3, "the simulation in words", 6, {"x": 1.0})
    assert (merged["suited"], merged["unsuited"], merged["limits"]) == (["this"], ["that"], ["so far"])
    assert merged["images"] == [{"file": "a.png", "caption": "An image."}]


def test_a_record_of_a_persons_own_images_says_so(judged, tmp_path):
    begun = {"data": "12 images of the folder 'mine'", "data_sha256": "ab"}
    assert record(begun, {}, judged, tmp_path)["data"] == "12 images of the folder 'mine'"


def test_stacks_need_the_distance_of_their_planes():
    with pytest.raises(deconvolution.InputInvalid, match="a stack of 20 planes and no z_step_um: give the distance"):
        deconvolution.wiener(np.ones((4, 40, 40)), mrbcr.OPTICS, 0.1)


def test_classical_methods_sharpen_stacks_too():
    truth = np.full((24, 48, 48), 10.0)
    truth[8:16, 14:34, 14:34] += 500 * volumes.puncta(np.random.default_rng(1), (8, 20, 20))
    blurred = convolved(truth, stack_otf(WIDE_FIELD, mrbcr.OPTICS, truth.shape, 0.15))
    lucy = deconvolution.richardson_lucy(blurred, mrbcr.OPTICS, (4, 60), 0.15)
    assert {estimate.shape for estimate in lucy.values()} == {truth.shape}
    assert psnr(lucy[60], truth) > max(psnr(lucy[4], truth), psnr(blurred, truth))
    rough, smooth = (deconvolution.wiener(blurred, mrbcr.OPTICS, noise, 0.15) for noise in (1e-3, 1e-1))
    assert rough.shape == truth.shape
    assert np.abs(np.diff(rough)).mean() > np.abs(np.diff(smooth)).mean()
