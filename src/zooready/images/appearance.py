"""How objects look in an image: how wide they are, and how dark the background is in which they lie."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.records import Array

RIM_PX = 2  # pixels so near to an object are not background


def diameters_px(labels: Array) -> NDArray[np.float64]:
    """Diameter of a disk of each object's area, px, sorted; ``labels`` (..., y, x), 0 background."""
    numbers, areas = np.unique(labels, return_counts=True)
    return np.asarray(np.sort(np.sqrt(4 / np.pi * areas[numbers != 0])))


def usual_px(diameters: Array) -> float:
    """The mean of diameters weighted by area, px: that of the object in which an average pixel of all objects lies; 0 of none."""
    return float((diameters**3).sum() / max((diameters**2).sum(), 1e-9))


def background(image: Array, labels: Array | None = None) -> float:
    """Brightness of the background: 0 that of the 1st percentile of the image, 1 that of the 99th.

    Parameters
    ----------
    image, labels
        (y, x) each; 0 in ``labels`` is background, and None is an image without objects.

    Returns
    -------
    float
        Median of what lies beyond objects; of the whole image where objects leave nothing; 0 for a constant image.
    """
    outside = np.ones(image.shape, bool) if labels is None else ~scipy.ndimage.binary_dilation(labels != 0, iterations=RIM_PX)
    low, high = np.percentile(image, (1, 99))
    level = np.median(image[outside] if outside.any() else image)
    return float((level - low) / (high - low)) if high > low else 0.0
