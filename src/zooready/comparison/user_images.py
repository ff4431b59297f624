"""An image in the shape of a bundle's input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooready.consumers.deepimagej.rules import ELEMENTS
from zooready.errors import InputInvalid
from zooready.images.files import read_image
from zooready.records import Array, Bundle, as_float32


def as_input(bundle: Bundle, path: Path) -> Array:
    """The image in the shape of the bundle's input, (b, c, …) float32."""
    if not bundle.cases:
        raise InputInvalid(f"{path.name} cannot be run: the bundle takes {len(bundle.rdf.get('inputs') or ())} inputs. Leave --image out.")
    image = read_image(path)
    listed = bundle.rdf["inputs"][0]["axes"]
    letters = listed if isinstance(listed, str) else "".join(_letter(axis) for axis in listed)
    shape = bundle.cases[0].input.shape
    channels = shape[letters.index("c")] if "c" in letters else 1
    here = image.array.shape[image.axes.index("c")] if "c" in image.axes else 1
    foreign = set(image.axes) - set(letters)
    if here != channels or foreign - {"c"} or len(letters) != len(shape):
        raise InputInvalid(
            f"{path.name} has axes {image.axes!r} {image.array.shape}, and the bundle takes {letters!r} with {channels} channel(s): "
            "choose the channel or plane in Fiji and save it as its own TIFF."
        )
    if image.array.size > ELEMENTS:
        raise InputInvalid(f"{path.name} has {image.array.size} pixels, and DeepImageJ hangs above {ELEMENTS}: use zooready predict.")
    array, axes = image.array, image.axes
    for axis in letters:
        if axis not in axes:
            array, axes = array[None], axis + axes
    return as_float32(array.transpose([axes.index(axis) for axis in letters]))


def _letter(axis: Mapping[str, Any]) -> str:
    name = str(axis.get("id", axis.get("type", "")))
    return {"batch": "b", "channel": "c", "time": "t", "index": "i"}.get(name, name)
