"""Whether outputs agree with what was expected: THE judge of export, of check and of probing.

Images and scores agree by value (largest difference / range of the channel), labels by matched objects whatever their numbers; where
outputs disagree, the judge says in words where and by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zooready.errors import InputInvalid, amount
from zooready.images.matching import match
from zooready.records import Array, Case

Range = float | Array  # one number, or one a channel in an array that broadcasts over the output

IOU = 0.5  # of two objects that are the same
NOT_FINITE = "values that are NaN or infinite"
FLAT = 0.1  # of a channel's largest magnitude: its range is taken as no less, since float32 rounds by shares of the magnitude
ROUNDING = (
    1e-6  # of the largest channel's range: no channel is judged more finely, since float32 rounds sums that run through the large ones
)
SHARED = 0.999  # of both foregrounds that must lie inside overlaps of matched objects


def agreement(
    case: Case, outputs: Sequence[Array], kinds: Sequence[tuple[str, str]], ranges: Sequence[Range], tolerance: float
) -> tuple[float | None, str]:
    """How far outputs are from a case's.

    Parameters
    ----------
    case, outputs
        What was expected, and what came out, in the same order.
    kinds
        (name, kind) of each output, as in :class:`Bundle`; ``labels`` are compared by objects, every other kind by value.
    ranges
        What differences are divided by: :func:`ranges_of` of the test pair, for all its cases, or :func:`own_ranges_of` of this one.
    tolerance
        Largest difference / range that still agrees.

    Returns
    -------
    difference
        Largest difference / range of the outputs compared by value; None if there is none, or shapes differ.
    why
        What is wrong, one sentence for each output; empty if all agree.
    """
    where = f"of case '{case.name}' {case.input.shape}"
    if len(outputs) != len(case.outputs):
        return None, f"{amount(len(outputs), 'output')} {where} instead of {len(case.outputs)}."
    largest: float | None = None
    faults = []
    for (name, kind), expected, given, value_range in zip(kinds, case.outputs, outputs, ranges, strict=True):
        output = np.asarray(given)
        fault = _form_fault(expected, output)
        if not fault and kind == "labels":
            fault = label_fault(expected, output)
        elif not fault:
            difference, fault = value_fault(expected, output, value_range, tolerance)
            largest = max(difference, largest or 0.0)
        if fault:
            faults.append(f"'{name}' {where} {fault}.")
    return largest, " ".join(faults)


def ranges_of(test: Case, axes: Sequence[str] = ()) -> tuple[Range, ...]:
    """Range of each output of the test pair, by which all cases are judged: max - min of every channel, 1 where that is zero.

    A small channel is not judged by a large one beside it, down to what float32 rounds in the large one. Where a channel hardly varies,
    a share of its magnitude counts as its range.

    Parameters
    ----------
    axes
        Of each output, e.g. ``"bcyx"``; without them, the second axis of four or five is that of the channels.
    """
    return tuple(
        _by_channel(output, _range, letters) for output, letters in zip(test.outputs, axes or [""] * len(test.outputs), strict=True)
    )


def own_ranges_of(case: Case, axes: Sequence[str] = ()) -> tuple[Range, ...]:
    """Range of each output, channel by channel, of a case whose intensities may be far from those of the test pair.

    It is max - min, or the largest magnitude if that is larger, which keeps a flat image's rounding from being a difference.
    """
    return tuple(
        _by_channel(output, _magnitude, letters) for output, letters in zip(case.outputs, axes or [""] * len(case.outputs), strict=True)
    )


def _by_channel(output: Array, measure: Callable[[Array], float], axes: str) -> Range:
    """A measure of the whole output, or of every channel of one that has several and is an image, to divide the output by."""
    whole = measure(output)
    axis = axes.find("c") if axes else 1
    if output.ndim < 4 or axis < 0 or output.shape[axis] == 1 or not output.size:
        return whole
    shape = [1] * output.ndim
    shape[axis] = -1
    values = [measure(channel) if channel.any() else whole for channel in np.moveaxis(output, axis, 0)]
    return np.array(values).reshape(shape)


def same_values(expected: Sequence[Array], outputs: Sequence[Array], tolerance: float) -> bool:
    """Whether outputs agree by value, each within its own range (max - min), and are NaN or infinite at the same positions.

    For two runs of one network on an image that nobody chose: what comes out need not be finite, and has no kind yet.
    """
    return len(expected) == len(outputs) and all(_same(first, second, tolerance) for first, second in zip(expected, outputs, strict=True))


def _same(expected: Array, output: Array, tolerance: float) -> bool:
    if expected.shape != output.shape:
        return False
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(output)):
        return False
    if not finite.all():
        expected, output = np.where(finite, expected, 0), np.where(finite, output, 0)
    return not value_fault(expected, output, _by_channel(expected, _range, ""), tolerance)[1]


def _form_fault(expected: Array, output: Array) -> str:
    if output.shape != expected.shape:
        return f"has shape {output.shape} instead of {expected.shape}"
    if output.dtype != expected.dtype:
        return f"is {output.dtype} instead of {expected.dtype}"
    bad = ~np.isfinite(output)
    if bad.any():
        return f"has {int(bad.sum())} of {bad.size} {NOT_FINITE}, the first at {_position(bad.argmax(), bad.shape)}"
    return ""


def value_fault(expected: Array, output: Array, value_range: Range, tolerance: float) -> tuple[float, str]:
    """Largest difference / range of two finite arrays of one shape, and what is wrong with it.

    The range of a channel counts as no less than makes :data:`ROUNDING` of the largest one the tolerance.
    """
    if not expected.size:
        return 0.0, ""
    least = min(ROUNDING / tolerance, 1.0) * np.max(value_range)
    difference = np.abs(output.astype(np.float64) - expected.astype(np.float64)) / np.maximum(value_range, least)
    largest = float(difference.max())
    if largest <= tolerance:
        return largest, ""
    share = float((difference > tolerance).mean())
    position = _position(difference.argmax(), difference.shape)
    return largest, f"differs by {largest:.2g} of its range at {position}, tolerance {tolerance:g} ({share:.1%} of the values do)"


def label_fault(expected: Array, output: Array) -> str:
    """What is wrong with label images (…, y, x): counts, or overlap of matched objects; empty if they agree."""
    planes = (-1, *expected.shape[2:]) if expected.ndim > 3 else (1, *expected.shape)
    for number, (first, second) in enumerate(zip(expected.reshape(planes), output.reshape(planes), strict=True)):
        try:
            matches = match(first, second, IOU)
        except InputInvalid as error:
            return f"holds no labels in plane {number}: {error}"
        if matches.n_first != matches.n_second:
            return f"has {amount(matches.n_second, 'object')} instead of {matches.n_first} in plane {number}"
        overlap = int(matches.overlap.sum())
        share = min(overlap / size if size else 1.0 for size in (matches.foreground_first, matches.foreground_second))
        if share < SHARED:
            return f"has {share:.2%} of its objects' pixels in common with the expected ones in plane {number}, and needs {SHARED:.1%}"
    return ""


def _range(expected: Array) -> float:
    if not expected.size:
        return 1.0
    exact = expected if expected.dtype.kind == "f" else expected.astype(np.float64)  # the range of integers may exceed their type
    spread, floor = float(np.ptp(exact)), FLAT * float(np.abs(exact).max())
    return max(spread, floor) if spread else max(1.0, floor)


def _magnitude(expected: Array) -> float:
    return max(float(np.ptp(expected.astype(np.float64))), float(np.abs(expected).max())) or 1.0 if expected.size else 1.0


def _position(flat: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(index) for index in np.unravel_index(int(flat), shape))
