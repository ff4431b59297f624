"""Similarity of an image to the true image: PSNR and SSIM after a least-squares fit of scale and offset, the same for every method."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid

Float = NDArray[np.float64]
Image2D = NDArray[Any]
WINDOW = 7  # px, window of structural similarity


def fit(image: Image2D, truth: Image2D) -> Float:
    """Fit scale x `image` + offset to `truth` by least squares.

    Parameters
    ----------
    image, truth
        Of equal shape, in any units.

    Returns
    -------
    same shape, float64
        In the units of `truth`; a constant `image` becomes the mean of `truth`.

    Raises
    ------
    InputInvalid
        Shapes differ, or values are not finite.
    """
    if image.shape != truth.shape:
        raise InputInvalid(f"image {image.shape} and truth {truth.shape} differ in shape: compare images of one size.")
    x, y = image.astype(np.float64), truth.astype(np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputInvalid("image or truth holds NaN or infinity: check the method that made it.")
    centred = x - x.mean()
    spread = float((centred**2).sum())
    scale = float((centred * (y - y.mean())).sum()) / spread if spread > 0 else 0.0
    return np.asarray(scale * centred + y.mean())


def psnr(image: Image2D, truth: Image2D) -> float:
    """Peak signal-to-noise ratio in dB after :func:`fit`; the peak is the range (max - min) of `truth`, whose shape `image` has."""
    from skimage.metrics import peak_signal_noise_ratio

    exact = truth.astype(np.float64)
    return float(peak_signal_noise_ratio(exact, fit(image, truth), data_range=contrast(truth)))


def ssim(image: Image2D, truth: Image2D) -> float:
    """Structural similarity (at most 1; windows 7 px wide along every axis) after :func:`fit`, for images (y, x) of at least 7x7 px.

    A stack (z, y, x) of fewer than seven planes is compared plane by plane.
    """
    from skimage.metrics import structural_similarity

    exact, fitted, span = truth.astype(np.float64), fit(image, truth), contrast(truth)
    planes = zip(exact, fitted, strict=True) if exact.ndim == 3 and len(exact) < WINDOW else ((exact, fitted),)
    return float(np.mean([structural_similarity(truth_plane, plane, win_size=WINDOW, data_range=span) for truth_plane, plane in planes]))


def contrast(truth: Image2D) -> float:
    """Range (max - min) of `truth`.

    Raises
    ------
    InputInvalid
        It is constant, so that similarity to it has no meaning.
    """
    span = float(truth.max()) - float(truth.min())
    if not span > 0:
        raise InputInvalid(f"the truth is constant ({float(truth.min()):g}): similarity to it has no meaning.")
    return span
