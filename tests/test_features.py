"""Classical measurements against closed forms: what changes a number, and what must not."""

import importlib.util

import numpy as np
import pytest

from zooready import features
from zooready.errors import ConsumerMissing, InputInvalid
from zooready.features import measurements


@pytest.fixture
def textured():
    return np.random.default_rng(3).poisson(400, (48, 40)).astype(np.uint16)


def disc(size, radius):
    y, x = np.mgrid[:size, :size] - size // 2
    return y**2 + x**2 <= radius**2


def test_intensities_are_those_of_the_object_alone(textured):
    mask = np.zeros(textured.shape, int)
    mask[10:20, 5:25] = 7
    inside = textured[10:20, 5:25].astype(float)
    found = measurements(textured, mask)
    assert found["intensity_mean"] == pytest.approx(inside.mean())
    assert found["intensity_sum"] == pytest.approx(inside.sum())
    assert found["intensity_std"] == pytest.approx(inside.std())
    assert (found["intensity_min"], found["intensity_max"]) == (inside.min(), inside.max())
    assert found["intensity_p50"] == pytest.approx(np.median(inside))


def test_skewness_of_a_lone_bright_pixel_is_the_closed_form():
    picture = np.zeros((4, 5))
    picture[1, 1] = 1
    p = 1 / 20
    assert measurements(picture)["intensity_skewness"] == pytest.approx((1 - 2 * p) / np.sqrt(p * (1 - p)))


def test_the_shape_of_a_disc_is_that_of_a_disc():
    found = measurements(np.ones((81, 81)), disc(81, 30))
    assert found["shape_area_px2"] == pytest.approx(np.pi * 30**2, rel=0.01)
    assert found["shape_perimeter_px"] == pytest.approx(2 * np.pi * 30, rel=0.03)
    assert found["shape_major_axis_px"] == pytest.approx(60, rel=0.01)
    assert found["shape_eccentricity"] < 0.05
    assert found["shape_solidity"] > 0.97
    assert found["shape_extent"] == pytest.approx(np.pi * 30**2 / 61**2, rel=0.01)


def test_mass_displacement_is_how_far_the_light_lies_from_the_middle():
    picture = np.zeros((21, 21))
    picture[10, 16] = 5
    assert measurements(picture)["shape_mass_displacement_px"] == pytest.approx(6)
    assert measurements(np.full((21, 21), 5.0))["shape_mass_displacement_px"] == pytest.approx(0)


def test_textures_do_not_repeat_the_brightness_and_intensities_do(textured):
    first, second = measurements(textured), measurements(3.0 * textured + 100)
    for name in first:
        if name.startswith(("haralick", "lbp", "tas", "shape")):
            assert second[name] == pytest.approx(first[name]), name
    assert second["intensity_mean"] == pytest.approx(3 * first["intensity_mean"] + 100)


def test_a_quarter_turn_changes_no_number(textured):
    first, second = measurements(textured), measurements(np.rot90(textured))
    assert second == pytest.approx(first, rel=1e-6, abs=1e-9)


def test_textures_tell_a_smooth_object_from_a_rough_one(textured):
    y, x = np.mgrid[: textured.shape[0], : textured.shape[1]]
    smooth, rough = measurements(100 + y + x), measurements(textured)
    assert smooth["haralick_contrast_mean"] < 0.1 * rough["haralick_contrast_mean"]
    assert smooth["haralick_correlation_mean"] > 0.9 > abs(rough["haralick_correlation_mean"])
    assert max(abs(smooth[name] - rough[name]) for name in rough if name.startswith("lbp")) > 0.1
    assert max(abs(smooth[name] - rough[name]) for name in rough if name.startswith("tas")) > 0.1


def test_what_lies_outside_the_object_changes_nothing(textured):
    mask = np.zeros(textured.shape, bool)
    mask[8:40, 6:30] = disc(33, 14)[:32, :24]
    other = np.where(mask, textured, 60000)
    assert measurements(other, mask) == measurements(textured, mask)


def test_stripes_have_a_direction_and_noise_has_none(textured):
    stripes = np.tile(np.arange(40) % 4 < 2, (48, 1)) * 100
    assert measurements(stripes)["haralick_contrast_range"] > 1000
    assert measurements(textured)["haralick_contrast_range"] < 200


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 2), (3, 3), (9, 1)])
@pytest.mark.parametrize("content", ["constant", "ramp"])
def test_the_smallest_objects_give_finite_numbers_under_the_same_names(textured, size, content):
    picture = np.full(size, 8.0) if content == "constant" else np.arange(size[0] * size[1], dtype=float).reshape(size)
    found = measurements(picture)
    assert list(found) == list(measurements(textured))
    assert np.isfinite(list(found.values())).all()


def test_a_mask_of_another_size_is_refused(textured):
    with pytest.raises(InputInvalid, match=r"mask has shape \(4, 4\) and the picture \(48, 40\)"):
        measurements(textured, np.ones((4, 4)))


def test_an_empty_mask_is_refused(textured):
    with pytest.raises(InputInvalid, match="mask is empty"):
        measurements(textured, np.zeros(textured.shape))


def test_pixels_that_are_no_numbers_are_refused_inside_and_ignored_outside(textured):
    picture = textured.astype(float)
    picture[3, 3] = np.nan
    with pytest.raises(InputInvalid, match="1 pixels of the object are NaN"):
        measurements(picture)
    mask = np.ones(picture.shape)
    mask[3, 3] = 0
    assert np.isfinite(list(measurements(picture, mask).values())).all()


def test_several_channels_are_refused(textured):
    with pytest.raises(InputInvalid, match=r"shape \(2, 48, 40\).*one channel"):
        measurements(np.stack([textured, textured]))


def test_without_mahotas_the_cure_is_told(textured, monkeypatch):
    monkeypatch.setattr(features, "find_spec", lambda name: None if name == "mahotas" else importlib.util.find_spec(name))
    with pytest.raises(ConsumerMissing, match=r"pip install 'zooready\[explain\]'"):
        measurements(textured)
