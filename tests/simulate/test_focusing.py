"""Focal series: light adds up over planes and pixels, and only an aberration tells above from below."""

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.simulate.focusing import binned, focal_series
from zooready.simulate.optics import Optics, planes

SYMMETRIC = Optics(na=0.75, wavelength_nm=600.0, index=1.33, pixel_size_um=0.1625)
ABERRATED = Optics(na=0.75, wavelength_nm=600.0, index=1.33, pixel_size_um=0.1625, zernike=((4, 0, 0.125),))


def point(plane, size=64):
    volume = np.zeros((5, size, size))
    volume[plane, size // 2, size // 2] = 2.0
    return volume


def test_a_point_becomes_the_psf_of_its_height():
    series = focal_series(point(1), ABERRATED, 0.5, np.array([0, 1, 4, 9]))
    expected = 2 * planes(ABERRATED, (64, 64), (-0.5, 0.0, 1.5, 4.0))
    np.testing.assert_allclose(series, expected, atol=1e-6)


def test_light_of_all_planes_adds_up():
    both = focal_series(point(0) + point(4), ABERRATED, 0.5, np.array([2, 3]))
    np.testing.assert_allclose(both, sum(focal_series(point(plane), ABERRATED, 0.5, np.array([2, 3])) for plane in (0, 4)), atol=1e-6)


def test_a_camera_bins_and_loses_no_light():
    volume = np.random.default_rng(0).random((3, 32, 48))
    fine = focal_series(volume, ABERRATED, 0.5, np.arange(3))
    coarse = focal_series(volume, ABERRATED, 0.5, np.arange(3), binning=2)
    assert coarse.shape == (3, 16, 24)
    np.testing.assert_allclose(coarse[1], binned(fine[1], 2), rtol=1e-5)
    assert coarse[1].sum() == pytest.approx(volume.sum(), rel=1e-4)
    with pytest.raises(InputInvalid, match="binning=5: make y and x multiples of 5"):
        focal_series(volume, ABERRATED, 0.5, np.arange(3), binning=5)


def test_above_and_below_look_alike_without_aberration_only():
    heights = np.array([-4, 8])  # 3 um above and below a point in plane 2
    above, below = focal_series(point(2), SYMMETRIC, 0.5, heights)
    np.testing.assert_allclose(above, below, atol=1e-6)
    above, below = focal_series(point(2), ABERRATED, 0.5, heights)
    assert np.abs(above - below).max() > 0.3 * max(above.max(), below.max())


def test_a_pixel_at_the_limit_is_not_above_it():
    assert Optics(na=0.75, wavelength_nm=600.0, index=1.33, pixel_size_um=0.2).nyquist_um == pytest.approx(0.2)
    with pytest.raises(InputInvalid, match="above the Nyquist limit"):
        Optics(na=0.75, wavelength_nm=600.0, index=1.33, pixel_size_um=0.2001)


def test_a_confocal_section_holds_its_own_plane_in_full_and_little_of_others():
    sections = focal_series(point(2), SYMMETRIC, 0.5, np.array([2, 12]), is_confocal=True)
    images = focal_series(point(2), SYMMETRIC, 0.5, np.array([2, 12]))
    assert sections[0].sum() == pytest.approx(images[0].sum(), rel=1e-4)
    assert images[1].sum() == pytest.approx(images[0].sum(), rel=1e-4)
    assert sections[1].sum() < 0.1 * sections[0].sum()
    assert sections[0].max() > images[0].max()  # and narrower
