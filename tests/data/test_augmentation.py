"""What augmentation changes in an image, and what it leaves."""

import numpy as np
import pytest

from zooready.data.augmentation import degraded


def spot():
    image = np.full((2, 41, 41), 100, np.float32)
    image[:, 20, 20] = 2000
    return image


def test_a_share_of_none_changes_nothing():
    np.testing.assert_array_equal(degraded(spot(), np.random.default_rng(0), share=0.0), spot())


def test_the_same_generator_state_degrades_in_the_same_way():
    first, again, other = (degraded(spot(), np.random.default_rng(seed), share=1.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first.dtype, first.shape) == (np.float32, (2, 41, 41))


@pytest.mark.parametrize(("setting", "value"), [("blur_px", 3.0), ("noise", 0.5), ("light", 1.0)])
def test_each_setting_changes_the_image_and_more_of_it_changes_more(setting, value):
    before = spot() + np.arange(41, dtype=np.float32) * 10

    def change(amount):
        settings = {"blur_px": 0.0, "noise": 0.0, "light": 0.0, setting: amount}
        images = [degraded(before, np.random.default_rng(seed), share=1.0, **settings) for seed in range(20)]
        return np.mean([np.abs(image - before).mean() for image in images])

    assert change(value) > change(value / 4) > change(0.0)
