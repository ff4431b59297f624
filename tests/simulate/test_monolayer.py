"""Simulated fields of nuclei of any size, and their outlines."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from zooready.errors import InputInvalid
from zooready.simulate import monolayer, nuclei

PLAIN = monolayer.Look(grain=0.0, scale=0.1, foci=0.0, nucleoli=0.0, rim=0.0, ragged=0.0)
DISC = nuclei.Nucleus(y=60.0, x=60.0, radius=15.0, ratio=1.0, angle=0.0, brightness=5.0, flatness=0.1, lobes=())


def field(seed, size=160, **settings):
    return monolayer.field(np.random.default_rng(seed), size, **settings)


def rendered(cells, size, *parts, look=PLAIN):
    return monolayer.render(np.random.default_rng(0), cells, size, nuclei.Optics(parts=parts), look)


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
    touching = sum(((a > 0) & (b > 0) & (a != b)).any() for _, labels in fields for a, b in [(labels[1:], labels[:-1])])
    assert touching > len(fields) / 4
    assert max((labels > 0).mean() for _, labels in fields) > 0.25


def test_the_diameter_sets_the_size_of_nuclei_and_is_drawn_over_a_wide_range(fields):
    def diameter(labels):
        areas = np.bincount(labels.ravel())[1:]
        return np.sqrt(4 / np.pi * np.median(areas)) if len(areas) else 20.0

    small, large = (np.median([diameter(field(seed, 300, diameter_px=side)[1]) for seed in range(5)]) for side in (10, 60))
    assert 7 < small < 14
    assert 30 < large < 80  # the border cuts some
    drawn = [diameter(labels) for _, labels in fields]
    assert min(drawn) < 12
    assert max(drawn) > 50


def test_outlines_lie_at_half_of_the_height():
    light, labels = rendered([DISC], 120, (1.0, 2.0), (0.0, 3.0))
    rim = (labels > 0) & ~ndimage.binary_erosion(labels > 0)
    assert 0.4 < light[rim].mean() / light[56:65, 56:65].mean() < 0.65
    assert abs(np.sqrt((labels > 0).sum() / np.pi) - 15) < 1


def test_the_halo_spreads_light_around_a_nucleus_and_keeps_its_outline():
    (sharp, outline), (hazy, same) = (rendered([DISC], 120, *parts) for parts in (((1.0, 1.0), (0.0, 4.0)), ((0.6, 1.0), (0.4, 8.0))))
    assert sharp[60, 85] < 1e-6
    assert hazy[60, 85] > 0.02 * hazy[60, 60]
    np.testing.assert_array_equal(outline, same)


def test_a_dim_nucleus_beside_a_bright_one_keeps_its_outline():
    dim = replace(DISC, y=50.0, x=40.0, radius=11.0, brightness=1.0, flatness=0.2)
    _, labels = rendered([dim, replace(dim, x=62.0, brightness=4.0)], 100, (0.8, 1.0), (0.2, 4.0))
    areas = np.bincount(labels.ravel())[1:]
    assert len(areas) == 2
    assert areas.min() > 0.8 * areas.max()


@pytest.mark.parametrize(
    ("part", "strength"), [("grain", 0.5), ("scale", 0.3), ("foci", 9.0), ("nucleoli", 3.0), ("rim", 0.4), ("ragged", 0.1)]
)
def test_every_part_of_a_look_changes_the_nucleus(part, strength):
    looks = replace(PLAIN, grain=0.2), replace(PLAIN, **{"grain": 0.2, part: strength})
    first, second = (rendered([DISC], 120, (1.0, 1.0), (0.0, 3.0), look=look)[0] for look in looks)
    assert not np.array_equal(first, second)


def test_the_daughters_of_a_dividing_cell_are_two_and_apart():
    first, second = monolayer.daughters(np.random.default_rng(1), DISC)
    assert nuclei.is_apart(first, second)
    assert abs((first.y + second.y) / 2 - DISC.y) < 1e-6


def test_micronuclei_and_debris_have_light_and_hot_pixels_are_few():
    lights = [monolayer.unlabelled(np.random.default_rng(seed), [DISC] * 5, 120, 15.0) for seed in range(8)]
    assert any(light.any() for light in lights)
    assert not all(light.any() for light in lights)
    image = np.full((100, 100), 10, np.float32)
    changed = [(monolayer.hot(np.random.default_rng(seed), image) != image).sum() for seed in range(20)]
    assert 0 < max(changed) <= 12
    assert min(changed) == 0


@pytest.mark.parametrize("side", [0.0, -0.5, np.nan])
def test_diameters_that_cannot_be_are_refused(side):
    with pytest.raises(InputInvalid, match=rf"diameter_px={side}: it must be a positive number, 7 to 120 in training"):
        field(0, diameter_px=side)
