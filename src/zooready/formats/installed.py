"""Versions as they are recorded: without the local part, which names a build."""

from __future__ import annotations


def torch_version() -> str:
    """The installed PyTorch, e.g. ``"2.15.0"``."""
    import torch

    return str(torch.__version__).split("+")[0]
