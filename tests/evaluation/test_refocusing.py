"""How refocusing is measured: widths, sides, and surfaces with a truth of their own."""

import numpy as np
import pytest

from zooready.evaluation import activity, classical_refocusing, deepz_confocal, refocusing, stacks
from zooready.evaluation import deepz as surfaces
from zooready.evaluation.refocusing import ONE, TWO, UM
from zooready.families import deepz
from zooready.images.similarity import psnr
from zooready.simulate.camera import Camera
from zooready.simulate.focusing import focal_series
from zooready.simulate.specimens import filaments


def spot(sigma_px, size=24):
    y, x = np.mgrid[:size, :size] - size // 2
    return 100 + 50 * np.exp(-(y**2 + x**2) / (2 * sigma_px**2))


@pytest.mark.parametrize("sigma_px", [1.0, 2.0, 3.0])
def test_the_width_of_a_gaussian_spot_is_its_full_width_at_half_maximum(sigma_px):
    assert refocusing.width_um(spot(sigma_px)) == pytest.approx(2.355 * sigma_px * deepz.PIXEL_UM, rel=0.1)


def test_a_second_spot_does_not_count():
    image = spot(1.0)
    image[2:5, 2:5] = 150
    assert refocusing.width_um(image) == pytest.approx(2.355 * deepz.PIXEL_UM, rel=0.15)


def test_sides_and_errors_are_counted():
    scores = [
        {"height": 3.0, "found": -2.0},
        {"height": 2.0, "found": 2.5},
        {"height": 0.5, "found": -0.5},
        {"height": -4.0, "found": -4.0},
    ]
    assert refocusing.sign_and_error(scores) == {"wrong side, %": pytest.approx(33.3), "median axial error, um": 0.75}


def test_a_perfect_stack_shows_beads_at_their_height_and_as_narrow_as_the_truth():
    field, at = refocusing.bead_image(np.random.default_rng(0), refocusing.NOMINAL)
    scores = refocusing.bead_scores(field.truth, field, at)
    assert len(scores) == refocusing.BEADS**2
    assert np.median([abs(score["height"] - score["found"]) for score in scores]) <= 0.5
    assert all(score["network"] == score["truth"] for score in scores)
    assert 0.4 < np.median([score["truth"] for score in scores]) < 1.0


def test_the_image_itself_scores_as_the_input_and_the_truth_far_above():
    fields = refocusing.series(ONE, deepz.SPARSE, 5, 2)
    same = refocusing.compared(fields, lambda image: np.broadcast_to(image[0], (len(UM), *image[0].shape)))
    assert all(np.allclose(row["network"], row["input"]) for row in same)
    truths = iter(fields)
    perfect = refocusing.compared(fields, lambda image: next(truths).truth)
    lines = stacks.by_distance("sparse", perfect)
    assert all(lines[1][f"{um:+d}"] > lines[0][f"{um:+d}"] + 10 for um in stacks.SHOWN_UM)
    assert set(list(lines[2].values())[1:]) == {0.0}
    assert stacks.far_metrics(same, "")["psnr"] == stacks.far_metrics(same, "")["psnr_input"]


def test_of_two_planes_the_nearer_one_is_the_image_itself():
    (field,) = refocusing.series(TWO, deepz.SPARSE[:1], 5, 1, photons=3000.0)
    assert field.image.shape == (2, 96, 96)
    assert np.array_equal(field.nearest[9], field.image[0])
    assert np.array_equal(field.nearest[10], field.image[1])
    for plane, image in zip((8, 12), field.image, strict=True):
        assert int(np.argmin([np.abs(image - truth).mean() for truth in field.truth])) == plane


def test_a_bead_is_refocused_by_richardson_lucy_at_its_distance_only():
    volume = np.zeros((21, 192, 192))
    volume[16, 97, 97] = 1
    planes = deepz.recorded(volume, np.arange(21), refocusing.NOMINAL)
    field = refocusing.exposed(np.random.default_rng(0), planes, Camera(), 1000.0, 5.0, "bead")
    right, wrong = (list(classical_refocusing.refocused(field.image[0], um, refocusing.NOMINAL))[-1] for um in (3.0, -3.0))
    assert psnr(right, field.truth[16]) > psnr(wrong, field.truth[16]) + 3
    assert psnr(right, field.truth[16]) > psnr(field.image[0], field.truth[16]) + 3


def test_the_depth_of_field_is_the_longest_run_of_heights_with_narrow_beads():
    wide = {-5.0, 2.5, 3.0}
    scores = [{"height": um, "truth": 1.0, "network": 1.6 if um in wide else 1.4} for um in UM for _ in range(3)]
    assert refocusing.depth_of_field_um(scores, "network") == 14 * 0.5  # from -4.5 to 2 um
    assert refocusing.depth_of_field_um(scores, "truth") == 21 * 0.5
    assert refocusing.depth_of_field_um([{**score, "network": 2.0} for score in scores], "network") == 0


