"""Doubt about a restored image: blurred again, as by the microscope, it must give the image that it was made of.

    restored -- a lens in focus --> blurred again -- one scale and offset --> minus the image = light that the image does not support

It is a check on one side only. What is too fine for the microscope stays unseen: an output that passes may still be invented within the
blur. And haze that a network rightly took away counts as missing where it is as fine as the blur.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from zooready.errors import InputInvalid
from zooready.explanation.restoration import noise_of
from zooready.images.calibration import NYQUIST_PX
from zooready.records import Array, as_float32
from zooready.simulate import microscopes
from zooready.simulate.optics import Optics, convolved, psf, transferred

CANDIDATES = 13  # blurs tried between the smallest and the largest
ABERRATIONS = (0.0, 0.1, 0.2)  # spherical, waves rms, tried with each
FINEST, COARSEST = 0.22, 4.0  # standard deviations, in blurs, of the smallest detail that a lens passes, and of what counts as haze
CERTAIN = 4.0  # standard deviations of the image's noise from which a difference is none of noise
LEAST = 0.05  # of the image's contrast; smaller differences are no structure
ENDS = (1.0, 99.0)  # percentiles between which an image's contrast lies
AGREEING, FITS = 0.9, 3  # share of the pixels by which scale and offset are fitted, and how often
MARGIN = 2  # blurs on each side by which images are mirrored, because their light does not wrap around


def doubt(image: Array, restored: Array, blurs_px: Sequence[float]) -> tuple[Array, dict[str, float]]:
    """Where a restored image, blurred again, differs from the image that it was made of.

    Parameters
    ----------
    image, restored
        (y, x), the network's input and output, in any units.
    blurs_px
        Smallest and largest blur of the microscope, wavelength / (NA x pixel size), px, 4 or more; equal if it is known. Between them,
        and with spherical aberration or without, the lens is taken with which the two agree best.

    Returns
    -------
    values
        (y, x) float32, share of the image's contrast; positive is light that is in the output and not in the image. Only differences
        between the size of the blur's finest detail and that of haze count.
    facts
        ``blur_px`` of the lens that was taken; ``invented_share`` and ``missing_share``, of the pixels that differ by more than noise
        can and by more than a twentieth of the contrast, without the edges, where light falls in from outside; ``noise``, its standard
        deviation in the unit of the values.

    Raises
    ------
    InputInvalid
        A blur below 4 px.
    """
    low, high = min(blurs_px), max(blurs_px)
    if not NYQUIST_PX <= low <= high < np.inf:
        raise InputInvalid(
            f"blur_px={low:g}: give wavelength / (NA x pixel size), {NYQUIST_PX:g} or more; with less, pixels are too coarse for the NA."
        )
    light, output = np.asarray(image, np.float64), np.asarray(restored, np.float64)
    candidates = np.geomspace(low, high, CANDIDATES if high > low else 1)
    lenses = [microscopes.lens(float(blur_px), waves) for blur_px in candidates for waves in ABERRATIONS]

    def difference_of(optics: Optics) -> Array:
        return np.asarray(_fitted(reblurred(output, optics), light) - light)

    best = min(lenses, key=lambda optics: float(np.quantile(np.abs(_banded(difference_of(optics), low, high)), AGREEING)))
    blur_px = microscopes.blur_px(best)
    difference = _banded(difference_of(best), blur_px, blur_px)
    bottom, top = np.percentile(ndimage.gaussian_filter(light, FINEST * blur_px), ENDS)
    contrast = float(top - bottom) or 1.0
    noise = ndimage.gaussian_filter(noise_of(light), FINEST * blur_px) / np.sqrt(4 * np.pi) / (FINEST * blur_px)
    limit = np.maximum(CERTAIN * noise, LEAST * contrast)
    inside = tuple(slice(edge, side - edge) for side in light.shape for edge in [min(round(blur_px), side // 4)])
    facts = {
        "blur_px": round(blur_px, 2),
        "invented_share": float((difference > limit)[inside].mean()),
        "missing_share": float((difference < -limit)[inside].mean()),
        "noise": float(noise.mean() / contrast),
    }
    return as_float32(difference / contrast), facts


def reblurred(restored: Array, optics: Optics) -> Array:
    """The image (y, x) that a microscope forms of a restored one: float64, mirrored beyond its edges."""
    margin = [(min(round(MARGIN * microscopes.blur_px(optics)), side - 1),) * 2 for side in restored.shape]
    padded = np.pad(np.asarray(restored, np.float64), margin, mode="reflect")
    light = convolved(padded, transferred(psf(optics, (padded.shape[0], padded.shape[1]))))  # not cached: large images fill memory
    return light[tuple(slice(before, before + side) for (before, _), side in zip(margin, restored.shape, strict=True))]


def _fitted(output: Array, image: Array) -> Array:
    """The output after the scale and offset with which nine tenths of it are nearest to the image; never turned upside down."""
    agreeing, fitted = np.ones(image.shape, bool), output
    for _ in range(FITS):  # what was invented, or is missing, shall not decide on the scale
        spread = output - output[agreeing].mean()
        slope = (spread * image)[agreeing].sum() / max(float((spread[agreeing] ** 2).sum()), np.finfo(np.float64).tiny)
        fitted = max(0.0, float(slope)) * spread + image[agreeing].mean()
        error = np.abs(fitted - image)
        agreeing = error <= np.quantile(error, AGREEING)
    return np.asarray(fitted)


def _banded(difference: Array, low: float, high: float) -> Array:
    """What is coarser than the finest detail of the blur `low`, px, and finer than haze at the blur `high`."""
    fine, coarse = (ndimage.gaussian_filter(difference, sigma, mode="mirror") for sigma in (FINEST * low, COARSEST * high))
    return np.asarray(fine - coarse)
