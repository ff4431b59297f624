"""Objects of two label images, matched one to one by their overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.errors import InputInvalid


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Which objects of two label images are the same.

    ``pairs`` is (k, 2) int64, the labels of each matched pair, in ascending order of the first; ``iou`` (k,) float64 in
    (0, 1] is intersection / union and ``overlap`` (k,) int64 the intersection in pixels of each pair. ``n_first`` and
    ``n_second`` count objects, ``foreground_first`` and ``foreground_second`` pixels that are not background.
    """

    pairs: NDArray[np.int64]
    iou: NDArray[np.float64]
    overlap: NDArray[np.int64]
    n_first: int
    n_second: int
    foreground_first: int
    foreground_second: int

    @property
    def f1(self) -> float:
        """2 · matched / (objects in the first + objects in the second), 0..1; 1 when both are empty."""
        objects = self.n_first + self.n_second
        return 2 * len(self.pairs) / objects if objects else 1.0

    @property
    def mean_iou(self) -> float:
        """Mean intersection over union of the matched pairs, 0..1; 0 when nothing matched."""
        return float(self.iou.mean()) if len(self.iou) else 0.0


def match(first: NDArray[Any], second: NDArray[Any], iou: float = 0.5) -> Matches:
    """Objects of ``first`` and ``second`` whose intersection over union exceeds ``iou``.

    Parameters
    ----------
    first, second
        Label images of equal shape, e.g. (y, x); whole numbers of any dtype, 0 is background.
    iou
        At least 0.5, so that an object has at most one partner and the matching is unique, and below 1.

    Raises
    ------
    InputInvalid
        Shapes differ, values are not labels, or ``iou`` is out of range.

    Examples
    --------
    >>> matches = match(np.array([[1, 1, 0, 7]]), np.array([[3, 3, 3, 0]]))
    >>> matches.pairs.tolist(), round(matches.mean_iou, 3), matches.f1
    ([[1, 3]], 0.667, 0.6666666666666666)
    """
    if first.shape != second.shape:
        raise InputInvalid(f"label images of shapes {first.shape} and {second.shape} cannot be matched: give two of equal shape.")
    if not 0.5 <= iou < 1:
        raise InputInvalid(f"iou={iou} gives no unique matching: choose 0.5 <= iou < 1.")
    first, second = _labels(first, "first"), _labels(second, "second")
    names_first, areas_first = np.unique(first[first > 0], return_counts=True)
    names_second, areas_second = np.unique(second[second > 0], return_counts=True)
    both = (first > 0) & (second > 0)
    width = int(names_second.max(initial=0)) + 1
    keys, overlap = np.unique(_rank(names_first, first[both]) * width + second[both], return_counts=True)
    rank, name_second = keys // width, keys % width
    union = areas_first[rank] + areas_second[_rank(names_second, name_second)] - overlap
    ratio = overlap / union
    kept = ratio > iou
    return Matches(
        pairs=np.stack([names_first[rank[kept]], name_second[kept]], axis=1),
        iou=ratio[kept],
        overlap=overlap[kept].astype(np.int64),
        n_first=len(names_first),
        n_second=len(names_second),
        foreground_first=int(areas_first.sum()),
        foreground_second=int(areas_second.sum()),
    )


def match_middles(first: NDArray[Any], second: NDArray[Any], within_px: float) -> tuple[float, float]:
    """Objects of two label images (y, x) matched by the distance of their middles, as spots are: F1, and the median distance in px.

    F1 is 1 when both are empty; the median is nan when nothing matched.
    """
    n_first, n_second, distances = distances_of_middles(first, second, within_px)
    f1 = 2 * len(distances) / (n_first + n_second) if n_first + n_second else 1.0
    return f1, float(np.median(distances)) if len(distances) else float("nan")


def distances_of_middles(first: NDArray[Any], second: NDArray[Any], within_px: float) -> tuple[int, int, NDArray[np.float64]]:
    """Objects of the first label image (y, x), of the second, and the distance of the middles of each pair that is matched, px.

    The pairing is the largest one with distances up to ``within_px``, and of those the nearest.
    """
    here, there = (middles(_labels(image, name)) for image, name in ((first, "first"), (second, "second")))
    distance = np.linalg.norm(here[:, None] - there[None], axis=-1)
    far = within_px * (1 + min(distance.shape))  # so that one more pair is always worth more than shorter ones
    rows, columns = scipy.optimize.linear_sum_assignment(np.where(distance <= within_px, distance, far))
    kept = distance[rows, columns][distance[rows, columns] <= within_px]
    return len(here), len(there), np.asarray(kept, np.float64)


def middles(image: NDArray[Any]) -> NDArray[np.float64]:
    """(n, 2) y and x of the middle of each object of a label image, px, in the order of their labels."""
    names = np.unique(image[image > 0])
    return np.reshape(scipy.ndimage.center_of_mass(image > 0, image, names), (-1, 2)).astype(np.float64)


def f1(first: NDArray[Any], second: NDArray[Any], iou: float = 0.5) -> float:
    """F1 of the objects in two label images at one threshold of intersection over union, 0..1; see :func:`match`."""
    return match(first, second, iou).f1


def _labels(image: NDArray[Any], name: str) -> NDArray[np.int64]:
    """The image as int64, once it is checked to hold labels."""
    if image.dtype.kind == "f" and not (np.isfinite(image).all() and (image == np.floor(image)).all()):
        raise InputInvalid(f"the {name} label image holds values that are not whole numbers: labels are 0 (background), 1, 2, …")
    if image.dtype.kind not in "iubf" or (image.size and image.min() < 0):
        raise InputInvalid(f"the {name} label image ({image.dtype}) holds no labels: they are 0 (background), 1, 2, …, never negative.")
    return image.astype(np.int64)


def _rank(names: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each label among the ascending ``names``, which contain it."""
    if len(names) and names[-1] < 1 << 24:
        table = np.zeros(int(names[-1]) + 1, np.int64)
        table[names] = np.arange(len(names))
        return table[labels]
    return np.searchsorted(names, labels)