def test_a_stack_that_is_the_truth_gives_the_activity_back(monkeypatch):
    monkeypatch.setattr(activity, "RECORDINGS", 1)
    monkeypatch.setattr(activity, "NEURONS", 3)
    made = activity.recording(ONE, np.random.default_rng((refocusing.SEED, 0, 2)))
    frames, active, at = made
    assert frames.shape == (activity.FRAMES, 1, 96, 96)
    truths = iter(np.zeros((activity.FRAMES, len(UM), 96, 96)))

    def refocus(image):
        stack = next(truths)
        frame = next(numbers)
        for (plane, y, x), trace in zip(at, active, strict=True):
            stack[plane, y - 1 : y + 2, x - 1 : x + 2] = trace[frame]
        return stack

    numbers = iter(range(activity.FRAMES))
    rows = list(activity.correlations(ONE, refocus, 0))
    assert [row[2] for row in rows] == pytest.approx([1.0] * 3)
    assert all(row[1] < 1 for row in rows)
    assert activity.correlation(np.ones(4), np.arange(4)) == 0


def test_a_neuron_is_brightest_at_its_place_and_follows_its_trace(monkeypatch):
    monkeypatch.setattr(activity, "NEURONS", 1)
    frames, active, ((_, y, x),) = activity.recording(ONE, np.random.default_rng(3))
    seen = frames[:, 0, y - 1 : y + 2, x - 1 : x + 2].mean((1, 2))
    assert np.corrcoef(seen, active[0])[0, 1] > 0.95
    bright = frames.mean((0, 1))
    assert bright[y, x] > np.percentile(bright, 95)


def test_the_truth_of_a_surface_follows_it():
    (field, heights), *_ = surfaces.fields("tilted, 8 um over the field", lambda rng, size: filaments(rng, size), 0, 1)
    assert heights[0, 0] == -heights[0, -1] == -surfaces.HEIGHT_UM
    assert np.ptp(heights, axis=0).max() == 0
    sharp, blurred = (np.abs(np.diff(image.astype(float), axis=0)).mean() for image in (field.truth[0], field.image[0]))
    assert sharp > 0
    edge, middle = (slice(None), slice(0, 12)), (slice(None), slice(44, 52))
    near = np.corrcoef(field.image[0][middle].ravel(), field.truth[0][middle].ravel())[0, 1]
    far = np.corrcoef(field.image[0][edge].ravel(), field.truth[0][edge].ravel())[0, 1]
    assert near > far


def test_sections_are_judged_as_whole_stacks_with_the_empty_ones_among_them():
    field = deepz_confocal.one(deepz.SPARSE[0], 5, 0)
    assert (field.image.shape, field.truth.shape) == ((1, 96, 96), (21, 96, 96))
    (perfect,), (same,) = (
        deepz_confocal.compared([field], refocus, is_whole=False)
        for refocus in (lambda image: 3 * field.truth + 5, lambda image: np.broadcast_to(image[0], field.truth.shape))
    )
    assert deepz_confocal.stack_psnr([perfect], "network") > 100
    assert deepz_confocal.below([perfect], "input") == 0
    assert same["network"][0] == pytest.approx(same["input"][0])
    assert deepz_confocal.below([{**same, "input": perfect["network"]}], "input") == 100


def test_light_of_other_planes_is_counted_where_the_section_is_dark():
    truth = np.full((11, 20, 20), 10.0)
    truth[:, 5:8, 5:8] = 110
    assert deepz_confocal.haze(truth, truth) == 0
    assert deepz_confocal.haze(truth + 7, truth) == pytest.approx(7)
    assert deepz_confocal.haze(np.where(truth > 50, 200, truth), truth) == 0  # brighter objects are no haze
    assert np.isnan(deepz_confocal.haze(truth, np.full((11, 20, 20), 10.0)))


def test_richardson_lucy_gives_sections_of_a_bead_in_focus_that_are_better_than_the_image():
    volume = np.zeros((21, 192, 192))
    volume[10, 97, 97] = 1
    image = deepz.light(volume, np.array([10]), refocusing.NOMINAL)
    sections = focal_series(volume, deepz.optics_of(refocusing.NOMINAL), deepz.Z_STEP_UM, np.arange(21), deepz.BINNING, is_confocal=True)
    field = refocusing.Series(image=image * 1e4 + 10, truth=sections * 1e4 + 10, kind="bead")
    stack = deepz_confocal.classical(field)
    truth = field.truth[deepz_confocal.SHOWN]
    assert stack.shape == truth.shape == (11, 96, 96)
    middle = deepz_confocal.MIDDLE
    assert psnr(stack[middle], truth[middle]) > psnr(field.image[0], truth[middle]) + 1
