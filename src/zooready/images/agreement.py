"""Whether outputs agree with what was expected: THE judge of export, of check and of probing.

Images and scores agree by value (largest difference / range), labels by matched objects whatever their numbers; where outputs disagree,
the judge says in words where and by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zooready.errors import InputInvalid
from zooready.images.matching import match
from zooready.records import Array, Case

IOU = 0.5  # of two objects that are the same
NOT_FINITE = "values that are NaN or infinite"
SHARED = 0.999  # of both foregrounds that must lie inside overlaps of matched objects


def agreement(
    case: Case, outputs: Sequence[Array], kinds: Sequence[tuple[str, str]], ranges: Sequence[float], tolerance: float
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
        return None, f"{len(outputs)} outputs {where} instead of {len(case.outputs)}."
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


def ranges_of(test: Case) -> tuple[float, ...]:
    """Range of each output of the test pair, max - min, by which all cases are judged; 1 where it is zero."""
    return tuple(_range(output) for output in test.outputs)


def own_ranges_of(case: Case) -> tuple[float, ...]:
    """Range of each output of a case whose intensities may be far from those of the test pair.

    It is max - min, or the largest magnitude if that is larger, which keeps a flat image's rounding from being a difference.
    """
    return tuple(_magnitude(output) for output in case.outputs)


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
    return not value_fault(expected, output, _range(expected), tolerance)[1]


def _form_fault(expected: Array, output: Array) -> str:
    if output.shape != expected.shape:
        return f"has shape {output.shape} instead of {expected.shape}"
    if output.dtype != expected.dtype:
        return f"is {output.dtype} instead of {expected.dtype}"
    bad = ~np.isfinite(output)
    if bad.any():
        return f"has {int(bad.sum())} of {bad.size} {NOT_FINITE}, the first at {_position(bad.argmax(), bad.shape)}"
    return ""


def value_fault(expected: Array, output: Array, value_range: float, tolerance: float) -> tuple[float, str]:
    """Largest difference / range of two finite arrays of one shape, and what is wrong with it."""
    if not expected.size:
        return 0.0, ""
    difference = np.abs(output.astype(np.float64) - expected.astype(np.float64))
    largest = float(difference.max()) / value_range
    if largest <= tolerance:
        return largest, ""
    share = float((difference > tolerance * value_range).mean())
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
            return f"has {matches.n_second} objects instead of {matches.n_first} in plane {number}"
        overlap = int(matches.overlap.sum())
        share = min(overlap / size if size else 1.0 for size in (matches.foreground_first, matches.foreground_second))
        if share < SHARED:
            return f"has {share:.2%} of its objects' pixels in common with the expected ones in plane {number}, and needs {SHARED:.1%}"
    return ""


def _range(expected: Array) -> float:
    if not expected.size:
        return 1.0
    exact = expected if expected.dtype.kind == "f" else expected.astype(np.float64)  # the range of integers may exceed their type
    return float(np.ptp(exact)) or 1.0


def _magnitude(expected: Array) -> float:
    return max(float(np.ptp(expected.astype(np.float64))), float(np.abs(expected).max())) or 1.0 if expected.size else 1.0


def _position(flat: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(index) for index in np.unravel_index(int(flat), shape))
