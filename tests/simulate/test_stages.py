from dataclasses import replace

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.simulate.camera import Camera
from zooready.simulate.emission import Dye, Light
from zooready.simulate.fields import MARGIN_PX
from zooready.simulate.modalities import TIRF, BrightField, Confocal
from zooready.simulate.optics import Optics
from zooready.simulate.stages import PLANES, STACKS, Microscope, dyed, exposed, margin_px, record, seen

OPTICS = Optics(na=1.3, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05)
QUIET = Camera(gain=2.0, offset=100.0, read_noise=0.0)
MICROSCOPE = Microscope(optics=OPTICS, camera=QUIET)


def recorded(microscope=MICROSCOPE, name="filaments", shape=(64, 64), **settings):
    return record(np.random.default_rng(0), name, shape, microscope, **{"photons": 400.0} | settings)


def test_every_stage_says_its_axes_and_unit():
    for shape, axes, step in (((48, 48), "yx", None), ((6, 40, 44), "zyx", 0.15)):
        made = recorded(shape=shape, z_step_um=step)
        units = [getattr(made, name).unit for name in ("specimen", "emitted", "optical", "image", "truth")]
        assert units == ["dye", "photons", "photons", "counts", "counts"]
        for stage in (made.specimen, made.emitted, made.optical, made.image, made.truth):
            assert (stage.axes, stage.array.shape, stage.pixel_size_um, stage.z_step_um) == (axes, shape, 0.05, step)
    assert (made.image.array.dtype, made.truth.array.dtype) == (np.uint16, np.float32)


def test_stages_follow_from_each_other():
    made = recorded()
    dye = made.microscope.dye
    assert made.emitted.array == pytest.approx(dye.photons() * made.specimen.array + dye.background)
    assert made.optical.array.max() == pytest.approx(400 + dye.background)
    assert made.truth.array == pytest.approx(2 * made.emitted.array + 100, rel=1e-6)
    assert made.image.array.mean() == pytest.approx(2 * made.optical.array.mean() + 100, rel=0.01)


def test_without_photons_the_dye_sets_the_brightness():
    made = recorded(replace(MICROSCOPE, dye=Dye(photons_per_s=3000.0, background_per_s=0.0)), photons=None)
    assert made.emitted.array == pytest.approx(300 * made.specimen.array)


def test_nothing_wraps_around_in_an_image(monkeypatch):
    def last_column(rng, size):
        image = np.zeros((size, size))
        image[:, -MARGIN_PX - 1] = 1
        return image

    monkeypatch.setitem(PLANES, "column", last_column)
    made = recorded(name="column", shape=(96, 96))
    light = made.optical.array - made.microscope.dye.background
    assert light[:, 95].min() > 100
    assert light[:, 0].max() < 0.005 * light.max()
    bare = seen(made.emitted, OPTICS, MICROSCOPE.modality).array - made.microscope.dye.background
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
    made = recorded(replace(MICROSCOPE, optics=optics), "column", (200, 200))
    light = made.optical.array - made.microscope.dye.background
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
    wide, evanescent = (recorded(replace(oil, modality=one), shape=(8, 64, 64), z_step_um=0.1) for one in (oil.modality, TIRF()))
    depth_um = TIRF().depth_nm(oil.optics) / 1000
    ratio = evanescent.emitted.array - evanescent.microscope.dye.background
    ratio /= evanescent.microscope.dye.photons()
    expected = wide.specimen.array * np.exp(-0.1 * np.arange(8) / depth_um)[:, None, None]
    assert ratio == pytest.approx(expected, abs=1e-9)


def test_bright_field_is_dark_where_the_specimen_is():
    made = recorded(replace(MICROSCOPE, modality=BrightField(absorbance=1.0)))
    dense = made.specimen.array > 0.5
    assert made.image.array[dense].mean() < 0.8 * made.image.array[made.specimen.array < 0.01].mean()


def test_the_share_of_saturated_pixels_is_told():
    made = recorded(replace(MICROSCOPE, camera=Camera(saturation=500)), photons=5000.0)
    assert made.saturated == pytest.approx((made.image.array == 500).mean())
    assert made.saturated > 0.01
    assert recorded().saturated == 0


@pytest.mark.parametrize("name", PLANES)
def test_every_specimen_makes_an_image(name):
    made = recorded(name=name)
    assert np.ptp(made.image.array) > 50


@pytest.mark.parametrize("name", STACKS)
def test_every_specimen_with_depth_makes_a_stack(name):
    made = recorded(name=name, shape=(8, 48, 48), z_step_um=0.15)
    assert np.ptp(made.image.array) > 50


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
    assert not np.array_equal(recorded(replace(MICROSCOPE, **change)).image.array, recorded().image.array)


def test_photons_and_step_change_the_image():
    assert recorded(photons=100.0).image.array.max() < recorded().image.array.max()
    one, other = (recorded(shape=(4, 32, 32), z_step_um=step).image.array for step in (0.1, 0.2))
    assert not np.array_equal(one, other)


def test_one_seed_gives_one_recording():
    assert np.array_equal(recorded().image.array, recorded().image.array)


def test_exposure_alone_is_the_camera():
    light = Light(array=np.full((20, 20), 50.0), axes="yx", unit="photons", pixel_size_um=0.05)
    counts = exposed(light, QUIET, np.random.default_rng(0))
    assert (counts.unit, counts.array.dtype) == ("counts", np.uint16)
    assert counts.array.mean() == pytest.approx(200, rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recorded(name="cats"), r"no plane of 'cats': choose from beads, filaments"),
        (lambda: recorded(name="worms", shape=(4, 32, 32)), r"no stack of 'worms' \(it is there in the other of plane and stack\)"),
        (lambda: recorded(shape=(4, 32, 32)), r"a stack needs z_step_um"),
        (lambda: recorded(shape=(32, 40)), r"a plane of 32 x 40 px: specimens are square"),
        (lambda: recorded(shape=(2, 2, 32, 32)), r"an image of 4 axes \(2 x 2 x 32 x 32\): give \(y, x\) or \(z, y, x\)"),
        (lambda: recorded(shape=(0, 0)), r"an image of 0 x 0 px: every side must be at least 1"),
        (lambda: recorded(photons=np.nan), r"photons=nan: it must be a positive number"),
        (lambda: recorded(photons=-3.0), r"photons=-3\.0: it must be a positive number"),
        (
            lambda: seen(dyed(np.random.default_rng(0), "beads", (32, 32), 0.1), OPTICS, Confocal()),
            r"light with pixels of 0\.1 um for optics",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(call, message):
    with pytest.raises(InputInvalid, match=message):
        call()
