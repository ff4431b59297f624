"""A picture in the shape of a bundle's input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooready.consumers.deepimagej.rules import ELEMENTS
from zooready.errors import InputInvalid
from zooready.images.files import read_picture
from zooready.records import Array, Bundle, as_float32


def as_input(bundle: Bundle, path: Path) -> Array:
    """The picture in the shape of the bundle's input, (b, c, …) float32."""
    if not bundle.cases:
        raise InputInvalid(f"{path.name} cannot be run: the bundle takes {len(bundle.rdf.get('inputs') or ())} inputs. Leave --image out.")
    picture = read_picture(path)
    listed = bundle.rdf["inputs"][0]["axes"]
    letters = listed if isinstance(listed, str) else "".join(_letter(axis) for axis in listed)
    shape = bundle.cases[0].input.shape
    channels = shape[letters.index("c")] if "c" in letters else 1
    here = picture.array.shape[picture.axes.index("c")] if "c" in picture.axes else 1
    foreign = set(picture.axes) - set(letters)
    if here != channels or foreign - {"c"} or len(letters) != len(shape):
        raise InputInvalid(
            f"{path.name} has axes {picture.axes!r} {picture.array.shape}, and the bundle takes {letters!r} with {channels} channel(s): "
            "choose the channel or plane in Fiji and save it as its own TIFF."
        )
    if picture.array.size > ELEMENTS:
        raise InputInvalid(f"{path.name} has {picture.array.size} pixels, and DeepImageJ hangs above {ELEMENTS}: use zooready predict.")
    array, axes = picture.array, picture.axes
    for axis in letters:
        if axis not in axes:
            array, axes = array[None], axis + axes
    return as_float32(array.transpose([axes.index(axis) for axis in letters]))


def _letter(axis: Mapping[str, Any]) -> str:
    name = str(axis.get("id", axis.get("type", "")))
    return {"batch": "b", "channel": "c", "time": "t", "index": "i"}.get(name, name)
