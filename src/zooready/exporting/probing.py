"""What any module needs and returns, measured: stride, smallest size, halo, axes of its outputs.

The order was found on 59 published networks (docs/consumers.md): sizes are measured on the trace against the eager
network, because a size or a branch that tracing bakes in is wrong without a word; the halo by a NaN, which no
weight can hide.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zooready.errors import InputInvalid
from zooready.images.agreement import same_values
from zooready.nets.wrapping import flat
from zooready.records import Measured

if TYPE_CHECKING:
    from torch import Tensor, nn

STRIDES = (1, 2, 4, 8, 16, 32, 64, 3, 5, 6, 7, 10, 12, 14, 20, 24, 28, 40, 48, 56, 96, 112, 128)
AGREE = 1e-4  # of the output's range: a baked size or branch is off by far more, rounding by far less
PHASES = 32  # lines to try in a network of stride 1: one that pads by itself has coarse inner levels all the same, most often 32
LONG = 1100  # px; beyond it an 'if' on the size is not found
LONGEST_PROBE = 2048  # px; a network that still reaches both ends is said to see the whole image


def prepared(network: nn.Module) -> nn.Module:
    """A copy to measure and export: unwrapped, on the CPU, float32, in eval mode. The caller's module is never touched.

    Raises
    ------
    InputInvalid
        The module cannot be copied, or takes more than one input.
    """
    import torch

    network = unwrapped(network)
    if isinstance(network, torch.jit.ScriptModule):
        raise InputInvalid(f"{network.original_name} is TorchScript already: give the torch.nn.Module that it was made from.")
    if any(tensor.is_meta for tensor in itertools.chain(network.parameters(), network.buffers())):
        raise InputInvalid(f"{type(network).__name__} has weights on the 'meta' device, which hold no numbers: load its weights first.")
    try:
        network = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    except Exception as error:
        raise InputInvalid(
            f"{type(network).__name__} cannot be copied ({type(error).__name__}: {error}): drop what is no weight (open files, "
            "hooks, results of a forward pass) before exporting."
        ) from None
    taken = [p for p in inspect.signature(network.forward).parameters.values() if p.kind <= p.VAR_POSITIONAL]
    needed = [p.name for p in taken if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
    if len(needed) > 1 or not taken:
        raise InputInvalid(
            f"{type(network).__name__}.forward takes {len(needed)} inputs ({', '.join(needed)}), and DeepImageJ opens only the first: "
            "stack them as channels of one image, in a small module that calls network(x[:, :1], x[:, 1:])."
        )
    return network


def unwrapped(network: nn.Module) -> nn.Module:
    """The caller's own module inside of torch.compile, DataParallel and DistributedDataParallel.

    Raises
    ------
    InputInvalid
        It is no module.
    """
    from torch import nn

    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    if not isinstance(network, nn.Module):
        raise InputInvalid(f"got {type(network).__name__} where a network was expected: give a torch.nn.Module.")
    while inner := getattr(network, "_orig_mod", None) or (isinstance(network, parallel) and network.module):
        network = inner
    return network


def measure(network: nn.Module, example: Tensor) -> Measured:
    """Stride, smallest size, halo and outputs of ``network``, a module from :func:`prepared`.

    Parameters
    ----------
    example
        (1, c, y, x) or (1, c, z, y, x) float32, as the network itself sees it (normalised).

    Raises
    ------
    InputInvalid
        The network fails on the example, returns what no bundle can hold, changes the image's size, or is random.

    Notes
    -----
    ``stride == 0`` means that no trace serves every size: ``fixed`` is then the one size at which it does (or empty),
    ``eager_stride`` and ``minimum`` are those of the eager network, for another way to TorchScript, and ``notes`` says why.
    """
    example, outputs = _first_run(network, example)
    axes = tuple(_axes(output, example) for output in outputs)
    _demand_repeatable(network, example, outputs)
    channels = tuple(int(output.shape[1]) if "c" in a else 1 for output, a in zip(outputs, axes, strict=True))
    facts: dict[str, Any] = {"outputs": axes, "channels": channels}
    eager_stride = minimum = 0
    for stride in STRIDES:
        if not _works(network, example, stride, axes):
            continue
        if _trace_agrees(network, example, stride, axes):
            minimum = _minimum(network, example, stride, axes)
            halo = _halo(network, example, stride, minimum, axes)
            return Measured(stride=stride, minimum=minimum, halo=halo, **facts)
        if not eager_stride:
            eager_stride, minimum = stride, _minimum(network, example, stride, axes, traced=False)
    fixed = dict(zip("zyx"[-(example.ndim - 2) :], map(int, example.shape[2:]), strict=True))
    why = "its trace is wrong at other sizes" if eager_stride else "it fails at other sizes"
    size = " x ".join(map(str, fixed.values()))
    note = f"works at {size} px only, since {why}; larger images are cut into such tiles, which shows where the network sees further"
    if not _trace_agrees_here(network, example):
        fixed = {}
        note = (
            f"the trace of {type(network).__name__} cannot be made, or differs from the network even at the example's size: a Python 'if' "
            "on pixel values is frozen by tracing. Replace it by torch.where, or export a module without the branch."
        )
    return Measured(stride=0, minimum=minimum, halo=None, fixed=fixed, eager_stride=eager_stride, notes=(note,), **facts)


def _first_run(network: nn.Module, example: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The example, enlarged to the next multiple of a stride if the network demands one, and the outputs for it."""
    try:
        return example, _run(network, example)
    except InputInvalid as first:
        for stride in STRIDES[1:]:
            sizes = [max(2 * stride, -(-size // stride) * stride) for size in example.shape[2:]]
            enlarged = resized(example, 1, *sizes)
            try:
                return enlarged, _run(network, enlarged)
            except InputInvalid:
                continue
        raise first


def _run(network: nn.Module, image: Tensor) -> tuple[Tensor, ...]:
    import torch

    try:
        with torch.no_grad():
            outputs = flat(network(image.clone()))
    except Exception as error:
        raise InputInvalid(
            f"the network failed on the example {tuple(image.shape)}: {type(error).__name__}: {str(error)[:300]}. "
            "Give an example that it takes, (c, y, x) with its number of channels."
        ) from None
    if not outputs:
        raise InputInvalid("the network returned no tensor: return at least one.")
    return outputs


def _axes(output: Tensor, image: Tensor) -> str:
    """Axes of an output by its shape, or the reason why no bundle can hold it."""
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
            f"the network turns {sizes} px into {tuple(output.shape[2:])} px, and DeepImageJ only places outputs of the input's size: "
            "resize inside the module (torch.nn.functional.interpolate to x.shape[2:]), or pad unpadded convolutions."
        )
    raise InputInvalid(
        f"an output of shape {tuple(output.shape)} for an input of {tuple(image.shape)} has no meaning for an image: "
        "return (b, c, y, x), (b, y, x) or (b, c) tensors."
    )


def _demand_repeatable(network: nn.Module, image: Tensor, outputs: tuple[Tensor, ...]) -> None:
    for first, second in zip(outputs, _run(network, image), strict=True):
        if not _agree((first,), (second,), 1e-5):
            raise InputInvalid(
                f"two runs of the network on one image differ by {float((first.float() - second.float()).abs().max()):.3g}: "
                "remove what is random in eval mode (functional.dropout without training=self.training, torch.rand)."
            )


def resized(example: Tensor, batch: int, *sizes: int) -> Tensor:
    """The example repeated and cut to (batch, c, *sizes); every image of the batch starts elsewhere."""
    import torch

    repeats = [-(-size // have) + 1 for size, have in zip(sizes, example.shape[2:], strict=True)]
    tiled = example.repeat(1, 1, *repeats)
    window = (slice(None), slice(None), *(slice(0, size) for size in sizes))
    images = [torch.roll(tiled, index * 5 + 1, dims=-1)[window] for index in range(batch)]
    return torch.cat(images).contiguous()


def _agree(first: tuple[Tensor, ...], second: tuple[Tensor, ...], tolerance: float = AGREE) -> bool:
    expected, outputs = ([tensor.double().numpy() for tensor in tensors] for tensors in (first, second))
    return same_values(expected, outputs, tolerance)


def _works(network: nn.Module, example: Tensor, stride: int, axes: tuple[str, ...]) -> bool:
    """Whether the eager network returns the image's size at several multiples of the stride."""
    large = max(stride, -(-24 // stride) * stride)
    shapes = [(large + stride * i, large + stride * (i + 1)) for i in (0, 1, 3)]
    return all(_fits(network, example, axes, 1, *_spread(example, shape)) for shape in shapes)


def _spread(example: Tensor, sizes: tuple[int, int]) -> tuple[int, ...]:
    """(y, x) for images, (y, y, x) for stacks."""
    return (sizes[0],) * (example.ndim - 4) + sizes


def _fits(network: nn.Module, example: Tensor, axes: tuple[str, ...], batch: int, *sizes: int) -> bool:
    import torch

    image = resized(example, batch, *sizes)
    try:
        with torch.no_grad():
            outputs = flat(network(image))
        return tuple(_axes(output, image) for output in outputs) == axes and all(bool(torch.isfinite(o.double()).all()) for o in outputs)
    except Exception:  # a network may fail in any way at a size that it does not take: that is what is asked
        return False


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings: tracing warns of every Python value it freezes, and the comparison that follows decides whether it matters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _traced(network: nn.Module, image: Tensor) -> Callable[[Tensor], object] | None:
    """The network's tensors as a trace computes them; flattened first, since no trace returns a dict or a None."""
    import torch

    try:
        with _quiet(), torch.no_grad():
            traced: Callable[[Tensor], object] = torch.jit.trace(lambda x: flat(network(x)), (image,), check_trace=False)
            return traced
    except Exception:  # no trace, for whatever reason: the format's writer says which and tries its rescue
        return None


def _same(network: nn.Module, traced: Callable[[Tensor], object], image: Tensor) -> bool:
    import torch

    try:
        with torch.no_grad():
            return _agree(flat(network(image.clone())), flat(traced(image.clone())))
    except Exception:  # one of the two fails where the other may not: they do not agree
        return False


def _trace_agrees(network: nn.Module, example: Tensor, stride: int, axes: tuple[str, ...]) -> bool:
    """A trace at an odd multiple of the stride, compared at others: not square, batch 2, images of opposite mean."""
    base = next(k for k in itertools.count(1, 2) if k * stride >= 24) * stride
    traced = _traced(network, resized(example, 1, *_spread(example, (base, base + 2 * stride))))
    if traced is None:
        return False
    shapes = [(base, base + 2 * stride), (base + stride, base), (base + 3 * stride, base + 4 * stride)]
    long = -(-LONG // stride) * stride
    trials = [(batch, shape, factor) for batch, shape in zip((1, 2, 1), shapes, strict=True) for factor in (1, -1, 100)]
    thin = 2 * stride if _fits(network, example, axes, 1, *_spread(example, (2 * stride, long))) else base  # attention's cost is its square
    trials += [(1, (thin, long), 1)] + ([(1, (long, thin), 1)] if example.ndim == 4 else [])
    return all(_same(network, traced, factor * resized(example, batch, *_spread(example, shape))) for batch, shape, factor in trials)


def _trace_agrees_here(network: nn.Module, example: Tensor) -> bool:
    traced = _traced(network, example)
    return traced is not None and all(_same(network, traced, image) for image in (example, -example, example.flip(-1) * 0.5))


def _minimum(network: nn.Module, example: Tensor, stride: int, axes: tuple[str, ...], traced: bool = True) -> int:
    """Smallest multiple of the stride at which the eager network works, alone and in a batch, as does its trace if it has one."""
    base = next(k for k in itertools.count(1, 2) if k * stride >= 24) * stride
    trace = _traced(network, resized(example, 1, *_spread(example, (base, base)))) if traced else network
    for multiple in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32):
        size = multiple * stride
        image = resized(example, 2, *_spread(example, (size, size)))
        if _fits(network, example, axes, 1, *image.shape[2:]) and trace is not None and _same(network, trace, image):
            return size
    return base


def _halo(network: nn.Module, example: Tensor, stride: int, minimum: int, axes: tuple[str, ...]) -> int | None:
    """Pixels on each side that an output depends on; None when it depends on the whole image or cannot be measured."""
    import torch

    images = [index for index, a in enumerate(axes) if len(a) > 2]
    if not images:
        return None
    reach = 0
    with _quiet(), torch.backends.mkldnn.flags(enabled=False), torch.no_grad():  # its fast paths may lose a NaN
        for axis in range(2, example.ndim):
            along = _reach(network, example, axis, stride, minimum, images)
            if along is None:
                return None
            reach = max(reach, along)
    return reach


def _reach(network: nn.Module, example: Tensor, axis: int, stride: int, minimum: int, images: list[int]) -> int | None:
    """How far one line of NaN spreads along an axis, over all phases of the stride; the other axes are kept short."""
    thin = max(minimum, 2 * stride)
    longest = max(thin, -(-LONGEST_PROBE // stride) * stride)
    first = _spread_of_nan(network, example, axis, (thin, longest), longest // 2 // stride * stride, images)
    if first is None or first >= longest // 2 - stride:
        return None
    phases = stride if stride > 1 else PHASES
    length = max(thin, 2 * (-(-(first + phases) // stride) + 3) * stride)  # enough for every phase, and no longer
    middle = length // 2 // stride * stride
    reaches = [_spread_of_nan(network, example, axis, (thin, length), middle + phase, images) for phase in range(phases)]
    return None if None in reaches else max(reach for reach in reaches if reach is not None)


def _spread_of_nan(network: nn.Module, example: Tensor, axis: int, sizes: tuple[int, int], line: int, images: list[int]) -> int | None:
    """Largest distance, px along ``axis``, from a line of NaN to an output that became NaN; None if it cannot be seen.

    ``sizes`` are (length of the other axes, length of this one).
    """
    import torch

    shape = [sizes[0]] * (example.ndim - 2)
    shape[axis - 2] = sizes[1]
    image = resized(example, 1, *shape)
    image.select(axis, line).fill_(float("nan"))
    try:
        outputs = flat(network(image))
    except Exception:  # some networks demand finite numbers
        return None
    reach = 0
    for index in images:
        if not outputs[index].is_floating_point():
            return None
        lost = torch.isnan(outputs[index]).transpose(0, axis - image.ndim)
        lines = lost.flatten(1).any(1).nonzero().flatten()
        if len(lines):
            reach = max(reach, line - int(lines[0]), int(lines[-1]) - line)
    return reach
