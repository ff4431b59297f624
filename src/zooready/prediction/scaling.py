"""An image brought into the range of pixel sizes that a network was trained for, and its results back."""

from __future__ import annotations

import numpy as np

from zooready.errors import InputInvalid
from zooready.images.calibration import target
from zooready.records import Array


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
