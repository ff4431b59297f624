"""A network without torch.compile: compiled parts cannot be traced, and are compiled anew for every size and image that is tried."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def eager(network: nn.Module) -> nn.Module:
    """The network, changed in place so that every part of it runs as it was written; names of weights stay."""
    import torch

    class Eager(torch.nn.Module):
        """What a compiled part is to those around it: its weights under the same names, its attributes, and its numbers."""

        def __init__(self, part: nn.Module) -> None:
            super().__init__()
            self._orig_mod = part

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return self._orig_mod(*args, **kwargs)

        def __getattr__(self, name: str) -> Any:
            return super().__getattr__(name) if name == "_orig_mod" else getattr(super().__getattr__("_orig_mod"), name)

    for part in list(network.modules()):
        part._compiled_call_impl = None  # of Module.compile
        for name, child in part._modules.items():
            if type(child).__name__ == "OptimizedModule":  # whose module takes seconds to import
                part._modules[name] = Eager(child._orig_mod)  # type: ignore[union-attr,arg-type]
    return network


@contextmanager
def as_written() -> Iterator[None]:
    """In this block, what was handed to torch.compile, or is handed to it by a forward method, runs as it was written."""
    import torch

    if "torch._dynamo" in sys.modules:
        with torch.compiler.set_stance("force_eager"):
            yield
        return

    def given(model: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
        return model if model is not None else lambda function: function

    compiling = torch.compile  # nothing was compiled yet: the compiler, whose import takes seconds, is not even here
    torch.compile = given
    try:
        yield
    finally:
        torch.compile = compiling
