"""Whether a network calls `torch.vmap`, inside which sizes are plain numbers to a tracer."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.formats.copies import copied

if TYPE_CHECKING:
    from torch import Tensor, nn

CURE = "do for the whole batch what the network does inside torch.vmap, with operations that take (b, c, y, x)"
HOME, NAME = "_functorch", "vmap_impl"  # folder and function of PyTorch through which every call goes


def is_vmapped(network: nn.Module, example: Tensor) -> bool:
    """Whether the network's code calls `torch.vmap` for the example, on a copy of both."""
    import torch

    calls: list[str] = []

    def see(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_name == NAME and Path(frame.f_code.co_filename).parent.name == HOME:
            calls.append(NAME)

    before = sys.getprofile()
    with suppress(Exception), torch.no_grad():  # the network may fail in any way, which is told elsewhere
        twin = copied(network)
        sys.setprofile(see)
        try:
            twin(example.clone())
        finally:
            sys.setprofile(before)
    return bool(calls)
