from dataclasses import replace

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.simulate.camera import Camera
from zooready.simulate.emission import Dye, Light
from zooready.simulate.fields import MARGIN_PX
from zooready.simulate.modalities import TIRF, BrightField, Confocal
from zooready.simulate.optics import Optics
from zooready.simulate.stages import PLANES, STACKS, Microscope, digital, emission, ground_truth, margin_px, optical, record

OPTICS = Optics(na=1.3, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05)
QUIET = Camera(gain=2.0, offset=100.0, read_noise=0.0)
MICROSCOPE = Microscope(optics=OPTICS, camera=QUIET)


def recorded(microscope=MICROSCOPE, name="filaments", shape=(64, 64), **settings):
    return record(np.random.default_rng(0), name, shape, microscope, **{"photons": 400.0} | settings)


def test_every_stage_says_its_axes_and_unit():
    for shape, axes, step in (((48, 48), "yx", None), ((6, 40, 44), "zyx", 0.15)):
        recording = recorded(shape=shape, z_step_um=step)
        units = [getattr(recording, name).unit for name in ("ground_truth", "emission", "optical", "digital", "truth")]
        assert units == ["dye", "photons", "photons", "counts", "counts"]
        for stage in (recording.ground_truth, recording.emission, recording.optical, recording.digital, recording.truth):
            assert (stage.axes, stage.array.shape, stage.pixel_size_um, stage.z_step_um) == (axes, shape, 0.05, step)
    assert (recording.digital.array.dtype, recording.truth.array.dtype) == (np.uint16, np.float32)


def test_stages_follow_from_each_other():
    recording = recorded()
    dye = recording.microscope.dye
    assert recording.emission.array == pytest.approx(dye.photons() * recording.ground_truth.array + dye.background)
    assert recording.optical.array.max() == pytest.approx(400 + dye.background)
    assert recording.truth.array == pytest.approx(2 * recording.emission.array + 100, rel=1e-6)
    assert recording.digital.array.mean() == pytest.approx(2 * recording.optical.array.mean() + 100, rel=0.01)


def test_without_photons_the_dye_sets_the_brightness():
    recording = recorded(replace(MICROSCOPE, dye=Dye(photons_per_s=3000.0, background_per_s=0.0)), photons=None)
    assert recording.emission.array == pytest.approx(300 * recording.ground_truth.array)


def test_nothing_wraps_around_in_an_image(monkeypatch):
    def last_column(rng, size):
        image = np.zeros((size, size))
        image[:, -MARGIN_PX - 1] = 1
        return image

    monkeypatch.setitem(PLANES, "column", last_column)
    recording = recorded(name="column", shape=(96, 96))
    light = recording.optical.array - recording.microscope.dye.background
    assert light[:, 95].min() > 100
    assert light[:, 0].max() < 0.005 * light.max()
    bare = optical(recording.emission, MICROSCOPE).array - recording.microscope.dye.background
    assert bare[:, 0].min() > 0.5 * bare.max()  # a stage alone repeats the specimen


@pytest.mark.parametrize("change", [{"pixel_size_um": 0.01}, {"z_um": 1.5}, {"na": 0.5, "pixel_size_um": 0.03}])
def test_the_margin_grows_with_the_spread_of_the_light(monkeypatch, change):
    optics = replace(OPTICS, **change)
    margin = margin_px(optics)

    def last_column(rng, size):
        image = np.zeros((size, size))
        image[:, -margin - 1] = 1
        return image

    monkeypatch.setitem(PLANES, "column", last_column)
    recording = recorded(replace(MICROSCOPE, optics=optics), "column", (200, 200))
    light = recording.optical.array - recording.microscope.dye.background
    assert margin > MARGIN_PX
    assert light[:, 0].max() < 0.02 * light.max()


def test_a_stack_has_no_dye_in_the_glass(monkeypatch):
    monkeypatch.setitem(STACKS, "full", lambda rng, shape, aspect: np.ones(shape))
    light = recorded(name="full", shape=(12, 48, 48), z_step_um=0.15).optical.array.mean((1, 2))
    assert light[0] == pytest.approx(light[11], rel=0.01)  # haze is the same in every plane: the missing cone
    light = recorded(replace(MICROSCOPE, modality=Confocal()), "full", (12, 48, 48), z_step_um=0.15).optical.array.mean((1, 2))
    assert light[0] < 0.8 * light[6]


def test_tirf_sees_what_touches_the_coverslip():
    oil = Microscope(optics=replace(OPTICS, na=1.45), camera=QUIET)
    wide, evanescent = (recorded(replace(oil, modality=modality), shape=(8, 64, 64), z_step_um=0.1) for modality in (oil.modality, TIRF()))
    depth_um = TIRF().depth_nm(oil.optics) / 1000
    ratio = evanescent.emission.array - evanescent.microscope.dye.background
    ratio /= evanescent.microscope.dye.photons()
    expected = wide.ground_truth.array * np.exp(-0.1 * np.arange(8) / depth_um)[:, None, None]
    assert ratio == pytest.approx(expected, abs=1e-9)


