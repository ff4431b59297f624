from dataclasses import replace

import numpy as np
import pytest
from scipy import fft
from scipy.special import j1

from zooready.errors import InputInvalid
from zooready.simulate.emission import Dye, Light
from zooready.simulate.modalities import MODALITIES, SIM, STED, TIRF, BrightField, Confocal, Gaussian, WideField
from zooready.simulate.optics import Optics, psf
from zooready.simulate.stages import Microscope, optical, transfer

OPTICS = Optics(na=1.3, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05)
FINE = replace(OPTICS, pixel_size_um=0.01)
OIL = replace(OPTICS, na=1.45)
STACK = (24, 64, 64)
STEP = 0.15
FLUORESCENT = [WideField(), Confocal(), STED(saturation=1.0), TIRF(), SIM()]


def width(profile, step):
    """Full width at half maximum of a profile that falls from its first value."""
    below = int(np.argmax(profile < profile[0] / 2))
    share = (profile[below - 1] - profile[0] / 2) / (profile[below - 1] - profile[below])
    return 2 * step * (below - 1 + share)


def across(modality, optics=FINE, side=256):
    return width(modality.psf(optics, (side, side))[side // 2, side // 2 :], optics.pixel_size_um)


def along(modality):
    return width(modality.psf(OPTICS, STACK, STEP)[12:, 32, 32], STEP)


@pytest.mark.parametrize("modality", [*FLUORESCENT, BrightField()], ids=lambda value: type(value).__name__)
def test_the_effective_psf_has_sum_one_and_its_peak_in_the_middle(modality):
    spread = modality.psf(OPTICS, (64, 65))
    assert spread.sum() == pytest.approx(1)
    assert np.unravel_index(spread.argmax(), spread.shape) == (32, 32)
    if not isinstance(modality, BrightField):
        spread = modality.psf(OPTICS, STACK, STEP)
        assert spread.sum() == pytest.approx(1)
        assert np.unravel_index(spread.argmax(), spread.shape) == (12, 32, 32)


def test_a_gaussian_point_has_its_own_widths_whatever_the_optics():
    point = Gaussian(across_um=0.11, along_um=0.4)
    spread = point.psf(OPTICS, (31, 64, 65), STEP)
    assert spread.sum() == pytest.approx(1)
    assert np.unravel_index(spread.argmax(), spread.shape) == (15, 32, 32)
    z, y, x = np.indices(spread.shape) - np.array((15, 32, 32))[:, None, None, None]
    assert np.sqrt((spread * z**2).sum()) * STEP == pytest.approx(0.4, rel=1e-3)
    assert np.sqrt((spread * y**2).sum()) * OPTICS.pixel_size_um == pytest.approx(0.11, rel=1e-6)
    assert np.array_equal(spread, point.psf(replace(OPTICS, na=0.8, wavelength_nm=500.0), (31, 64, 65), STEP))
    assert point.psf(OPTICS, (64, 65)) == pytest.approx(spread[15] / spread[15].sum())


@pytest.mark.parametrize("name", ["across_um", "along_um"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_gaussian_point_without_width_is_refused(name, value):
    with pytest.raises(InputInvalid, match=f"{name}={value}: it must be a positive number"):
        Gaussian(**{"across_um": 0.1, "along_um": 0.3, name: value})


def test_wide_field_is_the_bare_psf():
    assert np.array_equal(WideField().psf(OPTICS, (48, 48)), psf(OPTICS, (48, 48)))


def test_confocal_without_a_pinhole_is_the_excitation_spot_and_with_a_point_the_product_of_both():
    spot, emission = psf(replace(OPTICS, wavelength_nm=540.0), (96, 96)), psf(OPTICS, (96, 96))
    product = spot * emission
    assert Confocal(pinhole_au=0.0).psf(OPTICS, (96, 96)) == pytest.approx(product / product.sum(), abs=1e-12)
    wide = Confocal(pinhole_au=3.0).psf(OPTICS, (96, 96))
    assert np.abs(wide - spot).max() < 0.05 * spot.max()


def test_the_pinhole_collects_what_a_disc_of_its_size_would():
    collected = Confocal(pinhole_au=2.0)._collected(FINE, (256, 256), (0.0,))[0]
    y, x = np.mgrid[-128:128, -128:128] * FINE.pixel_size_um
    radius = 1.22 * 0.6 / 1.3  # two Airy units across
    v = 2 * np.pi * 1.3 / 0.6 * np.maximum(np.hypot(y, x), 1e-9)
    airy = (2 * j1(v) / v) ** 2
    inside = np.hypot(y, x) <= radius
    direct = airy[inside].sum() / inside.sum()  # mean over the disc, in the middle
    edge = airy[np.hypot(y, x - 0.3) <= radius].sum() / inside.sum()
    assert collected[128, 158] / collected[128, 128] == pytest.approx(edge / direct, rel=0.02)


def test_a_confocal_psf_loses_light_away_from_focus_as_the_square_of_the_distance():
    light = Confocal(pinhole_au=0.0).psf(OPTICS, (41, 96, 96), STEP).sum((1, 2))[20:]
    assert light[0] == light.max()
    assert light[20] / light[10] == pytest.approx(0.25, rel=0.1)


def test_confocal_fills_the_missing_cone_and_wide_field_does_not():
    axes = {
        type(modality).__name__: np.abs(fft.rfftn(fft.ifftshift(modality.psf(OPTICS, STACK, STEP))))[:, 0, 0]
        for modality in (WideField(), Confocal())
    }
    assert axes["WideField"][1:].max() < 1e-12
    assert axes["Confocal"][1:3].min() > 0.3


def test_a_smaller_pinhole_sharpens_in_every_direction():
    wide, narrow = Confocal(pinhole_au=2.0), Confocal(pinhole_au=0.3)
    assert across(narrow) < across(wide)
    assert along(narrow) < along(wide)


@pytest.mark.parametrize("saturation", [1.0, 3.0, 8.0, 24.0])
def test_sted_narrows_by_the_root_of_one_plus_the_saturation(saturation):
    open_pinhole = 20.0  # so that the spot alone makes the PSF
    spot = 0.5145 * 0.54 / 1.3
    assert across(STED(saturation=saturation, pinhole_au=open_pinhole)) == pytest.approx(spot / np.sqrt(1 + saturation), rel=0.03)


def test_sted_without_depletion_is_confocal():
    assert np.array_equal(STED(saturation=0.0).psf(OPTICS, (64, 64)), Confocal().psf(OPTICS, (64, 64)))


def emission(modality, optics, depth=40, step=0.02):
    specimen = Light(array=np.ones((depth, 4, 4)), axes="zyx", unit="dye", pixel_size_um=optics.pixel_size_um, z_step_um=step)
    return modality.emission(specimen, Dye(), optics).array[:, 0, 0]


def test_tirf_light_falls_off_exponentially_with_the_depth_of_theory():
    light = emission(TIRF(angle_deg=68.0, excitation_nm=488.0), OIL)
    expected = 488 / (4 * np.pi * np.sqrt((1.515 * np.sin(np.radians(68))) ** 2 - 1.33**2))
    assert light / light[0] == pytest.approx(np.exp(-20 * np.arange(40) / expected))
    assert light[0] == pytest.approx(1000)
    assert 70 < expected < 120


@pytest.mark.parametrize(
    "change", [{"angle_deg": 70.0}, {"excitation_nm": 488.0}, {"water_index": 1.36}], ids=lambda change: next(iter(change))
)
def test_every_tirf_parameter_changes_the_depth(change):
    assert abs(replace(TIRF(), **change).depth_nm(OIL) - TIRF().depth_nm(OIL)) > 1


def test_the_index_of_the_optics_goes_before_that_of_water():
    assert TIRF(water_index=1.33).depth_nm(replace(OIL, specimen_index=1.38)) == TIRF(water_index=1.38).depth_nm(OIL)


def reach(modality, optics=OPTICS):
    """Highest frequencies, along x and at 30 degrees to it, that pass at all, over the wide-field limit."""
    transferred = np.abs(fft.fft2(fft.ifftshift(modality.psf(optics, (256, 256)))))
    radius = np.hypot(*np.ix_(*(fft.fftfreq(256, optics.pixel_size_um),) * 2)) / optics.cutoff_per_um
    return radius[transferred > 1e-4].max()


def test_structured_illumination_passes_twice_the_frequencies_and_no_more():
    fine = replace(OPTICS, pixel_size_um=0.04)
    assert reach(WideField(), fine) == pytest.approx(1, abs=0.03)
    assert reach(SIM(extension=2.0), fine) == pytest.approx(2, abs=0.06)
    assert reach(SIM(extension=1.5), fine) == pytest.approx(1.5, abs=0.06)
    assert across(SIM(extension=2.0)) == pytest.approx(across(WideField()) / 2, rel=0.2)


def test_structured_illumination_removes_haze():
    haze = [modality.psf(OPTICS, STACK, STEP)[0].sum() * 24 for modality in (WideField(), SIM())]
    assert haze[0] == pytest.approx(1)
    assert haze[1] < 0.6


def test_bright_field_under_a_full_condenser_blurs_as_fluorescence_and_under_a_small_one_it_rings():
    assert BrightField().psf(OPTICS, (64, 64)) == pytest.approx(psf(OPTICS, (64, 64)), abs=1e-6)
    assert BrightField(condenser_na=0.2).psf(OPTICS, (64, 64)).min() < -0.01 * BrightField(condenser_na=0.2).psf(OPTICS, (64, 64)).max()


@pytest.mark.parametrize("condenser_na", [0.3, 0.65, 1.0])
def test_bright_field_passes_frequencies_up_to_the_sum_of_both_apertures(condenser_na):
    assert reach(BrightField(condenser_na=condenser_na)) == pytest.approx((1.3 + condenser_na) / 2.6, abs=0.04)


def test_absorption_follows_beer_and_lambert():
    specimen = Light(array=np.array([[0.0, 0.5, 1.0]]), axes="yx", unit="dye", pixel_size_um=0.05)
    light = BrightField(absorbance=2.0).emission(specimen, Dye(photons_per_s=1000, exposure_ms=1000), OPTICS)
    assert light.array == pytest.approx(np.array([[1000, 100, 10]]))
    assert light.unit == "photons"


def test_bright_field_refuses_stacks():
    with pytest.raises(InputInvalid, match="bright field sees thin specimens only: simulate one plane"):
        emission(BrightField(), OPTICS)


CHANGES = [
    (Confocal(), {"pinhole_au": 0.3}),
    (Confocal(), {"excitation_nm": 500.0}),
    (STED(saturation=1.0), {"saturation": 2.0}),
    (STED(saturation=1.0), {"pinhole_au": 0.3}),
    (STED(saturation=1.0), {"excitation_nm": 500.0}),
    (SIM(), {"extension": 1.5}),
    (SIM(), {"wiener": 0.2}),
    (BrightField(), {"condenser_na": 0.4}),
]


@pytest.mark.parametrize(
    ("modality", "change"), CHANGES, ids=lambda value: next(iter(value)) if isinstance(value, dict) else type(value).__name__
)
def test_every_parameter_changes_the_psf(modality, change):
    spread = modality.psf(OPTICS, (64, 64))
    assert np.abs(replace(modality, **change).psf(OPTICS, (64, 64)) - spread).max() > 0.01 * spread.max()


@pytest.mark.parametrize("modality", [*FLUORESCENT, BrightField()], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("change", [{"na": 1.4}, {"wavelength_nm": 560.0}, {"z_um": 0.3}, {"zernike": ((4, 0, 0.15),)}])
def test_every_parameter_of_the_optics_changes_every_modality(modality, change):
    spread = modality.psf(OPTICS, (64, 64))
    assert np.abs(modality.psf(replace(OPTICS, **change), (64, 64)) - spread).max() > 0.01 * spread.max()


@pytest.mark.parametrize("modality", FLUORESCENT, ids=lambda value: type(value).__name__)
def test_images_keep_their_light_and_shift_with_the_specimen(modality):
    flat = np.random.default_rng(0).random((48, 48)) + 10  # a floor, so that the rings of SIM are not cut off at zero
    for shape in ((48, 48), (8, 48, 48)):
        array = np.broadcast_to(flat, shape).copy()
        array[..., 20, 20] += 3
        step = STEP if len(shape) == 3 else None
        light = Light(array=array, axes="zyx"[-len(shape) :], unit="photons", pixel_size_um=0.05, z_step_um=step)
        microscope = Microscope(optics=OPTICS, modality=modality)
        image = optical(light, microscope).array
        assert image.sum() == pytest.approx(light.array.sum())
        moved = optical(light.with_values(np.roll(array, 5, -1), "photons"), microscope).array
        assert moved == pytest.approx(np.roll(image, 5, -1))


@pytest.mark.parametrize(
    ("modality", "limit"),
    [
        (WideField(), 0.6 / (4 * 1.3)),
        (Confocal(), 0.5 / (2.6 / 0.6 + 2.6 / 0.54)),
        (Confocal(excitation_nm=488.0), 0.5 / (2.6 / 0.6 + 2.6 / 0.488)),
        (STED(saturation=8.0), 0.5145 * 0.54 / 1.3 / 3 / 2),
        (SIM(extension=2.0), 0.6 / (8 * 1.3)),
        (BrightField(condenser_na=0.65), 0.6 / (2 * 1.95)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_pixels_above_the_limit_of_the_modality_are_refused_with_it(modality, limit):
    assert modality.largest_pixel_um(OPTICS) == pytest.approx(limit)
    if limit < 0.11:
        with pytest.raises(
            InputInvalid, match=rf"pixel_size_um=0\.11 is above the Nyquist limit of {limit:.4f} um of {type(modality).__name__}"
        ):
            transfer(modality, replace(OPTICS, pixel_size_um=0.11), (32, 32))


def test_planes_above_the_limit_of_the_modality_are_refused_with_it():
    limit = Confocal().largest_step_um(OPTICS)
    frequency = (1.515 - np.sqrt(1.515**2 - 1.3**2)) * (1 / 0.6 + 1 / 0.54)
    assert limit == pytest.approx(1 / (2 * frequency))
    with pytest.raises(InputInvalid, match=rf"z_step_um=0\.3 is above the Nyquist limit of {limit:.4f} um of Confocal"):
        transfer(Confocal(), OPTICS, (8, 32, 32), 0.3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Confocal(pinhole_au=-1.0), r"pinhole_au=-1\.0: it must be zero or more"),
        (lambda: Confocal(excitation_nm=np.nan), r"excitation_nm=nan: it must be a positive number"),
        (
            lambda: Confocal(excitation_nm=700.0).psf(OPTICS, (32, 32)),
            r"excitation_nm=700 with wavelength_nm=600: .*keep excitation_nm below",
        ),
        (lambda: STED(saturation=np.inf), r"saturation=inf: it must be zero or more"),
        (lambda: TIRF(angle_deg=-3.0), r"angle_deg=-3\.0: it must be a positive number"),
        (
            lambda: TIRF(angle_deg=60.0).depth_nm(OIL),
            r"angle_deg=60: it must be above the critical angle of 61\.39 and at most 73\.16 degrees",
        ),
        (lambda: TIRF(angle_deg=80.0).depth_nm(OIL), r"angle_deg=80: .*NA 1\.45"),
        (lambda: TIRF().depth_nm(OPTICS), r"na=1\.3 with specimen index 1\.33: total reflection needs a larger NA"),
        (lambda: TIRF(water_index=0.0), r"water_index=0\.0: it must be a positive number"),
        (lambda: SIM(extension=2.5), r"extension=2\.5: .*it must be from 1 to 2"),
        (lambda: SIM(wiener=0.0), r"wiener=0\.0: it must be a positive number"),
        (lambda: BrightField(absorbance=-1.0), r"absorbance=-1\.0: it must be a positive number"),
        (lambda: BrightField(condenser_na=np.nan), r"condenser_na=nan: it must be a positive number"),
    ],
)
def test_settings_without_a_meaning_are_refused(call, message):
    with pytest.raises(InputInvalid, match=message):
        call()


def test_every_modality_is_in_the_registry():
    assert set(MODALITIES.values()) == {WideField, Confocal, STED, TIRF, SIM, BrightField}
