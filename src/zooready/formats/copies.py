"""Independent copies of a network, so that no measurement and no exporter touches the caller's."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any

from zooready.errors import InputInvalid

if TYPE_CHECKING:
    from torch import Tensor, nn


def evaluating(module: nn.Module) -> nn.Module:
    """A deep copy in eval mode, on the CPU, without gradients; floating-point weights as float32.

    Attributes that cannot be copied (open files, locks) are shared with the original.

    Raises
    ------
    InputInvalid
        The network cannot be copied at all.
    """
    try:
        twin = copied(module)
    except Exception as first:  # whatever an attribute's __deepcopy__ or __reduce__ raises
        try:
            twin = copied(module, _shared(module))
        except Exception:
            raise InputInvalid(
                f"{type(module).__name__} cannot be copied ({type(first).__name__}: {first}): "
                "keep files, locks and computed tensors out of its attributes."
            ) from None
    return twin.eval().cpu().float().requires_grad_(False)


def copied(module: nn.Module, memo: dict[int, Any] | None = None) -> nn.Module:
    """A deep copy that shares nothing with the original.

    Python's own copy fails on weights that were computed (old weight_norm and spectral_norm), and leaves functions alone: a hook, or a
    ``forward`` set on the instance, that closes over the network would go on reading and changing the original.
    """
    import torch

    memo = {} if memo is None else memo
    cells: list[tuple[CellType, CellType]] = []
    for part in module.modules():
        for value in list(vars(part).values()):
            for item in value.values() if isinstance(value, dict) else (value,):
                if isinstance(item, torch.Tensor) and not item.is_leaf:
                    memo[id(item)] = item.detach().clone()
                elif isinstance(item, FunctionType):
                    _remake(item, memo, cells)
    with torch.no_grad():  # parts that are TorchScript already would hang on the original's weights
        twin = copy.deepcopy(module, memo)
        for cell, original in cells:
            cell.cell_contents = copy.deepcopy(original.cell_contents, memo)
    return twin


def _remake(function: FunctionType, memo: dict[int, Any], cells: list[tuple[CellType, CellType]]) -> None:
    """Put a copy of a function that closes over something into the memo; its cells are filled when the network's copy is there."""
    if not function.__closure__ or id(function) in memo:
        return
    empty = tuple(CellType() for _ in function.__closure__)
    twin = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, empty)
    twin.__kwdefaults__, twin.__qualname__ = function.__kwdefaults__, function.__qualname__
    twin.__dict__.update(function.__dict__)
    memo[id(function)] = twin
    for cell, original in zip(empty, function.__closure__, strict=True):
        try:
            content = original.cell_contents
        except ValueError:  # a name that has no value yet
            continue
        cells.append((cell, original))
        if isinstance(content, FunctionType):
            _remake(content, memo, cells)


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """See to it that a module is bit-identical afterwards.

    Raises
    ------
    InputInvalid
        What was done to its copies changed it; it is then as it was before.
    """
    parts = [(part, {name: _plain(value) for name, value in vars(part).items()}) for part in module.modules()]
    own = [tensor for part, _ in parts for held in (part._parameters, part._buffers) for tensor in held.values() if tensor is not None]
    values = [tensor.detach().clone() for tensor in own]
    yield
    changed = [type(part).__name__ for part, attributes in parts if _restored(vars(part), attributes)]
    for tensor, value in zip(own, values, strict=True):
        if not equal(tensor, value):
            tensor.detach().copy_(value)
            changed.append(f"weights of shape {tuple(tensor.shape)}")
    if changed:
        raise InputInvalid(
            f"running a copy of {type(module).__name__} changed the module that you gave ({', '.join(dict.fromkeys(changed))}; it is again "
            "as it was): a function or hook reaches it by a global name. Use self, or the module that a hook is given."
        )


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else list(value) if isinstance(value, list) else value


def _restored(attributes: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether attributes were others than before, which they then are no more."""
    was_other = False
    for name in set(attributes) - set(before):
        del attributes[name]
        was_other = True
    for name, value in before.items():
        now = attributes.get(name)
        if isinstance(value, dict) and isinstance(now, dict):
            if list(now) != list(value) or any(now[key] is not item for key, item in value.items()):
                now.clear()
                now.update(value)
                was_other = True
        elif isinstance(value, list) and isinstance(now, list):
            if len(now) != len(value) or any(one is not other for one, other in zip(now, value, strict=True)):
                now[:] = value
                was_other = True
        elif now is not value:
            attributes[name] = value
            was_other = True
    return was_other


def equal(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors hold the same values, NaN for NaN; those that keep only what is not zero are filled up first."""
    import torch

    if torch.strided not in (first.layout, second.layout):
        first, second = first.to_dense(), second.to_dense()
    return torch.equal(first, second) or torch.equal(first.nan_to_num(), second.nan_to_num())


def _shared(module: nn.Module) -> dict[int, Any]:
    """A memo for deepcopy in which the attributes that resist copying stand for themselves."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for name, value in vars(part).items():
            if name in ("_parameters", "_buffers", "_modules"):
                continue
            try:
                copy.deepcopy(value)
            except Exception:  # see above
                memo[id(value)] = value
    return memo


def tensors(output: Any) -> tuple[Tensor, ...]:
    """The tensors that a network returned, in order.

    Raises
    ------
    InputInvalid
        It returned something else than a tensor or a tuple of tensors.
    """
    from torch import Tensor

    results = (output,) if isinstance(output, Tensor) else tuple(output) if isinstance(output, (tuple, list)) else ()
    if not results or not all(isinstance(result, Tensor) for result in results):
        raise InputInvalid(f"the network returns {type(output).__name__}, not a tensor or a tuple of tensors: wrap it so that it does.")
    return results
