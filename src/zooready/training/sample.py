"""The image that stays in the folder of a run, to be the sample of its bundle."""

from __future__ import annotations

from pathlib import Path

from zooready.data import Classified
from zooready.images.files import IMAGEJ_DTYPES, write_image
from zooready.records import Image

SAMPLE = "sample.tif"  # in the folder of a run that was trained on a person's own classes


def keep_sample(images: Classified, member: int, run: Path) -> None:
    """Write one of the images into the folder of a run; integers and floats that ImageJ lacks become float32."""
    array = images.arrays[member]
    array = array if array.dtype.name in IMAGEJ_DTYPES else array.astype("float32")
    pixel_size_um = images.pixel_sizes_um[member] or None
    if len(array) > 1:
        image = Image(array=array, axes="cyx", pixel_size_um=pixel_size_um, channels=images.channels)
    else:
        image = Image(array=array[0], axes="yx", pixel_size_um=pixel_size_um)
    write_image(image, run / SAMPLE)
