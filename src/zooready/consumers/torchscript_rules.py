"""What a TorchScript file must be: safe to load at all, and known to libtorch 2.0.0, the engine inside Fiji. Read as text, never loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zooready.errors import InputInvalid

SHOWN = 4  # operators that a message names


def only_computes(path: Path) -> Iterator[str]:
    """TorchScript is code, and can write files: what is on no list of operators that only compute is not loaded."""
    from zooready.formats.torchscript import unsafe

    operators = unsafe(path)
    if operators:
        yield (
            f"{path.name} uses {_listed(operators)}, on no list of operators that only compute, so it is not loaded: TorchScript can write "
            "files. Ask its author for a plain trace of the network."
        )


def known_operators(path: Path) -> Iterator[str]:
    """Operators younger than libtorch 2.0.0 are not loaded."""
    from zooready.formats.torchscript import unsupported

    try:
        operators = unsupported(path)
    except InputInvalid as error:
        yield str(error)
        return
    if operators:
        yield (
            f"{path.name} uses {_listed(operators)}, which Fiji's PyTorch 2.0.0 does not know: write it with older operators (rms_norm "
            "as a mean of squares, say), and export again."
        )


def no_device(path: Path) -> Iterator[str]:
    """A device written into the trace breaks on a GPU."""
    from zooready.formats.torchscript import container

    try:
        devices = sorted({device for text in container.code(path).values() for device in container.devices(text)})
    except InputInvalid:
        return  # known_operators says so
    if devices:
        yield (
            f"{path.name} has a device written into it ({_listed(devices)}), which breaks engines on a GPU: make tensors from the input, "
            "e.g. torch.ones_like(x).cumsum(-1) instead of torch.arange(device=x.device), and export again."
        )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
