"""Objects of an image of any size, from its stitched probabilities: the same that the network's own labelling finds in the whole image.

    cores, tile by tile -> parts of a core that touch across tiles are one -> numbers in the order of their last pixels
    -> foreground climbs to its core, tile by tile with a halo -> objects that are too small go, the others are numbered again

The steps are those of :class:`zooready.nets.labelling.Instances`, or of :class:`zooready.nets.peaks.Peaks`, whose cores are the peaks and
whose foreground does not climb; all but the numbering look no farther than a known distance, so that nothing depends on the tiling.
Those of :class:`zooready.nets.classed.ClassedInstances` number the foreground without a core as well, and count each object's classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zooready.images.mapped import blocks, release
from zooready.prediction.tiles import Tile, tiles
from zooready.records import Array, as_float32

if TYPE_CHECKING:
    from torch import Tensor

    from zooready.nets.labelling import Instances

SIDE = 1536  # px, of the windows in which objects are found
TOUCHING = np.ones((3, 3), bool)  # diagonal neighbours touch
Numbers = NDArray[np.int64]


def label(probabilities: Array, seeds: Array, labels: Array, head: Instances, side: int = SIDE, classes: Array | None = None) -> int:
    """Find objects.

    Parameters
    ----------
    probabilities
        (2, y, x) float32: foreground and distance; (2 + k, y, x) with those of k classes.
    seeds, labels
        (y, x) int32 zeros; ``labels`` become 0 in the background and 1...n, ``seeds`` numbers on the way there.
    head
        The labelling, with its thresholds.
    side
        Of the windows, px, their halo included.
    classes
        (y, x) int32 zeros; become the class of each object, 1...k on its pixels. None if nobody asks.

    Returns
    -------
    int
        Number of objects.
    """
    size = (probabilities.shape[1], probabilities.shape[2])
    numbers = _numbered(lambda tile: _core(probabilities[:2, *tile.window], head), size, seeds, side)
    _replace(seeds, numbers)
    areas = np.zeros(int(numbers.max(initial=0)) + 1, np.int64)
    reach = head.growth + 2 + (0 if _marks_peaks(head) else 2**head.doublings)
    for tile in tiles(size, side + 2 * reach, halo=reach):
        found = _climbed(probabilities[:2, *tile.window], seeds[tile.window], head)
        labels[tile.inner] = tile.cropped(found)
        areas += np.bincount(labels[tile.inner].ravel(), minlength=len(areas))
        for array in (probabilities, seeds, labels):
            release(array)
    if type(head).__name__ == "ClassedInstances":
        more = _coreless(probabilities[0], seeds, labels, head.foreground, side=side, after=len(areas) - 1)
        areas = np.append(areas, more)
    areas[0] = 0
    total, squares = int(areas.sum()), int((areas * areas).sum())
    is_kept = np.asarray((areas > 0) & (areas * total * 100 >= squares * head.smallest))
    _replace(labels, np.where(is_kept, np.cumsum(is_kept), 0))
    count = int(is_kept.sum())
    if classes is not None:
        _classify(probabilities, labels, classes, count)
    return count


def _coreless(chances: Array, seeds: Array, labels: Array, foreground: float, *, side: int, after: int) -> Numbers:
    """Number the parts of the foreground that have no label, in ``labels``, from ``after`` + 1; the area of each, px."""
    size = (labels.shape[0], labels.shape[1])
    numbers = _numbered(lambda tile: (chances[tile.window] > foreground) & (labels[tile.window] == 0), size, seeds, side)
    _replace(seeds, numbers)
    areas = np.zeros(int(numbers.max(initial=0)) + 1, np.int64)
    for block in blocks(seeds):
        part = seeds[block]
        labels[block] = np.where(part > 0, part + after, labels[block])
        areas += np.bincount(part.ravel(), minlength=len(areas))
    return areas[1:]


def _classify(probabilities: Array, labels: Array, classes: Array, count: int) -> None:
    """The class that most pixels of an object have, on all of its pixels, the first of several equal ones."""
    number = len(probabilities) - 2
    votes = np.zeros((count + 1) * number, np.int64)
    for block in blocks(labels):
        highest = np.argmax(probabilities[2:, *block], axis=0)
        votes += np.bincount((labels[block].astype(np.int64) * number + highest).ravel(), minlength=len(votes))
        release(probabilities)
    best = np.argmax(votes.reshape(count + 1, number), axis=1) + 1
    best[0] = 0
    for block in blocks(labels):
        classes[block] = best[labels[block]]


def _numbered(core_of: Callable[[Tile], NDArray[np.bool_]], size: tuple[int, int], seeds: Array, side: int) -> Numbers:
    """Number the parts of cores inside each tile, in ``seeds``; the number of the whole core for each of these, 0 for 0.

    ``core_of`` says where the pixels of a tile's window belong to a core, (y, x).
    """
    from scipy.ndimage import label as connected

    parents, last = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
    count = 0
    for tile in tiles(size, side + 2, halo=1):
        core = tile.cropped(core_of(tile))
        parts, new = connected(core, TOUCHING)
        y, x = np.nonzero(parts)
        ends = np.zeros(new + 1, np.int64)
        block = (y + tile.inner[0].start) // 2 * -(-size[1] // 2) + (x + tile.inner[1].start) // 2  # as in zooready.nets.components
        np.maximum.at(ends, parts[y, x], block)
        seeds[tile.inner] = np.where(parts, parts + count, 0)
        parents.append(np.arange(count + 1, count + new + 1))
        last.append(ends[1:])
        count += new
    parent, ends = np.concatenate(parents), np.concatenate(last)
    for tile in tiles(size, side + 2, halo=1):
        _join(seeds, tile, parent)
    for number in range(1, len(parent)):  # a parent has the smaller number, so its own root is known
        parent[number] = parent[parent[number]]
    whole = np.zeros(len(parent), np.int64)
    np.maximum.at(whole, parent, ends)
    roots = np.flatnonzero(parent == np.arange(len(parent)))[1:]
    ranks = np.zeros(len(parent), np.int64)
    ranks[roots[np.argsort(whole[roots])]] = np.arange(1, len(roots) + 1)
    numbers: Numbers = ranks[parent]
    return numbers


def _core(probabilities: Array, head: Instances) -> NDArray[np.bool_]:
    """Where the pixels of a window (2, y, x) belong to a core, (y, x)."""
    _, height = _heights(probabilities, head)
    release(probabilities)
    core: NDArray[np.bool_] = (height > head.core)[0, 0].numpy()
    return core


def _marks_peaks(head: Instances) -> bool:
    return type(head).__name__ == "Peaks"  # without importing it, and PyTorch with it


def _heights(probabilities: Array, head: Instances) -> tuple[Tensor, Tensor]:
    """Foreground and height of a window (2, y, x), (1, 1, y, x) each."""
    import torch

    given = torch.from_numpy(as_float32(probabilities).copy())[None]
    with torch.no_grad():
        return head.heights(given)


def _climbed(probabilities: Array, seeds: Array, head: Instances) -> NDArray[np.int32]:
    """Labels of a window from the numbers of its cores, (y, x) each."""
    import torch

    foreground, height = _heights(probabilities, head)
    near, back = np.unique(seeds, return_inverse=True)  # few, so that float32 holds them
    near, back = (near, back) if near[0] == 0 else (np.concatenate(([0], near)), back + 1)
    with torch.no_grad():
        numbers = torch.from_numpy(back.reshape(1, 1, *seeds.shape).astype(np.float32))
        found = head.grown(numbers if _marks_peaks(head) else head.climbed(numbers, foreground, height), foreground)
    return near.astype(np.int32)[found[0, 0].numpy().astype(np.int64)]


def _join(seeds: Array, tile: Tile, parent: Numbers) -> None:
    """Make one the parts that touch across the upper and the left edge of a tile."""
    y, x = tile.inner
    pairs = []
    if y.start:
        line, above = seeds[y.start, x], seeds[y.start - 1, max(0, x.start - 1) : x.stop + 1]
        pairs.append((line, above, 1 if x.start else 0))
    if x.start:
        line, left = seeds[y, x.start], seeds[max(0, y.start - 1) : y.stop + 1, x.start - 1]
        pairs.append((line, left, 1 if y.start else 0))
    for line, other, shift in pairs:
        for step in (-1, 0, 1):
            index = np.arange(len(line)) + step + shift
            inside = (index >= 0) & (index < len(other))
            ours, theirs = line[inside], other[index[inside]]
            for a, b in set(zip(ours[(ours > 0) & (theirs > 0)].tolist(), theirs[(ours > 0) & (theirs > 0)].tolist(), strict=True)):
                _unite(parent, a, b)


def _unite(parent: Numbers, a: int, b: int) -> None:
    a, b = _root(parent, a), _root(parent, b)
    parent[max(a, b)] = min(a, b)


def _root(parent: Numbers, number: int) -> int:
    while parent[number] != number:
        number = int(parent[number])
    return number


def _replace(numbers: Array, by: Numbers) -> None:
    """Every number of an array (y, x) int32 becomes the one at its place in ``by``."""
    for block in blocks(numbers):
        numbers[block] = by[numbers[block]]
