"""Whether the stored arrays have the axes that the description gives them: two that change places are seen at sizes that are not square."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from zooready.records import Array, Bundle
from zooready.tensors import Axis, Tensor


def misfits(bundle: Bundle) -> Iterator[str]:
    """What of the description does not fit the stored arrays, in words with the cure; the first case that shows it is named.

    Only format 0.5 says enough to compare: lengths that are fixed or begin with a smallest one and grow in steps, names of channels, and
    lengths that follow from another axis, ``length · scale / own scale + offset`` as bioimageio.spec has it.
    """
    tensors, named = (*bundle.inputs, *bundle.outputs), set()
    for case in bundle.cases:
        arrays = (case.input, *case.outputs)
        if len(arrays) != len(tensors):
            yield f"There are {len(arrays) - 1} test outputs for {len(bundle.outputs)} outputs: give one for each."
            return
        sizes = {
            (tensor.name, axis.id): (length, axis.scale)
            for tensor, array in zip(tensors, arrays, strict=True)
            for axis, length in zip(tensor.details, array.shape, strict=False)
        }
        for tensor, array in zip(tensors, arrays, strict=True):
            fault = next(_of_array(tensor, array, sizes), None)
            if fault and tensor.name not in named:
                named.add(tensor.name)
                yield f"'{tensor.name}' of case '{case.name}' {fault}: the axes are in another order than its arrays, or of another size."
    if bundle.cases and (fault := _beyond(bundle, bundle.cases[0].input)):  # the other cases may show what happens there
        yield f"'{bundle.inputs[0].name}' of case '{bundle.cases[0].name}' {fault}: correct the limits, or store an image inside them."


def _beyond(bundle: Bundle, array: Array) -> str:
    """In which channel an input leaves the limits that the bundle states; empty if in none."""
    tensor = bundle.inputs[0]
    if len(tensor.axes) != array.ndim or "c" not in tensor.axes or len(tensor.channels) != array.shape[tensor.axes.index("c")]:
        return ""
    for channel, values in zip(tensor.channels, np.moveaxis(array, tensor.axes.index("c"), 0), strict=True):
        low, high = bundle.limits.get(channel, (-np.inf, np.inf))
        if values.min() < low or values.max() > high:
            return f"holds {channel} from {values.min():g} to {values.max():g}, where the description gives {low:g} to {high:g}"
    return ""


def _of_array(tensor: Tensor, array: Array, sizes: Mapping[tuple[str, str], tuple[int, float]]) -> Iterator[str]:
    """What is wrong with one array."""
    shape = "x".join(map(str, array.shape))
    if (len(tensor.details) or len(tensor.axes)) != array.ndim:
        yield f"has the shape {shape} and the axes {tensor.axes!r}"
        return
    for axis, length in zip(tensor.details, array.shape, strict=False):
        wanted = _wanted(axis, sizes)
        if wanted is not None and wanted != length:
            yield f"has the shape {shape}, in which {axis.id or axis.letter} is {length} where the description gives {wanted}"
        elif axis.minimum is not None and (length < axis.minimum or (length - axis.minimum) % (axis.step or 1)):
            allowed = f"{axis.minimum} or more" + (f" in steps of {axis.step}" if axis.step and axis.step > 1 else "")
            yield f"has the shape {shape}, in which {axis.id or axis.letter} is {length} where the description gives {allowed}"


def _wanted(axis: Axis, sizes: Mapping[tuple[str, str], tuple[int, float]]) -> int | None:
    """The length that the description gives an axis; None if it leaves it open."""
    if axis.letter == "c" and axis.channels:
        return len(axis.channels)
    if axis.reference is None or axis.reference not in sizes:
        return axis.size
    length, scale = sizes[axis.reference]
    return round(length * scale / axis.scale) + axis.offset
