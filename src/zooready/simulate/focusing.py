"""Focal series of a thick specimen: what a camera sees at one focus after the other.

The specimen is drawn on pixels fine enough for the optics, and the camera bins them: an objective such as 20x/0.75 has camera pixels of
0.325 um, larger than the 0.2 um that sample its images at 600 nm. Heights grow with the plane's number, away from the objective, as
those of :mod:`zooready.simulate.volumes`. All images wrap around at their edges.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.simulate.optics import Optics, planes

Series = NDArray[np.float32]
BLOCK = 8  # heights whose transfer functions are computed together


@lru_cache(maxsize=64)
def plane_transfers(optics: Optics, shape: tuple[int, int], z_step_um: float, block: int, is_confocal: bool) -> NDArray[np.complex64]:
    """Transfer functions of points `BLOCK` x `block`, and so on, steps from the focal plane.

    Confocal ones are those of a small pinhole and an illumination of the same wavelength: the light of a point is the square of the
    wide-field one, as much as that in the focal plane.

    Returns
    -------
    (BLOCK, y, x // 2 + 1) complex64
        Each as ``scipy.fft.rfft2`` orders it; read-only.
    """
    light = planes(optics, shape, tuple((BLOCK * block + np.arange(BLOCK)) * z_step_um))
    if is_confocal:
        light = light**2 / (planes(optics, shape, (0.0,)) ** 2).sum()
    transfers: NDArray[np.complex64] = scipy.fft.rfft2(scipy.fft.ifftshift(light, axes=(1, 2))).astype(np.complex64)
    transfers.setflags(write=False)
    return transfers


def focal_series(
    volume: NDArray[np.floating],
    optics: Optics,
    z_step_um: float,
    focus: NDArray[np.integer],
    binning: int = 1,
    *,
    is_confocal: bool = False,
) -> Series:
    """Images of a volume at several focal planes.

    Parameters
    ----------
    volume
        (z, y, x) of any float type, emitted light per voxel.
    optics
        The microscope, with the volume's pixels.
    z_step_um
        Distance of planes, micrometres.
    focus
        Number of the plane in focus, for each image; it may lie outside the volume.
    binning
        How many pixels of the volume, along y and along x, are one of the camera.
    is_confocal
        Confocal sections in place of wide-field images; what lies in the focal plane gives as much light in both.

    Returns
    -------
    (len(focus), y / binning, x / binning) float32
        Light per camera pixel; non-negative if the volume is.

    Raises
    ------
    InputInvalid
        The volume's sides are no multiples of the binning.
    """
    shape = (volume.shape[1], volume.shape[2])
    if shape[0] % binning or shape[1] % binning:
        raise InputInvalid(f"volume {volume.shape} with binning={binning}: make y and x multiples of {binning}.")
    lit = [number for number, plane in enumerate(volume) if plane.any()]
    spectra = {number: scipy.fft.rfft2(volume[number].astype(np.float32)) for number in lit}
    images = np.zeros((len(focus), shape[0] // binning, shape[1] // binning), np.float32)
    for image, at in zip(images, focus, strict=True):
        seen = np.zeros((shape[0], shape[1] // 2 + 1), np.complex64)
        for number, spectrum in spectra.items():
            block, place = divmod(int(at) - number, BLOCK)
            seen += spectrum * plane_transfers(optics, shape, z_step_um, block, is_confocal)[place]
        image[:] = binned(np.maximum(scipy.fft.irfft2(seen, s=shape), 0), binning)
    return images


def binned(light: NDArray[np.floating], binning: int) -> NDArray[np.floating]:
    """(y, x) -> (y / binning, x / binning): the light of `binning` x `binning` pixels added up, as a camera with larger pixels does."""
    high, wide = light.shape
    return np.asarray(light.reshape(high // binning, binning, wide // binning, binning).sum((1, 3)))
