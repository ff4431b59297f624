"""A browser: ONNX Runtime compiled to WebAssembly, the version inside of pages, run by Node.js on one thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zooready.consumers.onnx_rules import one_file, onnx_objections, stated_opset, true_ir
from zooready.records import Array, Bundle, Format, Level
from zooready.wasm import node, runtime

NAME = "browser"
READS: tuple[Format, ...] = ("onnx",)
LEVEL: Level = "engine"
ASKED_ONLY = True


def missing() -> str | None:
    """None with Node.js and what pages need."""
    return node.missing()


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """Versions that lie, and tensors outside the file, which a page could not hold."""
    if format == "onnx":
        yield from stated_opset(bundle)
        yield from onnx_objections(bundle.formats["onnx"], (true_ir, one_file))


def run(bundle: Bundle, format: Format, images: Sequence[Array]) -> list[tuple[Array, ...]]:
    """Outputs of the network for each image."""
    return node.run(bundle.formats[format], images, [name for name, _ in bundle.kinds], seconds=bundle.time_limit_s)


def versions() -> dict[str, str]:
    """The engine's version, and Node's."""
    return {"onnxruntime-web": runtime.versions()["onnxruntime-web"], "node": node.version()}
