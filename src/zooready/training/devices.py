"""The device and the numerical precision of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import torch

from zooready.errors import InputInvalid

AVAILABLE: Mapping[str, Callable[[], bool]] = {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}


def chosen(device: str) -> str:
    """The device to train on: "cpu", "cuda" or "mps"; "auto" is the fastest one available.

    Raises
    ------
    InputInvalid
        An unknown name, or a device that this machine lacks.
    """
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if AVAILABLE[name]())
    if device not in AVAILABLE:
        raise InputInvalid(f"device={device!r} is not known. Use one of 'auto', 'cpu', 'cuda', 'mps'.")
    if not AVAILABLE[device]():
        raise InputInvalid(f"device={device!r}: PyTorch {torch.__version__} finds no such device here. Use 'auto' or 'cpu'.")
    return device


def precision(device: str) -> Literal["bf16-mixed", "32-true"]:
    """Bfloat16 autocast where the hardware computes in it (about seven times faster on such CPUs), else float32."""
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if device == "cpu" and _has_bfloat16() else "32-true"


def _has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor supports bfloat16 arithmetic, according to Linux; false on other systems."""
    return cpuinfo.exists() and bool({"avx512_bf16", "amx_bf16", "bf16"} & set(cpuinfo.read_text(errors="replace").split()))
