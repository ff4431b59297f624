from dataclasses import replace

import numpy as np
import pytest
from scipy import fft

from zooready.errors import InputInvalid
from zooready.simulate.bodies import arbours
from zooready.simulate.camera import Camera
from zooready.simulate.fields import stack, stack_otf
from zooready.simulate.modalities import WIDE_FIELD
from zooready.simulate.optics import Optics, convolved, psf
from zooready.simulate.unseen import NEW_VOLUMES, UNSEEN_VOLUMES
from zooready.simulate.volumes import SOLIDS, beads, filaments, mixed, psf3d, splatted

OPTICS = Optics(na=1.3, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05)
DRY = Optics(na=0.3, wavelength_nm=500.0, index=1.0, pixel_size_um=0.2)
SHAPE = (24, 48, 52)
STEP = 0.15


def test_energy_is_one_and_the_same_in_every_plane():
    spread = psf3d(OPTICS, SHAPE, STEP)
    assert spread.sum() == pytest.approx(1)
    assert spread.sum((1, 2)) == pytest.approx(np.full(24, 1 / 24))
    assert spread.min() >= 0


def test_the_brightest_voxel_is_the_middle_and_its_plane_the_flat_psf():
    spread = psf3d(OPTICS, SHAPE, STEP)
    assert np.unravel_index(spread.argmax(), SHAPE) == (12, 24, 26)
    assert 24 * spread[12] == pytest.approx(psf(OPTICS, SHAPE[1:]), abs=1e-15)


def test_planes_away_from_the_focus_are_the_defocused_psf():
    spread = psf3d(OPTICS, SHAPE, STEP)
    assert 24 * spread[17] == pytest.approx(psf(replace(OPTICS, z_um=5 * STEP), SHAPE[1:]))


@pytest.mark.parametrize("optics", [DRY, replace(DRY, na=0.2), replace(DRY, index=1.3), replace(DRY, wavelength_nm=700.0)])
def test_the_first_dark_point_on_the_axis_lies_where_paraxial_theory_says(optics):
    expected = 2 * optics.index * optics.wavelength_nm / 1000 / optics.na**2
    axis = psf3d(optics, (121, 128, 128), expected / 40)[60:, 64, 64]
    assert np.argmin(axis[:60]) * expected / 40 == pytest.approx(expected, rel=0.05)


def test_the_profile_on_the_axis_is_the_paraxial_one():
    low = replace(DRY, na=0.2)
    axis = psf3d(low, (61, 128, 128), 2 * low.wavelength_nm / 1000 / low.na**2 / 20)[:, 64, 64]
    u = (np.arange(61) - 30) / 20
    assert axis / axis.max() == pytest.approx(np.sinc(u) ** 2, abs=0.02)


def test_light_far_from_focus_spreads_over_a_disc_and_does_not_interfere_with_itself():
    far = 61 * psf3d(OPTICS, (61, 48, 48), 0.3)[0]  # 9 um away, a cone of 15 um on an image of 2.4 um: repeated evenly
    assert far.std() / far.mean() < 0.1


def test_the_missing_cone_is_missing():
    transfer = np.abs(stack_otf(WIDE_FIELD, OPTICS, (32, 64, 64), STEP))
    assert transfer[0, 0, 0] == pytest.approx(1)
    assert transfer[1:, 0, 0].max() < 1e-12  # no light changes its sum from plane to plane
    assert transfer[1, 0, 8] > 0.01  # while oblique frequencies pass


def test_a_point_becomes_the_point_spread_function_where_it_lies():
    volume = np.zeros(SHAPE)
    volume[5, 30, 11] = 2.0
    expected = 2 * np.roll(psf3d(OPTICS, SHAPE, STEP), (5 - 12, 30 - 24, 11 - 26), (0, 1, 2))
    assert convolved(volume, stack_otf(WIDE_FIELD, OPTICS, SHAPE, STEP)) == pytest.approx(expected, abs=1e-12)


def test_blur_keeps_the_light_and_shifts_with_the_specimen():
    volume = np.random.default_rng(0).random(SHAPE)
    seen = convolved(volume, stack_otf(WIDE_FIELD, OPTICS, SHAPE, STEP))
    assert seen.sum() == pytest.approx(volume.sum())
    moved = convolved(np.roll(volume, (3, -5, 7), (0, 1, 2)), stack_otf(WIDE_FIELD, OPTICS, SHAPE, STEP))
    assert moved == pytest.approx(np.roll(seen, (3, -5, 7), (0, 1, 2)))


@pytest.mark.parametrize("change", [{"na": 1.2}, {"wavelength_nm": 640.0}, {"z_um": 0.2}, {"specimen_index": 1.33, "depth_um": 5.0}])
def test_every_parameter_changes_the_point_spread_function(change):
    assert np.abs(psf3d(replace(OPTICS, **change), SHAPE, STEP) / psf3d(OPTICS, SHAPE, STEP).max() - 1).max() > 0.1


