"""Pixel size: is the image in the range that a network was trained for, and if wanted, there and back."""

from __future__ import annotations

import numpy as np

from zooready.errors import InputInvalid
from zooready.records import Array

PLANES = 0.05  # difference / distance of planes up to which two distances count as equal
WIDE = 5.0  # largest / smallest pixel size from which a network suits most images as they are: no note where the size is unknown
ROUNDING = 0.005  # calibrations are written with few digits: so far outside the range still counts as inside
RESAMPLE = "use pixel_size='auto', which resamples the image into the range and the results back"
RESCALE = "rescale the image in Fiji with Image > Scale"  # where nothing is resampled


def outside(pixel_size_um: float | None, allowed: tuple[float, float] | None, cure: str = RESAMPLE) -> str:
    """Why the pixel size does not suit the network, with the cure; empty if it does, if the network does not say, or if it suits most.

    Parameters
    ----------
    pixel_size_um
        Side of the image's pixels, in micrometres; None if unknown.
    allowed
        Smallest and largest that the network was trained for, in micrometres.
    cure
        What to do about another size.
    """
    if allowed is None:
        return ""
    trained = f"the network was trained for {allowed[0]:.4g} to {allowed[1]:.4g} µm"
    if pixel_size_um is None:
        if allowed[1] >= WIDE * allowed[0]:
            return ""
        return f"the image does not say its pixel size, and {trained}: set it in Fiji with Image > Properties, and compare."
    if target(pixel_size_um, allowed) == pixel_size_um:
        return ""
    return f"the image has pixels of {pixel_size_um:.4g} µm, and {trained}: results may be poor; {cure}."


def planes_differ(z_um: float | None, trained_um: float | None) -> str:
    """Why the distance of an image's planes does not suit the network, with the cure; empty if it does, or if the network does not say.

    Parameters
    ----------
    z_um
        Distance of the image's planes, in micrometres; None if unknown.
    trained_um
        The distance that the network was trained for, in micrometres.
    """
    if trained_um is None:
        return ""
    trained = f"the network was trained for planes {trained_um:.4g} µm apart"
    if z_um is None:
        return f"the image does not say how far apart its planes are, and {trained}: set it in Fiji with Image > Properties, and compare."
    if abs(z_um - trained_um) <= PLANES * trained_um:
        return ""
    return f"the planes of the image are {z_um:.4g} µm apart, and {trained}: results may be poor; rescale z in Fiji with Image > Scale."


def target(pixel_size_um: float, allowed: tuple[float, float]) -> float:
    """The pixel size to resample to, in micrometres: the middle of the range by its ratio; the same as given if it lies inside.

    >>> target(0.1, (0.2, 0.8)), target(0.3, (0.2, 0.4)), target(0.401, (0.2, 0.4))
    (0.4, 0.3, 0.401)
    """
    low, high = allowed
    if low * (1 - ROUNDING) <= pixel_size_um <= high * (1 + ROUNDING):
        return pixel_size_um
    return round(float(np.sqrt(low * high)), 6)


def zoom_of(pixel_size_um: float | None, allowed: tuple[float, float] | None) -> float:
    """Factor by which y and x grow so that pixels come into the range; 1 if they are inside.

    Raises
    ------
    InputInvalid
        The image or the network does not say its pixel size.
    """
    if allowed is None:
        raise InputInvalid("cannot resample: the bundle does not state the pixel sizes it was trained for. Leave pixel_size out.")
    if pixel_size_um is None:
        raise InputInvalid("cannot resample: the image does not say its pixel size. Set it in Fiji with Image > Properties, and save it.")
    return pixel_size_um / target(pixel_size_um, allowed)


def resampled(array: Array, size: tuple[int, int], *, labels: bool = False) -> Array:
    """An array with other lengths of its last two axes.

    Parameters
    ----------
    array
        (..., y, x) float32.
    size
        New (y, x), px.
    labels
        Take the nearest pixel, so that no new label arises; else interpolate linearly, smoothed first where pixels are dropped.

    Returns
    -------
    Array
        (..., *size) float32.
    """
    from skimage.transform import resize

    if array.shape[-2:] == size:
        return array
    planes = array.reshape(-1, *array.shape[-2:])
    how = (
        {"order": 0, "anti_aliasing": False}
        if labels
        else {"order": 1, "anti_aliasing": size[0] < array.shape[-2] or size[1] < array.shape[-1]}
    )
    scaled = [resize(plane, size, mode="edge", preserve_range=True, **how) for plane in planes]
    return np.asarray(np.stack(scaled), dtype=np.float32).reshape(*array.shape[:-2], *size)
