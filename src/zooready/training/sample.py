"""The sample image of a run: a held-out image of a person's own data, which the bundle of that run will carry."""

from __future__ import annotations

from itertools import product

import numpy as np

from zooready.images.files import IMAGEJ_DTYPES
from zooready.records import Array, Image

SAMPLE = "sample.tif"  # in the folder of a run that was trained on a person's own images
SIDE_PX, SIDE_OF_STACKS_PX, PLANES = 512, 128, 24  # at most; the bundle's cover, sample and test case are made of it


def as_sample(array: Array, channels: tuple[str, ...], pixel_size_um: float | None) -> Image:
    """An image (c, y, x) or stack (c, z, y, x) as a file's: whole counts become uint16 and what ImageJ does not know float32."""
    if array.dtype.kind == "f" and array.min() >= 0 and array.max() <= np.iinfo(np.uint16).max and (np.rint(array) == array).all():
        array = array.astype(np.uint16)
    array = array if array.dtype.name in IMAGEJ_DTYPES else array.astype(np.float32)
    axes = "zyx"[4 - array.ndim :]
    if len(array) > 1:
        return Image(array=array, axes=f"c{axes}", pixel_size_um=pixel_size_um, channels=channels)
    return Image(array=array[0], axes=axes, pixel_size_um=pixel_size_um)


def window(array: Array, partner: Array) -> Array:
    """The part of an image (c, y, x) or stack (c, z, y, x) in which its partner, of the same size, varies most; all of a small one."""
    side = SIDE_PX if array.ndim == 3 else SIDE_OF_STACKS_PX
    rows, columns = ({*range(0, max(1, length - side), side // 2), max(0, length - side)} for length in array.shape[-2:])
    boxes = [(..., slice(top, top + side), slice(left, left + side)) for top, left in product(sorted(rows), sorted(columns))]
    best = max(boxes, key=lambda box: float(partner[box].std(dtype=np.float64)))
    return array[best] if array.ndim == 3 else array[best][:, :PLANES]
