"""Somebody else's network with everything around it inside: raw pixels of any size in, float32 outputs of the image's size out.

image -> its inputs, the network's own axes -> steps -> padding -> network -> cropping -> steps -> b, c, (z,) y, x
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from zooready.nets.processing import Steps
from zooready.nets.wrapping import flat


@dataclass(frozen=True)
class Grid:
    """Lengths that the network takes along one axis, px: ``minimum``, and then in steps of ``step``.

    ``lead`` is added before the image, and at least ``trail`` behind it, for a network that gives fewer pixels than it is given.
    """

    minimum: int
    step: int
    lead: int = 0
    trail: int = 0

    def behind(self, length: int) -> int:
        """Pixels to add behind the image, ``trail`` or more; arithmetic only, so that a trace records it for every length."""
        least = length + self.lead + self.trail
        over = least - self.minimum
        over = (over + abs(over)) // 2  # at least 0
        return self.minimum + (over + self.step - 1) // self.step * self.step - length - self.lead


@dataclass(frozen=True)
class Entry:
    """One input of the network: its name in steps, the letters of its axes in its order, and how many of the image's channels it takes.

    ``channels`` is None for a network of one input, which takes them all.
    """

    name: str
    axes: str
    channels: int | None = None


class Adopted(nn.Module):
    """A network, with the steps and the padding that its description asks for.

    Parameters
    ----------
    network
        One tensor for each input in, one tensor for each output out.
    inputs
        What the network takes, the channels of the image one after the other.
    outputs
        Letters of the axes of each output, in its order.
    before, behind
        The steps on each input, and those on each output.
    grids
        Axis to the lengths that the network takes; axes without any are not padded.
    offsets
        Of each output, axis to the pixels that it lacks at the beginning.

    Shapes: (b, c, y, x) or (b, c, z, y, x) float32, any range -> the same of each output, or (b, c); float32.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        inputs: Sequence[Entry],
        outputs: Sequence[str],
        before: Sequence[Steps],
        behind: Sequence[Steps],
        grids: Mapping[str, Grid],
        offsets: Sequence[Mapping[str, int]],
    ) -> None:
        super().__init__()
        self.network, self.inputs, self.outputs = network, tuple(inputs), tuple(outputs)
        self.before, self.behind = nn.ModuleList(before), nn.ModuleList(behind)
        self.grids, self.offsets = dict(grids), tuple(offsets)

    @property
    def order(self) -> str:
        """Axes of the image that comes in."""
        return "".join(axis for axis in "bczyx" if axis in self.inputs[0].axes or axis in "bc")

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Outputs for raw pixels."""
        spatial = self.order[2:]
        lengths = dict(zip(spatial, image.shape[2:], strict=True))
        raw = self.raw(image)
        padded = [self.padded(tensor, lengths, image.dtype) for tensor in self.processed(raw, image.dtype)]
        results = flat(self.network(*(arranged(tensor, self.order, entry.axes) for tensor, entry in zip(padded, self.inputs, strict=True))))
        if len(results) != len(self.outputs):
            raise ValueError(f"the network gave {len(results)} outputs, and its description has {len(self.outputs)}")
        finished = []
        for axes, offsets, steps, result in zip(self.outputs, self.offsets, self.behind, results, strict=True):
            for axis in spatial if "y" in axes else "":
                grid = self.grids.get(axis)
                if grid is not None and axis in axes:
                    result = result.narrow(axes.index(axis), grid.lead - offsets.get(axis, 0), lengths[axis])
            result = steps(result, raw).to(image.dtype)
            finished.append(arranged(result, axes, "".join(axis for axis in "bczyx" if axis in axes or axis in "bc")))
        return finished[0] if len(finished) == 1 else tuple(finished)

    def raw(self, image: Tensor) -> dict[str, Tensor]:
        """Each input before its first step, by name, with its own axes."""
        parts, first = {}, 0
        for entry in self.inputs:
            part = image if entry.channels is None else image.narrow(1, first, entry.channels)
            first += entry.channels or 0
            parts[entry.name] = arranged(part, self.order, entry.axes)
        return parts

    def processed(self, raw: Mapping[str, Tensor], kind: torch.dtype) -> list[Tensor]:
        """Each input after its last step, with the axes of the image; of this kind unless it is of whole numbers."""
        given = [(entry, steps(raw[entry.name], raw)) for entry, steps in zip(self.inputs, self.before, strict=True)]
        return [arranged(tensor.to(kind) if tensor.is_floating_point() else tensor, entry.axes, self.order) for entry, tensor in given]

    def padded(self, tensor: Tensor, lengths: Mapping[str, int], kind: torch.dtype) -> Tensor:
        """The tensor with its edges repeated, up to lengths that the network takes."""
        spatial = self.order[2:]
        if not any(axis in self.grids for axis in spatial):
            return tensor
        padding: list[int] = []
        for axis in reversed(spatial):
            grid = self.grids.get(axis)
            padding += [grid.lead, grid.behind(lengths[axis])] if grid else [0, 0]
        return functional.pad(tensor.to(kind), padding, mode="replicate").to(tensor.dtype)


def arranged(tensor: Tensor, axes: str, wanted: str) -> Tensor:
    """The tensor with its axes in another order; one that is not wanted must be one long, and one that it lacks becomes so."""
    for axis in axes:
        if axis not in wanted:
            tensor, axes = tensor.squeeze(axes.index(axis)), axes.replace(axis, "")
    tensor = tensor.permute([axes.index(axis) for axis in wanted if axis in axes])
    for index, axis in enumerate(wanted):
        if axis not in axes:
            tensor = tensor.unsqueeze(index)
    return tensor
