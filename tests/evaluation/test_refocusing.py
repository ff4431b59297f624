"""How refocusing is measured: widths, sides, and surfaces with a truth of their own."""

import numpy as np
import pytest

from zooready.evaluation import deepz as surfaces
from zooready.evaluation import deepz_stack, refocusing
from zooready.evaluation.refocusing import UM
from zooready.families import deepz
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
    scores = refocusing.bead_scores(field.truth, field.truth, field.image, at)
    assert len(scores) == refocusing.BEADS**2
    assert np.median([abs(score["height"] - score["found"]) for score in scores]) <= 0.5
    assert all(score["network"] == score["truth"] for score in scores)
    assert 0.4 < np.median([score["truth"] for score in scores]) < 1.0


def test_the_image_itself_scores_as_the_input_and_the_truth_far_above():
    fields = refocusing.series(deepz.SPARSE, 5, 2)
    same = refocusing.compared(fields, lambda image: np.broadcast_to(image[0], (len(UM), *image[0].shape)))
    assert all(np.allclose(row["network"], row["input"]) for row in same)
    truths = iter(fields)
    perfect = refocusing.compared(fields, lambda image: next(truths).truth)
    lines = deepz_stack.by_distance("sparse", perfect)
    assert all(lines[1][f"{um:+d}"] > lines[0][f"{um:+d}"] + 10 for um in deepz_stack.SHOWN_UM)
    assert set(list(lines[2].values())[1:]) == {0.0}
    assert deepz_stack.far_metrics(same, "")["psnr"] == deepz_stack.far_metrics(same, "")["psnr_input"]


def test_the_truth_of_a_surface_follows_it():
    (field, heights), *_ = surfaces.fields("tilted, 8 um over the field", lambda rng, size: filaments(rng, size), 0, 1)
    assert heights[0, 0] == -heights[0, -1] == -surfaces.HEIGHT_UM
    assert np.ptp(heights, axis=0).max() == 0
    sharp, blurred = (np.abs(np.diff(image.astype(float), axis=0)).mean() for image in (field.truth[0], field.image))
    assert sharp > 0
    edge, middle = (slice(None), slice(0, 12)), (slice(None), slice(44, 52))
    near = np.corrcoef(field.image[middle].ravel(), field.truth[0][middle].ravel())[0, 1]
    far = np.corrcoef(field.image[edge].ravel(), field.truth[0][edge].ravel())[0, 1]
    assert near > far
