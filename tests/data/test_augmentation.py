"""What augmentation changes in an image, and what it leaves."""

import numpy as np
import pytest

from zooready.data.augmentation import augmented, degraded
from zooready.records import Augmentation, Pair


def spot():
    image = np.full((2, 41, 41), 100, np.float32)
    image[:, 20, 20] = 2000
    return image


def test_a_share_of_none_changes_nothing():
    np.testing.assert_array_equal(
        degraded(spot(), np.random.default_rng(0), Augmentation(blur_px=2, noise=1, light=1, gamma=1, share=0)), spot()
    )


def test_the_same_generator_state_degrades_in_the_same_way():
    first, again, other = (degraded(spot(), np.random.default_rng(seed), Augmentation(blur_px=3, share=1)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first.dtype, first.shape) == (np.float32, (2, 41, 41))


@pytest.mark.parametrize(("setting", "value"), [("blur_px", 3.0), ("noise", 0.5), ("light", 1.0), ("gamma", 1.0)])
def test_each_setting_changes_the_image_and_more_of_it_changes_more(setting, value):
    before = spot() + np.arange(41, dtype=np.float32) * 10

    def change(amount):
        images = [degraded(before, np.random.default_rng(seed), Augmentation(**{setting: amount}, share=1)) for seed in range(20)]
        return np.mean([np.abs(image - before).mean() for image in images])

    assert change(value) > change(value / 4) > change(0.0)


def squares():
    """A pair of 96 px with four squares of 20 px, whose target is the image itself."""
    labels = np.zeros((96, 96), np.int32)
    for number, (top, left) in enumerate(((10, 10), (10, 60), (60, 10), (60, 60)), 1):
        labels[top : top + 20, left : left + 20] = number
    image = (labels > 0)[None].astype(np.float32) * 100
    return Pair(input=image, target=image, pixel_size_um=1.0, truth=labels)


def test_a_zoom_changes_input_target_and_truth_alike_and_the_pixel_size():
    for zoom in (0.8, 1.6):
        crop = augmented(squares(), np.random.default_rng(3), 64, how=Augmentation(zoom=(zoom, zoom), share=1))
        assert (crop.input.shape, crop.target.shape, crop.truth.shape) == ((1, 64, 64), (1, 64, 64), (64, 64))
        assert (crop.input.dtype, crop.truth.dtype) == (np.float32, np.int32)
        assert crop.pixel_size_um == 1 / zoom
        assert set(np.unique(crop.truth)) <= {0, 1, 2, 3, 4}
        assert np.mean((crop.input[0] > 50) != (crop.truth > 0)) < 0.03
        np.testing.assert_array_equal(crop.input, crop.target)


def test_all_else_changes_the_input_only():
    how = Augmentation(blur_px=3, noise=0.2, share=1)
    plain, changed = (augmented(squares(), np.random.default_rng(5), 64, how=how) for how in (Augmentation(), how))
    np.testing.assert_array_equal(plain.target, changed.target)
    np.testing.assert_array_equal(plain.truth, changed.truth)
    assert not np.array_equal(plain.input, changed.input)
    stack = Pair(input=np.stack([squares().input] * 4, 1), target=np.stack([squares().input] * 4, 1), pixel_size_um=1.0)
    assert augmented(stack, np.random.default_rng(5), 64, 2, how).input.shape == (1, 2, 64, 64)
