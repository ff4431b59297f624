"""The table of a bundle that finds objects in stacks: where each of them is, its volume, its intensities in every channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from zooready.errors import InputInvalid
from zooready.measurement.cutouts import compacted
from zooready.measurement.features import intensities
from zooready.measurement.rows import Row
from zooready.records import Array, Image

AXES = ("z", "y", "x")


def solid_rows(name: str, image: Image, labels: Array) -> tuple[list[Row], list[str]]:
    """One row for each object of a stack, by column, and notes.

    Parameters
    ----------
    name
        Name of the image in the table.
    image
        A stack with any number of channels, one time point; every channel is measured, also those that the bundle did not use.
    labels
        (z, y, x), whole numbers; 0 is background.

    Raises
    ------
    InputInvalid
        The image has several time points or no planes, labels do not fit, or an object has voxels that are not finite.
    """
    from scipy.ndimage import find_objects

    stack = _stack(name, image)
    names = image.channels if len(image.channels) == len(stack) else tuple(f"channel{number}" for number in range(1, len(stack) + 1))
    numbers, compact = compacted(labels, stack)
    rows: list[Row] = []
    for position, box in enumerate(find_objects(compact), 1):
        mask = compact[box] == position
        row = {"image": name, "label": int(numbers[position - 1]), **_place(box, mask, image), **_size(mask, image)}
        for channel_name, voxels in zip(names, stack, strict=True):
            inside = voxels[box][mask].astype(np.float64)
            if bad := int((~np.isfinite(inside)).sum()):
                raise InputInvalid(
                    f"{bad} voxels of object {row['label']} are NaN or infinite: replace them, in Fiji with Process > Noise > Remove NaNs."
                )
            prefix = f"{channel_name}_" if len(names) > 1 else ""
            row.update({f"{prefix}{feature}": float(value) for feature, value in intensities(inside)})
        rows.append(row)
    unknown = image.z_um is None or image.pixel_size_um is None
    return rows, [f"{name}: pixel size or distance of planes is unknown, so that volumes are in voxels only."] if unknown else []


def _stack(name: str, image: Image) -> Array:
    """The stack as (c, z, y, x)."""
    lengths = dict(zip(image.axes, image.array.shape, strict=True))
    if "z" not in lengths or lengths.get("t", 1) > 1:
        raise InputInvalid(f"{name} has the axes {image.axes!r}, and a stack (z) of one time point is measured: save it as its own file.")
    order = [image.axes.index(axis) for axis in "tczyx" if axis in lengths]
    stack = image.array.transpose(order)
    return stack.reshape(lengths.get("c", 1), *(lengths[axis] for axis in AXES))


def _place(box: tuple[slice, ...], mask: Array, image: Image) -> dict[str, Any]:
    """Centre, whether it touches a face of the stack, and box of one object."""
    middle = [float(at.mean() + extent.start) for at, extent in zip(np.nonzero(mask), box, strict=True)]
    lengths_um = (image.z_um, image.pixel_size_um, image.pixel_size_um)
    shape = dict(zip(image.axes, image.array.shape, strict=True))
    return {
        "pixel_size_um": image.pixel_size_um,
        "plane_distance_um": image.z_um,
        "centroid_z_planes": middle[0],
        "centroid_y_px": middle[1],
        "centroid_x_px": middle[2],
        **{f"centroid_{axis}_um": at * length if length else None for axis, at, length in zip(AXES, middle, lengths_um, strict=True)},
        "touches_edge": int(any(part.start == 0 or part.stop == shape[axis] for part, axis in zip(box, AXES, strict=True))),
        "box_first_plane": box[0].start,
        "box_top_px": box[1].start,
        "box_left_px": box[2].start,
        "box_planes": box[0].stop - box[0].start,
        "box_height_px": box[1].stop - box[1].start,
        "box_width_px": box[2].stop - box[2].start,
    }


def _size(mask: Array, image: Image) -> dict[str, float | None]:
    """Volume, the diameter of a ball of that volume, and the share of its box that an object fills."""
    voxels = float(np.count_nonzero(mask))
    voxel_um3 = image.pixel_size_um**2 * image.z_um if image.pixel_size_um and image.z_um else None
    volume_um3 = voxels * voxel_um3 if voxel_um3 else None
    return {
        "shape_volume_voxels": voxels,
        "shape_volume_um3": volume_um3,
        "shape_diameter_um": (6 * volume_um3 / np.pi) ** (1 / 3) if volume_um3 else None,
        "shape_extent": voxels / mask.size,
    }
