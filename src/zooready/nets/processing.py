"""The steps that a BioImage.IO description asks for before and behind a network, with the arithmetic of bioimageio.core 0.11.

Each operator is a function of the tensor that it changes and of the one that its statistics are taken of; what a description says of it
comes as plain values, read and found possible elsewhere. Statistics are taken image by image: no batch is ever reduced. They are summed
in float64 and rounded where bioimageio.core rounds them. Any traced size stays a size, and no constant stays behind on a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

EPS = 1e-6  # bioimageio.core 0.11 reads another one for scale_mean_variance only
SHARES = 10**9  # steps in which a share of pixels is counted, so that ranks are whole numbers of any traced size
DTYPES = ("float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "bool")
BITS = {"uint8": 8, "int8": 8, "uint16": 16, "int16": 16, "uint32": 32}  # of types that values are wrapped into
Values = float | tuple[float, ...]  # one number, or one for each position along an axis


@dataclass(frozen=True)
class Statistics:
    """Which values of a tensor are taken together, and where the result lies in another.

    Parameters
    ----------
    axes
        Ids of the axes of the tensor that statistics are taken of.
    joint
        Those of them over which values are taken together, never "batch".
    onto
        Ids of the axes of the tensor that the result is used on.
    wide
        Whether the result stays float64, as that of a whole data set does.
    """

    axes: tuple[str, ...]
    joint: tuple[str, ...]
    onto: tuple[str, ...]
    wide: bool

    def values(self, tensor: Tensor) -> Tensor:
        """(..., n): the n values that belong together along the last axis."""
        kept = [index for index, axis in enumerate(self.axes) if axis not in self.joint]
        joint = [self.axes.index(axis) for axis in self.joint]
        return tensor.permute(kept + joint).flatten(len(kept)) if joint else tensor.unsqueeze(-1)

    def laid(self, result: Tensor) -> Tensor:
        """What remains of the axes, laid along those of the other tensor; each that it does not have is one long."""
        left = [axis for axis in self.axes if axis not in self.joint]
        result = result.permute([left.index(axis) for axis in self.onto if axis in left])
        for index, axis in enumerate(self.onto):
            if axis not in left:
                result = result.unsqueeze(index)
        return result

    def moments(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, float64 if ``wide``, else of the tensor's own kind."""
        values = self.values(tensor).to(torch.float64)
        mean = values.mean(-1, keepdim=True)
        deviation = ((values - mean) ** 2).mean(-1).sqrt()
        kind = torch.float64 if self.wide or not tensor.is_floating_point() else tensor.dtype
        return self.laid(mean.squeeze(-1)).to(kind), self.laid(deviation).to(kind)

    def quantile(self, tensor: Tensor, share: float, *, interpolated: bool) -> Tensor:
        """The value that this share of all values does not exceed, float64: between two of them, or the first that is large enough."""
        ordered = self.values(tensor).sort(-1)[0]
        count, parts = ordered.shape[-1], round(share * SHARES)
        if not interpolated:
            rank = (count * parts + SHARES - 1) // SHARES - 1 if parts else 0
            return self.laid(ordered[..., rank : rank + 1].squeeze(-1)).to(torch.float64)
        rank = (count - 1) * parts // SHARES
        part = ((count - 1) * parts - rank * SHARES) / SHARES
        after = rank + 1 - (rank + 1) // count  # the last value has none behind it
        low, high = (ordered[..., index : index + 1].squeeze(-1).to(torch.float64) for index in (rank, after))
        return self.laid(low + (high - low) * part)


def along(tensor: Tensor, values: Values, axis: int | None) -> Tensor | float:
    """A number; or numbers along an axis of the tensor, float64, one long in the other axes."""
    if not isinstance(values, tuple):
        return values
    one = tensor
    for index in range(tensor.dim()):
        one = one.narrow(index, 0, 1)
    zero = torch.zeros_like(one).to(torch.float64)
    return torch.cat([zero + value for value in values], axis or 0)


def binarize(tensor: Tensor, source: Tensor, *, threshold: Values, axis: int | None) -> Tensor:
    """Whether values are larger, bool."""
    return tensor > along(tensor, threshold, axis)


