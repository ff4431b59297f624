"""Whatever a caller gives as an image, as one: a file, an array of any library, or an Image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from zooready.errors import InputInvalid
from zooready.images.files import read_image, read_mask
from zooready.images.tiff import ORDER, RGB, in_order
from zooready.records import Array, Image


class HasArray(Protocol):
    """An array of another library than NumPy, such as xarray, Dask or PyTorch."""

    def __array__(self) -> Array:
        """The values in memory."""
        ...


Given = Path | str | Image | HasArray | Sequence[Any]


def as_image(image: Given, *, axes: str | None = None) -> Image:
    """Whatever a caller gives, as an :class:`Image`.

    Parameters
    ----------
    image
        A file, an :class:`Image`, or an array: of NumPy, PyTorch, xarray (whose dimensions name the axes if they are letters of
        ``tzcyx``), anything with ``__array__``, nested lists.
    axes
        Letters of ``tzcyx`` for the axes of the array, or of the file's array; (y, x) or (c, y, x) if None.

    Raises
    ------
    InputInvalid
        The file cannot be read, or the array has other axes or no numbers.
    """
    if isinstance(image, Image):
        return image
    if isinstance(image, str | Path):
        return read_image(image, axes=axes)
    dimensions = "".join(map(str, getattr(image, "dims", ())))  # of xarray
    array = _as_array(image)
    letters = axes or (dimensions if dimensions and set(dimensions) <= set(ORDER) else {2: "yx", 3: "cyx"}.get(array.ndim, ""))
    if len(letters) != array.ndim or set(letters) - set(ORDER) or len(set(letters)) < len(letters) or not {"y", "x"} <= set(letters):
        stated = f" with axes {axes!r}" if axes else ""
        raise InputInvalid(
            f"an image of shape {array.shape}{stated}: give (y, x) or (c, y, x), or an Image that names its axes, or axes, {array.ndim} "
            f"different letters of '{ORDER}'."
        )
    array, letters = in_order(array, letters)
    return Image(array=array, axes=letters)


def as_grey(image: Image) -> Image:
    """The same image, with one channel if it is grey stored as red, green and blue that are equal."""
    if image.channels != RGB or "c" not in image.axes:
        return image
    red, green, blue = np.moveaxis(image.array, image.axes.index("c"), 0)
    if not (np.array_equal(red, green) and np.array_equal(red, blue)):
        return image
    return replace(image, array=red, axes=image.axes.replace("c", ""), channels=())


def as_plane(image: Path | str | Array) -> Array:
    """The one plane (y, x) of a mask or label image.

    Raises
    ------
    InputInvalid
        It cannot be read, or has channels, planes or time points.
    """
    loaded = as_grey(read_mask(image) if isinstance(image, str | Path) else as_image(image))
    if loaded.axes != "yx":
        raise InputInvalid(f"a mask or label image has axes {loaded.axes!r}: give one plane of one channel.")
    return loaded.array


def _as_array(image: HasArray | Sequence[Any]) -> Array:
    """Numbers in memory; a tensor that PyTorch keeps on a GPU or records gradients for is copied."""
    detached = image.detach().cpu() if hasattr(image, "detach") else image
    try:
        array = np.asarray(detached)
    except (TypeError, ValueError) as error:
        raise InputInvalid(f"an image of type {type(image).__name__} cannot be made an array ({error}): give numbers, (y, x).") from None
    if array.dtype.kind not in "biuf":
        raise InputInvalid(
            f"an image of type {type(image).__name__} holds {array.dtype}, not real numbers: give an array (y, x) of numbers."
        )
    return array
