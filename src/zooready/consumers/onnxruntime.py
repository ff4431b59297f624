"""ONNX Runtime in Python, the version installed here, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec

from zooready.consumers.onnx_rules import one_file, onnx_objections, stated_opset, true_ir
from zooready.consumers.sandbox import ask
from zooready.records import Array, Bundle, Format, Level

NAME = "onnxruntime"
READS: tuple[Format, ...] = ("onnx",)
LEVEL: Level = "ran"


def missing() -> str | None:
    """None with onnxruntime installed."""
    return None if find_spec("onnxruntime") else "No ONNX Runtime here. Run pip install onnxruntime."


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """Versions that lie, and tensors outside the file, whose hash nobody checks."""
    if format == "onnx":
        yield from stated_opset(bundle)
        yield from onnx_objections(bundle.formats["onnx"], (true_ir, one_file))


def run(bundle: Bundle, format: Format, images: Sequence[Array]) -> list[tuple[Array, ...]]:
    """Outputs of the network for each image, from a child process."""
    job = {"kind": "onnx", "path": str(bundle.formats[format])}
    return ask(job, images, who=f"ONNX Runtime {version('onnxruntime')}", seconds=bundle.time_limit_s)


def versions() -> dict[str, str]:
    """The installed onnxruntime."""
    return {"onnxruntime": version("onnxruntime")}
