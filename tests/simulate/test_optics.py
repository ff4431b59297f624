from dataclasses import replace

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.simulate.optics import Optics, blur, otf, planes, psf, pupil, zernike

LOW = Optics(na=0.5, wavelength_nm=500.0, index=1.0, pixel_size_um=0.02)
HIGH = Optics(na=1.3, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05, z_um=0.3, zernike=((4, 0, 0.1),))


@pytest.mark.parametrize("optics", [LOW, replace(LOW, na=0.7), replace(LOW, wavelength_nm=650.0)])
def test_first_dark_ring_is_the_airy_radius(optics):
    row = psf(optics, (512, 512))[256, 256:]
    first_minimum = int(np.argmax(np.diff(row) > 0))
    assert first_minimum * optics.pixel_size_um == pytest.approx(0.61 * optics.wavelength_nm / 1000 / optics.na, abs=optics.pixel_size_um)


def test_profile_is_the_airy_pattern():
    from scipy.special import j1

    row = psf(LOW, (512, 512))[256, 257:300]
    v = 2 * np.pi * LOW.na / (LOW.wavelength_nm / 1000) * np.arange(1, 44) * LOW.pixel_size_um
    assert row / psf(LOW, (512, 512))[256, 256] == pytest.approx((2 * j1(v) / v) ** 2, abs=2e-3)


@pytest.mark.parametrize("shape", [(64, 64), (33, 70)])
def test_energy_is_one_and_nothing_is_negative(shape):
    spread = psf(HIGH, shape)
    assert spread.sum() == pytest.approx(1.0)
    assert spread.min() >= 0
    assert otf(HIGH, shape)[0, 0] == pytest.approx(1.0)


def test_blur_keeps_the_light():
    specimen = np.random.default_rng(0).random((48, 56))
    assert blur(specimen, HIGH).sum() == pytest.approx(specimen.sum())


def test_a_point_becomes_the_point_spread_function_where_it_lies():
    specimen = np.zeros((64, 65))
    specimen[20, 41] = 3.0
    expected = 3 * np.roll(psf(HIGH, (64, 65)), (20 - 32, 41 - 32), (0, 1))
    assert blur(specimen, HIGH) == pytest.approx(expected, abs=1e-12)


def test_a_shifted_specimen_gives_the_shifted_image():
    specimen = np.random.default_rng(1).random((40, 40))
    assert blur(np.roll(specimen, (3, -5), (0, 1)), HIGH) == pytest.approx(np.roll(blur(specimen, HIGH), (3, -5), (0, 1)))


@pytest.mark.parametrize(
    "change", [{"na": 1.2}, {"wavelength_nm": 640.0}, {"index": 1.6}, {"pixel_size_um": 0.06}, {"z_um": 0.5}, {"zernike": ((4, 0, 0.2),)}]
)
def test_every_parameter_changes_the_point_spread_function(change):
    assert np.abs(psf(replace(HIGH, **change), (64, 64)) - psf(HIGH, (64, 64))).max() > 1e-4


def test_without_aberration_both_sides_of_the_focus_look_alike_and_with_it_they_differ():
    near, far = (psf(replace(HIGH, zernike=(), z_um=z), (64, 64)) for z in (-0.5, 0.5))
    assert near == pytest.approx(far)
    near, far = (psf(replace(HIGH, z_um=z), (64, 64)) for z in (-0.5, 0.5))
    assert np.abs(near - far).max() > 1e-3


def test_coma_and_astigmatism_point_where_their_sign_of_m_says():
    def moment(n, m):
        spread = psf(replace(HIGH, z_um=0.0, zernike=((n, m, 0.15),)), (64, 64))
        return [
            np.abs(spread - np.roll(spread[:: flip[0], :: flip[1]], [f < 0 for f in flip], (0, 1))).max() for flip in ((-1, 1), (1, -1))
        ]

    up_down, left_right = moment(3, 1)
    assert up_down < 1e-9 < left_right  # cosine: along x
    up_down, left_right = moment(3, -1)
    assert left_right < 1e-9 < up_down  # sine: along y


@pytest.mark.parametrize(("n", "m"), [(2, 0), (2, 2), (3, -1), (4, 0), (5, 3)])
def test_zernike_polynomials_have_unit_rms_and_zero_mean(n, m):
    y, x = np.mgrid[-1:1:801j, -1:1:801j]
    inside = np.hypot(y, x) <= 1
    values = zernike(n, m, np.hypot(y, x), np.arctan2(y, x))[inside]
    assert values.mean() == pytest.approx(0, abs=5e-3)
    assert np.sqrt((values**2).mean()) == pytest.approx(1, rel=1e-2)


def test_pupil_is_one_inside_and_zero_outside():
    transmission = np.abs(pupil(LOW, (512, 512)))
    assert transmission[0, 0] == pytest.approx(1.0)
    assert transmission[256, 256] == 0
    assert transmission.sum() / (512 * 0.02) ** 2 == pytest.approx(np.pi * (0.5 / 0.5) ** 2, rel=5e-3)  # disc of NA / wavelength, 1/um


