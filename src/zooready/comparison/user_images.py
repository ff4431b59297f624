"""An image in the shape of a bundle's input."""

from __future__ import annotations

from pathlib import Path

from zooready.errors import InputInvalid
from zooready.images.files import read_image
from zooready.records import Array, Bundle, as_float32


def as_input(bundle: Bundle, path: Path) -> Array:
    """The image in the shape of the bundle's input, (b, c, …) float32.

    Raises
    ------
    InputInvalid
        The bundle takes several inputs, or the image has other axes or channels than its one.
    """
    if not bundle.cases:
        raise InputInvalid(f"{path.name} cannot be run: the bundle takes {len(bundle.inputs)} inputs. Leave the image out.")
    image = read_image(path)
    letters, shape = bundle.inputs[0].axes, bundle.cases[0].input.shape
    channels = shape[letters.index("c")] if "c" in letters else 1
    here = image.array.shape[image.axes.index("c")] if "c" in image.axes else 1
    foreign = set(image.axes) - set(letters)
    if here != channels or foreign - {"c"} or len(letters) != len(shape):
        raise InputInvalid(
            f"{path.name} has axes {image.axes!r} {image.array.shape}, and the bundle takes {letters!r} with {channels} channel(s): "
            "choose the channel or plane in Fiji and save it as its own TIFF."
        )
    array, axes = image.array, image.axes
    for axis in letters:
        if axis not in axes:
            array, axes = array[None], axis + axes
    return as_float32(array.transpose([axes.index(axis) for axis in letters]))
