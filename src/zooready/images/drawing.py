"""Arrays become RGB images for display: intensities in grey, labels in colours, differences from white to red."""

from __future__ import annotations

import colorsys
import math

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
PERCENTILES = (0.2, 99.8)
GOLDEN = 0.6180339887498949  # steps of this share of the colour circle keep neighbours apart
COLOURS = 1024
WORST = np.array([158.0, 22.0, 50.0])  # colour of the largest difference; none is white
BAD = (255, 0, 255)  # NaN and infinity


def limits(plane: NDArray[np.generic]) -> tuple[float, float]:
    """Intensities drawn black and white: percentiles, so that a hot pixel does not darken the image."""
    values = np.asarray(plane, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, PERCENTILES))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1.0


def grey(plane: NDArray[np.generic], contrast: tuple[float, float] | None = None) -> RGB:
    """(y, x) of any range -> (y, x, 3) uint8, black and white at ``contrast`` or :func:`limits`; values that are not finite are magenta."""
    low, high = contrast or limits(plane)
    values = np.asarray(plane, dtype=np.float64)
    image: RGB = np.repeat((255 * np.clip((np.nan_to_num(values) - low) / (high - low), 0, 1)).astype(np.uint8)[..., None], 3, axis=-1)
    image[~np.isfinite(values)] = BAD
    return image


def coloured(labels: NDArray[np.generic]) -> RGB:
    """(y, x) labels, 0 is background -> (y, x, 3) uint8, one bright colour for each label, always the same."""
    index = np.nan_to_num(np.asarray(labels)).astype(np.int64)
    palette = [colorsys.hsv_to_rgb(k * GOLDEN % 1, 0.55 + 0.15 * (k % 3), 1 - 0.12 * (k % 4)) for k in range(COLOURS)]
    image: RGB = (255 * np.array(palette)).astype(np.uint8)[index % COLOURS]
    image[index == 0] = 0
    return image


def difference(plane: NDArray[np.generic]) -> RGB:
    """(y, x) differences, at least 0 -> (y, x, 3) uint8 from white (none) to red (the largest); values that are not finite are magenta."""
    values = np.asarray(plane, dtype=np.float64)
    finite = values[np.isfinite(values)]
    largest = float(finite.max()) if finite.size else 0.0
    share = np.clip(np.nan_to_num(values) / (largest or 1.0), 0, 1)[..., None]
    image: RGB = (255 * (1 - share) + WORST * share).astype(np.uint8)
    image[~np.isfinite(values)] = BAD
    return image


def side_by_side(panels: list[RGB], gap: int = 6) -> RGB:
    """Images (y, x, 3) in one row, padded to equal height, with white gaps of ``gap`` px between them."""
    height = max(panel.shape[0] for panel in panels)
    strips: list[RGB] = []
    for panel in panels:
        strips += [np.full((height, gap, 3), 255, np.uint8)] if strips else []
        strips += [np.pad(panel, ((0, height - panel.shape[0]), (0, 0), (0, 0)), constant_values=255)]
    return np.concatenate(strips, axis=1)


def bars(values: NDArray[np.generic], height: int) -> RGB:
    """(n,) scores -> a bar chart (height, height, 3) uint8, the largest bar dark."""
    numbers = np.nan_to_num(np.asarray(values, dtype=np.float64))
    shares = (numbers - min(0.0, numbers.min())) / ((numbers.max() - min(0.0, numbers.min())) or 1.0)
    chart: RGB = np.full((height, height, 3), 255, np.uint8)
    width = max(1, height // len(shares))
    for index, share in enumerate(shares):
        top = height - max(1, int(share * (height - 4)))
        chart[top:, index * width : (index + 1) * width - (width > 2)] = (40, 70, 120) if share == shares.max() else (160, 180, 205)
    return chart


def round_length(largest: float) -> float:
    """A length for a scale bar: the largest of 1, 2, 5, 10, ... (and their tenths) that is not larger.

    >>> round_length(37.0), round_length(0.9)
    (20.0, 0.5)
    """
    power = 10.0 ** math.floor(math.log10(largest))
    return max(step * power for step in (1, 2, 5) if step * power <= largest * (1 + 1e-9))
