"""Simulated nuclei and their outlines."""

import numpy as np
import pytest
from scipy import ndimage

from zooready.errors import InputInvalid
from zooready.simulate import nuclei


def field(seed, size=160, **settings):
    return nuclei.field(np.random.default_rng(seed), size, **settings)


@pytest.fixture(scope="module")
def fields():
    return [field(seed) for seed in range(24)]


def test_the_same_generator_gives_the_same_field_and_another_gives_another():
    (image, labels), (again, labels_again), (other, _) = field(3), field(3), field(4)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(labels, labels_again)
    assert not np.array_equal(image, other)


def test_images_are_whole_counts_and_labels_run_from_one(fields):
    for image, labels in fields:
        assert (image.dtype, labels.dtype, image.shape, labels.shape) == (np.float32, np.int32, (160, 160), (160, 160))
        assert image.min() >= 0
        assert (image == np.rint(image)).all()
        assert sorted(set(labels.ravel()) - {0}) == list(range(1, labels.max() + 1))


def test_every_nucleus_is_in_one_piece_without_holes(fields):
    for _, labels in fields[:8]:
        for name in range(1, labels.max() + 1):
            nucleus = labels == name
            assert ndimage.label(nucleus)[1] == 1
            assert nucleus.sum() >= 12


def test_nuclei_are_brighter_than_what_surrounds_them(fields):
    for image, labels in fields:
        if labels.max():
            assert image[labels > 0].mean() > image[labels == 0].mean()


def test_some_nuclei_touch_and_some_fields_are_crowded(fields):
    touching = sum(
        ((a > 0) & (b > 0) & (a != b)).any() for _, labels in fields for a, b in [(labels[1:], labels[:-1])]
    )  # fmt: skip
    assert touching > len(fields) / 3
    assert max((labels > 0).mean() for _, labels in fields) > 0.25


def test_pixel_size_sets_the_size_of_nuclei():
    areas = [np.median(np.bincount(field(5, 300, pixel_size_um=side)[1].ravel())[1:]) for side in (0.35, 0.9)]
    assert areas[0] > 3 * areas[1]


def test_outlines_lie_at_half_of_the_height():
    nucleus = nuclei.Nucleus(y=60.0, x=60.0, radius=15.0, ratio=1.0, angle=0.0, brightness=5.0, flatness=0.1, lobes=())
    optics = nuclei.Optics(parts=((1.0, 2.0), (0.0, 3.0)))
    light, labels = nuclei.render(np.random.default_rng(0), [nucleus], 120, optics)
    rim = (labels > 0) & ~ndimage.binary_erosion(labels > 0)
    middle = light[56:65, 56:65].mean()
    assert 0.4 < light[rim].mean() / middle < 0.65
    assert abs(np.sqrt((labels > 0).sum() / np.pi) - 15) < 1


def test_the_halo_spreads_light_around_a_nucleus():
    nucleus = nuclei.Nucleus(y=60.0, x=60.0, radius=10.0, ratio=1.0, angle=0.0, brightness=1.0, flatness=0.3, lobes=())
    sharp, hazy = (
        nuclei.render(np.random.default_rng(0), [nucleus], 120, nuclei.Optics(parts=parts))[0]
        for parts in (((1.0, 1.0), (0.0, 4.0)), ((0.6, 1.0), (0.4, 8.0)))
    )
    assert sharp[60, 80] < 1e-6
    assert hazy[60, 80] > 0.02 * hazy[60, 60]
    assert abs(sharp.sum() - hazy.sum()) < 0.02 * sharp.sum()


def test_a_dim_nucleus_beside_a_bright_one_keeps_its_outline():
    dim = nuclei.Nucleus(y=50.0, x=40.0, radius=11.0, ratio=1.0, angle=0.0, brightness=1.0, flatness=0.2, lobes=())
    bright = nuclei.Nucleus(**{**vars(dim), "x": 62.0, "brightness": 4.0})
    _, labels = nuclei.render(np.random.default_rng(0), [dim, bright], 100, nuclei.Optics(parts=((0.8, 1.0), (0.2, 4.0))))
    areas = np.bincount(labels.ravel())[1:]
    assert len(areas) == 2
    assert areas.min() > 0.8 * areas.max()


def test_some_images_saturate_at_255_and_others_use_sixteen_bits(fields):
    highest = [image.max() for image, _ in fields]
    assert any(value <= 255 for value in highest)
    assert any(value > 1000 for value in highest)


def test_light_falls_off_under_the_lamp():
    lit = nuclei.illuminate(np.random.default_rng(1), np.ones((64, 64), np.float32))
    assert lit.max() > 1.05 * lit.min() > 0


@pytest.mark.parametrize("side", [0.0, -0.5, np.nan])
def test_pixel_sizes_that_cannot_be_are_refused(side):
    with pytest.raises(InputInvalid, match=rf"pixel_size_um={side}: it must be a positive number, 0\.35 to 1 in training"):
        field(0, pixel_size_um=side)
