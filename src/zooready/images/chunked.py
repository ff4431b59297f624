"""Pixels that stay in the chunks of a store until they are used, and are unpacked region by region each time that they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from zooready.records import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunked:
    """What of a NumPy array is needed to cut an image into pieces; :func:`numpy.asarray` of a piece unpacks its chunks.

    Parts by whole numbers and slices without a step, and other orders of axes, unpack nothing; whatever else NumPy knows unpacks all.

    Parameters
    ----------
    read
        Gives the pixels of one region of what is stored, a slice for each of its axes.
    dtype
        Of the pixels.
    chunks
        Length of a chunk along each stored axis.
    seen
        Start and stop of what is seen of each stored axis.
    order
        The stored axis of each axis, None for a new one of length 1. Of those that do not occur one position is seen.
    """

    read: Callable[[tuple[slice, ...]], Array]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    seen: tuple[tuple[int, int], ...]
    order: tuple[int | None, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(1 if axis is None else self.seen[axis][1] - self.seen[axis][0] for axis in self.order)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.order)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of a pixel."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels, unpacked."""
        return self.size * self.itemsize

    def __len__(self) -> int:
        """Length of the first axis."""
        return self.shape[0]

    def __iter__(self) -> Iterator[Chunked | Array]:
        """The parts along the first axis."""
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """The pixels, in memory."""
        if copy is False:
            raise ValueError("pixels in chunks are always copied.")
        found = self.read(tuple(slice(*ends) for ends in self.seen))
        left_out = [axis for axis in range(len(self.seen)) if axis not in self.order]
        found = found.transpose([*left_out, *(axis for axis in self.order if axis is not None)])
        return np.asarray(found[(0,) * len(left_out) + tuple(None if axis is None else slice(None) for axis in self.order)], dtype)

    def __getitem__(self, key: Any) -> Chunked | Array:
        """A part, still in its chunks, for whole numbers, slices, ``...`` and ``None``; in memory for any other key."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if not all(map(_is_plain, keys)):
            part: Array = np.asarray(self)[key]
            return part
        place = keys.index(...) if ... in keys else len(keys)
        keys[place : place + 1] = [slice(None)] * (self.ndim - sum(one not in (None, ...) for one in keys))
        seen, order, own = list(self.seen), [], iter(zip(self.order, self.shape, strict=True))
        for one in keys:
            axis, length = (None, 1) if one is None else next(own)
            start, stop = one.indices(length)[:2] if isinstance(one, slice) else _position(one or 0, length)
            if axis is not None:
                seen[axis] = (self.seen[axis][0] + start, self.seen[axis][0] + max(start, stop))
            if one is None or isinstance(one, slice):
                order.append(axis)
        return replace(self, seen=tuple(seen), order=tuple(order))

    def transpose(self, axes: Sequence[int]) -> Chunked:
        """The same with its axes in another order."""
        return replace(self, order=tuple(self.order[axis] for axis in axes))

    def squeeze(self, axis: tuple[int, ...]) -> Chunked:
        """The same without some of its axes, whose length is 1."""
        return replace(self, order=tuple(stored for number, stored in enumerate(self.order) if number not in axis))

    def blocks(self, most: int) -> Iterator[tuple[slice, ...]]:
        """Indices of whole chunks, or what is seen of them, that together cover it, for about ``most`` pixels each, or for one chunk."""
        steps = [1 if axis is None else self.chunks[axis] for axis in self.order]
        for number in reversed(range(self.ndim)):
            steps[number] *= max(1, min(most // max(1, math.prod(steps)), -(-self.shape[number] // steps[number])))
        first = [0 if axis is None else self.seen[axis][0] for axis in self.order]
        yield from itertools.product(*map(_cut, first, self.shape, steps))


def _is_plain(key: Any) -> bool:
    """Whether a key can be followed without unpacking anything."""
    if isinstance(key, slice):
        return key.step in (None, 1)
    return key is None or key is ... or (isinstance(key, int | np.integer) and not isinstance(key, bool))


def _position(index: int, length: int) -> tuple[int, int]:
    """Start and stop of one position."""
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of bounds for an axis of length {length}")
    return int(index) % length, int(index) % length + 1


def _cut(first: int, length: int, step: int) -> list[slice]:
    """Pieces of an axis that begin at multiples of ``step`` of the stored one, of which it starts at ``first``."""
    starts = [0, *range(step - first % step, length, step)]
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], length], strict=True)]
