"""Sums, means and spreads over a whole image, for ONNX: axis by axis, and long rows in pieces.

ONNX Runtime adds in plain float32, one value after the other: the mean of 4096 x 4096 pixels near 1000 that spread by 30 is a fifth of that
spread off, and an instance normalisation two standard deviations. PyTorch's own sums are exact to some 1e-6, and so are these.
Each form takes what the operation takes, and gives NotImplemented where the operation is as good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Length = Any  # a Python number, or a size that the recording follows
ROW = 256  # values that are added before their sum is put aside
FLAT = 3  # axes of (b, c, n): a row of all pixels


def forms() -> dict[Any, Callable[..., Any]]:
    """The forms by the operation that they stand for."""
    import torch
    from torch.nn import functional

    return {
        **dict.fromkeys((torch.mean, torch.Tensor.mean), mean),
        **dict.fromkeys((torch.sum, torch.Tensor.sum), total),
        **dict.fromkeys((torch.var, torch.Tensor.var), variance),
        **dict.fromkeys((torch.std, torch.Tensor.std), deviation),
        functional.instance_norm: instance_norm,
        functional.group_norm: group_norm,
    }


def _axes(values: Tensor, dim: Any) -> list[int]:
    """The axes that are added up, the first one first; none where one operator adds few enough."""
    named = list(range(values.ndim)) if dim is None else [*dim] if isinstance(dim, Sequence) else [dim]
    axes = sorted({axis % values.ndim for axis in named or range(values.ndim)}) if values.ndim else []
    is_row = values.ndim <= FLAT and values.ndim - 1 in axes
    return axes if values.is_floating_point() and (len(axes) > 1 or is_row) else []


def _squeezed(values: Tensor, axes: Sequence[int], keepdim: bool) -> Tensor:
    for axis in reversed(axes if not keepdim else ()):
        values = values.squeeze(axis)
    return values


def _added(values: Tensor, axes: Sequence[int]) -> Tensor:
    """The sum over some axes, which keep the length 1."""
    from torch.nn import functional

    for axis in axes:
        if values.ndim <= FLAT and axis == values.ndim - 1:
            for _ in range(2):
                length = values.shape[axis]
                missing = (length + ROW - 1) // ROW * ROW - length
                values = functional.pad(values, (0, missing)).reshape([*values.shape[:axis], -1, ROW]).sum(-1)
        values = values.sum(axis, keepdim=True)
    return values


def _count(values: Tensor, axes: Sequence[int]) -> Length:
    """How many values there are along some axes."""
    number: Length = 1
    for axis in axes:
        number = number * values.shape[axis]
    return number


def _centred(values: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Values less their mean, and the mean of their squares; the mean is taken twice, since one float32 does not hold it."""
    number = _count(values, axes)
    for _ in range(2):
        values = values - _added(values, axes) / number
    return values, _added(values * values, axes) / number


def total(values: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None) -> Any:
    """The sum."""
    axes = _axes(values, axis if dim is None else dim)
    return _squeezed(_added(values, axes), axes, keepdim) if axes and dtype is None else NotImplemented


def mean(values: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None) -> Any:
    """The mean."""
    axes = _axes(values, axis if dim is None else dim)
    return _squeezed(_added(values, axes) / _count(values, axes), axes, keepdim) if axes and dtype is None else NotImplemented


def variance(values: Tensor, dim: Any = None, unbiased: Any = True, keepdim: bool = False, *, correction: Any = None) -> Any:
    """The variance; ``correction`` is taken off the number of values, 1 if ``unbiased``."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    axes = _axes(values, dim)
    if not axes:
        return NotImplemented
    number = _count(values, axes)
    _, square = _centred(values, axes)
    less = square.new_zeros(()) + number - (correction if correction is not None else int(unbiased))
    return _squeezed(square * number / less.clamp(min=0), axes, keepdim)


def deviation(*arguments: Any, **named: Any) -> Any:
    """The standard deviation, as :func:`variance`."""
    square = variance(*arguments, **named)
    return square if square is NotImplemented else square.sqrt()


def instance_norm(
    image: Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Every channel of every image with mean 0 and spread 1, of (b, c, …)."""
    if not use_input_stats or image.ndim < FLAT:
        return NotImplemented
    centred, square = _centred(image, range(2, image.ndim))
    return _scaled(centred / (square + eps).sqrt(), weight, bias)


def group_norm(image: Tensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Every group of channels of every image with mean 0 and spread 1, of (b, c, …)."""
    if image.ndim < FLAT:
        return NotImplemented
    groups = image.reshape([image.shape[0], num_groups, image.shape[1] // num_groups, *image.shape[2:]])
    centred, square = _centred(groups, range(2, groups.ndim))
    return _scaled((centred / (square + eps).sqrt()).reshape(image.shape), weight, bias)


def _scaled(image: Tensor, weight: Any, bias: Any) -> Tensor:
    """Each channel times its weight, plus its bias, where there are some."""
    shape = [1, -1, *[1] * (image.ndim - 2)]
    image = image if weight is None else image * weight.reshape(shape)
    return image if bias is None else image + bias.reshape(shape)
