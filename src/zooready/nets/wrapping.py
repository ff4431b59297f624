"""Makes any network Fiji-safe: raw pixels of any size in, float32 outputs of the image's size out.

The source text of this module is part of every bundle's architecture, so it imports nothing but PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional


def flat(output: object) -> tuple[Tensor, ...]:
    """Every tensor in a network's output, in order: tensors, lists, tuples and mappings of them; None is left out."""
    if isinstance(output, Tensor):
        return (output,)
    if output is None:
        return ()
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, (list, tuple)):
        return tuple(tensor for item in output for tensor in flat(item))
    raise TypeError(f"a network returned {type(output).__name__}, which is no tensor: return tensors, lists, tuples or dicts of them.")


class FijiSafe(nn.Module):
    """Normalise, pad, run the network, crop, restore, finish: everything between raw pixels and the declared outputs.

    Parameters
    ----------
    network
        (b, c, ...) -> tensors; sizes must be multiples of ``stride`` and at least ``minimum``.
    normalization
        Module with ``statistics(image) -> (offset, scale)``, each (b, c, 1, ...); the network sees (image - offset) / scale. There may
        be several offsets before the scale, which are subtracted one after the other.
    head
        Module called with the network's outputs, cropped to the image; returns the bundle's outputs.
    stride, minimum
        In pixels, one number for every spatial axis or one for each. The image is padded at the right and below by replication, and
        outputs are cropped back, so that an image of one pixel works. A stride of 0 disables padding (axes of one fixed length).
    axes
        Axes of each output of the network, e.g. ``("bcyx", "bc")``; a missing channel axis is added. An empty text stands for an output
        that is not kept and may have any shape.
    restores
        Convert outputs that have the image's axes back to its intensities: output * scale + offset, the last offset first. An output
        of fewer channels than the image has the intensities of its first ones.
    keep
        Indices of the outputs to return, after the head; all if empty.

    Shapes: (b, c, y, x) or (b, c, z, y, x) float32 -> one tensor, or a tuple of them, float32.
    """

    def __init__(
        self,
        network: nn.Module,
        normalization: nn.Module | None = None,
        head: nn.Module | None = None,
        *,
        stride: int | tuple[int, ...] = 1,
        minimum: int | tuple[int, ...] = 1,
        axes: tuple[str, ...] = ("bcyx",),
        restores: bool = False,
        keep: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.normalization = normalization
        self.head = head
        self.stride = stride
        self.minimum = minimum
        self.axes = axes
        self.restores = restores
        self.keep = keep

    def missing(self, size: int, axis: int = 0) -> int:
        """Pixels to add to ``size`` of a spatial axis, 0 for the first; arithmetic only, so that a trace records it for every size."""
        stride = self.stride[axis] if isinstance(self.stride, tuple) else self.stride
        minimum = self.minimum[axis] if isinstance(self.minimum, tuple) else self.minimum
        if not stride:
            return 0
        multiple = (size + stride - 1) // stride * stride
        padded = (multiple + minimum + abs(multiple - minimum)) // 2  # the larger of the two
        return padded - size

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Outputs for raw pixels ``image``, (b, c, y, x) or (b, c, z, y, x) float32, any range."""
        sizes = image.shape[2:]
        if self.normalization is not None:
            *offsets, scale = self.normalization.statistics(image)  # type: ignore[operator]
            for offset in offsets:
                image = image - offset
            image = image / scale
        if self.stride:
            padding = [amount for axis in reversed(range(len(sizes))) for amount in (0, self.missing(sizes[axis], axis))]
            image = functional.pad(image, padding, mode="replicate")
        else:
            image = image.clone()  # a network may change its input, which is the caller's
        outputs = []
        for axes, output in zip(self.axes, flat(self.network(image)), strict=True):
            if not axes:
                outputs.append(output)
                continue
            output = output.to(torch.float32)
            if "c" not in axes:
                output = output.unsqueeze(1)
            for axis, size in zip(range(2, 2 + len(sizes)), sizes, strict=True) if output.ndim == image.ndim else ():
                output = output.narrow(axis, 0, size)
            if self.restores and self.normalization is not None and output.ndim == image.ndim:
                channels = output.shape[1]
                output = output * scale[:, :channels]
                for offset in reversed(offsets):
                    output = output + offset[:, :channels]
            outputs.append(output)
        if self.head is not None:
            outputs = list(flat(self.head(*outputs)))
        if self.keep:
            outputs = [outputs[index] for index in self.keep]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)