def test_the_step_changes_the_point_spread_function():
    assert np.abs(psf3d(OPTICS, SHAPE, STEP) - psf3d(OPTICS, SHAPE, 0.2)).max() > 1e-5


@pytest.mark.parametrize("step", [0.0, -0.1, np.nan])
def test_steps_that_cannot_be_are_refused(step):
    with pytest.raises(InputInvalid, match=rf"z_step_um={step}: it must be a positive number"):
        psf3d(OPTICS, SHAPE, step)


def test_steps_above_the_nyquist_limit_are_refused_with_the_limit():
    with pytest.raises(InputInvalid, match=r"z_step_um=0\.5 is above the Nyquist limit of 0\.4070 um along the axis"):
        psf3d(OPTICS, SHAPE, 0.5)


def test_light_that_spreads_too_far_is_refused_with_the_limit():
    with pytest.raises(InputInvalid, match=r"light from z_um=-200 and depth_um=0 spreads over \d+ px, and at most 4096"):
        psf(replace(OPTICS, z_um=-200.0), (32, 32))


EVERY = (*SOLIDS, mixed, arbours, *UNSEEN_VOLUMES, *NEW_VOLUMES)


@pytest.mark.parametrize("specimen", EVERY, ids=lambda draw: draw.__name__)
def test_a_specimen_is_finite_not_negative_and_at_most_one_at_any_shape(specimen):
    for index, shape in enumerate(((8, 32, 32), (15, 40, 33), (1, 24, 24))):
        volume = specimen(np.random.default_rng(index), shape)
        assert volume.shape == shape
        assert volume.dtype == np.float64
        assert np.isfinite(volume).all()
        assert volume.min() >= 0
        assert volume.max() <= 1 + 1e-9


@pytest.mark.parametrize("specimen", EVERY, ids=lambda draw: draw.__name__)
def test_one_seed_gives_one_specimen_and_another_seed_another(specimen):
    first, again, other = (specimen(np.random.default_rng(seed), (12, 40, 40)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("specimen", EVERY, ids=lambda draw: draw.__name__)
def test_specimens_are_seldom_empty_and_the_aspect_changes_them(specimen):
    drawn = [np.ptp(specimen(np.random.default_rng(index), (16, 48, 48))) > 0.05 for index in range(10)]
    assert np.mean(drawn) > 0.8
    long_voxels, cubes = (specimen(np.random.default_rng(1), (16, 48, 48), aspect) for aspect in (3.0, 1.0))
    assert not np.array_equal(long_voxels, cubes)


def test_balls_are_round_in_space():
    lengths = []
    for seed in range(12):
        volume = beads(np.random.default_rng(seed), (24, 64, 64), aspect=2.0)
        z, y, _ = np.nonzero(volume == volume.max())
        lengths.append((np.ptp(z) * 2, np.ptp(y)))
    along, across = np.mean(lengths, 0)
    assert along == pytest.approx(across, rel=0.25)


def test_points_are_shared_out_without_loss_about_their_place():
    volume = splatted(np.array([[3.0, 90.0], [2.25, 3.0], [5.5, 2.0]]), np.array([2.0, 7.0]), (6, 8, 8), aspect=2.0)
    assert volume.sum() == pytest.approx(2)  # the second lies outside
    assert volume[1, 2, 5] == pytest.approx(2 * 0.5 * 0.75 * 0.5)
    assert volume[2, 3, 6] == pytest.approx(2 * 0.5 * 0.25 * 0.5)


SETTINGS = {"optics": OPTICS, "z_step_um": STEP, "camera": Camera(gain=1.5), "photons": 400.0, "background": 6.0}


def simulated(**change):
    return stack(np.random.default_rng(0), (10, 40, 40), filaments, **SETTINGS | change)


def test_a_stack_has_its_truth_in_camera_counts_and_no_other_side_in_it():
    field = simulated()
    assert (field.image.shape, field.truth.shape, field.image.dtype, field.z_step_um) == ((10, 40, 40), (10, 40, 40), np.uint16, STEP)
    assert field.truth.min() == pytest.approx(1.5 * 6 + 100)
    assert field.image.max() == pytest.approx(1.5 * 406 + 100, rel=0.15)


@pytest.mark.parametrize(
    "change",
    [
        {"optics": replace(OPTICS, na=1.0)},
        {"z_step_um": 0.2},
        {"camera": Camera(gain=1.0)},
        {"photons": 200.0},
        {"background": 1.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_changes_the_stack(change):
    assert not np.array_equal(simulated(**change).image, simulated().image)


def test_the_transfer_function_is_made_once_and_cannot_be_changed():
    transfer = stack_otf(WIDE_FIELD, OPTICS, SHAPE, STEP)
    assert stack_otf(WIDE_FIELD, OPTICS, SHAPE, STEP) is transfer
    assert transfer == pytest.approx(fft.rfftn(fft.ifftshift(psf3d(OPTICS, SHAPE, STEP))))
    with pytest.raises(ValueError, match="read-only"):
        transfer[0, 0, 0] = 2