def clip(tensor: Tensor, source: Tensor, *, bounds: Sequence[tuple[str, float, Statistics | None]]) -> Tensor:
    """Values held between bounds, each ("min" or "max", number, None), or a share of the values and what they are."""
    for end, number, statistics in bounds:
        if statistics is None:
            tensor = tensor.clamp(min=number) if end == "min" else tensor.clamp(max=number)
        else:
            limit = statistics.quantile(source, number, interpolated=statistics.wide)
            tensor = torch.maximum(tensor.to(limit.dtype), limit) if end == "min" else torch.minimum(tensor.to(limit.dtype), limit)
    return tensor


def ensure_dtype(tensor: Tensor, source: Tensor, *, dtype: str) -> Tensor:
    """Values of another type, wrapped where they do not fit; int64 stands for the unsigned types that networks do not compute with."""
    if dtype == "bool" or dtype.startswith("float"):
        return tensor.to(getattr(torch, dtype))
    whole = tensor.to(torch.int64)
    if bits := BITS.get(dtype):
        least = 0 if dtype.startswith("u") else 2 ** (bits - 1)
        whole = (whole + least) % 2**bits - least
    return whole if dtype in ("uint16", "uint32", "uint64") else whole.to(getattr(torch, dtype))


def fixed_zero_mean_unit_variance(tensor: Tensor, source: Tensor, *, mean: Values, std: Values, axis: int | None) -> Tensor:
    """Known mean and standard deviation become 0 and 1, in float64."""
    return (tensor.to(torch.float64) - along(tensor, mean, axis)) / (along(tensor, std, axis) + EPS)


def scale_linear(tensor: Tensor, source: Tensor, *, gain: Values, offset: Values, axis: int | None) -> Tensor:
    """Values times ``gain``, plus ``offset``."""
    return tensor * along(tensor, gain, axis) + along(tensor, offset, axis)


def scale_mean_variance(tensor: Tensor, source: Tensor, *, own: Statistics, wanted: Statistics, eps: float) -> Tensor:
    """The mean and standard deviation of another tensor."""
    mean, deviation = own.moments(tensor)
    wanted_mean, wanted_deviation = wanted.moments(source)
    return (tensor - mean) / (deviation + eps) * (wanted_deviation + eps) + wanted_mean


def scale_range(tensor: Tensor, source: Tensor, *, low: float, high: float, statistics: Statistics) -> Tensor:
    """Two percentiles become 0 and 1."""
    lower, upper = (statistics.quantile(source, share, interpolated=True) for share in (low, high))
    return (tensor - lower) / (upper - lower + EPS)


def sigmoid(tensor: Tensor, source: Tensor) -> Tensor:
    """1 / (1 + exp(-value))."""
    return torch.sigmoid(tensor)


def softmax(tensor: Tensor, source: Tensor, *, axis: int) -> Tensor:
    """Shares of one along an axis."""
    return torch.softmax(tensor, axis)


def zero_mean_unit_variance(tensor: Tensor, source: Tensor, *, statistics: Statistics) -> Tensor:
    """The mean becomes 0 and the standard deviation 1."""
    mean, deviation = statistics.moments(source)
    return (tensor - mean) / (deviation + EPS)


OPERATORS: Mapping[str, Callable[..., Tensor]] = {
    function.__name__: function
    for function in (
        *(binarize, clip, ensure_dtype, fixed_zero_mean_unit_variance, scale_linear, scale_mean_variance, scale_range),
        *(sigmoid, softmax, zero_mean_unit_variance),
    )
}


@dataclass(frozen=True)
class Step:
    """One operator with its values; ``reference`` names the input that its statistics are of, empty for the tensor itself."""

    operator: str
    values: Mapping[str, object]
    reference: str = ""


class Steps(nn.Module):
    """Steps on one tensor, one after the other.

    Parameters
    ----------
    steps
        In their order.
    of_given
        Whether statistics are those of the tensor as it comes in, whatever steps come before, as bioimageio.core takes them of inputs.

    A tensor of any shape goes in, with the inputs before their first step by name, and comes out in the same shape.
    """

    def __init__(self, steps: Sequence[Step], *, of_given: bool) -> None:
        super().__init__()
        self.steps = tuple(steps)
        self.of_given = of_given

    def forward(self, tensor: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """The tensor after the last step, of the type that this one leaves."""
        given = tensor
        for step in self.steps:
            source = inputs[step.reference] if step.reference else given if self.of_given else tensor
            if not tensor.is_floating_point():
                tensor = tensor.to(torch.float32 if tensor.dtype == torch.bool else torch.float64)
            tensor = OPERATORS[step.operator](tensor, source, **step.values)
        return tensor
