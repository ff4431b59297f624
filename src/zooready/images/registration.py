"""Registration: an image of one microscope, moved so that it lies on the image of another one of the same place.

First one shift for the whole image, by phase correlation; then, on the shifted image, a smooth field of small displacements, by optical
flow. Both work on smoothed copies with equal mean and spread, because the two images differ in sharpness, brightness and noise.

Guizar-Sicairos, Thurman, Fienup, Opt. Lett. 33, 156 (2008): the shift in fractions of a pixel
Le Besnerais, Champagnat, ICIP 2005: optical flow by iterated least squares in windows (ILK)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from zooready.errors import InputInvalid

Float = NDArray[np.float64]
Image2D = NDArray[Any]
SMOOTH_PX = 2.0  # standard deviation of the Gaussian before anything is compared
FRACTION = 50  # of a pixel, to which the shift is found
PASSES = 3  # of finding the shift; each begins where the one before ended, so that the edges that the images do not share shrink
LEAST_PX = 32  # smallest side of an image


@dataclass(frozen=True, kw_only=True)
class Registration:
    """How one image lies to another: pixel (y, x) of the fixed image shows what the moving one shows at (y, x) + ``field``.

    ``shift_px`` (y, x) is the part that is the same everywhere, ``field`` (2, y, x) the whole displacement, px.
    """

    shift_px: tuple[float, float]
    field: Float

    @property
    def bend_px(self) -> float:
        """The largest displacement beyond the shift, px."""
        return float(np.hypot(*(self.field - np.reshape(self.shift_px, (2, 1, 1)))).max())

    def applied(self, moving: Image2D) -> Float:
        """The moving image (y, x) on the pixels of the fixed one, float64; beyond its edge the nearest pixel is repeated."""
        at = np.indices(moving.shape) + self.field
        return np.asarray(ndimage.map_coordinates(moving.astype(np.float64), at, order=3, mode="nearest"))


def register(moving: Image2D, fixed: Image2D, *, radius_px: int | None = 24) -> Registration:
    """Find where an image lies on another one.

    Parameters
    ----------
    moving, fixed
        Images (y, x) of the same place with pixels as large, at least 32 px a side; they may differ in sharpness, brightness and noise.
        Shifts of up to half a side are found.
    radius_px
        Radius of the windows in which displacements are alike; smaller ones follow finer bends and more noise. None finds the shift only.

    Returns
    -------
    Registration
        No displacement at all if one of the images has no contrast.

    Raises
    ------
    InputInvalid
        Images of different or too small sizes, or pixels that are not finite.
    """
    from skimage.registration import optical_flow_ilk, phase_cross_correlation

    _demand(moving, fixed)
    moving_like, fixed_like = _comparable(moving), _comparable(fixed)
    if not (moving_like.any() and fixed_like.any()):
        return Registration(shift_px=(0.0, 0.0), field=np.zeros((2, *fixed.shape)))
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in fixed.shape))  # edges, where other things are seen, count less
    found = _shifted((0.0, 0.0), fixed.shape)
    for _ in range(PASSES):
        moved = found.applied(moving_like)
        back, _, _ = phase_cross_correlation(window * fixed_like, window * moved, upsample_factor=FRACTION, normalization=None)
        found = _shifted((found.shift_px[0] - float(back[0]), found.shift_px[1] - float(back[1])), fixed.shape)
    if radius_px is None:
        return found
    bend = optical_flow_ilk(fixed_like, found.applied(moving_like), radius=radius_px, gaussian=True)
    return Registration(shift_px=found.shift_px, field=found.field + bend)


def _shifted(shift_px: tuple[float, float], shape: tuple[int, ...]) -> Registration:
    """A shift without a bend."""
    return Registration(shift_px=shift_px, field=np.broadcast_to(np.reshape(shift_px, (2, 1, 1)), (2, *shape)).astype(np.float64))


def _demand(moving: Image2D, fixed: Image2D) -> None:
    """Images that can be registered."""
    if moving.shape != fixed.shape or moving.ndim != 2:
        raise InputInvalid(
            f"images of {moving.shape} and {fixed.shape} cannot be registered: give planes (y, x) of one size, with pixels of one size."
        )
    if min(moving.shape) < LEAST_PX:
        raise InputInvalid(f"an image of {moving.shape} is too small to be registered: give at least {LEAST_PX} x {LEAST_PX} px.")
    if not (np.isfinite(moving).all() and np.isfinite(fixed).all()):
        raise InputInvalid("an image to be registered holds NaN or infinity: mend these pixels first.")


def _comparable(image: Image2D) -> Float:
    """The image smoothed, of mean 0 and standard deviation 1; zeros for one without contrast."""
    smooth = ndimage.gaussian_filter(image.astype(np.float64), SMOOTH_PX)
    smooth -= smooth.mean()
    spread = float(smooth.std())
    return smooth / spread if spread > 1e-9 * max(1.0, float(np.abs(image).max())) else np.zeros_like(smooth)
