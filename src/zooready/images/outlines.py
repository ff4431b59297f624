"""Polygons that somebody drew round objects, of whatever file: the pixels inside, and what lies outside the image."""

from __future__ import annotations

import numpy as np
import skimage
from numpy.typing import NDArray

from zooready.errors import InputInvalid

Corners = NDArray[np.float64]  # (corners, 2), x and y, px; the corner of the image is (0, 0)


def inside(corners: Corners, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (y, x) of an image of ``shape`` whose middles lie inside a polygon; what lies outside the image is cut off."""
    return np.asarray(skimage.draw.polygon2mask(shape, corners[:, ::-1] - 0.5))  # corners of pixels, where skimage has centres


def is_outside(corners: Corners, shape: tuple[int, int]) -> bool:
    """Whether the box round the corners (corners, 2), x and y, has no part in an image of ``shape`` (y, x).

    >>> is_outside(np.array([[9, 1], [12, 4]]), (8, 9)), is_outside(np.array([[8, 1], [12, 4]]), (8, 9))
    (True, False)
    """
    return bool((corners.max(axis=0) <= 0).any() or (corners.min(axis=0) >= shape[::-1]).any())


def demand_inside(outside: int, number: int, what: str, shape: tuple[int, int], *, where: str = "") -> None:
    """Refuse a file of which ``outside`` of ``number`` objects lie outside the image of ``shape`` (y, x).

    ``what`` says which, such as "regions of a.zip"; ``where`` is the program in which they can be deleted, as the end of a sentence.

    Raises
    ------
    InputInvalid
        There are any.
    """
    if outside:
        raise InputInvalid(
            f"{outside} of {number} {what} lie outside the image, which has {shape[1]}x{shape[0]} px: they were drawn on another "
            f"image, or on this one before it was cropped or scaled. Draw them on this one, or delete these{where}."
        )
