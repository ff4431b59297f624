"""Outlines in the planes of a stack, of whatever file, become a label stack, in which an object has one number through its planes.

An outline whose name is a number belongs to the object of that number, in whatever plane. One without, as somebody draws it by hand,
belongs to the object whose outline in the plane above or below covers it, or is covered by it, by more than half; else it is a new one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid

NUMBER = re.compile(r"0*([1-9]\d{0,8})(-z\d+)?(-[1-9]\d{0,2})?")  # ImageJ's manager adds -1, -2, ... to the name of several regions
SAME = 0.5  # of the smaller of two outlines in neighbouring planes, above which they are of one object


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """Pixels inside an outline: ``mask`` (y, x) whose first pixel is at ``corner`` (y, x) of ``plane``, from 0."""

    name: str
    plane: int
    corner: tuple[int, int]
    mask: NDArray[np.bool_]

    @property
    def number(self) -> int:
        """Of the object that the name states; 0 if it states none.

        >>> names = ("0007", "7-1", "0007-z003", "0124-0345", "0003-0124-0345", "nucleus")
        >>> [Outline(name=name, plane=0, corner=(0, 0), mask=np.ones((1, 1), bool)).number for name in names]
        [7, 7, 7, 0, 0, 0]
        """
        stated = NUMBER.fullmatch(self.name)
        return int(stated[1]) if stated else 0

    @property
    def place(self) -> tuple[slice, slice]:
        """Of the mask in its plane."""
        (y, x), (height, width) = self.corner, self.mask.shape
        return slice(y, y + height), slice(x, x + width)


def cut(name: str, plane: int, inside: NDArray[np.bool_]) -> Outline:
    """An outline of the pixels (y, x) of its whole plane."""
    y, x = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    if not len(y):
        return Outline(name=name, plane=plane, corner=(0, 0), mask=np.zeros((0, 0), bool))
    return Outline(name=name, plane=plane, corner=(int(y[0]), int(x[0])), mask=inside[y[0] : y[-1] + 1, x[0] : x[-1] + 1].copy())


def label_stack(outlines: Sequence[Outline], shape: tuple[int, int, int], file: str) -> NDArray[np.int32]:
    """The objects of some outlines.

    Parameters
    ----------
    outlines
        In the order of the file; where two overlap, the later one counts.
    shape
        (z, y, x).
    file
        Its name, for errors.

    Returns
    -------
    ndarray
        ``shape``: 0 background, the numbers that names state, and higher ones for objects without.

    Raises
    ------
    InputInvalid
        An outline without a number belongs to two objects.
    """
    groups = _groups(outlines)
    numbers: dict[int, int] = {}
    for outline, group in zip(outlines, groups, strict=True):
        if outline.number and numbers.setdefault(group, outline.number) != outline.number:
            nameless = next(other.name for other, own in zip(outlines, groups, strict=True) if own == group and not other.number)
            raise InputInvalid(
                f"region {nameless!r} of {file} lies above or below objects {numbers[group]} and {outline.number}, so that it is not known "
                "to which it belongs: rename it to the number of its object, in the ROI Manager with Rename."
            )
    largest = max(numbers.values(), default=0)
    labels = np.zeros(shape, np.int32)
    for outline, group in zip(outlines, groups, strict=True):
        if group not in numbers:
            largest += 1
            numbers[group] = largest
        labels[outline.plane][outline.place][outline.mask] = numbers[group]
    return labels


def _groups(outlines: Sequence[Outline]) -> list[int]:
    """For each outline the index of one outline of its object, the same for all of one object."""
    parent = list(range(len(outlines)))

    def root(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    first: dict[int, int] = {}
    by_plane: dict[int, list[int]] = {}
    for index, outline in enumerate(outlines):
        by_plane.setdefault(outline.plane, []).append(index)
        if outline.number:
            parent[index] = first.setdefault(outline.number, index)
    for one, other in _beside(outlines, by_plane):
        a, b = sorted((root(one), root(other)))
        parent[b] = a
    return [root(index) for index in range(len(outlines))]


def _beside(outlines: Sequence[Outline], by_plane: dict[int, list[int]]) -> Iterator[tuple[int, int]]:
    """Pairs of outlines in neighbouring planes, one of them without a number, that cover each other."""
    for plane, indices in by_plane.items():
        for one in indices:
            for other in by_plane.get(plane + 1, []):
                if not (outlines[one].number and outlines[other].number) and _cover(outlines[one], outlines[other]):
                    yield one, other


def _cover(one: Outline, other: Outline) -> bool:
    """Whether two outlines share more than half of the smaller one."""
    parts = []
    for a, b in ((one, other), (other, one)):
        starts = [max(s.start, t.start) for s, t in zip(a.place, b.place, strict=True)]
        stops = [min(s.stop, t.stop) for s, t in zip(a.place, b.place, strict=True)]
        if any(start >= stop for start, stop in zip(starts, stops, strict=True)):
            return False
        y, x = (slice(start - corner, stop - corner) for start, stop, corner in zip(starts, stops, a.corner, strict=True))
        parts.append(a.mask[y, x])
    return bool((parts[0] & parts[1]).sum() > SAME * min(one.mask.sum(), other.mask.sum()))
