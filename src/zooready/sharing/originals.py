"""What bioimageio.core makes of an original, and what the adopted bundle makes of the same image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zooready.bundle.reading import opened
from zooready.consumers import bioimageio, pytorch
from zooready.errors import ConsumerFailed, OutputsDiffer
from zooready.images.agreement import agreement, ranges_of
from zooready.records import TOLERANCE, Array, Bundle, Case, Format
from zooready.sharing.joining import example_of, in_order, parts
from zooready.sharing.surrounding import Surroundings, surroundings
from zooready.tensors import Tensor

SHARES = ((0.5, 1.0), (1.25, 0.75), (0.75, 1.5))  # of the test input's y and x, the three other sizes
FLIPPED = 1e-4  # share of the values of a binary or whole-numbered output that may be on the other side, as bioimageio.core allows


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One image, its size in px, and the largest difference / range of the outputs on it."""

    size: tuple[int, ...]
    difference: float


def compared(newest: Bundle, original: Bundle, format: Format, adopted: Path) -> tuple[Compared, ...]:
    """Numbers of the adopted bundle's TorchScript against bioimageio.core's of the original, at its test input and three other sizes.

    Parameters
    ----------
    newest
        The original in the newest format.
    original
        As it was opened; its own test must pass.

    Raises
    ------
    OutputsDiffer
        They differ by more than the format's tolerance.
    ConsumerFailed, BundleInvalid
        One of the two cannot be run, or the original fails its own test.
    """
    around = surroundings(newest)
    images = images_of(newest, around)
    expected = bioimageio.predicted(original, format, [parts(image, newest.inputs) for image in images])
    with opened(adopted) as bundle:
        if "torchscript" not in bundle.formats:
            raise ConsumerFailed("no TorchScript came of it, which Fiji needs.")
        given = pytorch.run(bundle, "torchscript", [in_order(image, around.input) for image in images])
    return judged(around, images, expected, given, TOLERANCE[format])


def judged(
    around: Surroundings, images: Sequence[Array], expected: Sequence[Sequence[Array]], given: Sequence[Sequence[Array]], tolerance: float
) -> tuple[Compared, ...]:
    """How far outputs of the adopted network are from those of the original, image by image.

    Parameters
    ----------
    images, expected
        With the original's own axes.
    given
        Of the adopted network: b, c, (z,) y, x, or b, c.

    Raises
    ------
    OutputsDiffer
        They differ by more than the tolerance.
    """
    truth = [tuple(map(in_order, outputs, around.outputs)) for outputs in expected]
    kinds = [(tensor.name, tensor.kind) for tensor in around.outputs]
    ranges = ranges_of(Case(name="test", input=images[0], outputs=truth[0]))
    results = []
    for image, wanted, outputs in zip(images, truth, given, strict=True):
        size = in_order(image, around.input).shape[2:]
        case = Case(name=" x ".join(map(str, size)), input=image, outputs=wanted)
        matched = [
            _unflipped(want, _inner(output, offsets, tensor), tensor)
            for want, output, offsets, tensor in zip(wanted, outputs, around.offsets, around.outputs, strict=True)
        ]
        difference, why = agreement(case, matched, kinds, ranges, tolerance)
        if why:
            raise OutputsDiffer(f"its numbers are not those that bioimageio.core gives for the original: {why}")
        results.append(Compared(size=size, difference=difference or 0.0))
    return tuple(results)


def images_of(bundle: Bundle, around: Surroundings) -> list[Array]:
    """The test input, and the same pixels at other sizes that the description allows, with the input's own axes, a batch of one."""
    test, axes = example_of(bundle, around.input), around.input.axes
    images = {test.shape: test}
    for y, x in SHARES:
        lengths = list(test.shape)
        for axis, share in (("y", y), ("x", x)):
            if (grid := around.grids.get(axis)) and axis in axes:
                wanted = test.shape[axes.index(axis)] * share
                lengths[axes.index(axis)] = grid.minimum + max(0, round((wanted - grid.minimum) / grid.step)) * grid.step
        if tuple(lengths) not in images:
            wider = [(0, max(0, want - have)) for want, have in zip(lengths, test.shape, strict=True)]
            images[tuple(lengths)] = np.pad(test, wider, mode="wrap")[tuple(slice(length) for length in lengths)]
    return list(images.values())


def _inner(output: Array, margins: Mapping[str, int], tensor: Tensor) -> Array:
    """The part of an output of the image's size that the original gives, too."""
    order = "".join(axis for axis in "bczyx" if axis in tensor.axes or axis in "bc")
    return output[tuple(slice(m, -m) if (m := margins.get(axis, 0)) else slice(None) for axis in order)]


def _unflipped(expected: Array, output: Array, tensor: Tensor) -> Array:
    """The output, without the few values of one that takes whole numbers which lie on the other side of a threshold."""
    is_whole = any(step.name == "binarize" for step in tensor.operators) or bool(set(tensor.types) & {"bool", "uint8", "uint16", "int32"})
    if not is_whole or expected.shape != output.shape:
        return output
    other = expected != output
    return np.where(other, expected, output) if 0 < other.mean() <= FLIPPED else output
