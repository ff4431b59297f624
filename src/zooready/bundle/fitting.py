"""Whether the stored arrays have the axes that the description gives them: two that change places are seen at sizes that are not square."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from zooready.records import Array, Bundle, Case
from zooready.tensors import Axis, Tensor


def misfits(bundle: Bundle, cases: Sequence[Case]) -> dict[str, str]:
    """Place in the description to what does not fit there, in words; the first case that shows it is named.

    Only format 0.5 says enough to compare: lengths that are fixed, names of channels, and lengths that follow from another axis,
    ``length · scale / own scale + offset`` as bioimageio.spec has it.
    """
    faults: dict[str, str] = {}
    tensors = (*bundle.inputs, *bundle.outputs)
    places = [f"{side}[{n}].axes" for side, these in (("inputs", bundle.inputs), ("outputs", bundle.outputs)) for n in range(len(these))]
    for case in cases:
        arrays = (case.input, *case.outputs)
        if len(arrays) != len(tensors):
            return {"outputs": f"ValueError: {len(arrays) - 1} test outputs for {len(bundle.outputs)} outputs"}
        sizes = {
            (tensor.name, axis.id): (length, axis.scale)
            for tensor, array in zip(tensors, arrays, strict=True)
            for axis, length in zip(tensor.details, array.shape, strict=False)
        }
        for tensor, array, where in zip(tensors, arrays, places, strict=True):
            for fault in _of_array(tensor, array, sizes):
                faults.setdefault(where, f"ValueError: '{tensor.name}' of case '{case.name}' {fault}")
    return faults


def _of_array(tensor: Tensor, array: Array, sizes: Mapping[tuple[str, str], tuple[int, float]]) -> Iterator[str]:
    shape = "x".join(map(str, array.shape))
    if not tensor.details:
        return
    if len(tensor.details) != array.ndim:
        yield f"has the shape {shape} and {len(tensor.details)} axes {tensor.axes!r}"
        return
    for axis, length in zip(tensor.details, array.shape, strict=True):
        wanted = _wanted(axis, sizes)
        if wanted is not None and wanted != length:
            yield f"has the shape {shape}, in which {axis.id or axis.letter} is {length} where the description gives {wanted}"


def _wanted(axis: Axis, sizes: Mapping[tuple[str, str], tuple[int, float]]) -> int | None:
    """The length that the description gives an axis; None if it leaves it open."""
    if axis.letter == "c" and axis.channels:
        return len(axis.channels)
    if axis.reference is None or axis.reference not in sizes:
        return axis.size
    length, scale = sizes[axis.reference]
    return round(length * scale / axis.scale) + axis.offset
