"""Images embedded in an HTML page."""

from __future__ import annotations

import base64
from io import BytesIO

from zooready.images import drawing
from zooready.records import Array

SIDE = 420  # px; of larger images only every second, third, ... pixel is shown


def data_url(array: Array, kind: str, contrast: tuple[float, float]) -> str:
    """A (y, x) image as the source of an ``<img>``.

    Parameters
    ----------
    array
        (y, x), any numbers; NaN and infinity are drawn as magenta.
    kind
        ``image`` in grey between the two values of ``contrast``, ``labels`` in colours by number, ``difference`` from white to red.
    contrast
        Intensities drawn black and white.
    """
    from PIL import Image

    stride = -(-max(array.shape) // SIDE)
    thin = array[::stride, ::stride]
    if kind == "labels":
        pixels = drawing.coloured(thin)
    else:
        pixels = drawing.difference(thin) if kind == "difference" else drawing.grey(thin, contrast)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
