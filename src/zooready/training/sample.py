"""The sample image of a run: a held-out image of a person's own data, which the bundle of that run will carry."""

from __future__ import annotations

from pathlib import Path

from zooready.data import Classified
from zooready.images.files import IMAGEJ_DTYPES, write_image
from zooready.records import Image

SAMPLE = "sample.tif"  # in the folder of a run that was trained on a person's own classes


def keep_sample(data: Classified, index: int, run: Path) -> None:
    """Write image number `index` into the folder of a run; integers and floats that ImageJ does not know become float32."""
    array = data.arrays[index]
    array = array if array.dtype.name in IMAGEJ_DTYPES else array.astype("float32")
    pixel_size_um = data.pixel_sizes_um[index] or None
    if len(array) > 1:
        image = Image(array=array, axes="cyx", pixel_size_um=pixel_size_um, channels=data.channels)
    else:
        image = Image(array=array[0], axes="yx", pixel_size_um=pixel_size_um)
    write_image(image, run / SAMPLE)
