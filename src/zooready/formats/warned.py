"""Warnings of PyTorch and its exporters: those left out, and those given back to the caller."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
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


def tracer_lines(caught: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """What a tracer warned of, one short sorted line each: the file's name (never its folder), line and first sentence."""
    from torch.jit import TracerWarning  # type: ignore[attr-defined]

    lines = {
        f"{Path(warning.filename).name}:{warning.lineno}: {str(warning.message).splitlines()[0].split('. ')[0]}"
        for warning in caught
        if issubclass(warning.category, TracerWarning)
    }
    return tuple(sorted(lines))


def brief(error: BaseException) -> str:
    """Kind and first lines of an error, or of the one that caused it: exporters wrap the reason in several layers."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1:] if lines and "TorchScript interpreter" in lines[0] else lines[:2]  # there it stands below the traceback
    return f"{type(error).__name__}: {' '.join(reason)[:300]}".rstrip(".: ")


@contextmanager
def silence() -> Iterator[None]:
    """Keep exporters from printing and logging, at the level of the process too: the legacy one writes its graphs to C++'s stdout."""
    level = logging.root.manager.disable
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        logging.disable(logging.ERROR)
        os.dup2(nowhere, 1)
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
        logging.disable(level)
