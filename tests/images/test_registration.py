import numpy as np
import pytest
from scipy import ndimage

from zooready.errors import InputInvalid
from zooready.images.registration import register

SIDE = 128
INNER = (slice(12, -12),) * 2


def specimen(seed=0):
    """Spots of random brightness on a plane somewhat larger than the image, 0 to 1."""
    rng = np.random.default_rng(seed)
    plane = np.zeros((SIDE + 40,) * 2)
    at = rng.integers(0, SIDE + 40, (2, 400))
    plane[tuple(at)] = rng.uniform(0.3, 1, 400)
    plane = ndimage.gaussian_filter(plane, 1.5)
    return plane / plane.max()


def seen(plane, field):
    """The part of a plane that a camera sees at its pixels plus a displacement (2, y, x)."""
    return ndimage.map_coordinates(plane, np.indices((SIDE, SIDE)) + 20 + field, order=3)


def shifted(y, x):
    return np.broadcast_to(np.reshape((y, x), (2, 1, 1)), (2, SIDE, SIDE)).astype(float)


def bent(most=2.0):
    y, x = np.indices((SIDE, SIDE)) / SIDE
    return most * np.stack((np.sin(2 * np.pi * x), np.cos(2 * np.pi * y)))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -7.0), (-2.4, 5.7), (11.25, 9.5)])
def test_a_known_shift_is_found_to_a_tenth_of_a_pixel(shift):
    plane = specimen()
    found = register(seen(plane, shifted(*shift)), seen(plane, shifted(0, 0)), radius_px=None)
    assert found.shift_px == pytest.approx([-value for value in shift], abs=0.1)
    assert found.bend_px == 0


def test_the_shifted_image_lies_on_the_fixed_one():
    plane = specimen()
    fixed, moving = seen(plane, shifted(0, 0)), seen(plane, shifted(4.3, -6.6))
    moved = register(moving, fixed).applied(moving)
    assert np.abs(moving - fixed)[INNER].mean() > 10 * np.abs(moved - fixed)[INNER].mean()


def test_a_known_bend_is_found_beside_the_shift():
    plane = specimen()
    fixed, moving = seen(plane, shifted(0, 0)), seen(plane, shifted(3.0, -4.0) + bent())
    only_shift, whole = register(moving, fixed, radius_px=None), register(moving, fixed)
    errors = [np.abs(of.applied(moving) - fixed)[INNER].mean() for of in (only_shift, whole)]
    assert errors[1] < 0.4 * errors[0]
    wanted = -(shifted(3.0, -4.0) + bent())  # to first order, as bends are slow
    wrong = np.hypot(*(whole.field - wanted))[INNER]
    assert np.median(wrong) < 0.5
    assert 1.0 < whole.bend_px < 6.0


def test_images_of_two_microscopes_with_noise_are_registered():
    """The sharp one has other units, and the blurred one ten photons in its brightest pixel."""
    plane, shift, rng = specimen(3), (2.5, -3.25), np.random.default_rng(1)
    blurred = ndimage.gaussian_filter(plane, 3.0)
    moving = 100 + rng.poisson(30 * seen(blurred, shifted(0, 0)) / blurred.max() + 2)
    fixed = 5000 * seen(plane, shifted(*shift)) + 300
    found = register(moving, fixed, radius_px=None)
    assert found.shift_px == pytest.approx(shift, abs=0.3)


def test_images_without_contrast_stay_where_they_are():
    flat, spots = np.full((SIDE, SIDE), 7.0), seen(specimen(), shifted(0, 0))
    for moving, fixed in ((flat, spots), (spots, flat), (flat, flat)):
        found = register(moving, fixed)
        assert found.shift_px == (0, 0)
        assert not found.field.any()
        assert found.applied(moving) == pytest.approx(moving, abs=1e-9)


@pytest.mark.parametrize(
    ("moving", "fixed", "message"),
    [
        (np.zeros((40, 40)), np.zeros((40, 41)), r"images of \(40, 40\) and \(40, 41\) cannot be registered: give planes"),
        (np.zeros((2, 40, 40)), np.zeros((2, 40, 40)), "cannot be registered"),
        (np.zeros((40, 20)), np.zeros((40, 20)), "is too small to be registered: give at least 32 x 32 px"),
        (np.full((40, 40), np.nan), np.zeros((40, 40)), "holds NaN or infinity"),
    ],
)
def test_images_that_cannot_be_registered_are_refused(moving, fixed, message):
    with pytest.raises(InputInvalid, match=message):
        register(moving, fixed)
