"""Doubt about a restored image: nothing where it is the truth, and the place where something was invented or is missing."""

import numpy as np
import pytest
from scipy import ndimage

from zooready.errors import InputInvalid
from zooready.explanation import doubt
from zooready.explanation.reblurring import reblurred
from zooready.simulate import microscopes
from zooready.simulate.camera import Camera
from zooready.simulate.fields import field
from zooready.simulate.optics import otf
from zooready.simulate.specimens import filaments

RANGE = (4.0, 16.0)
SPOT = (70, 40)


def seen(blur_px, spherical_waves=0.0, photons=500.0):
    """Threads and their image by a microscope of this blur: image and truth, (128, 128)."""
    optics = microscopes.lens(blur_px, spherical_waves)
    return field(np.random.default_rng(3), 128, filaments, optics=optics, camera=Camera(), photons=photons, background=5.0)


def with_spot(truth, light):
    """The truth with a spot that is not there."""
    y, x = np.indices(truth.shape)
    near = np.exp(-((y - SPOT[0]) ** 2 + (x - SPOT[1]) ** 2) / (2 * 3.0**2))
    return truth + light * near


@pytest.mark.parametrize("blur_px", [4.5, 8.0, 14.0])
@pytest.mark.parametrize("spherical_waves", [0.0, 0.1])
def test_the_truth_raises_no_doubt_and_tells_the_blur(blur_px, spherical_waves):
    exposure = seen(blur_px, spherical_waves)
    values, facts = doubt(exposure.image, exposure.truth, RANGE)
    assert values.shape == (128, 128)
    assert values.dtype == np.float32
    assert facts["blur_px"] == pytest.approx(blur_px, rel=0.1)
    assert max(facts["invented_share"], facts["missing_share"]) < 0.01


def test_an_invented_spot_is_the_place_of_doubt():
    exposure = seen(6.0)
    invented = with_spot(exposure.truth, 0.5 * np.ptp(exposure.truth))
    values, facts = doubt(exposure.image, invented, RANGE)
    assert np.unravel_index(values.argmax(), values.shape) == pytest.approx(SPOT, abs=2)
    assert values.max() > 0.2
    assert facts["invented_share"] > max(0.005, 2 * facts["missing_share"])


def test_a_structure_that_is_gone_is_missing_light():
    exposure = seen(6.0)
    y, x = np.unravel_index(ndimage.gaussian_filter(exposure.truth, 4)[20:-20, 20:-20].argmax(), (88, 88))
    gone = exposure.truth.copy()
    gone[y + 14 : y + 27, x + 14 : x + 27] = exposure.truth.min()
    values, facts = doubt(exposure.image, gone, RANGE)
    assert np.unravel_index(values.argmin(), values.shape) == pytest.approx((y + 20, x + 20), abs=8)
    assert facts["missing_share"] > facts["invented_share"]


def test_noise_is_no_doubt_and_much_light_sees_more():
    dim, bright = seen(6.0, photons=20.0), seen(6.0, photons=2000.0)
    shares = []
    for exposure in (dim, bright):
        invented = with_spot(exposure.truth, 0.15 * np.ptp(exposure.truth))
        values, facts = doubt(exposure.image, invented, RANGE)
        shares.append(facts["invented_share"])
        assert doubt(exposure.image, exposure.truth, RANGE)[1]["invented_share"] < 0.01
    assert shares[1] > shares[0]


def test_units_do_not_matter():
    exposure = seen(6.0)
    values, facts = doubt(exposure.image, exposure.truth, RANGE)
    other, same = doubt(3.0 * exposure.image + 50, 0.1 * exposure.truth - 7, RANGE)
    assert other == pytest.approx(values, abs=1e-4)
    assert same == pytest.approx(facts, abs=1e-4)


def test_a_blur_that_is_told_is_taken():
    exposure = seen(6.0)
    (right, facts), (wrong, others) = (doubt(exposure.image, exposure.truth, (blur_px, blur_px)) for blur_px in (6.0, 16.0))
    assert (facts["blur_px"], others["blur_px"]) == (6.0, 16.0)
    assert wrong.std() > 3 * right.std()


def test_an_image_of_one_value_raises_none():
    values, facts = doubt(np.full((40, 30), 7.0), np.full((40, 30), 7.0), RANGE)
    assert values == pytest.approx(0, abs=1e-6)
    assert (facts["invented_share"], facts["missing_share"]) == (0.0, 0.0)


def test_a_blur_below_the_nyquist_limit_is_refused():
    with pytest.raises(InputInvalid, match=r"blur_px=3: give wavelength / \(NA x pixel size\), 4 or more"):
        doubt(np.ones((20, 20)), np.ones((20, 20)), (3.0, 8.0))


def test_an_image_is_mirrored_at_its_edges_not_wrapped_around():
    point = np.zeros((64, 64))
    point[32, 1] = 1.0
    optics = microscopes.lens(8.0)
    light, middle = reblurred(point, optics), reblurred(np.roll(point, 30, 1), optics)
    assert light[:, -8:].max() < 1e-3 * light.max()
    wrapped = np.fft.irfft2(np.fft.rfft2(np.roll(point, 30, 1)) * otf(optics, (64, 64)), s=(64, 64))
    assert middle == pytest.approx(wrapped, abs=0.02 * wrapped.max())
