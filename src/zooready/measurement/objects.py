"""The table of a bundle that finds objects: where each of them is, its size and shape, its intensities in every channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from zooready.images.drawing import coloured, grey
from zooready.measurement.cutouts import crops, several_planes
from zooready.measurement.features import basics
from zooready.measurement.rows import Row, by_channel, position
from zooready.measurement.solids import solid_rows
from zooready.records import Array, Image


def object_rows(name: str, image: Image, labels: Array | None, *, channel: int | str | None = None) -> tuple[list[Row], list[str]]:
    """One row for each object of an image, by column, and notes, of which there are none.

    Parameters
    ----------
    name
        Name of the image in the table.
    image
        One plane, or one stack if the labels are one, with any number of channels; every channel is measured, also those that the bundle
        did not use.
    labels
        (y, x), or (z, y, x), see :func:`solid_rows`; whole numbers; 0 is background. None stands for one object, the whole image.
    channel
        The channel in which the objects were found; every channel is measured all the same.

    Raises
    ------
    InputInvalid
        The image has several planes or time points, labels do not fit, or an object has pixels that are not finite.
    """
    if labels is not None and labels.ndim == 3:
        return solid_rows(name, image, labels)
    planes = _planes(name, image)
    objects = np.ones(planes.shape[1:], np.int64) if labels is None else labels
    names = image.channels if len(image.channels) == len(planes) else tuple(f"channel{number}" for number in range(1, len(planes) + 1))
    rows: list[Row] = []
    for crop in crops(planes, objects):
        mask = objects[crop.box] == crop.label
        rows.append(
            {
                **position(name, crop.label, crop.box, mask, image.pixel_size_um, crop.is_at_edge),
                **_box(crop.box),
                **by_channel(basics, planes[:, crop.box[0], crop.box[1]], mask, names, image.pixel_size_um),
            }
        )
    return rows, []


def with_classes(rows: Sequence[Row], labels: Array, classes: Array, names: Sequence[str]) -> list[Row]:
    """The rows of an image's objects with the name of the class of each, after its label.

    Parameters
    ----------
    rows
        Of :func:`object_rows`.
    labels, classes
        (y, x) each; the class of an object stands on its pixels, from 1.
    names
        Of the classes.
    """
    highest = dict(zip(labels.ravel().tolist(), classes.ravel().tolist(), strict=True))
    return [{"image": row["image"], "label": row["label"], "class": names[int(highest[row["label"]]) - 1], **row} for row in rows]


def outlined(image: Image, labels: Array) -> NDArray[np.uint8]:
    """The first channel in grey with a line of one colour around each object, (y, x, 3) uint8."""
    drawn = grey(_planes("the image", image)[0])
    line = find_boundaries(labels, mode="inner")
    drawn[line] = coloured(labels)[line]
    return drawn


def _planes(name: str, image: Image) -> Array:
    """The one plane, (c, y, x)."""
    lengths = dict(zip(image.axes, image.array.shape, strict=True))
    if any(length > 1 for axis, length in lengths.items() if axis in "tz"):
        raise several_planes(name, image.axes)
    flat = image.array.reshape([length for axis, length in lengths.items() if axis not in "tz"])
    return flat if "c" in lengths else flat[None]


def _box(box: tuple[slice, slice]) -> dict[str, Any]:
    rows, columns = box
    return {
        "box_top_px": rows.start, "box_left_px": columns.start, "box_height_px": rows.stop - rows.start,
        "box_width_px": columns.stop - columns.start,
    }  # fmt: skip
