"""Why a network does not take what it is given, by what it does with it: the cure that a message names must fit the cause."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from zooready.errors import amount
from zooready.formats.copies import copied

if TYPE_CHECKING:
    from torch import Tensor, nn

OBSERVERS = {"ObserverBase", "FakeQuantizeBase", "FakeQuantizerBase"}  # of PyTorch's quantisation, wherever it keeps them
QUANTISED = re.compile(r"torch\.(ao\.)?nn\.(intrinsic\.)?quantized\b(?!\.reference)")  # modules of PyTorch that hold whole numbers
OTHER_PRECISION = re.compile(r"\b(c10::)?(Half|BFloat16|Double|double|Float8\w*)\b")  # as errors of PyTorch name it beside float
Convolution = tuple[int, int, tuple[int, ...]]  # spatial axes and channels that it is for, and the shape that it was given


@contextmanager
def watched() -> Iterator[list[Convolution]]:
    """The convolutions that run meanwhile, in order."""
    import torch
    from torch.nn.modules.conv import _ConvNd

    seen: list[Convolution] = []

    def see(module: nn.Module, given: Any) -> None:
        if isinstance(module, _ConvNd) and given and isinstance(given[0], torch.Tensor):
            seen.append((len(module.kernel_size), module.in_channels, tuple(given[0].shape)))

    handle = torch.nn.modules.module.register_module_forward_pre_hook(see)
    try:
        yield seen
    finally:
        handle.remove()


def cure(network: nn.Module, example: Tensor, seen: list[Convolution], error: Exception) -> str:
    """What to give instead of an example on which the network failed.

    Parameters
    ----------
    example
        (1, c, y, x) or (1, c, z, y, x).
    seen
        The convolutions that ran on it; the last may be the one that failed.
    error
        What it raised.
    """
    if keys := _asked_for(network, example):
        inner = ", ".join(f"{key!r}: x" for key in keys)
        return (
            f"It takes no tensor but a dict, which it asks for {', '.join(map(repr, keys))}: wrap it in a module whose forward(self, x) "
            f"returns self.network({{{inner}}})."
        )
    if len(seen) == 1 and seen[0][2][1:] == tuple(example.shape[1:]):  # the first convolution was given the example itself
        axes, channels, _ = seen[0]
        if axes == 1:
            return LINES
        if axes == 3 and example.ndim == 4:
            return VOLUMES
        if axes == 2 and example.ndim == 5:
            return "Its convolutions are of planes: give one plane, (c, y, x)."
        if axes == example.ndim - 2 and channels != example.shape[1]:
            return _channels(channels, tuple(example.shape[1:]))
    if OTHER_PRECISION.search(str(error)):
        return (
            "Export brings its weights to float32, and its forward makes other numbers: leave out casts such as .half(), .bfloat16() and "
            ".double() there."
        )
    return "Give an example that it takes, (c, y, x) with its number of channels."


def returned(network: nn.Module, example: Tensor) -> str:
    """What the network returns that is no tensor, and the cure; empty if there is no such thing, or the network itself failed."""
    import torch

    try:
        with torch.no_grad():
            output = copied(network)(example.clone())
    except Exception:  # then its output is not what was wrong
        return ""
    odd = next(_odd(output), None)
    if odd is None:
        return ""
    said = f"{type(network).__name__} returns {type(odd).__name__}{'' if odd is output else ' among its outputs'}, which is no tensor"
    held = [name for name in (*getattr(odd, "__slots__", ()), *getattr(odd, "__dict__", ())) if _holds_tensors(getattr(odd, name, None))]
    if isinstance(odd, Iterator) and odd is output:
        return f"{said}: wrap it in a module whose forward(self, x) returns tuple(self.network(x))."
    if held and odd is output:
        names = ", ".join(f"y.{name}" for name in held)
        return f"{said}: wrap it in a module whose forward(self, x) returns [{names}] of y = self.network(x)."
    return f"{said}: return tensors that PyTorch computed, or tuples, lists and dicts of them."


def _odd(output: Any) -> Iterator[Any]:
    """What is neither a tensor nor something that may hold some, in an output."""
    import torch

    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, list | tuple):
        for item in output:
            yield from _odd(item)
    elif output is not None and not isinstance(output, torch.Tensor):
        yield output


def _holds_tensors(value: Any) -> bool:
    return value is not None and next(_odd(value), None) is None


def inputs(network: nn.Module) -> str:
    """Why a network cannot be called with one image and nothing else, and the cure; empty if it can."""
    name = type(network).__name__
    taken = list(inspect.signature(network.forward).parameters.values())
    by_place = [one for one in taken if one.kind <= one.VAR_POSITIONAL]
    needed = [one.name for one in by_place if one.default is one.empty and one.kind < one.VAR_POSITIONAL]
    named = [one.name for one in taken if one.kind is one.KEYWORD_ONLY and one.default is one.empty]
    if len(needed) > 1:
        return (
            f"{name}.forward takes {len(needed)} inputs ({', '.join(needed)}), and DeepImageJ opens only the first: stack them as channels "
            "of one image, in a small module that calls network(x[:, :1], x[:, 1:])."
        )
    if by_place and named:
        values = ", ".join(f"{one}=…" for one in named)
        return (
            f"{name}.forward needs {', '.join(named)} besides the image, which no program gives: wrap it in a module whose "
            f"forward(self, x) returns self.network(x, {values}) with the value that it shall have."
        )
    if by_place:
        return ""
    named = named or [one.name for one in taken if one.kind is one.KEYWORD_ONLY]
    if not taken or len(named) > 1:
        given = f"no input but by name ({', '.join(named)})" if taken else "no input"
        return f"{name}.forward takes {given}: wrap it in a module whose forward(self, x) takes one image and gives it what it needs."
    key = named[0] if named else "image"
    return f"{name}.forward takes its image by name only: wrap it in a module whose forward(self, x) returns self.network({key}=x)."


LINES = (
    "Its convolutions are of lines: to run it on each row of an image, wrap it in a module whose forward(self, x) returns "
    "self.network(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (x.shape[0], -1)).transpose(1, 2)."
)
VOLUMES = "Its convolutions are of volumes: give (b, c, z, y, x), which of a stack (z, y, x) is example[None, None]."


def _channels(channels: int, shape: tuple[int, ...]) -> str:
    """The cure for an example (c, …) of another number of channels."""
    if shape[-1] == channels > 1:
        return f"It takes {channels} channels, and the last axis has that length: put it first, numpy.moveaxis(example, -1, 0)."
    if channels == 1 and shape[-1] in (3, 4):
        return "It takes one channel, and this seems to be a colour image (y, x, c): give one of its colours, example[..., 0]."
    stack = ", of a stack (z, y, x) one plane, example[0]" if channels == 1 and len(shape) == 3 else ""
    return f"It takes {amount(channels, 'channel')}, and the first axis of the example counts as {shape[0]}: give (c, y, x){stack}."


def without_batch(example: Tensor, seen: list[Convolution]) -> str:
    """Why a network that took the example took it wrongly: as one image without a batch; empty if it did not."""
    if example.ndim == 4 and any(axes == 3 and len(shape) == 4 for axes, _, shape in seen):
        return f"the network took the example {tuple(example.shape)} for one volume without a batch: no two images can be given. {VOLUMES}"
    return ""


def _asked_for(network: nn.Module, example: Tensor) -> tuple[str, ...]:
    """The keys by which the network takes its input apart, if that is a dict."""
    keys: list[str] = []

    class Asked(dict[str, Any]):
        def __getitem__(self, key: str) -> Tensor:
            keys.append(key)
            return example.clone()

        def get(self, key: str, default: Any = None) -> Tensor:
            return self[key]

    with suppress(Exception):  # it failed before, and only what it asked for counts
        copied(network)(Asked())
    return tuple(dict.fromkeys(key for key in keys if isinstance(key, str)))


def in_whole_numbers(network: nn.Module) -> str:
    """What a network that was quantised already is told; empty if it calculates in floating point."""
    names = [name for name, part in network.named_modules() if QUANTISED.match(type(part).__module__)]
    if not names:
        return ""
    some = ", ".join(names[:2]) + (", …" if len(names) > 2 else "")
    return (
        f"{type(network).__name__} was quantised ({some} calculate in whole numbers), which runs in PyTorch alone: export the network that "
        "it was before convert or quantize_dynamic, in float32."
    )


def quantised(network: nn.Module) -> tuple[str, ...]:
    """Names of the parts that quantisation-aware training put in, whose numbers change with every image."""
    return tuple(name for name, part in network.named_modules() if OBSERVERS & {kind.__name__ for kind in type(part).__mro__})
