"""Whether pixel values decide which way a network's Python goes: a recording freezes the way that its example took.

The network is run once while every operation is watched. Where a Python number or bool comes of pixels, the run is repeated with that one
value turned round: if the outputs then differ, the value decides. What cannot be turned round is put to `torch.export`: among this is
the length of a tensor that pixels decide on, as that of ``x[x > 3]``.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.errors import InputInvalid
from zooready.formats import watching
from zooready.formats.copies import evaluating

if TYPE_CHECKING:
    from torch import Tensor, nn

MANY = 40  # values that are turned round one by one; a network that takes more is put to `torch.export` as a whole
EXTREMES = (0.0, -1e30, 1e30, float("nan"))  # what a number is replaced by, one after the other
LENGTHS = ("shape", "size", "numel", "nelement", "__len__", "__iter__", "unbind")  # how Python asks for the lengths of a tensor
OURS = (__file__, watching.__file__)
OPAQUE = ("numpy", "tolist", "__array__", "__dlpack__", "data_ptr")  # ways out of PyTorch after which nothing can be followed


class DataBranch(InputInvalid):
    """The network's Python branches on pixel values, so that no recording can be right."""


@dataclass(frozen=True)
class Taken:
    """A value that Python took from pixels: where in the network's code, and what it was; None if it cannot be followed.

    ``leaves`` PyTorch: whole tensors became NumPy's or Python's, so that every recording holds the example's own numbers.
    """

    where: str
    value: Any
    leaves: bool = False


@dataclass
class _Run:
    """One watched run: what Python took, and what it is to be given instead, by its number."""

    replace: Mapping[int, Any] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)

    def give(self, value: Any) -> Any:
        """The value, or what is to be given instead of it."""
        self.taken.append(Taken(_where(), value))
        return self.replace.get(len(self.taken) - 1, value)


def taken(network: nn.Module, example: Tensor) -> tuple[Taken, ...]:
    """Every value that the network's Python takes from pixels of the example, in order; one without a value if it cannot be watched."""
    run = _Run()
    try:
        _watched(network, example, run)
    except Exception:  # some operations of PyTorch's own cannot be watched, or the network's code fails
        return (Taken(type(network).__name__, None),)
    return tuple(run.taken)


def refuse(network: nn.Module, example: Tensor, export: Any) -> tuple[str, ...]:
    """Raise DataBranch where pixel values decide on the outputs through Python; else name the values that were taken in vain.

    Parameters
    ----------
    example
        (1, c, y, x) or (1, c, z, y, x) float32.
    export
        Called without arguments, hands the network to `torch.export`, which fails where a value decides.
    """
    found = taken(network, example)
    if not found:
        return ()
    doubtful = [one for number, one in enumerate(found) if len(found) > MANY or _decides(network, example, number, one)]
    if sure := [one for one in doubtful if one.leaves or (isinstance(one.value, bool) and len(found) <= MANY)]:
        raise _branch(sure)
    if doubtful:
        try:
            export()
        except Exception:  # whatever torch.export meets: it does not vouch for these values, and nothing else does
            raise _branch(doubtful) from None
    idle = sorted({one.where for one in found} - {one.where for one in doubtful})
    return tuple(f"{where}: a check of pixel values is not in the file" for where in idle)


def _branch(doubtful: Sequence[Taken]) -> DataBranch:
    """What is told of the values that decide, by the kind that is the surest to be cured."""
    said = {
        "leaves": ("pixels leave PyTorch", "the example's numbers", "compute with PyTorch's own operations, without numpy() and tolist()"),
        "if": ("an 'if' hangs on pixel values", "one of its branches", "use torch.where(condition, a, b)"),
        "length": (
            "a length hangs on pixel values",
            "the example's length",
            "use torch.where(condition, a, b), or sums over a mask, in the place of the selection",
        ),
        "number": (
            "Python takes a number from pixels",
            "the example's number",
            "leave out float(), int() and item(), so that it stays a tensor, and use torch.where(condition, a, b) for an 'if' on it",
        ),
    }
    kinds = {kind: sorted({one.where for one in doubtful if _kind(one) == kind}) for kind in said}
    kind, places = next((kind, places) for kind, places in kinds.items() if places)
    cause, frozen, cure = said[kind]
    return DataBranch(f"{cause} ({', '.join(places)}), so that only {frozen} would be in the file: {cure}")


