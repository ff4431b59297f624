"""Arrays become pictures for people: grey by percentiles, labels by random colours, differences in red and blue.

May import: nothing
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]


def grey(plane: NDArray[np.generic]) -> RGB:
    """(y, x) of any range -> (y, x, 3) uint8; the lowest and highest 0.3 % are black and white."""
    values = np.nan_to_num(np.asarray(plane, dtype=np.float64))
    low, high = np.percentile(values, (0.3, 99.7)) if values.size else (0.0, 1.0)
    scaled = np.clip((values - low) / (high - low if high > low else 1.0), 0, 1)
    return np.repeat((scaled * 255).astype(np.uint8)[..., None], 3, axis=-1)


def coloured(labels: NDArray[np.generic]) -> RGB:
    """(y, x) labels, 0 is background -> (y, x, 3) uint8, one of many colours an object, the same colours every time."""
    rng = np.random.default_rng(7)
    hue, value = rng.permutation(np.linspace(0, 1, 997)), rng.uniform(0.7, 1.0, 997)
    wheel = np.clip(np.abs(((hue[:, None] + np.array([0, 2 / 3, 1 / 3])) % 1) * 6 - 3) - 1, 0, 1)
    colours = ((0.25 + 0.75 * wheel) * value[:, None] * 255).astype(np.uint8)
    index = np.nan_to_num(np.asarray(labels)).astype(np.int64)
    picture: RGB = np.where(index[..., None] > 0, colours[index % len(colours)], 0).astype(np.uint8)
    return picture


def signed(difference: NDArray[np.generic], span: float) -> RGB:
    """(y, x) differences -> (y, x, 3) uint8: white is none, red is +span and more, blue is -span and less."""
    strength = np.clip(np.nan_to_num(np.asarray(difference, dtype=np.float64)) / (span or 1.0), -1, 1)[..., None]
    red, blue = np.array([-0.1, -0.85, -0.85]), np.array([-0.85, -0.7, -0.1])
    picture: RGB = ((1 + np.where(strength > 0, strength * red, -strength * blue)) * 255).astype(np.uint8)
    return picture


def side_by_side(panels: list[RGB], gap: int = 6) -> RGB:
    """Panels of equal height, a white gap between them."""
    height = max(panel.shape[0] for panel in panels)
    strips: list[RGB] = []
    for panel in panels:
        strips += [np.full((height, gap, 3), 255, np.uint8)] if strips else []
        strips += [np.pad(panel, ((0, height - panel.shape[0]), (0, 0), (0, 0)), constant_values=255)]
    return np.concatenate(strips, axis=1)


def bars(values: NDArray[np.generic], height: int) -> RGB:
    """(n,) scores -> a bar chart (height, height, 3) uint8, the largest bar dark."""
    numbers = np.nan_to_num(np.asarray(values, dtype=np.float64))
    share = (numbers - min(0.0, numbers.min())) / ((numbers.max() - min(0.0, numbers.min())) or 1.0)
    chart: RGB = np.full((height, height, 3), 255, np.uint8)
    width = max(1, height // len(share))
    for index, one in enumerate(share):
        top = height - max(1, int(one * (height - 4)))
        chart[top:, index * width : (index + 1) * width - (width > 2)] = (40, 70, 120) if one == share.max() else (160, 180, 205)
    return chart
