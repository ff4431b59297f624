"""Fourier transforms in ONNX, of every size: each axis is multiplied by a matrix of cosines and sines.

ONNX's own DFT is not used: ONNX Runtime 1.12 in Fiji loads no file in which the exporter wrote an inverse transform of half a spectrum,
and at sizes that are no power of two it is slower than these products and farther from PyTorch (docs/export.md has the numbers).
The exporter also binds shifts of the origin and frequencies to one size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Length = Any  # a Python number, or a size that the recording follows
Parts = tuple["Tensor", "Tensor | None"]  # real and imaginary part, None where it is nought
PLANE = (-2, -1)


@cache
def shifts() -> Mapping[Any, Callable[..., Any]]:
    """Forms of real numbers, by the function that they stand for."""
    from torch import fft

    return {fft.fftshift: fftshift, fft.ifftshift: ifftshift, fft.fftfreq: fftfreq, fft.rfftfreq: rfftfreq}


@cache
def forms() -> Mapping[Any, Callable[..., Any]]:
    """All forms; the transforms give complex numbers, which only the dynamo exporter knows."""
    from torch import fft

    lines = {fft.fft: _forward, fft.ifft: _inverse, fft.rfft: _half, fft.irfft: _from_half}
    planes = {fft.fft2: _forward, fft.ifft2: _inverse, fft.rfft2: _half, fft.irfft2: _from_half}
    volumes = {fft.fftn: _forward, fft.ifftn: _inverse, fft.rfftn: _half, fft.irfftn: _from_half}
    return {
        **shifts(),
        **{operation: _of_line(way) for operation, way in lines.items()},
        **{operation: _of_axes(way, PLANE) for operation, way in planes.items()},
        **{operation: _of_axes(way, None) for operation, way in volumes.items()},
    }


def _of_line(way: Callable[..., Parts]) -> Callable[..., Tensor]:
    def transform(input: Tensor, n: Length = None, dim: int = -1, norm: str | None = None) -> Tensor:
        return _along(way, input, [n], [dim], norm)

    return transform


def _of_axes(way: Callable[..., Parts], usual: Sequence[int] | None) -> Callable[..., Tensor]:
    def transform(input: Tensor, s: Any = None, dim: Any = usual, norm: str | None = None) -> Tensor:
        axes = (
            [dim] if isinstance(dim, int) else list(range(-len(s), 0) if s is not None else range(input.ndim)) if dim is None else list(dim)
        )
        return _along(way, input, [None] * len(axes) if s is None else list(s), axes, norm)

    return transform


def _along(way: Callable[..., Parts], image: Tensor, lengths: Sequence[Length], axes: Sequence[int], norm: str | None) -> Tensor:
    """The transform along each axis; half spectra are those of the last, which is the first forwards and the last backwards."""
    import torch

    parts: Parts = (image.real, image.imag) if image.is_complex() else (image, None)
    ways = [{_half: _forward, _from_half: _inverse}.get(way, way)] * (len(axes) - 1) + [way]
    steps = list(zip(ways, axes, lengths, strict=True))
    for step, axis, length in reversed(steps) if way is _half else steps:
        parts = step(parts, axis % image.ndim, None if length == -1 else length, norm)
    real, imaginary = parts
    return real if imaginary is None else torch.complex(real, imaginary)


def _forward(parts: Parts, axis: int, n: Length, norm: str | None) -> Parts:
    real, imaginary = (_fitted(part, axis, n) for part in parts)
    cosines, sines = _waves(real, axis, real.shape[axis], norm, is_forward=True)
    if imaginary is None:
        return _times(real, cosines, axis), -_times(real, sines, axis)
    return (
        _times(real, cosines, axis) + _times(imaginary, sines, axis),
        _times(imaginary, cosines, axis) - _times(real, sines, axis),
    )


def _inverse(parts: Parts, axis: int, n: Length, norm: str | None) -> Parts:
    real, imaginary = (_fitted(part, axis, n) for part in parts)
    cosines, sines = _waves(real, axis, real.shape[axis], norm, is_forward=False)
    if imaginary is None:
        return _times(real, cosines, axis), _times(real, sines, axis)
    return (
        _times(real, cosines, axis) - _times(imaginary, sines, axis),
        _times(imaginary, cosines, axis) + _times(real, sines, axis),
    )


def _half(parts: Parts, axis: int, n: Length, norm: str | None) -> Parts:
    """Of real numbers: the frequencies from 0 up."""
    real = _fitted(parts[0], axis, n)
    length = real.shape[axis]
    cosines, sines = (wave.narrow(1, 0, length // 2 + 1) for wave in _waves(real, axis, length, norm, is_forward=True))
    return _times(real, cosines, axis), -_times(real, sines, axis)


def _from_half(parts: Parts, axis: int, n: Length, norm: str | None) -> Parts:
    """To real numbers: each frequency stands for its negative too, but for 0 and the last of an even size."""
    import torch

    n = 2 * (parts[0].shape[axis] - 1) if n is None else n
    real, imaginary = (_fitted(part, axis, n // 2 + 1) for part in parts)
    waves = _waves(real, axis, n, norm, is_forward=False)
    places = torch.arange(n // 2 + 1, device=real.device)
    times = 2 - (places == 0).to(real) - (2 * places == _count(waves[0])).to(real)
    cosines, sines = (times[:, None] * wave.narrow(0, 0, n // 2 + 1) for wave in waves)
    result = _times(real, cosines, axis)
    return (result if imaginary is None else result - _times(imaginary, sines, axis)), None


def _waves(part: Tensor, axis: int, n: Length, norm: str | None, *, is_forward: bool) -> tuple[Tensor, Tensor]:
    """(n, n) cosines and sines, with the factor that ``norm`` asks for."""
    import torch

    places = torch.arange(n, device=part.device)
    length = torch.ones_like(places).sum()  # a tensor: the exporter takes no size as a number to divide by
    turns = places[:, None] * places[None] % length  # whole numbers, so that large ones lose no digits
    # In float32 all angles would be off in one direction, and a share of the mean would stand in the first row and column. Sine alone,
    # since ONNX Runtime 1.12 has no cosine in float64.
    angle = turns.double() * (2 * math.pi / length.double())
    cosines, sines = (wave.sin().to(part.dtype) for wave in (angle + math.pi / 2, angle))
    share = 1 / length.to(part.dtype)
    whole = {None: not is_forward, "backward": not is_forward, "forward": is_forward}
    factor = share.sqrt() if norm == "ortho" else share if whole[norm] else torch.ones_like(share)
    return cosines * factor, sines * factor


def _count(square: Tensor) -> Tensor:
    """The number of rows, as a tensor."""
    import torch

    return torch.ones_like(square[:, 0]).sum()


def _times(part: Tensor, matrix: Tensor, axis: int) -> Tensor:
    return (part.transpose(axis, -1) @ matrix).transpose(axis, -1)


def _fitted(part: Tensor | None, axis: int, n: Length) -> Any:
    """Cut or filled with noughts to a length along an axis."""
    from torch.fx.experimental.symbolic_shapes import statically_known_true
    from torch.nn import functional

    if part is None or n is None or statically_known_true(part.shape[axis] == n):
        return part
    rim = [0, 0] * (part.ndim - axis - 1) + [0, n]
    return functional.pad(part, rim).narrow(axis, 0, n)


def fftshift(image: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """The origin moved to the middle along each axis of ``dim``, all if None."""
    return _rolled(image, dim, 0)


def ifftshift(image: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """The middle moved back to the origin."""
    return _rolled(image, dim, 1)


def _rolled(image: Tensor, dim: int | Sequence[int] | None, odd: int) -> Tensor:
    import torch

    for axis in range(image.ndim) if dim is None else [dim] if isinstance(dim, int) else dim:
        length = image.shape[axis]
        kept = length - (length + odd) // 2
        image = torch.cat([image.narrow(axis, kept, length - kept), image.narrow(axis, 0, kept)], axis)
    return image


def fftfreq(n: Length, d: float = 1.0, *, dtype: Any = None, device: Any = None, **rest: Any) -> Tensor:
    """Frequencies of ``fft`` of ``n`` values that are ``d`` apart."""
    import torch

    places = torch.arange(n, device=device)
    length = torch.ones_like(places).sum()  # a tensor: the exporter takes no size as a number to divide by
    from_middle = places - length * (2 * places >= length)
    return _frequencies(from_middle, length, d, dtype)


def rfftfreq(n: Length, d: float = 1.0, *, dtype: Any = None, device: Any = None, **rest: Any) -> Tensor:
    """Frequencies of ``rfft`` of ``n`` values that are ``d`` apart."""
    import torch

    places = torch.arange(n, device=device)
    length = torch.ones_like(places).sum()
    return _frequencies(places, length, d, dtype).narrow(0, 0, n // 2 + 1)


def _frequencies(places: Tensor, length: Tensor, d: float, dtype: Any) -> Tensor:
    import torch

    kind = dtype or torch.get_default_dtype()
    return places.to(kind) / (length.to(kind) * d)
