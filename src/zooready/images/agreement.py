"""Whether outputs agree with what was expected: by value, or for labels by matched objects; and in words where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zooready.errors import InputInvalid
from zooready.images.matching import match
from zooready.records import Array, Bundle, Case

IOU = 0.5  # of two objects that are the same
NOT_FINITE = "values that are NaN or infinite"
SHARED = 0.999  # of both foregrounds that must lie inside overlaps of matched objects


def agreement(bundle: Bundle, case: Case, found: Sequence[Array], tolerance: float, *, own_range: bool = False) -> tuple[float | None, str]:
    """How far outputs are from a case's.

    Parameters
    ----------
    bundle
        Gives ids and kinds of the outputs, and their ranges: max - min in the test pair, unless ``own_range``.
    case, found
        Expected and found outputs, in the bundle's order.
    tolerance
        Largest difference / range that still agrees.
    own_range
        Take the ranges of this case, whose intensities may be far from those of the test pair: max - min, or the largest magnitude if
        that is larger, which keeps a flat image's rounding from being a difference.

    Returns
    -------
    difference
        Largest difference / range of the outputs compared by value; None if there is none, or shapes differ.
    why
        What is wrong, one sentence for each output; empty if all agree.
    """
    where = f"of case '{case.name}' {case.input.shape}"
    if len(found) != len(case.outputs):
        return None, f"{len(found)} outputs {where} instead of {len(case.outputs)}."
    largest: float | None = None
    faults = []
    for k, (name, kind) in enumerate(bundle.kinds):
        expected, array = case.outputs[k], np.asarray(found[k])
        fault = _form_fault(expected, array)
        if not fault and kind == "labels":
            fault = label_fault(expected, array)
        elif not fault:
            difference, fault = value_fault(
                expected, array, _magnitude(expected) if own_range else _range(bundle.cases[0].outputs[k]), tolerance
            )
            largest = max(difference, largest or 0.0)
        if fault:
            faults.append(f"'{name}' {where} {fault}.")
    return largest, " ".join(faults)


def _form_fault(expected: Array, found: Array) -> str:
    if found.shape != expected.shape:
        return f"has shape {found.shape} instead of {expected.shape}"
    if found.dtype != expected.dtype:
        return f"is {found.dtype} instead of {expected.dtype}"
    bad = ~np.isfinite(found)
    if bad.any():
        return f"has {int(bad.sum())} of {bad.size} {NOT_FINITE}, the first at {_place(bad.argmax(), bad.shape)}"
    return ""


def value_fault(expected: Array, found: Array, range: float, tolerance: float) -> tuple[float, str]:
    """Largest difference / range of two finite arrays of one shape, and what is wrong with it."""
    if not expected.size:
        return 0.0, ""
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    largest = float(difference.max()) / range
    if largest <= tolerance:
        return largest, ""
    share = float((difference > tolerance * range).mean())
    place = _place(difference.argmax(), difference.shape)
    return largest, f"is off by {largest:.2g} of the range at {place}, tolerance {tolerance:g} ({share:.1%} of the values are)"


def label_fault(expected: Array, found: Array) -> str:
    """What is wrong with label images (…, y, x): counts, or overlap of matched objects; empty if they agree."""
    planes = (-1, *expected.shape[2:]) if expected.ndim > 3 else (1, *expected.shape)
    for number, (first, second) in enumerate(zip(expected.reshape(planes), found.reshape(planes), strict=True)):
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
    return float(np.ptp(expected.astype(np.float64))) or 1.0 if expected.size else 1.0


def _magnitude(expected: Array) -> float:
    return max(float(np.ptp(expected.astype(np.float64))), float(np.abs(expected).max())) or 1.0 if expected.size else 1.0


def _place(flat: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(one) for one in np.unravel_index(int(flat), shape))
