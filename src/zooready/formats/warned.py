"""Warnings of PyTorch and its exporters: those left out, and those given back to the caller.

May import: records
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

KNOWN = (
    r"`torch\.jit\.\w+` is deprecated",  # Fiji's engine reads TorchScript and nothing newer
    r"`torch\.jit\.\w+` is not supported in Python",  # the same, on newer Pythons
    r"You are using the legacy TorchScript-based ONNX export",  # the only exporter that writes opset 17, which Fiji's engine needs
    r"The feature will be removed\. Please remove usage of this function",  # said inside the legacy exporter about itself
)


@contextmanager
def known_deprecations() -> Iterator[None]:
    """Leave out the warnings of :data:`KNOWN`; all others pass."""
    with warnings.catch_warnings():
        for message in KNOWN:
            warnings.filterwarnings("ignore", message=message)
        yield


def tracer_lines(heard: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """What a tracer warned of, one short sorted line each: the file's name (never its folder), line and first sentence."""
    from torch.jit import TracerWarning  # type: ignore[attr-defined]

    found = [one for one in heard if issubclass(one.category, TracerWarning)]
    return tuple(sorted({f"{Path(one.filename).name}:{one.lineno}: {str(one.message).splitlines()[0].split('. ')[0]}" for one in found}))
