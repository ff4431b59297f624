"""Operations that a trace or ONNX opset 17 lacks, written in those that it has.

Each form takes what the operation takes and computes the same numbers up to rounding, at every size: lengths stay tensors of the
recording. The file is compared with the network afterwards, as every file is.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from zooready.formats import spectra, sums

if TYPE_CHECKING:
    from torch import Tensor, nn

Length = Any  # a Python number, or a size that the recording follows, which is a tensor to some of its operations
LINEAR, CUBIC = 1, 2  # px on each side that an antialiased pixel is made of, before it is widened


def traced(network: nn.Module, example: Tensor) -> Any:
    """A trace of the network; where that fails, one with the forms of what no trace follows, which give its variables other names.

    Raises
    ------
    Exception
        What the first of the two met, of any kind.
    """
    import torch

    try:
        return torch.jit.trace(network, example.clone(), check_trace=False)
    except Exception:
        with suppress(Exception), forms(onnx=False):
            return torch.jit.trace(network, example.clone(), check_trace=False)
        raise


def forms(*, onnx: bool) -> AbstractContextManager[Any]:
    """While it is entered, operations that a trace, or ONNX, has not run as the form that they have here."""
    return _mode({**_of_traces(), **(_of_onnx() if onnx else {})})


def spectral() -> AbstractContextManager[Any]:
    """While it is entered, Fourier transforms and what goes with them run as the forms of :mod:`zooready.formats.spectra`."""
    return _mode(spectra.forms())


def _mode(by_operation: Mapping[Any, Callable[..., Any]]) -> AbstractContextManager[Any]:
    from torch.overrides import TorchFunctionMode

    class Forms(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            form = by_operation.get(func)
            result = form(*args, **(kwargs or {})) if form else NotImplemented  # which a form gives for arguments that it is not for
            return func(*args, **(kwargs or {})) if result is NotImplemented else result

    return Forms()


@cache
def _of_traces() -> dict[Any, Callable[..., Any]]:
    from torch.nn import functional

    unpooling = {1: functional.max_unpool1d, 2: functional.max_unpool2d, 3: functional.max_unpool3d}
    return {operation: _unpooled(axes) for axes, operation in unpooling.items()}


@cache
def _of_onnx() -> dict[Any, Callable[..., Any]]:
    import torch
    from torch.nn import functional

    by_axes = {1: functional.adaptive_avg_pool1d, 2: functional.adaptive_avg_pool2d, 3: functional.adaptive_avg_pool3d}
    largest = {1: functional.adaptive_max_pool1d, 2: functional.adaptive_max_pool2d, 3: functional.adaptive_max_pool3d}
    return {
        **sums.forms(),
        **spectra.shifts(),
        torch.einsum: einsum,
        torch.linspace: linspace,
        torch.logspace: logspace,
        torch.quantile: quantile,
        torch.Tensor.quantile: quantile,
        torch.median: median,
        torch.Tensor.median: median,
        torch.kthvalue: kthvalue,
        torch.Tensor.kthvalue: kthvalue,
        functional.affine_grid: affine_grid,
        functional.interpolate: interpolate,
        functional.fold: fold,
        **{operation: _of_axes(adaptive_mean, axes) for axes, operation in by_axes.items()},
        **{operation: _of_axes(adaptive_largest, axes) for axes, operation in largest.items()},
    }


def _of_axes(form: Callable[..., Any], axes: int) -> Callable[..., Any]:
    def pooled(image: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        wanted = list(output_size) if isinstance(output_size, Sequence) else [output_size] * axes
        if return_indices:
            return NotImplemented  # no form gives indices
        if all(isinstance(one, int) and one == 1 for one in wanted):
            return NotImplemented if form is adaptive_largest else sums.mean(image, range(-axes, 0), True)
        lengths = image.shape[-axes:]
        return form(image, [have if want is None else want for have, want in zip(lengths, wanted, strict=True)])

    return pooled


def _unpooled(axes: int) -> Callable[..., Any]:
    def unpooled(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Any:
        """Values put where they came from; PyTorch compares sizes there in Python, which no recording follows."""
        if input.ndim != axes + 2:
            return NotImplemented
        kernel, rim = (list(one) if isinstance(one, Sequence) else [one] * axes for one in (kernel_size, padding))
        step = list(stride) if isinstance(stride, Sequence) else kernel if stride is None else [stride] * axes
        have = input.shape[2:]
        lengths = [(length - 1) * hop + size - 2 * edge for length, hop, size, edge in zip(have, step, kernel, rim, strict=True)]
        lengths = list(output_size)[-axes:] if output_size is not None else lengths
        places = input.new_zeros([*input.shape[:2], *lengths]).flatten(2)
        return places.scatter(2, indices.flatten(2), input.flatten(2)).reshape([*input.shape[:2], *lengths])

    return unpooled


def einsum(equation: Any, *operands: Any) -> Any:
    """With letters in the place of dots: ONNX Runtime takes no dots that are in no output."""
    import torch

    if not isinstance(equation, str) or "..." not in equation:
        return NotImplemented
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], Sequence) else operands
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    free = [letter for letter in string.ascii_letters if letter not in equation]
    dots = [tensor.ndim - len(term.replace("...", "")) for term, tensor in zip(terms, tensors, strict=True)]
    most = max(number for term, number in zip(terms, dots, strict=True) if "..." in term)
    letters = "".join(free[:most])
    written = [term.replace("...", letters[most - number :]) for term, number in zip(terms, dots, strict=True)]
    if not arrow:
        joined = inputs.replace(",", "").replace(".", "")
        output = letters + "".join(sorted(letter for letter in set(joined) if joined.count(letter) == 1))
    return torch.einsum(f"{','.join(written)}->{output.replace('...', letters)}", *tensors)


def linspace(start: Any, end: Any, steps: Length, *, dtype: Any = None, device: Any = None, **rest: Any) -> Any:
    """``steps`` evenly spaced values; a single one is ``start``, where the exporter divides 0 by 0."""
    import torch

    kind = dtype or torch.get_default_dtype()
    spaces = torch.as_tensor(steps, device=device).sub(1).clamp(min=1)
    place = torch.arange(steps, device=device).to(kind)
    share = place / spaces
    return (start * (1 - share) + end * share).to(kind)  # both ends exact


def logspace(start: Any, end: Any, steps: Length, base: float = 10.0, **rest: Any) -> Any:
    """``base`` to the power of evenly spaced values."""
    import torch

    exponents = linspace(start, end, steps, **rest)
    return torch.pow(torch.full_like(exponents, base), exponents)


def _sorted(values: Tensor, dim: int | None) -> Any:
    """Values and their places in order along an axis (of all values in a row if None), the axis, and its length as a tensor."""
    import torch

    values, axis = (values.flatten(), 0) if dim is None else (values, dim)
    ordered = values.sort(axis)
    return ordered.values, ordered.indices, axis, torch.as_tensor(values.shape[axis])


def quantile(
    values: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", **rest: Any
) -> Any:
    """Sorted, and the two neighbours of the wanted rank mixed."""
    import torch

    ordered, _, axis, length = _sorted(values, dim)
    levels = torch.as_tensor(q, dtype=values.dtype)
    rank = levels.reshape(-1).double() * (length - 1)
    rank = {"lower": rank.floor(), "higher": rank.ceil(), "nearest": rank.round()}.get(interpolation, rank)
    low, high = rank.floor(), rank.ceil()
    share = 0.5 * (high - low) if interpolation == "midpoint" else rank - low
    shape = [1] * ordered.ndim
    shape[axis] = -1
    first, second = (ordered.index_select(axis, place.long()) for place in (low, high))
    result = first + share.to(values.dtype).reshape(shape) * (second - first)
    if dim is None and keepdim:
        result = result.reshape([-1, *[1] * values.ndim])
    elif levels.ndim or keepdim:
        result = result.movedim(axis, 0)
        result = result.unsqueeze(1 + axis % values.ndim) if keepdim else result
    else:
        return result.squeeze(axis)
    return result if levels.ndim else result.squeeze(0)


def kthvalue(values: Tensor, k: Length, dim: int = -1, keepdim: bool = False, **rest: Any) -> Any:
    """The k-th smallest along an axis, and where it is."""
    import torch

    *ordered, axis, _ = _sorted(values, dim)
    place = torch.as_tensor(k).reshape(1) - 1
    found = [one.index_select(axis, place) for one in ordered]
    values, places = found if keepdim else [one.squeeze(axis) for one in found]
    return torch.return_types.kthvalue((values, places))


def median(values: Tensor, dim: int | None = None, keepdim: bool = False, **rest: Any) -> Any:
    """The lower of the two in the middle."""
    import torch

    _, _, axis, length = _sorted(values, dim)
    middle = (length + 1) // 2
    found = kthvalue(values.flatten() if dim is None else values, middle, axis, keepdim)
    return found.values if dim is None else torch.return_types.median((found.values, found.indices))


def affine_grid(theta: Tensor, size: Sequence[Length], align_corners: bool | None = None) -> Tensor:
    """(b, y, x, 2) or (b, z, y, x, 3): the places -1 to 1 of every pixel, turned and moved by ``theta``."""
    import torch

    lengths = list(size)[2:]
    places = []
    for axis, length in enumerate(lengths):
        here = torch.arange(length, device=theta.device).to(theta.dtype)
        last = torch.as_tensor(length, device=theta.device) - 1
        along = (2 * here - last) / (last.clamp(min=1) if align_corners else last + 1)
        shape = [1] * len(lengths)
        shape[axis] = -1
        places.append(along.reshape(shape).expand(lengths))
    grid = torch.stack([*reversed(places), torch.ones_like(places[0])], -1)
    flat = grid.reshape(-1, len(lengths) + 1) @ theta.transpose(1, 2)
    return flat.reshape([-1, *lengths, len(lengths)])


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """By area, and with antialias; all other ways ONNX has."""
    import torch

    if mode != "area" and not antialias:
        return NotImplemented
    axes = input.ndim - 2
    have = list(input.shape[2:])
    factors: list[Any] = (
        [None] * axes if scale_factor is None else list(scale_factor) if isinstance(scale_factor, Sequence) else [scale_factor] * axes
    )
    wanted = list(size) if isinstance(size, Sequence) else [size] * axes
    if size is None:
        wanted = [(torch.as_tensor(length).double() * factor).floor().long() for length, factor in zip(have, factors, strict=True)]
    if mode == "area":
        return adaptive_mean(input, wanted)
    kept = [None if recompute_scale_factor or size is not None else factor for factor in factors]
    reach = CUBIC if mode == "bicubic" else LINEAR
    for axis, (length, want, factor) in enumerate(zip(have, wanted, kept, strict=True)):
        input = _mixed(input, _smooth(length, want, factor, bool(align_corners), reach).to(input), axis + 2)
    return input


def _mixed(image: Tensor, weights: Tensor, axis: int) -> Tensor:
    """(want, have) weights applied along one axis of an image."""
    return (image.transpose(axis, -1) @ weights.transpose(0, 1)).transpose(axis, -1)


def _smooth(have: Length, want: Length, factor: float | None, is_aligned: bool, reach: int) -> Tensor:
    """(want, have) weights of an antialiased interpolation: a triangle, or Keys' cubic of -0.5, as wide as a new pixel."""
    import torch

    if is_aligned:
        step = torch.as_tensor(have - 1).float() / torch.as_tensor(want - 1).clamp(min=1)
    else:
        step = torch.as_tensor(1 / factor) if factor else torch.as_tensor(have).float() / torch.as_tensor(want)
    width = step.clamp(min=1)
    center = (step * (torch.arange(want) + 0.5))[:, None]
    place = torch.arange(have)[None]
    first = (center - reach * width + 0.5).long().clamp(min=0)
    last = (center + reach * width + 0.5).long()
    off = ((place + 0.5 - center) / width).abs()
    near, far = (1.5 * off - 2.5) * off * off + 1, ((-0.5 * off + 2.5) * off - 4) * off + 2
    cubic = torch.where(off < 1, near, torch.where(off < 2, far, torch.zeros_like(off)))
    weights = (1 - off).clamp(min=0) if reach == LINEAR else cubic
    weights = weights * ((place >= first) & (place < last))
    return weights / weights.sum(1, keepdim=True)


