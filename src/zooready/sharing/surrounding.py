"""From a description to the module that holds everything which it asks for around the network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from zooready.errors import BundleInvalid
from zooready.nets.adopted import Adopted, Entry, Grid
from zooready.nets.processing import Steps
from zooready.prediction.steps import axis_ids, steps_of
from zooready.records import Bundle
from zooready.sharing.joining import joined
from zooready.tensors import Axis, Kind, Tensor, TensorSpec


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a description asks for around its network, and how the adopted one is described.

    ``input`` is the one image that comes in; ``parts`` are the inputs of the network, itself or what its channels are. ``grids`` are the
    lengths that the description states for axes that may vary, ``fixed`` its axes of one length, px.
    """

    input: Tensor
    parts: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    grids: Mapping[str, Grid]
    fixed: Mapping[str, int]
    offsets: tuple[Mapping[str, int], ...]

    def around(self, network: nn.Module, grids: Mapping[str, Grid], *, bare: bool = False) -> Adopted:
        """The network with its surroundings, padded to ``grids``; ``bare`` leaves the steps out."""
        axes = {tensor.name: axis_ids(tensor) for tensor in self.parts}

        def steps(tensor: Tensor, is_input: bool) -> Steps:
            lengths = {"channel": len(tensor.channels)} if tensor.channels else {}
            return Steps([], of_given=False) if bare else steps_of(tensor, axes, lengths=lengths, is_input=is_input)

        counts = [None] if len(self.parts) == 1 else [len(tensor.channels) or 1 for tensor in self.parts]
        return Adopted(
            network,
            inputs=[Entry(tensor.name, _letters(tensor), count) for tensor, count in zip(self.parts, counts, strict=True)],
            outputs=[_letters(tensor) for tensor in self.outputs],
            before=[steps(tensor, True) for tensor in self.parts],
            behind=[steps(tensor, False) for tensor in self.outputs],
            grids=grids,
            offsets=self.offsets,
        )

    def specs(self, channels: Sequence[int]) -> tuple[TensorSpec, tuple[TensorSpec, ...]]:
        """Input and outputs of the adopted network, which have these numbers of channels."""
        all_specs = [_spec(tensor, count) for tensor, count in zip((self.input, *self.outputs), channels, strict=True)]
        return all_specs[0], tuple(all_specs[1:])


def surroundings(bundle: Bundle) -> Surroundings:
    """What the newest form of a bundle's description asks for (:func:`zooready.bundle.renewing.renewed`).

    Raises
    ------
    BundleInvalid
        What Fiji cannot have: inputs that are no channels of one image, an output of another scale, axes that no image has.
    """
    for tensor in (*bundle.inputs, *bundle.outputs):
        letters = [axis.letter for axis in tensor.details]
        foreign = [letter for letter in letters if letter not in tuple("bczyx")]
        if foreign or "b" not in letters:
            why = f"an axis {foreign[0]!r}" if foreign else "no axis for the batch"
            raise BundleInvalid(
                f"{bundle.path.name}: '{tensor.name}' has axes {', '.join(letters)}, and {why} cannot be brought to Fiji: images there "
                "have x, y, z and channels, and a program may give several at once."
            )
    given = joined(bundle)
    leads = {axis.letter: _lead(bundle, axis) for axis in given.details if axis.letter in "zyx"}
    grids = {
        axis.letter: Grid(axis.minimum or 1, axis.step or 1, *leads[axis.letter]) for axis in given.details if axis.minimum is not None
    }
    fixed = {axis.letter: axis.size for axis in given.details if axis.letter in "zyx" and axis.size is not None}
    offsets = tuple(map(_missing, bundle.outputs))
    return Surroundings(input=given, parts=bundle.inputs, outputs=bundle.outputs, grids=grids, fixed=fixed, offsets=offsets)


def _lead(bundle: Bundle, axis: Axis) -> tuple[int, int]:
    """Pixels to add before and behind an image along an input axis, so that outputs without a margin have the image's size."""
    widest = max((_missing(tensor).get(axis.letter, 0) for tensor in bundle.outputs), default=0)
    step = axis.step or 1
    return -(-widest // step) * step, widest


def _missing(tensor: Tensor) -> dict[str, int]:
    """Pixels that an output lacks at each end of an axis.

    Raises
    ------
    BundleInvalid
        Its size is no other than a margin away from the input's.
    """
    margins = {}
    for axis in tensor.details:
        if axis.letter not in "zyx" or axis.reference is None:
            continue
        if axis.scale != 1.0 or axis.offset > 0 or axis.offset % 2:
            raise BundleInvalid(
                f"'{tensor.name}' has another size than the image along {axis.letter} (scale {axis.scale:g}, offset {axis.offset}), and "
                "DeepImageJ misreads such sizes: only outputs of the image's size are brought to Fiji."
            )
        margins[axis.letter] = -axis.offset // 2
    return margins


def _letters(tensor: Tensor) -> str:
    return "".join(axis.letter for axis in tensor.details)


def _spec(tensor: Tensor, count: int) -> TensorSpec:
    letters = _letters(tensor)
    axes = "".join(axis for axis in "bczyx" if axis in letters or axis in "bc")
    distinct = len(tensor.channels) == count == len(set(tensor.channels))
    channels = tensor.channels if distinct else ("intensity",) if count == 1 else tuple(f"channel_{n}" for n in range(count))
    name = re.sub(r"\W+", "_", tensor.name.lower())[:32].strip("_") or "image"
    kind: Kind = "image" if "y" in axes else "scores"
    return TensorSpec(name=name if name.isidentifier() else f"t_{name}"[:32], axes=axes, channels=channels, kind=kind, unit=tensor.unit)
