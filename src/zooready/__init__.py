"""Train microscopy models and ship bundles that are proven to run in Fiji, DeepImageJ, pyimagej and CellProfiler."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zooready.commands.check import check
    from zooready.commands.evaluate import evaluate
    from zooready.commands.explain import explain
    from zooready.commands.export import export
    from zooready.commands.measure import measure
    from zooready.commands.predict import predict
    from zooready.commands.train import train
    from zooready.families import FAMILIES
    from zooready.records import About, Family, Part
    from zooready.tensors import TensorSpec

__all__ = ["FAMILIES", "About", "Family", "Part", "TensorSpec", "check", "evaluate", "explain", "export", "measure", "predict", "train"]
_HOMES = {
    "FAMILIES": "families",
    **dict.fromkeys(("About", "Family", "Part"), "records"),
    "TensorSpec": "tensors",
    **{name: f"commands.{name}" for name in ("check", "evaluate", "explain", "export", "measure", "predict", "train")},
}
# ONNX Runtime reads this when it is first imported, and sends telemetry without it. Child processes import this package too.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import zooready`` stays quick and without PyTorch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("zooready")
    if name not in _HOMES:
        raise AttributeError(f"module 'zooready' has no attribute {name!r}: its names are {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"zooready.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
