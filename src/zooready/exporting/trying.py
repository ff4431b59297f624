"""A network run at sizes of our choice: whether it takes them, and whether its trace says the same there.

Strides and lengths are one number a spatial axis, in the order of the image's axes; a stride of 0 keeps the example's length.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zooready.errors import InputInvalid
from zooready.exporting.pace import begin
from zooready.formats import forms
from zooready.formats.copies import copied
from zooready.formats.warned import tracer_lines
from zooready.images.agreement import same_values
from zooready.nets.wrapping import flat
from zooready.processes import on_time

if TYPE_CHECKING:
    from torch import Tensor, nn

AGREE = 1e-4  # of the output's range: a baked size or branch is off by far more, rounding by far less
LONG = 1100  # px; along one axis, the others kept short
THIN = {4: 16, 5: 4}  # px of those others at least, by the number of the image's axes
ODD = (31, 95, 63)  # (z, y, x), px; odd again each time that they are halved, so that a network that pads inside pads at every level
UNFIT = "the network turns {have} px into {out} px"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A network, its example and the axes of its outputs; an empty text for an output that nobody asked for.

    ``example`` is (1, c, y, x) or (1, c, z, y, x) float32. ``has_state`` says that a run changes the network: each then gets a copy.
    """

    network: nn.Module
    example: Tensor
    axes: tuple[str, ...] = ()
    has_state: bool = False

    def run(self, image: Tensor) -> tuple[Tensor, ...]:
        """The outputs for a copy of an image, by a network as it was given."""
        import torch

        network = copied(self.network) if self.has_state else self.network
        with torch.no_grad():
            return flat(network(image.clone()))

    def image(self, lengths: Sequence[int], batch: int = 1) -> Tensor:
        """The example repeated and cut to (batch, c, *lengths)."""
        return resized(self.example, batch, *lengths)

    def lengths(self, strides: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
        """Multiples of the strides for (z, y, x), of which images take the last two, or for (y, x), where z is as y."""
        spread = ((wanted[0], *wanted) if len(wanted) == 2 else tuple(wanted))[-len(strides) :]
        return tuple(
            -(-size // stride) * stride if stride else int(have)
            for size, stride, have in zip(spread, strides, self.example.shape[2:], strict=True)
        )

    def line(self, number: int, length: int, strides: Sequence[int], minimums: Sequence[int]) -> tuple[int, ...]:
        """Lengths of an image that is long along one spatial axis and short along the others; a stack as short as the network takes."""
        least = 2 if self.example.ndim == 4 else 1
        thin = [
            max(minimum, least * stride, THIN[self.example.ndim] // stride * stride) if stride else int(have)
            for minimum, stride, have in zip(minimums, strides, self.example.shape[2:], strict=True)
        ]
        return (*thin[:number], max(thin[number], length), *thin[number + 1 :])

    def fits(self, lengths: Sequence[int], batch: int = 1) -> bool:
        """Whether the network returns finite outputs of the image's size."""
        import torch

        image = self.image(lengths, batch)
        try:
            outputs = self.run(image)
            axes = axes_of(outputs, image, tuple(n for n, a in enumerate(self.axes) if a))
            return axes == self.axes and all(bool(torch.isfinite(o.double()).all()) for o in outputs)
        except Exception:  # a network may fail in any way at a size that it does not take: that is what is asked
            return False

    def works(self, strides: Sequence[int]) -> bool:
        """Whether the network returns the image's size at several multiples of the strides."""
        for more in ((1, 0, 1), (2, 1, 2), (0, 3, 4)):  # of the strides of z, y and x
            large = [max(stride, -(-24 // stride) * stride) if stride else 0 for stride in strides]
            sizes = [a + stride * n for a, stride, n in zip(large, strides, more[-len(strides) :], strict=True)]
            if not self.fits([size or int(have) for size, have in zip(sizes, self.example.shape[2:], strict=True)]):
                return False
        return True

    def traced(self, image: Tensor) -> tuple[Callable[[Tensor], object] | None, tuple[str, ...]]:
        """The network's tensors as a trace computes them, and where the tracer saw a size or value that became Python's.

        They are flattened first, since no trace returns a dict or a None.
        """
        import torch

        begin(f"measuring the network: a trace of {' x '.join(map(str, image.shape))}")
        network = copied(self.network) if self.has_state else self.network
        with warnings.catch_warnings(record=True) as caught, torch.no_grad():
            warnings.simplefilter("always")
            try:
                traced: Callable[[Tensor], object] = forms.traced(_flattened(network), image)
            except Exception:  # no trace, for whatever reason: the format's writer says which and tries its rescue
                return None, ()
        return traced, tuple(line for line in tracer_lines(caught) if "to a Python" in line)

    def same(self, traced: Callable[[Tensor], object], image: Tensor) -> bool:
        """Whether a trace gives the network's numbers for an image."""
        import torch

        on_time()
        try:
            with torch.no_grad():
                return agree(self.run(image), flat(traced(image.clone())))
        except Exception:  # one of the two fails where the other may not: they do not agree
            return False

    def recordings(self, strides: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Lengths to trace at: an odd multiple of the strides; then those that need padding at every level, if any size fits."""
        first = [self._base(stride) for stride in strides]
        yield tuple(
            (base + 2 * stride * (n == len(strides) - 1)) or int(have)
            for n, (base, stride, have) in enumerate(zip(first, strides, self.example.shape[2:], strict=True))
        )
        if max(strides) == 1:
            yield self.lengths(strides, ODD)

    @staticmethod
    def _base(stride: int) -> int:
        return next(k for k in itertools.count(1, 2) if k * stride >= 24) * stride if stride else 0

    def agrees(self, traced: Callable[[Tensor], object], strides: Sequence[int]) -> bool:
        """Whether a trace agrees at sizes other than its own: not square, batch 2, images of opposite mean, long ones."""
        stride = max(strides)
        base = self._base(stride)
        shapes = [  # (z, y, x)
            (base + 2 * stride, base, base + 2 * stride),
            (base + stride, base + stride, base),
            (base, base + 3 * stride, base + 4 * stride),
            (32, 64, 128),  # a network that pads inside need not pad here
        ]
        if stride == 1:
            shapes.append((37, 101, 102))
        images = [
            (1 + n % 2, self.lengths(strides, shape), factor)
            for n, shape in enumerate(shapes)
            for factor in ((1, -1, 100) if n < 3 else (1,))
        ]
        if not all(self.same(traced, factor * self.image(lengths, batch)) for batch, lengths, factor in images):
            return False
        long = -(-LONG // stride) * stride
        for thin in dict.fromkeys((min(2 * stride, base), base)):  # thin since attention's cost is its square, if the network takes it
            if self.same(traced, self.image(self.lengths(strides, (thin, thin, long)))):
                return len(strides) == 3 or self.same(traced, self.image(self.lengths(strides, (long, thin))))
        return False

    def agrees_here(self) -> bool:
        """Whether a trace agrees at the example's own size."""
        traced, _ = self.traced(self.example)
        return traced is not None and all(self.same(traced, image) for image in (self.example, -self.example, self.example.flip(-1) * 0.5))

    def smallest(self, strides: Sequence[int], traced: Callable[[Tensor], object] | None) -> int:
        """Smallest multiple of the strides at which the network works, alone and in a batch, as does its trace if there is one."""
        for multiple in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32):
            lengths = self.lengths(strides, (multiple * max(strides),) * 2)
            lengths = tuple(multiple * stride or length for stride, length in zip(strides, lengths, strict=True))
            if self.fits(lengths) and self.same(traced or self.run, self.image(lengths, 2)):
                return multiple
        return self._base(max(strides)) // max(strides)


def _flattened(network: nn.Module) -> nn.Module:
    """The network with its tensors in a tuple; a module, since a trace knows no parts of a function."""
    import torch

    class Flattened(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return flat(self.network(image))

    return Flattened().eval()


def resized(example: Tensor, batch: int, *sizes: int) -> Tensor:
    """The example repeated and cut to (batch, c, *sizes); every image of the batch starts elsewhere."""
    import torch

    repeats = [-(-size // have) + 1 for size, have in zip(sizes, example.shape[2:], strict=True)]
    tiled = example.repeat(1, 1, *repeats)
    window = (slice(None), slice(None), *(slice(0, size) for size in sizes))
    images = [torch.roll(tiled, index * 5 + 1, dims=-1)[window] for index in range(batch)]
    return torch.cat(images).contiguous()


def agree(first: tuple[Tensor, ...], second: tuple[Tensor, ...], tolerance: float = AGREE) -> bool:
    """Whether two runs gave the same numbers."""
    expected, outputs = ([tensor.double().numpy() for tensor in tensors] for tensors in (first, second))
    return same_values(expected, outputs, tolerance)


def axes_of(outputs: tuple[Tensor, ...], image: Tensor, keep: Sequence[int] = ()) -> tuple[str, ...]:
    """Axes of each output by its shape, empty for those that are not kept (none named: all are).

    Raises
    ------
    InputInvalid
        No bundle can hold one of them; the message says why.
    """
    return tuple(_axes(output, image) if not keep or number in keep else "" for number, output in enumerate(outputs))


def _axes(output: Tensor, image: Tensor) -> str:
    spatial = "zyx"[-(image.ndim - 2) :]
    batch, sizes = image.shape[0], tuple(image.shape[2:])
    if output.is_complex():
        raise InputInvalid(f"an output is complex ({output.dtype}), which no program reads: return real and imaginary part as channels.")
    if output.ndim == image.ndim and output.shape[0] == batch and tuple(output.shape[2:]) == sizes:
        return "bc" + spatial
    if output.ndim == image.ndim - 1 and output.shape[0] == batch and tuple(output.shape[1:]) == sizes:
        return "b" + spatial
    if output.ndim <= 2 and output.ndim > 0 and output.shape[0] == batch:
        return "bc"[: output.ndim]
    if output.ndim == 5 and image.ndim == 4 and output.shape[0] == batch and tuple(output.shape[3:]) == sizes:
        return "bczyx"
    if output.ndim == image.ndim and output.shape[0] == batch:
        raise InputInvalid(
            f"{UNFIT.format(have=sizes, out=tuple(output.shape[2:]))}, and DeepImageJ only places outputs of the input's size: "
            "resize inside the module (torch.nn.functional.interpolate to x.shape[2:]), or pad unpadded convolutions. An output that "
            "nobody needs can be left out (keep=)."
        )
    raise InputInvalid(
        f"an output of shape {tuple(output.shape)} for an input of {tuple(image.shape)} has no meaning for an image: "
        "return (b, c, y, x), (b, y, x) or (b, c) tensors."
    )


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings: what is run here is compared, and the comparison decides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