def _kind(one: Taken) -> str:
    if one.leaves:
        return "leaves"
    return "length" if one.value is None else "if" if isinstance(one.value, bool) else "number"


def _decides(network: nn.Module, example: Tensor, number: int, one: Taken) -> bool:
    """Whether the outputs are others where this value is another; a run that then fails refuses its image, and gives no other numbers."""
    import torch

    if one.value is None:
        return True
    expected = _watched(network, example, _Run())
    others: tuple[Any, ...] = (not one.value,) if isinstance(one.value, bool) else EXTREMES
    if isinstance(one.value, int) and not isinstance(one.value, bool):
        others = (0, 1, one.value + 1, one.value - 1, -(10**9), 10**9)
    for other in others:
        try:
            outputs = _watched(network, example, _Run({number: other}))
        except Exception:  # an assertion, or what the network's own code raises
            continue
        same = len(outputs) == len(expected) and all(
            a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(outputs, expected, strict=True)
        )
        if not same:
            return True
    return False


def _where() -> str:
    """File and line of the network's own code that is running now."""
    import torch

    inside = str(Path(torch.__file__).parent)
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name not in OURS and not name.startswith(inside):
            return f"{Path(name).name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "the network's code"


def _watched(network: nn.Module, example: Tensor, run: _Run) -> tuple[Tensor, ...]:
    """The outputs of a fresh copy for the example, while ``run`` sees every Python value that comes of pixels."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils.weak import WeakTensorKeyDictionary

    image = example.clone()
    derived = WeakTensorKeyDictionary()
    derived[image] = True
    selected = WeakTensorKeyDictionary()  # of lengths that pixels decide on, and what comes of them

    def operation(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        result = func(*args, **kwargs)
        if not any(tensor in derived for tensor in _tensors((args, kwargs))):
            return result
        if isinstance(result, bool | int | float):
            if func is torch.ops.aten._local_scalar_dense.default and args[0].dtype == torch.bool:
                result = bool(result)
            return run.give(result)
        is_selected = _selects(func, args) or any(tensor in selected for tensor in _tensors((args, kwargs)))
        for tensor in _tensors(result):
            derived[tensor] = True
            if is_selected and tensor.ndim:
                selected[tensor] = True
        return result

    class Exits(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = getattr(func, "__name__", "")
            name = func.__self__.__name__ if name == "__get__" else name  # of an attribute
            if name in LENGTHS and any(tensor in selected for tensor in _tensors(args)):
                run.taken.append(Taken(_where(), None))
            if name in OPAQUE and any(tensor in derived for tensor in _tensors(args)):
                run.taken.append(Taken(_where(), None, leaves=True))
            return func(*args, **(kwargs or {}))

    twin = evaluating(network)
    with torch.no_grad(), Exits(), watching.watched(operation):
        return tuple(_tensors(twin(image)))


def _selects(func: Any, args: Any) -> bool:
    """Whether the lengths of an operation's result hang on values; an index that is no mask has its own length."""
    import torch

    if func is torch.ops.aten.index.Tensor:
        return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in _tensors(args[1]))
    return torch.Tag.dynamic_output_shape in func.tags


def _tensors(thing: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and mappings."""
    import torch

    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, Mapping):
        yield from itertools.chain.from_iterable(map(_tensors, thing.values()))
    elif isinstance(thing, tuple | list):
        yield from itertools.chain.from_iterable(map(_tensors, thing))