def test_na_at_the_index_is_refused():
    with pytest.raises(InputInvalid, match=r"na=1\.4 with index=1\.33: .*keep na below 1\.33"):
        replace(HIGH, na=1.4, index=1.33)


def test_pixels_above_the_nyquist_limit_are_refused_with_the_limit():
    with pytest.raises(InputInvalid, match=r"pixel_size_um=0\.12 is above the Nyquist limit of 0\.1154 um"):
        replace(HIGH, pixel_size_um=0.12)


@pytest.mark.parametrize("name", ["na", "wavelength_nm", "index", "pixel_size_um"])
def test_impossible_values_are_refused(name):
    with pytest.raises(InputInvalid, match=rf"{name}=-1\.0: it must be a positive number"):
        replace(HIGH, **{name: -1.0})


def test_a_zernike_polynomial_that_does_not_exist_is_refused():
    with pytest.raises(InputInvalid, match=r"zernike \(3, 2\) does not exist: \|m\| must be at most n"):
        replace(HIGH, zernike=((3, 2, 0.1),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"na": np.nan}, r"na=nan: it must be a positive number"),
        ({"z_um": np.inf}, r"z_um=inf: it must be a finite number"),
        ({"zernike": ((4, 0, np.nan),)}, r"zernike \(4, 0\) of nan waves: it must be a finite number"),
        ({"depth_um": -1.0}, r"depth_um=-1\.0: it must be zero or more"),
        ({"specimen_index": 0.9}, r"specimen_index=0\.9: it must be 1 \(vacuum\) or more"),
    ],
)
def test_values_without_a_meaning_are_refused(change, message):
    with pytest.raises(InputInvalid, match=message):
        replace(HIGH, **change)


DEEP = Optics(na=1.2, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05, specimen_index=1.33, depth_um=5.0)
HEIGHTS_UM = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 1.5)


@pytest.mark.parametrize("optics", [replace(HIGH, zernike=()), replace(LOW, pixel_size_um=0.1), DEEP], ids=["oil", "dry", "into water"])
def test_defocused_planes_are_those_of_gibson_and_lanni_in_psfmodels(optics):
    """Within 0.8 % of the peak, of which most is that psfmodels adds up nine points in a pixel."""
    import psfmodels

    side, middle = 63, 127
    given = {"NA": optics.na, "ni": optics.index, "ni0": optics.index, "ns": optics.specimen_index or optics.index}
    theirs = psfmodels.make_psf(
        [optics.depth_um + height for height in HEIGHTS_UM],
        nx=side,
        dxy=optics.pixel_size_um,
        pz=optics.depth_um,
        wvl=optics.wavelength_nm / 1000,
        model="scalar",
        normalize=False,
        **given,
    )
    ours = planes(optics, (255, 255), HEIGHTS_UM)[:, middle - 31 : middle + 32, middle - 31 : middle + 32]
    assert ours / ours.max() == pytest.approx(theirs / theirs.max(), abs=0.008)
    flipped = ours[::-1]
    assert np.abs(flipped / ours.max() - theirs / theirs.max()).max() > 0.1


def test_depth_in_a_matched_specimen_changes_nothing_and_in_another_it_spreads_the_light():
    matched = replace(HIGH, specimen_index=1.515, depth_um=8.0)
    assert psf(matched, (64, 64)) == pytest.approx(psf(HIGH, (64, 64)))
    assert psf(replace(DEEP, depth_um=0.0), (64, 64)) == pytest.approx(psf(replace(DEEP, specimen_index=None), (64, 64)))
    peaks = [planes(replace(DEEP, depth_um=depth), (96, 96), np.linspace(-1, 3, 41)).max() for depth in (0.0, 2.0, 5.0, 10.0)]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[3] < 0.6 * peaks[0]


def test_rays_that_the_specimen_cannot_carry_are_lost():
    oil = replace(HIGH, na=1.4, z_um=0.0, zernike=())
    deep = replace(oil, specimen_index=1.33, depth_um=1.0)
    lost = (np.abs(pupil(deep, (256, 256))) ** 2).sum() / (np.abs(pupil(oil, (256, 256))) ** 2).sum()
    assert lost == pytest.approx((1.33 / 1.4) ** 2, rel=5e-3)


@pytest.mark.parametrize("z_um", [0.3, 1.5, 4.0])
def test_defocus_spreads_over_the_cone_of_the_objective_and_keeps_the_light(z_um):
    optics = replace(LOW, pixel_size_um=0.1, z_um=z_um)
    spread = psf(optics, (128, 128))
    assert spread.sum() == pytest.approx(1)
    if z_um == 4.0:
        y, x = np.mgrid[-64:64, -64:64] * 0.1
        radius = z_um * np.tan(np.arcsin(0.5))
        assert spread[np.hypot(y, x) < 1.15 * radius].sum() > 0.9
        assert spread[np.hypot(y, x) < 0.85 * radius].sum() < 0.9
