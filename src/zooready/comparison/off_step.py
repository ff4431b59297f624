"""A size that a bundle's description leaves out but a program takes all the same, cutting the image into tiles by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zooready.bundle.specs import size_steps
from zooready.consumers import pytorch
from zooready.errors import ZooreadyError
from zooready.images.agreement import agreement, own_ranges_of
from zooready.records import Array, Bundle, Case, as_float32


def off_step(bundle: Bundle) -> Case | None:
    """The test image cut, or extended, to half a step beside its size, and what the network makes of it.

    The network itself sees the image with its edges repeated up to the next size that it takes, and the result is cut back. None if
    every size is allowed, or the network cannot be run here.
    """
    steps = {axis: (minimum, step) for axis, (minimum, step) in size_steps(bundle).items() if axis in "yx" and step > 1}
    if not steps or not bundle.cases or "torchscript" not in bundle.formats or pytorch.missing():
        return None
    axes, image = bundle.inputs[0].axes, as_float32(bundle.cases[0].input)
    grown = [(0, 0)] * image.ndim
    for axis, (minimum, step) in steps.items():
        place = axes.index(axis)
        length = image.shape[place] - step // 2
        if length < minimum:
            image = np.pad(image, [(0, step) if n == place else (0, 0) for n in range(image.ndim)], mode="edge")
            length += step
        image = image.take(range(length), axis=place)
        grown[place] = (0, -(length - minimum) % step)
    try:
        (outputs,) = pytorch.run(bundle, "torchscript", [as_float32(np.pad(image, grown, mode="edge"))])
    except ZooreadyError:
        return None
    cut = tuple(_cut(output, tensor.axes, image, axes) for output, tensor in zip(outputs, bundle.outputs, strict=True))
    return Case(name="off the step", input=as_float32(image), outputs=cut)


def _cut(output: Array, output_axes: str, image: Array, axes: str) -> Array:
    """An output without what belongs to the repeated edges."""
    for axis in "yx":
        if axis in output_axes and axis in axes:
            place, length = output_axes.index(axis), image.shape[axes.index(axis)]
            output = output.take(range(min(length, output.shape[place])), axis=place)
    return output


def words(bundle: Bundle, case: Case, outputs: Sequence[Array] | None, tolerance: float) -> str:
    """What a program made of that size, for a verdict that passes at the sizes that the description allows."""
    if outputs is None:
        return ""
    size = " x ".join(str(case.input.shape[bundle.inputs[0].axes.index(axis)]) for axis in "yx" if axis in bundle.inputs[0].axes)
    difference, why = agreement(case, outputs, bundle.kinds, own_ranges_of(case), tolerance)
    if not why:
        return f" At {size}, off its step, it agrees as well."
    by = f"{difference:.2g} of the range" if difference is not None else why
    return (
        f" But at {size}, off its step, where the program cuts the image into tiles, it is off by {by}, against the network on the image "
        "with repeated edges: pad inside the network, and declare {min: 1, step: 1}."
    )
