"""Simulated spots and the label image that marks them."""

import numpy as np
import pytest

from zooready.simulate import spots


def alone(at, width_px=1.4, height=1.0):
    at = np.asarray(at, float).reshape(-1, 2)
    return spots.Spots(at=at, height=np.full(len(at), height), width_px=np.full(len(at), width_px))


def test_the_same_generator_gives_the_same_field_and_another_gives_another():
    first, again, other = (spots.field(np.random.default_rng(seed), 64) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_fields_have_counts_and_labels_from_one():
    for seed in range(12):
        image, labels = spots.field(np.random.default_rng(seed), 50)
        assert (image.dtype, image.shape, labels.dtype, labels.shape) == (np.float32, (50, 50), np.int32, (50, 50))
        assert set(np.unique(labels)) == set(range(int(labels.max()) + 1))


def test_some_fields_are_empty_and_some_are_crowded():
    counts = [int(spots.field(np.random.default_rng(seed), 96)[1].max()) for seed in range(40)]
    assert min(counts) == 0
    assert max(counts) > 50


def test_a_spot_is_as_high_and_as_wide_as_it_says():
    image = spots.rendered(alone([[20, 24]], width_px=2.0, height=3.0), 48)
    assert image[20, 24] == pytest.approx(3.0)
    assert image[20, 26] == pytest.approx(3.0 * np.exp(-0.5))
    assert image.sum() == pytest.approx(3.0 * 2 * np.pi * 4, rel=0.01)


def test_spots_beyond_the_border_shine_into_the_field():
    assert spots.rendered(alone([[-2.0, 10.0]], width_px=2.0), 20)[0, 10] == pytest.approx(np.exp(-0.5))
    assert not spots.rendered(alone([[-40.0, 10.0]]), 20).any()


def test_marks_are_discs_and_neighbours_share_the_pixels_between():
    labels = spots.labels(np.array([[10.0, 10.0], [10.0, 13.0], [30.0, 5.0]]), (40, 40))
    assert labels.max() == 3
    assert np.count_nonzero(labels == labels[30, 5]) == 21
    assert labels[10, 11] == labels[10, 10] != labels[10, 12] == labels[10, 13]
    assert not spots.labels(np.zeros((0, 2)), (8, 9)).any()


def test_spots_that_drown_in_noise_have_no_label():
    rng = np.random.default_rng(0)
    points = alone([[16, 16]])
    for photons, count in ((1.0, 0), (200.0, 1)):
        light = photons * spots.rendered(points, 32) + 50.0
        assert spots.exposed(rng, points, photons, light)[1].max() == count
