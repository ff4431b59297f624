"""What objects a set of images with label images shows, so that a network that was trained on them can say which images it knows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zooready.images.appearance import background, diameters_px
from zooready.records import Pair
from zooready.tensors import Objects

WIDER = 1.5  # times the smallest and the largest object, since the images are a sample of those to come
USUAL = (1, 99)  # percentiles of the diameters that count as smallest and largest: outlines have slips
NEARBY = 0.2  # brightness of backgrounds so far beyond the darkest and the brightest one counts as known


def objects_in(pairs: Sequence[Pair]) -> Objects | None:
    """The objects of pairs whose ``truth`` is a label image (y, x), with some room on every side; None if there is no object.

    The largest share of foreground is taken halfway between that of the images and 1.
    """
    labelled = [(pair.input, pair.truth) for pair in pairs if pair.truth is not None and pair.truth.any()]
    if not labelled:
        return None
    smallest, largest = np.percentile(np.concatenate([diameters_px(truth) for _, truth in labelled]), USUAL)
    covered = max(float((truth != 0).mean()) for _, truth in labelled)
    levels = [background(image.mean(0), truth) for image, truth in labelled]
    return Objects(
        diameter_px=(round(float(smallest) / WIDER, 1), round(float(largest) * WIDER, 1)),
        foreground=round((1 + covered) / 2, 2),
        background=(round(max(min(levels) - NEARBY, 0.0), 2), round(min(max(levels) + NEARBY, 1.0), 2)),
    )


def notes_on_points(pairs: Sequence[Pair]) -> list[str]:
    """A note where half of the objects or more of pairs with a label image as ``truth`` are single pixels, as points of ImageJ are."""
    diameters = [diameters_px(pair.truth) for pair in pairs if pair.truth is not None and pair.truth.any()]
    if not diameters or np.median(np.concatenate(diameters)) > diameters_px(np.ones((1, 1), np.int32))[0]:
        return []
    return [
        "most objects of the masks are single pixels, as points are, and this network learns the extent of objects: outline them, or train "
        "spots, which takes points."
    ]
