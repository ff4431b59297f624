import numpy as np
import pytest

from zooready.simulate.bodies import neurites, worms
from zooready.simulate.nuclei import stained
from zooready.simulate.specimens import STRUCTURES, TEXTURES, beads, mixed, splatted
from zooready.simulate.unseen import UNSEEN

EVERY = (*STRUCTURES, *TEXTURES, mixed, beads, stained, neurites, worms, *UNSEEN)


@pytest.mark.parametrize("specimen", EVERY, ids=lambda draw: draw.__name__)
def test_a_specimen_is_finite_not_negative_and_at_most_one_at_any_size(specimen):
    for index, size in enumerate((48, 61, 128)):
        image = specimen(np.random.default_rng(index), size)
        assert image.shape == (size, size)
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() <= 1 + 1e-9


@pytest.mark.parametrize("specimen", EVERY, ids=lambda draw: draw.__name__)
def test_one_seed_gives_one_specimen_and_another_seed_another(specimen):
    first, again, other = (specimen(np.random.default_rng(seed), 64) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("specimen", EVERY, ids=lambda draw: draw.__name__)
def test_specimens_are_seldom_empty(specimen):
    drawn = [np.ptp(specimen(np.random.default_rng(index), 96)) > 0.05 for index in range(30)]
    assert np.mean(drawn) > 0.9


def test_points_are_shared_out_without_loss_about_their_place():
    image = splatted(np.array([[3.25, 90.0], [5.5, 2.0]]), np.array([2.0, 7.0]), 10)
    assert image.sum() == pytest.approx(2.0)  # the second lies outside
    assert image[3, 5] == pytest.approx(2 * 0.75 * 0.5)
    assert image[4, 6] == pytest.approx(2 * 0.25 * 0.5)


def test_neurites_hold_together_and_thin_out():
    from scipy import ndimage

    shares, widths = [], []
    for seed in range(6):
        parts = neurites(np.random.default_rng(seed), 192) > 0.08
        labels, _ = ndimage.label(parts)
        sizes = np.bincount(labels.ravel(), minlength=2)[1:]
        shares.append(np.sort(sizes)[::-1][:3].sum() / parts.sum())  # at most three cells
        widths.append(ndimage.distance_transform_edt(np.pad(parts, 1))[1:-1, 1:-1].max())
    assert np.mean(shares) > 0.9
    assert min(widths) > 3


def test_worms_are_thick_in_the_middle_and_thin_at_the_ends():
    from scipy import ndimage

    body = worms(np.random.default_rng(12), 256) > 0.05
    depth = ndimage.distance_transform_edt(body)
    assert depth.max() > 4
    assert body.sum() > 8 * depth.max() ** 2


def test_balls_in_projection_are_domes():
    image = beads(np.random.default_rng(0), 96)
    y, x = np.unravel_index(image.argmax(), image.shape)
    assert image[y, x] > image[y, min(x + 3, 95)] > 0
