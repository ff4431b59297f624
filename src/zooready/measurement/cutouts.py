"""Crops of the image around each object, the input of a classifier; identical to those of the CellProfiler plugin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.records import Array, as_float32

Background = Literal["keep", "zero", "lowest"]
FEW = 10  # most numbers of an image of classes


@dataclass(frozen=True, kw_only=True)
class Crop:
    """One object: its label, its bounding ``box`` (rows, columns of the image), and the network's input.

    ``image`` is (c, h, w) float32; ``is_cut`` means that the object is larger than that, ``is_at_edge`` that it touches the image's edge.
    """

    label: int
    box: tuple[slice, slice]
    image: Array
    is_cut: bool
    is_at_edge: bool


def several_planes(name: str, axes: str) -> InputInvalid:
    """The error for an image, called ``name``, of more than one plane."""
    return InputInvalid(f"{name} has several planes (axes {axes!r}), and only one can be measured: save it as its own file.")


def crops(image: Array, labels: Array, size: tuple[int, int] | None = None, background: Background = "keep") -> Iterator[Crop]:
    """A crop of the image around each object, in the order of the labels.

    Parameters
    ----------
    image
        (c, y, x).
    labels
        (y, x), whole numbers; 0 is background.
    size
        (y, x) of the crop, px, around the middle of the object's box; the size of the box if None. Beyond the image its edge is repeated.
    background
        Values of pixels outside the object: ``keep`` those of the image, ``zero`` 0, ``lowest`` the smallest value of the crop, channel
        by channel.

    Raises
    ------
    InputInvalid
        Image and labels have different sizes, labels are not whole numbers from 0, there is no object, or ``background`` is not known.
    """
    from scipy.ndimage import find_objects

    if background not in get_args(Background):
        raise InputInvalid(f"background={background!r} is not known: use one of {', '.join(map(repr, get_args(Background)))}.")
    if image.ndim != 3:
        raise several_planes("the image", "czyx"[-image.ndim :])
    numbers, compact = compacted(labels, image)
    for position, box in enumerate(find_objects(compact), 1):
        height, width = (extent.stop - extent.start for extent in box)
        wanted = size or (height, width)
        rows, columns = (
            np.clip((extent.start + extent.stop - side) // 2 + np.arange(side), 0, length - 1)
            for extent, side, length in zip(box, wanted, labels.shape, strict=True)
        )
        pixels = as_float32(image[:, rows[:, None], columns])
        if background != "keep":
            fill = 0.0 if background == "zero" else pixels.min(axis=(1, 2), keepdims=True)
            pixels = as_float32(np.where(compact[rows[:, None], columns] == position, pixels, fill))
        edge = any(extent.start == 0 or extent.stop == length for extent, length in zip(box, labels.shape, strict=True))
        is_cut = height > wanted[0] or width > wanted[1]
        yield Crop(label=int(numbers[position - 1]), box=(box[0], box[1]), image=pixels, is_cut=is_cut, is_at_edge=edge)


def joined(labels: Array) -> str:
    """That several pieces of one number count as one object, as all do in a mask, and those of a class in an image of classes; else empty.

    >>> joined(np.array([[255, 0, 255], [0, 0, 0]]))[:62]
    'the labels hold the number 255 in 2 separate pieces, and those'
    """
    from skimage.measure import label

    whole = labels.astype(np.int64)
    numbers = np.unique(whole[whole != 0])
    if not len(numbers) or len(numbers) > FEW or (pieces := int(label(whole, connectivity=whole.ndim).max())) < 2 * len(numbers):
        return ""
    listed = f"number{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
    return (
        f"the labels hold the {listed} in {pieces} separate pieces, and those of a number count as one object: if each is one, give it its "
        "own number, in Fiji with Analyze Particles and Count Masks."
    )


def compacted(labels: Array, image: Array) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The labels of the objects in ascending order, and the label image renumbered 1, 2, ...

    Parameters
    ----------
    labels
        (y, x) or (z, y, x), whole numbers; 0 is background.
    image
        (c, y, x) or (c, z, y, x), of the same size.

    Raises
    ------
    InputInvalid
        Image and labels have different sizes, labels are not whole numbers from 0, or there is no object.
    """
    if labels.shape != image.shape[1:]:
        raise InputInvalid(f"the labels have shape {labels.shape} and the image {image.shape[1:]}: give labels of this image.")
    whole = np.rint(labels)
    if not np.isfinite(labels).all() or (whole != labels).any() or labels.min() < 0:
        raise InputInvalid("the labels contain values that are not object numbers (0, 1, 2, ...): give a label image, not probabilities.")
    numbers, compact = np.unique(whole.astype(np.int64), return_inverse=True)
    if not numbers.any():
        raise InputInvalid("the labels contain no object: every pixel is 0. Check the segmentation.")
    compact = compact.reshape(labels.shape).astype(np.int32) + (numbers[0] != 0)
    return numbers[numbers > 0], np.asarray(compact, dtype=np.int32)
