"""Several inputs of one size as the channels of one image, which is all that DeepImageJ opens; and taken apart again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zooready.bundle.parsing import parse
from zooready.bundle.rdf import test_files
from zooready.bundle.reading import DESCRIPTIONS, read_array
from zooready.bundle.unpacking import safe_name
from zooready.errors import BundleInvalid, InputInvalid
from zooready.records import Array, Bundle, as_float32
from zooready.tensors import Axis, Tensor

SIDES = "zyx"


def joined(bundle: Bundle) -> Tensor:
    """The one image that comes in: the input of a bundle in its newest form, or one with the channels of all inputs.

    Raises
    ------
    BundleInvalid
        Its inputs are no channels of one image.
    """
    if len(bundle.inputs) == 1:
        return bundle.inputs[0]
    first = next((tensor for tensor in bundle.inputs if not any(axis.reference for axis in tensor.details)), bundle.inputs[0])
    for other in bundle.inputs:
        if why := _unlike(first, other):
            names = ", ".join(tensor.name for tensor in bundle.inputs)
            raise BundleInvalid(
                f"{bundle.path.name} takes {len(bundle.inputs)} inputs ({names}), and DeepImageJ opens one image. Inputs of the same axes "
                f"and sizes become its channels, but {why}: ask its authors for a network that takes one image."
            )
    sides = {axis.letter: axis for axis in first.details}
    channels = tuple(name for tensor in bundle.inputs for name in channels_of(tensor))
    channel = Axis(letter="c", id="channel", type="channel", channels=channels)
    details = tuple(channel if axis == "c" else sides[axis] for axis in order(first.axes))
    name = "_".join(tensor.name for tensor in bundle.inputs)
    return Tensor(name=name, axes=order(first.axes), details=details, channels=channels)


def example_of(bundle: Bundle, image: Tensor) -> Array:
    """The test input of a bundle in its newest form, float32, the first of its batch, with the axes of the one image.

    Raises
    ------
    InputInvalid
        There is none.
    """
    if len(bundle.inputs) == 1:
        if not bundle.cases:
            raise InputInvalid("it has no test input to measure the network with.")
        return as_float32(np.take(bundle.cases[0].input, [0], image.axes.index("b")))
    rdf = parse(next(bundle.folder / name for name in DESCRIPTIONS if (bundle.folder / name).is_file()))
    arrays = [read_array(bundle.folder / safe_name(str(source), bundle.path)) for source in test_files(rdf)[0]]
    planes = [in_order(np.take(array, [0], part.axes.index("b")), part) for array, part in zip(arrays, bundle.inputs, strict=True)]
    if len({plane.shape[2:] for plane in planes}) > 1:
        raise InputInvalid(f"its test inputs have different sizes ({', '.join(str(plane.shape) for plane in planes)}).")
    return np.concatenate(planes, 1)


def parts(image: Array, inputs: Sequence[Tensor]) -> list[Array]:
    """What each input of the network is of an image that has the axes of the joined one."""
    if len(inputs) == 1:
        return [image]
    counts = [len(channels_of(tensor)) for tensor in inputs]
    split = np.split(image, np.cumsum(counts)[:-1], 1)
    return [_out_of_order(part, tensor) for part, tensor in zip(split, inputs, strict=True)]


def in_order(array: Array, tensor: Tensor) -> Array:
    """An array with a tensor's axes as b, c, (z,) y, x, or b, c; float32."""
    axes = tensor.axes
    array = array.transpose([axes.index(axis) for axis in "bczyx" if axis in axes])
    return as_float32(array if "c" in axes else np.expand_dims(array, 1))


def order(axes: str) -> str:
    """The letters of an image, of which these are some: always with b and c."""
    return "".join(axis for axis in "bczyx" if axis in axes or axis in "bc")


def channels_of(tensor: Tensor) -> tuple[str, ...]:
    """Names of a part's channels in the joined image."""
    if len(tensor.channels) < 2:
        return (tensor.name,)
    return tuple(f"{tensor.name}_{channel}" for channel in tensor.channels)


def _out_of_order(array: Array, tensor: Tensor) -> Array:
    """b, c, (z,) y, x as the tensor's own axes."""
    known = order(tensor.axes)
    if "c" not in tensor.axes:
        array, known = array[:, 0], known.replace("c", "")
    return np.ascontiguousarray(array.transpose([known.index(axis) for axis in tensor.axes]))


def _unlike(first: Tensor, other: Tensor) -> str:
    """Why two inputs are no channels of one image, in words; empty if they are."""
    for tensor in (first, other):
        if "y" not in tensor.axes or "x" not in tensor.axes:
            return f"'{tensor.name}' is no image ({', '.join(axis.letter for axis in tensor.details)})"
    if order(first.axes) != order(other.axes):
        return f"'{first.name}' has the axes {order(first.axes)} and '{other.name}' {order(other.axes)}"
    lengths = {axis.letter: axis for axis in first.details}
    for axis in other.details:
        if axis.letter in SIDES and not _is_as_long(axis, lengths[axis.letter]):
            return f"'{first.name}' and '{other.name}' differ in their sizes along {axis.letter}"
    return ""


def _is_as_long(axis: Axis, known: Axis) -> bool:
    """Whether an axis always has the length of another, or is stated to be as long as one of another input."""
    if axis.reference is not None:
        return axis.scale == 1.0 and axis.offset == 0 and axis.reference[1] in (known.id, known.letter)
    return (axis.size, axis.minimum, axis.step) == (known.size, known.minimum, known.step)