def test_bright_field_is_dark_where_the_specimen_is():
    recording = recorded(replace(MICROSCOPE, modality=BrightField(absorbance=1.0)))
    dense = recording.ground_truth.array > 0.5
    assert recording.digital.array[dense].mean() < 0.8 * recording.digital.array[recording.ground_truth.array < 0.01].mean()


def test_the_recording_holds_the_share_of_saturated_pixels():
    recording = recorded(replace(MICROSCOPE, camera=Camera(saturation=500)), photons=5000.0)
    assert recording.saturated == pytest.approx((recording.digital.array == 500).mean())
    assert recording.saturated > 0.01
    assert recorded().saturated == 0


@pytest.mark.parametrize("name", PLANES)
def test_every_specimen_makes_an_image(name):
    recording = recorded(name=name)
    assert np.ptp(recording.digital.array) > 50


@pytest.mark.parametrize("name", STACKS)
def test_every_specimen_with_depth_makes_a_stack(name):
    recording = recorded(name=name, shape=(8, 48, 48), z_step_um=0.15)
    assert np.ptp(recording.digital.array) > 50


@pytest.mark.parametrize(
    "change",
    [
        {"optics": replace(OPTICS, na=1.2)},
        {"modality": Confocal()},
        {"dye": Dye(background_per_s=900.0)},
        {"camera": Camera(gain=1.0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_the_microscope_changes_the_image(change):
    assert not np.array_equal(recorded(replace(MICROSCOPE, **change)).digital.array, recorded().digital.array)


def test_photons_and_step_change_the_image():
    assert recorded(photons=100.0).digital.array.max() < recorded().digital.array.max()
    fine, coarse = (recorded(shape=(4, 32, 32), z_step_um=step).digital.array for step in (0.1, 0.2))
    assert not np.array_equal(fine, coarse)


def test_one_seed_gives_one_recording():
    assert np.array_equal(recorded().digital.array, recorded().digital.array)


def test_the_four_stages_alone_are_those_of_a_recording_but_for_its_margin_and_background():
    rng = np.random.default_rng(0)
    dye = ground_truth(rng, "filaments", (96, 96), OPTICS.pixel_size_um)
    photons = emission(dye, MICROSCOPE)
    assert photons.array == pytest.approx(MICROSCOPE.dye.photons() * dye.array)
    image = optical(photons, MICROSCOPE)
    counts = digital(image, QUIET, rng)
    recording = recorded(shape=(64, 64), photons=None)
    assert recording.ground_truth.array == pytest.approx(dye.array[16:-16, 16:-16])
    assert recording.optical.array == pytest.approx(image.array[16:-16, 16:-16] + MICROSCOPE.dye.background, abs=1e-6)
    assert [stage.unit for stage in (dye, photons, image, counts)] == ["dye", "photons", "photons", "counts"]


def test_exposure_alone_is_the_camera():
    light = Light(array=np.full((20, 20), 50.0), axes="yx", unit="photons", pixel_size_um=0.05)
    counts = digital(light, QUIET, np.random.default_rng(0))
    assert (counts.unit, counts.array.dtype) == ("counts", np.uint16)
    assert counts.array.mean() == pytest.approx(200, rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recorded(name="cats"), r"no plane of 'cats': choose from beads, filaments"),
        (lambda: recorded(name="worms", shape=(4, 32, 32)), r"no stack of 'worms' \(there is a plane of it\)"),
        (lambda: recorded(shape=(4, 32, 32)), r"a stack needs z_step_um"),
        (lambda: recorded(shape=(32, 40)), r"a plane of 32 x 40 px: specimens are square"),
        (lambda: recorded(shape=(2, 2, 32, 32)), r"an image of 4 axes \(2 x 2 x 32 x 32\): give \(y, x\) or \(z, y, x\)"),
        (lambda: recorded(shape=(0, 0)), r"an image of 0 x 0 px: every side must be at least 1"),
        (lambda: recorded(photons=np.nan), r"photons=nan: it must be a positive number"),
        (lambda: recorded(photons=-3.0), r"photons=-3\.0: it must be a positive number"),
        (
            lambda: optical(ground_truth(np.random.default_rng(0), "beads", (32, 32), 0.1), replace(MICROSCOPE, modality=Confocal())),
            r"light with pixels of 0\.1 um for optics",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(call, message):
    with pytest.raises(InputInvalid, match=message):
        call()
