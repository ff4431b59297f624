"""Refocusing without a network: Richardson-Lucy with the true point spread function at that distance, then the blur of the focus.

As if all light came from one plane: the image is deconvolved by what a point at that distance looks like; the estimate is seen in focus,
by the same microscope or by a confocal one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from zooready.evaluation.refocusing import Series
from zooready.families import deepz
from zooready.images.similarity import psnr
from zooready.records import Array
from zooready.simulate.focusing import binned
from zooready.simulate.optics import planes

ITERATIONS = (3, 10, 30)
FLOOR = 1e-6  # of the image's brightest pixel


@lru_cache(maxsize=256)
def transfer(aberration: float, side: int, distance_um: float, *, is_confocal: bool = False) -> NDArray[np.complex128]:
    """What a point `distance_um` deeper than the focus looks like to the camera, as ``scipy.fft.rfft2`` orders it, 1 at frequency zero."""
    fine = planes(deepz.optics_of(aberration), (side * deepz.BINNING,) * 2, (-distance_um,))[0]
    fine = fine**2 / (fine**2).sum() if is_confocal else fine
    for axis in (0, 1):  # a point that may lie anywhere in a camera pixel
        fine = np.mean([np.roll(fine, shift, axis) for shift in range(deepz.BINNING)], 0)
    return np.asarray(fft.rfft2(fft.ifftshift(binned(fine, deepz.BINNING))))


def refocused(image: Array, distance_um: float, aberration: float, *, is_confocal: bool = False) -> Iterator[Array]:
    """Images (y, x) at that distance, after each of ``ITERATIONS``; the image is square and wraps around."""
    light = image - np.percentile(image, 1)
    light = np.maximum(light, FLOOR * light.max())
    blur = transfer(aberration, len(image), distance_um)
    focus = transfer(aberration, len(image), 0.0, is_confocal=is_confocal)

    def seen(estimate: Array, by: NDArray[np.complex128]) -> Array:
        return np.asarray(np.maximum(fft.irfft2(fft.rfft2(estimate) * by, s=image.shape), FLOOR * light.max()))

    estimate = np.full_like(light, light.mean())
    for iteration in range(1, max(ITERATIONS) + 1):
        estimate = estimate * seen(light / seen(estimate, blur), np.conj(blur))
        if iteration in ITERATIONS:
            yield seen(estimate, focus)


def best_psnr(field: Series, distance_um: float, truth: Array) -> float:
    """PSNR in dB of a plane made from the recorded one, at its best iteration."""
    return max(psnr(plane, truth) for plane in refocused(field.image[0].astype(np.float64), distance_um, field.aberration))