def adaptive_mean(image: Tensor, wanted: Sequence[Length]) -> Tensor:
    """The mean of each of ``wanted`` windows along the last axes."""
    import torch

    for axis, want in enumerate(wanted, image.ndim - len(wanted)):
        have = image.shape[axis]
        row, place = torch.arange(want)[:, None], torch.arange(have)[None]
        inside = ((place >= row * have // want) & (place < ((row + 1) * have + want - 1) // want)).to(image)
        image = _mixed(image, inside / inside.sum(1, keepdim=True), axis)
    return image


def adaptive_largest(image: Tensor, wanted: Sequence[Length]) -> Any:
    """The largest of each of ``wanted`` windows along the last axes, whose numbers must be Python's."""
    import torch

    if not all(type(want) is int for want in wanted):
        return NotImplemented
    for axis, want in enumerate(wanted, image.ndim - len(wanted)):
        have = image.shape[axis]
        moved = image.transpose(axis, -1)
        windows = [moved[..., row * have // want : ((row + 1) * have + want - 1) // want].amax(-1) for row in range(int(want))]
        image = torch.stack(windows, -1).transpose(axis, -1)
    return image


def fold(input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Windows added up where they overlap: a transposed convolution whose every weight is one value of a window."""
    import torch
    from torch.nn import functional

    if input.ndim != 3:
        return NotImplemented
    pairs = [list(one) if isinstance(one, Sequence) else [one, one] for one in (output_size, kernel_size, dilation, padding, stride)]
    lengths, kernel, spread, rim, step = pairs
    rows, columns = (
        (length + 2 * edge - gap * (size - 1) - 1) // hop + 1
        for length, size, gap, edge, hop in zip(lengths, kernel, spread, rim, step, strict=True)
    )
    area = kernel[0] * kernel[1]
    channels = input.shape[1] // area
    windows = input.reshape(-1, area, rows, columns)  # one channel after the other, as images of a batch
    weights = torch.eye(area, dtype=input.dtype, device=input.device).reshape(area, 1, *kernel)
    added = functional.conv_transpose2d(windows, weights, stride=step, dilation=spread)
    missing = [length + 2 * edge - have for length, edge, have in zip(lengths, rim, added.shape[2:], strict=True)]
    added = functional.pad(added, [0, missing[1], 0, missing[0]])
    added = added[:, :, rim[0] : rim[0] + lengths[0], rim[1] : rim[1] + lengths[1]]
    return added.reshape(-1, channels, *lengths)
