import numpy as np
import pytest

from zooready.simulate import thick

SHAPE = (9, 64, 80)


@pytest.mark.parametrize("draw", [thick.scattered, thick.nets, thick.sheets, thick.layer])
def test_a_specimen_with_depth_is_light_with_a_maximum_of_one_and_can_be_drawn_again(draw):
    volumes = [draw(np.random.default_rng(seed), SHAPE, 3.0) for seed in (1, 1, 2)]
    assert volumes[0].shape == SHAPE
    assert volumes[0].min() >= 0
    assert volumes[0].max() == pytest.approx(1)
    assert np.array_equal(volumes[0], volumes[1])
    assert not np.array_equal(volumes[0], volumes[2])


def test_scattered_beads_leave_most_of_the_volume_dark():
    assert np.mean([(thick.scattered(np.random.default_rng(seed), SHAPE, 3.0) > 0.1).mean() for seed in range(5)]) < 0.02


def test_a_layer_lies_in_one_plane():
    assert (thick.layer(np.random.default_rng(0), SHAPE, 3.0).max((1, 2)) > 0).sum() == 1


def test_smooth_noise_is_as_smooth_along_the_axis_as_across_it():
    field = thick.smooth_noise(np.random.default_rng(0), (32, 96, 96), 6.0, 3.0)
    assert (field.mean(), field.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    along, across = (np.mean(field * np.roll(field, shift, axis)) for shift, axis in ((2, 0), (6, 1)))  # 6 px both
    assert along == pytest.approx(across, abs=0.1)
