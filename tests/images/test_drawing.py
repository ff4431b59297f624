"""Arrays as images for people."""

import numpy as np
import pytest

from zooready.images import drawing


def test_grey_runs_from_black_to_white_whatever_the_range():
    image = drawing.grey(np.linspace(-5, 900, 1000).reshape(20, 50))
    assert image.shape == (20, 50, 3)
    assert image.dtype == np.uint8
    assert image[0, 0].tolist() == [0, 0, 0]
    assert image[-1, -1].tolist() == [255, 255, 255]
    assert (np.diff(image[..., 0].reshape(-1).astype(int)) >= 0).all()


def test_one_hot_pixel_does_not_make_grey_dark():
    plane = np.tile(np.linspace(0, 1, 100), (100, 1))
    plane[0, 0] = 1e6
    assert drawing.grey(plane).mean() > 100


@pytest.mark.parametrize("plane", [np.full((4, 5), 7.0), np.full((4, 5), np.nan), np.zeros((4, 5), bool), np.zeros((0, 5))])
def test_a_plane_without_range_is_still_an_image(plane):
    assert drawing.grey(plane).shape == (*plane.shape, 3)


def test_each_object_has_its_colour_and_the_background_is_black():
    labels = np.array([[0, 1, 2], [3, 1001, 0]])
    image = drawing.coloured(labels)
    assert image[0, 0].tolist() == image[1, 2].tolist() == [0, 0, 0]
    colours = {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}
    assert len(colours) == 5
    assert min(max(colour) for colour in colours - {(0, 0, 0)}) > 100
    assert np.array_equal(image, drawing.coloured(labels.astype(np.float32)))


def test_differences_run_from_white_to_red():
    none, some, most = drawing.difference(np.array([[0.0, 0.5, 1.0]]))[0].astype(int)
    assert none.tolist() == [255, 255, 255]
    assert 255 > some[1] > most[1]
    assert most[0] > most[1] + 100
    assert drawing.difference(np.zeros((2, 2))).min() == 255


def test_what_is_not_finite_is_magenta():
    plane = np.array([[0.0, np.nan, np.inf]])
    for draw in (drawing.grey, drawing.difference):
        assert draw(plane)[0, 1:].tolist() == [[255, 0, 255]] * 2


def test_panels_stand_side_by_side_on_white():
    panels = [np.zeros((4, 5, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)]
    image = drawing.side_by_side(panels, gap=2)
    assert image.shape == (4, 10, 3)
    assert (image[:, 5:7] == 255).all()
    assert (image[2:, 7:] == 255).all()
    assert not image[:, :5].any()


def test_the_largest_score_has_the_tallest_and_darkest_bar():
    chart = drawing.bars(np.array([0.1, 0.7, 0.2]), 60)
    assert chart.shape == (60, 60, 3)
    heights = [(chart[:, column].min(-1) < 250).sum() for column in (10, 30, 50)]
    assert np.argmax(heights) == 1
    assert chart[-1, 30].sum() < chart[-1, 10].sum()


def test_negative_and_equal_scores_have_bars():
    chart = drawing.bars(np.array([-3.0, -1.0]), 40)
    assert (chart[:, 30].min(-1) < 250).sum() > (chart[:, 10].min(-1) < 250).sum()
    assert drawing.bars(np.zeros(3), 40).min() < 250


@pytest.mark.parametrize(("largest", "length"), [(9.9, 5), (10, 10), (1.99, 1), (0.03, 0.02), (250, 200)])
def test_scale_bars_have_round_lengths(largest, length):
    assert drawing.round_length(largest) == pytest.approx(length)
