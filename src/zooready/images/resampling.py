"""Other lengths of y and x for an image."""

from __future__ import annotations

import numpy as np

from zooready.records import Array


def resampled(array: Array, size: tuple[int, int], *, labels: bool = False, cubic: bool = False) -> Array:
    """An array with other lengths of its last two axes.

    Parameters
    ----------
    array
        (..., y, x) float32.
    size
        New (y, x), px.
    labels
        Take the nearest pixel, so that no new label arises; else interpolate, smoothed first where pixels are dropped.
    cubic
        Interpolate by cubic splines in place of lines: sharper, and it may overshoot.

    Returns
    -------
    Array
        (..., *size) float32.
    """
    from skimage.transform import resize

    if array.shape[-2:] == size:
        return array
    planes = array.reshape(-1, *array.shape[-2:])
    smaller = size[0] < array.shape[-2] or size[1] < array.shape[-1]
    how = {"order": 0, "anti_aliasing": False} if labels else {"order": 3 if cubic else 1, "anti_aliasing": smaller}
    scaled = [resize(plane, size, mode="edge", preserve_range=True, **how) for plane in planes]
    return np.asarray(np.stack(scaled), dtype=np.float32).reshape(*array.shape[:-2], *size)
