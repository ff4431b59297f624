"""The same crop, flip and quarter turn for everything in a pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.records import Array, Pair


def augmented(pair: Pair, rng: np.random.Generator, size: int) -> Pair:
    """A random square of ``size`` px of a pair, mirrored and turned by quarters at random.

    Parameters
    ----------
    pair
        Arrays end in (y, x), all of the same y and x, at least ``size`` each.
    rng
        Draws place and turn; the same generator state gives the same crop.
    size
        Side of the crop, px.

    Raises
    ------
    InputInvalid
        The picture is smaller than the crop.
    """
    height, width = pair.input.shape[-2:]
    if min(height, width) < size:
        raise InputInvalid(
            f"a picture of {height}x{width} px is smaller than the crop of {size} px: leave it out, or choose smaller crops."
        )
    top, left = (int(rng.integers(extent - size + 1)) for extent in (height, width))
    turns, is_mirrored = int(rng.integers(4)), bool(rng.integers(2))

    def same(array: Array) -> NDArray[np.generic]:
        crop = np.rot90(array[..., top : top + size, left : left + size], turns, axes=(-2, -1))
        return np.ascontiguousarray(crop[..., ::-1] if is_mirrored else crop)

    return Pair(
        input=same(pair.input),
        target=same(pair.target),
        pixel_size_um=pair.pixel_size_um,
        truth=None if pair.truth is None else same(pair.truth),
    )
