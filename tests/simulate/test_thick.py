import numpy as np
import pytest

from zooready.simulate import thick

SHAPE = (9, 64, 80)


@pytest.mark.parametrize("draw", [thick.scattered, thick.nets, thick.sheets, thick.layer, thick.globes, thick.pressed])
def test_a_specimen_with_depth_is_light_with_a_maximum_of_one_and_can_be_drawn_again(draw):
    volumes = [draw(np.random.default_rng(seed), SHAPE, 3.0) for seed in (1, 1, 2)]
    assert volumes[0].shape == SHAPE
    assert volumes[0].min() >= 0
    assert volumes[0].max() == pytest.approx(1)
    assert np.array_equal(volumes[0], volumes[1])
    assert not np.array_equal(volumes[0], volumes[2])


def test_scattered_beads_leave_most_of_the_volume_dark():
    assert np.mean([(thick.scattered(np.random.default_rng(seed), SHAPE, 3.0) > 0.1).mean() for seed in range(5)]) < 0.02


@pytest.mark.parametrize("draw", [thick.layer, thick.pressed])
def test_a_layer_lies_in_one_plane(draw):
    assert (draw(np.random.default_rng(0), SHAPE, 3.0).max((1, 2)) > 0).sum() == 1


def test_a_globe_is_round_whatever_the_step_and_its_wall_is_brighter_than_its_inside():
    volume = np.zeros((31, 61, 61))
    thick.globe(volume, np.array([15, 30, 30]), np.array([24.0, 24.0, 24.0]), 5.0, 0.4, 2.0)
    assert volume[15, 30, 30] == volume[15 - 8, 30, 30] == pytest.approx(0.4)
    assert volume[15, 30, 30 + 21] == volume[15, 30 - 21, 30] == volume[15 + 11, 30, 30] == pytest.approx(1.0)
    assert volume[15, 30, 56] == volume[15 + 13, 30, 30] == 0


def test_a_globe_over_the_edge_is_cut():
    volume = np.zeros((9, 20, 20))
    thick.globe(volume, np.array([8.0, 0.0, 19.0]), np.array([8.0, 8.0, 8.0]), 20.0, 0.0, 2.0)
    assert volume[8, 0, 19] == 1
    assert volume[0, 10, 10] == 0


def test_smooth_noise_is_as_smooth_along_the_axis_as_across_it():
    field = thick.smooth_noise(np.random.default_rng(0), (32, 96, 96), 6.0, 3.0)
    assert (field.mean(), field.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    along, across = (np.mean(field * np.roll(field, shift, axis)) for shift, axis in ((2, 0), (6, 1)))  # 6 px both
    assert along == pytest.approx(across, abs=0.1)
