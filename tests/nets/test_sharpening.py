"""Unsharp masking as a head: what it must keep, and how far it sees."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from zooready.nets.sharpening import Sharpened


def sharpened(image, **settings):
    with torch.no_grad():
        return Sharpened(**settings)(torch.as_tensor(image, dtype=torch.float32)[None, None])[0, 0].numpy()


@pytest.mark.parametrize("shape", [(33, 20), (1, 1), (3, 50)])
def test_it_is_the_image_and_what_a_gaussian_blurs_away(shape):
    image = np.random.default_rng(0).normal(100, 20, shape)
    blurred = ndimage.gaussian_filter(image, 1.3, mode="nearest", truncate=6 / 1.3)
    assert np.abs(sharpened(image, sigma_px=1.3, amount=0.6) - (image + 0.6 * (image - blurred))).max() < 1e-3


def test_flat_images_stay_and_a_point_gets_narrower_with_the_same_light():
    assert np.abs(sharpened(np.full((9, 12), 1000.0), sigma_px=1.0, amount=0.7) - 1000).max() < 1e-3
    point = np.zeros((41, 41))
    point[20, 20] = 1.0
    point = ndimage.gaussian_filter(point, 2.0)
    result = sharpened(point, sigma_px=1.0, amount=0.7)
    assert result.sum() == pytest.approx(point.sum(), rel=1e-5)
    distance = np.hypot(*(np.indices(point.shape) - 20))
    assert (result * distance**2).sum() < 0.9 * (point * distance**2).sum()
    assert result.max() > 1.05 * point.max()


def test_it_sees_no_further_than_it_says():
    head, image = Sharpened(sigma_px=1.0, amount=0.6), np.random.default_rng(1).random((31, 31)).astype(np.float32)
    changed = image.copy()
    changed[15, 15] += 5
    moved = np.abs(sharpened(changed, sigma_px=1.0, amount=0.6) - sharpened(image, sigma_px=1.0, amount=0.6)) > 1e-7
    assert np.abs(np.argwhere(moved) - 15).max() == head.reach_px
    assert not head.state_dict()


@pytest.mark.parametrize("settings", [{"sigma_px": 0.0, "amount": 1.0}, {"sigma_px": 1.0, "amount": -0.1}])
def test_what_is_no_sharpening_is_refused(settings):
    with pytest.raises(ValueError, match="give a width above 0, and an amount of 0 or more"):
        Sharpened(**settings)
