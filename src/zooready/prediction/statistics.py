"""What the normalisations inside bundles take from an image as a whole, computed block by block, so that it may be of any size.

The numbers are those of :mod:`zooready.nets.normalization`, which the bundle's graph computes: ranks are exact, means and standard
deviations are summed in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.images.mapped import blocks, release
from zooready.prediction.tiles import tiles
from zooready.records import Array
from zooready.tensors import Operator

Statistics = tuple[NDArray[np.float32], ...]  # each (1, c, 1, 1) or (1, c, 1, 1, 1): what is subtracted, in turn, and what divides
Found = list[tuple[float, ...]]  # the numbers of each channel
SMALLEST = 1e-12  # a scale that is not above this becomes 1
BINS = 2**16
TIMES = 8.0  # as in zooready.nets.normalization
WINDOW = 2048  # px, side of the windows in which surroundings are summed


def statistics(image: Array, normalization: Operator) -> Statistics:
    """Offsets and scale of an image.

    Parameters
    ----------
    image
        (c, ..., y, x), any real numbers, in memory or in a file.
    normalization
        Name and arguments of one of :data:`KNOWN`, or "none", which takes nothing.
    """
    if normalization.name == "none":
        return ()
    found = KNOWN[normalization.name](image, normalization.kwargs)
    shape = (1, len(image), *(1,) * (image.ndim - 1))
    return tuple(np.array(values, np.float32).reshape(shape) for values in zip(*found, strict=True))


def _values(channel: Array) -> Iterator[NDArray[np.float32]]:
    """The values of one channel (..., y, x), block by block."""
    for block in blocks(channel):
        yield np.asarray(channel[block], np.float32).ravel()


def _mean_std(image: Array, kwargs: Mapping[str, Any]) -> Found:
    """For each channel the mean, in two float32 that are subtracted one after the other, and the standard deviation."""
    found: Found = []
    for channel in image:
        mean = sum(float(values.sum(dtype=np.float64)) for values in _values(channel)) / channel.size
        squares = sum(float(np.square(values.astype(np.float64) - mean).sum()) for values in _values(channel))
        first = float(np.float32(mean))
        found.append((first, mean - first, _usable(np.sqrt(squares / channel.size))))
    return found


def _first_mean_std(image: Array, kwargs: Mapping[str, Any]) -> Found:
    """The same of the first channel; the others are divided by ``unit``."""
    return _mean_std(image[:1], kwargs) + [(0.0, 0.0, float(kwargs["unit"]))] * (len(image) - 1)


def _min_max(image: Array, kwargs: Mapping[str, Any]) -> Found:
    """For each channel the smallest value, and how far the largest lies above it."""
    found: Found = []
    for channel in image:
        low = min(np.float32(values.min()) for values in _values(channel))
        high = max(np.float32(values.max()) for values in _values(channel))
        found.append((float(low), _usable(high - low)))
    return found


def _percentiles(image: Array, kwargs: Mapping[str, Any]) -> Found:
    """For each channel a low percentile, and how far a high one lies above it: nearest ranks, counted from either end."""
    found: Found = []
    for channel in image:
        below, above = (
            channel.size * min(round(percent * 1000), 99_999) // 100_000
            for percent in (float(kwargs.get("low", 1.0)), 100 - float(kwargs.get("high", 99.0)))
        )
        low, high, largest = ranked(channel, (below, channel.size - 1 - above, channel.size - 1))
        span = high - low
        scale = span if span > SMALLEST else largest - low
        if kwargs.get("brightest") is not None:
            scale = max(scale, min(_brightest(channel, low) / np.float32(kwargs["brightest"]), TIMES * scale))
        found.append((float(low), _usable(scale)))
    return found


def _brightest(channel: Array, low: np.float32) -> np.float32:
    """The largest mean of 3 x 3 pixels of a plane of a channel (..., y, x) above ``low``, of fewer at its rim, window by window."""
    found = []
    for place in np.ndindex(channel.shape[:-2]):
        plane = channel[place]
        for tile in tiles((plane.shape[0], plane.shape[1]), WINDOW, halo=1):
            window = np.asarray(plane[tile.window], np.float32) - low
            found.append(tile.cropped(_summed(window) / _summed(np.ones_like(window))).max())
            release(plane)
    return np.float32(max(found))


def _summed(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of 3 x 3 pixels, of those that exist, (y, x)."""
    padded = np.pad(plane, 1)
    across = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return np.asarray(across[:-2] + across[1:-1] + across[2:], np.float32)


def _usable(scale: Any) -> float:
    return float(scale) if scale > SMALLEST else 1.0


def ranked(channel: Array, ranks: Sequence[int]) -> list[np.float32]:
    """The values of some ranks, from 0, in the order of all float32 values of a channel (..., y, x); exact, in two passes.

    A pass counts sixteen bits: the pattern of a float32, with its sign turned, is a whole number in the same order.
    """
    upper = np.zeros(BINS, np.int64)
    for values in _values(channel):
        upper += np.bincount(_in_order(values) >> 16, minlength=BINS)
    before = np.concatenate(([0], np.cumsum(upper)))
    bins = [int(np.searchsorted(before, rank, side="right")) - 1 for rank in ranks]
    lower = {number: np.zeros(BINS, np.int64) for number in bins}
    for values in _values(channel):
        patterns = _in_order(values)
        for number, counts in lower.items():
            counts += np.bincount(patterns[patterns >> 16 == number] & 0xFFFF, minlength=BINS)
    found = []
    for rank, number in zip(ranks, bins, strict=True):
        low = int(np.searchsorted(np.cumsum(lower[number]), rank - before[number], side="right"))
        pattern = np.uint32(number << 16 | low)
        found.append((pattern ^ np.uint32(0x80000000 if pattern >> 31 else 0xFFFFFFFF)).view(np.float32))
    return found


def _in_order(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Whole numbers in the order of the values; -0 comes right before 0."""
    patterns = values.view(np.uint32)
    return patterns ^ np.where(patterns >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


KNOWN: Mapping[str, Callable[[Array, Mapping[str, Any]], Found]] = {
    "MeanStd": _mean_std,
    "FirstMeanStd": _first_mean_std,
    "MinMax": _min_max,
    "Percentiles": _percentiles,
}
