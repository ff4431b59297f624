"""Training pairs as training sees them, on one sheet to look at: crops with the outlines of their objects, or beside their targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from zooready.images.drawing import coloured, grey, side_by_side
from zooready.records import Pair
from zooready.training.ahead import Source

SHEET = "augmentation.png"  # in the folder of a run on files
PREDICTIONS = "predictions.png"  # in the folder of a run that makes images
ROWS, COLUMNS = 4, 6
GAP = 4  # px


def sheet(source: Source, seed: int) -> NDArray[np.uint8]:
    """The first 24 pairs of a training, (y, x, 3) uint8."""
    pairs = [source(seed, index) for index in range(ROWS * COLUMNS)]
    rows = [side_by_side([_panel(pair) for pair in pairs[start : start + COLUMNS]], GAP) for start in range(0, len(pairs), COLUMNS)]
    between = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, between)][:-1])


def predicted(pairs: Sequence[Pair], outputs: Sequence[NDArray[np.generic]]) -> NDArray[np.uint8] | None:
    """Held-out pairs in rows of image, output and target, first channels, (y, x, 3) uint8; None if the outputs are no images.

    ``outputs`` are the network's own of each pair, without the axis b.
    """
    rows = [
        side_by_side([grey(_plane(array)) for array in (pair.input, output, pair.target)], GAP)
        for pair, output in zip(pairs, outputs, strict=True)
        if output.ndim > 2 and pair.target.ndim > 2
    ]
    between = np.full((GAP, max((row.shape[1] for row in rows), default=1), 3), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, between)][:-1]) if rows else None


def _panel(pair: Pair) -> NDArray[np.uint8]:
    """The first channel, of a stack its middle plane; with outlines if the pair has labels, above its target if that is an image."""
    image = _plane(pair.input)
    panel = grey(image)
    if pair.truth is not None and pair.truth.shape == image.shape:
        line = find_boundaries(pair.truth, mode="inner")
        panel[line] = coloured(pair.truth)[line]
        return panel
    return np.concatenate([panel, grey(_plane(pair.target))]) if pair.target.shape[-2:] == image.shape else panel


def _plane(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """(c, y, x) or (c, z, y, x) -> (y, x); of a vector itself."""
    while array.ndim > 2:
        array = array[0] if array.ndim == 3 else array[:, array.shape[1] // 2]
    return array
