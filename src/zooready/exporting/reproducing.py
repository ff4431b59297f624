"""What bioimageio's own test is to allow a bundle: it compares counts where we compare shares of the range.

It takes abs(output - expected) <= absolute + relative * abs(expected) in all but a few of a million values, with 0.001, 0.001 and 100
unless a bundle states others for an output. Of an output in the thousands, float32 rounds more than that away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zooready.records import Array, Case
from zooready.tensors import TensorSpec

RELATIVE, ABSOLUTE, MISMATCHED = 1e-3, 1e-3, 100  # what is allowed where nothing is stated; the last of a million values
MARGIN = 2.0  # times the measured difference, for other machines
MOST, MOST_MISMATCHED = 0.01, 5000  # what the specification allows: of the largest expected value; of a million values


def stated(
    specs: Sequence[TensorSpec], expected: Case, measured: Iterable[Sequence[Array]]
) -> tuple[tuple[dict[str, Any], ...], tuple[str, ...]]:
    """Entries of ``reproducibility_tolerance`` for the outputs that ask for one.

    Parameters
    ----------
    specs
        Of the outputs.
    expected
        The test pair.
    measured
        What each file gave for its input.

    Returns
    -------
    entries
        One for each output that differs by more than is allowed without one: plain data.
    notes
        A sentence on each output whose difference is larger than the specification can state.
    """
    entries: list[dict[str, Any]] = []
    notes: list[str] = []
    for spec, right, *given in zip(specs, expected.outputs, *measured, strict=True):
        worst = max((_excess(right, output) for output in given), default=(0.0, 0.0))
        if worst[1] <= MISMATCHED:
            continue
        entry: dict[str, Any] = {"relative_tolerance": RELATIVE, "absolute_tolerance": ABSOLUTE}
        if spec.kind == "labels":
            entry["mismatched_elements_per_million"] = math.ceil(MARGIN * worst[1])
            is_statable = entry["mismatched_elements_per_million"] <= MOST_MISMATCHED
            most, was = f"{MOST_MISMATCHED} of a million values", f"{worst[1]:.0f}"
        else:
            entry["absolute_tolerance"] = _rounded_up(MARGIN * worst[0])
            is_statable = entry["absolute_tolerance"] <= MOST * float(right.max())
            most, was = f"{MOST:.0%} of the largest value", f"{worst[0]:.2g}"
        if is_statable:
            entries.append({**entry, "output_ids": [spec.name]})
        else:
            notes.append(
                f"bioimageio's own test will say that '{spec.name}' differs: a bundle can state at most {most} for what was measured as "
                f"{was} and may be {MARGIN:g} times that on other machines"
            )
    return tuple(entries), tuple(notes)


def _excess(expected: Array, output: Array) -> tuple[float, float]:
    """Largest difference beyond the relative share, and how many of a million values are beyond what is allowed."""
    beyond = np.abs(output.astype(np.float64) - expected) - RELATIVE * np.abs(expected.astype(np.float64))
    return float(beyond.max()), 1e6 * float((beyond > ABSOLUTE).mean())


def _rounded_up(value: float) -> float:
    """The next number of one digit.

    >>> _rounded_up(0.0123), _rounded_up(5.0)
    (0.02, 5.0)
    """
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(round(value / power, 6)) * power:.0e}")
