"""Every operation that PyTorch does in a block, seen by a function that may do another in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

Seen = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Any]  # (operation, arguments, named ones) -> its result


def watched(seen: Seen) -> AbstractContextManager[Any]:
    """While it is entered, ``seen`` is called in the place of every operation, and gives the result."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watched(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # to keep PyTorch's compiler out of ``seen`` it would be imported, which takes two seconds

        def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
            return seen(func, args, kwargs or {})

    return Watched()
