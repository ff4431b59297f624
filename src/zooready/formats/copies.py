"""An independent, evaluating copy of a network, so that no exporter touches the caller's."""

from __future__ import annotations

import copy
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
        twin = copy.deepcopy(module)
    except Exception as first:  # whatever an attribute's __deepcopy__ or __reduce__ raises
        try:
            twin = copy.deepcopy(module, _shared(module))
        except Exception:
            raise InputInvalid(
                f"{type(module).__name__} cannot be copied ({type(first).__name__}: {first}): "
                "keep files, locks and computed tensors out of its attributes."
            ) from None
    return twin.eval().cpu().float().requires_grad_(False)


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
