"""Polygons round objects, of whatever file: those of a mask, the pixels inside, and what lies outside the image."""

from __future__ import annotations

import numpy as np
import skimage
from numpy.typing import NDArray

from zooready.errors import InputInvalid

WAYS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # x and y: right, down, left, up
Corners = NDArray[np.float64]  # (corners, 2), x and y, px; the corner of the image is (0, 0)


def inside(corners: Corners, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (y, x) of an image of ``shape`` whose middles lie inside a polygon; what lies outside the image is cut off."""
    return np.asarray(skimage.draw.polygon2mask(shape, corners[:, ::-1] - 0.5))  # corners of pixels, where skimage has centres


def around(mask: NDArray[np.bool_]) -> list[Corners]:
    """The outlines of a mask (y, x) along the edges of its pixels, as whole numbers; :func:`inside` each in turn gives the mask back.

    Every piece and every hole has one, first and last corner apart; pixels that touch at a corner only are different pieces.

    >>> [ring.tolist() for ring in around(np.array([[True, True], [True, False]]))]
    [[[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [1.0, 1.0], [1.0, 2.0], [0.0, 2.0]]]
    """
    padded = np.pad(np.asarray(mask, bool), 1)
    edges: dict[tuple[int, int, int], None] = {}  # x, y of the corner where an edge starts, and its way; the object lies on its right
    for way, (step, corner) in enumerate(zip(((-1, 0), (0, 1), (1, 0), (0, -1)), ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True)):
        rows, columns = np.nonzero(padded & ~np.roll(padded, (-step[0], -step[1]), (0, 1)))
        edges |= dict.fromkeys(zip((columns - 1 + corner[0]).tolist(), (rows - 1 + corner[1]).tolist(), [way] * len(rows), strict=True))
    rings = []
    while edges:
        x, y, way = first = next(iter(edges))
        ring = []
        while True:
            del edges[x, y, way]
            x, y = x + WAYS[way][0], y + WAYS[way][1]
            turned = next((turn for turn in (1, 0, 3) if (x, y, (way + turn) % 4) in edges), None)  # round its own piece first
            if turned is None or turned:
                ring.append((x, y))
            if turned is None:
                break
            way = (way + turned) % 4
        assert (x, y) == first[:2]
        rings.append(np.array(ring[-1:] + ring[:-1], np.float64))
    return rings


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
