"""Whatever a caller gives as an image, as one: a file, an array, or an Image."""

from __future__ import annotations

from pathlib import Path

from zooready.errors import InputInvalid
from zooready.images.files import read_image
from zooready.records import Array, Image


def as_image(image: Path | str | Image | Array) -> Image:
    """A file, an array (y, x) or (c, y, x), or an image, as an :class:`Image`.

    Raises
    ------
    InputInvalid
        The file cannot be read, or the array has another number of axes.
    """
    if isinstance(image, Image):
        return image
    if isinstance(image, str | Path):
        return read_image(image)
    if image.ndim not in (2, 3):
        raise InputInvalid(f"an image of shape {image.shape}: give (y, x) or (c, y, x), or an Image that names its axes.")
    return Image(array=image, axes="yx" if image.ndim == 2 else "cyx")


def as_plane(image: Path | str | Array) -> Array:
    """The one plane (y, x) of a mask or label image.

    Raises
    ------
    InputInvalid
        It cannot be read, or has channels, planes or time points.
    """
    loaded = as_image(image)
    if loaded.axes != "yx":
        raise InputInvalid(f"a mask or label image has axes {loaded.axes!r}: give one plane of one channel.")
    return loaded.array
