"""What lamp and camera make of nuclei."""

import numpy as np

from zooready.simulate import nuclei


def test_some_images_saturate_at_255_and_others_use_sixteen_bits():
    highest = [nuclei.camera(np.random.default_rng(seed), np.ones((32, 32), np.float32)).max() for seed in range(12)]
    assert any(value <= 255 for value in highest)
    assert any(value > 1000 for value in highest)


def test_light_falls_off_under_the_lamp():
    lit = nuclei.illuminate(np.random.default_rng(1), np.ones((64, 64), np.float32))
    assert lit.max() > 1.05 * lit.min() > 0


def test_stained_nuclei_are_a_specimen_between_zero_and_one():
    light = nuclei.stained(np.random.default_rng(2), 160)
    assert (light.shape, light.dtype, light.max()) == ((160, 160), np.float64, 1.0)
    assert light.min() >= 0
