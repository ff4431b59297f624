"""Faults of image files, and notes that a user should read before training on them.

A file with a fault is not used; a file with a note is. Readers collect both for all files, so that one message lists everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from zooready.errors import InputInvalid
from zooready.records import Array

SHOWN = 10  # faults in one message
FULL_WELLS = {"uint8": (255,), "uint16": (1023, 4095, 16383, 65535)}  # the largest values of cameras with 8, 10, 12, 14 and 16 bits
SATURATED = 1e-3  # share of the pixels; a smaller one is explained by a few hot pixels


def refuse(source: Path, faults: Sequence[str], *, verb: str = "trained on") -> None:
    """Raise one error with the first faults and the number of the others; do nothing if there are none.

    Raises
    ------
    InputInvalid
        There are faults.
    """
    if faults:
        more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        lines = "\n  ".join([*faults[:SHOWN], *more])
        raise InputInvalid(f"{source} cannot be {verb}. Repair or remove these files:\n  {lines}")


def saturation(array: Array) -> float:
    """Share of the pixels that have the largest value of a camera; 0 if the image's largest value is not that of a camera.

    >>> saturation(np.array([[7, 4095], [4095, 12]], np.uint16))
    0.5
    """
    if not array.size or (largest := array.max()) not in FULL_WELLS.get(array.dtype.name, ()):
        return 0.0
    return float((array == largest).mean())


def notes_on(array: Array, axes: str, name: str) -> list[str]:
    """Notes on an image that can be used but may mislead: saturated, constant, constant channels or planes."""
    notes = []
    if array.size and array.min() == array.max():
        return [f"{name} is blank: every pixel is {array.flat[0]}."]
    if (share := saturation(array)) >= SATURATED:
        notes.append(
            f"{name} is saturated: {100 * share:.1f} % of its pixels are {array.max()}, the camera's largest value, "
            "so brighter details are lost. Take it again with less light."
        )
    for axis, what in (("c", "channels"), ("z", "planes"), ("t", "times")):
        if axis in axes:
            planes = np.moveaxis(array, axes.index(axis), 0)
            blank = [number for number, plane in enumerate(planes, 1) if plane.min() == plane.max()]
            if blank:
                notes.append(f"{name} has blank {what}: {_few(blank)} of {len(planes)}; they may be missing.")
    return notes


def where_not_finite(array: Array) -> tuple[int, tuple[int, ...]]:
    """Number of values that are NaN or infinite, and the position of the first; 0 and () if there are none."""
    if array.dtype.kind != "f":
        return 0, ()
    bad = ~np.isfinite(array)
    count = int(bad.sum())
    return count, tuple(int(i) for i in np.unravel_index(bad.argmax(), array.shape)) if count else ()


def _few(numbers: Iterable[int], most: int = 5) -> str:
    """Numbers as text, the first ``most`` of them."""
    listed = list(numbers)
    return ", ".join(map(str, listed[:most])) + (f" and {len(listed) - most} more" if len(listed) > most else "")
