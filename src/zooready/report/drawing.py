"""Arrays as small PNG pictures inside a page."""

from __future__ import annotations

import base64
import colorsys
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from zooready.records import Array

SIDE = 420  # px; larger pictures are thinned out
PERCENTILES = (0.2, 99.8)
GOLDEN = 0.6180339887498949  # steps of this share of the colour circle keep neighbours apart
COLOURS = 1024
WORST = np.array([158.0, 22.0, 50.0])  # of a difference; none is white


def limits(array: Array) -> tuple[float, float]:
    """Black and white of a grey picture: percentiles, so that a hot pixel does not darken everything."""
    values = array[np.isfinite(array)]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(one) for one in np.percentile(values, PERCENTILES))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1.0


def data_url(array: Array, kind: str, contrast: tuple[float, float]) -> str:
    """A (y, x) picture as the source of an ``<img>``.

    Parameters
    ----------
    array
        (y, x), any numbers; NaN and infinity are drawn as magenta.
    kind
        ``image`` in grey between the two values of ``contrast``, ``labels`` in colours by number, ``difference`` from white to red.
    contrast
        Black and white of an image.
    """
    from PIL import Image

    stride = -(-max(array.shape) // SIDE)
    thin = array[::stride, ::stride]
    if kind == "labels":
        pixels = _palette()[np.nan_to_num(thin).astype(np.int64) % COLOURS]
        pixels[thin == 0] = (22, 24, 29)
    elif kind == "difference":
        share = _share(thin, 0.0, _largest(array))[..., None]
        pixels = (255 * (1 - share) + WORST * share).astype(np.uint8)
    else:
        pixels = np.repeat((255 * _share(thin, *contrast)).astype(np.uint8)[..., None], 3, axis=-1)
    pixels[~np.isfinite(thin)] = (255, 0, 255)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _share(array: Array, low: float, high: float) -> NDArray[np.float64]:
    span = high - low
    shares: NDArray[np.float64] = np.clip((np.nan_to_num(array.astype(np.float64)) - low) / (span or 1.0), 0, 1)
    return shares


def _largest(array: Array) -> float:
    finite = array[np.isfinite(array)]
    return float(finite.max()) if finite.size else 0.0


def _palette() -> NDArray[np.uint8]:
    """One bright colour for each number."""
    colours = [colorsys.hsv_to_rgb(k * GOLDEN % 1, 0.55 + 0.15 * (k % 3), 1 - 0.12 * (k % 4)) for k in range(COLOURS)]
    return (255 * np.array(colours)).astype(np.uint8)
