"""ONNX Runtime 1.12.1 and 1.13.1 in Java, JDLL's engines for opset 17 and 18, on pixels that ImageJ's own TIFF reader opened.

A pass says nothing about DeepImageJ 3, whose interface to these engines closes outputs twice and crashes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from zooready import java
from zooready.consumers.onnx_rules import onnx_objections, stated_opset
from zooready.errors import InputInvalid
from zooready.records import Array, Bundle, Format, Level, as_float32

NAME = "java-onnx"
READS: tuple[Format, ...] = ("onnx",)
LEVEL: Level = "engine"
OPENS_FILES = True
VARIANTS = ("1.12.1", "1.13.1")  # both must pass
SECONDS = 600.0  # for all images of one bundle together


def missing() -> str | None:
    """None with both engines installed."""
    return next(filter(None, (java.missing(_engine(variant)) for variant in VARIANTS)), None)


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """Opset above 17, IR above 8, and tensors outside the file: refused at load."""
    if format == "onnx":
        yield from stated_opset(bundle)
        yield from onnx_objections(bundle.formats["onnx"])


def run(bundle: Bundle, format: Format, images: Sequence[Array | Path], variant: str = VARIANTS[-1]) -> list[tuple[Array, ...]]:
    """Outputs of one version for each (b, c, y, x) or (b, c, z, y, x) image, float32.

    Images of batch 1 are written as ImageJ TIFF and read by ImageJ, files are opened by ImageJ as they are; larger batches, which it has
    no axis for, go as arrays.

    Raises
    ------
    InputInvalid
        ``variant`` is not one of ``VARIANTS``.
    ConsumerMissing, ConsumerFailed
        See :func:`zooready.java.run`.
    """
    if variant not in VARIANTS:
        raise InputInvalid(f"variant {variant!r} of java-onnx is not known: use one of {', '.join(VARIANTS)}.")
    inputs = [image if isinstance(image, Path) else as_float32(image) for image in images]
    limit_s = bundle.time_limit_s or SECONDS
    return list(java.run(_engine(variant), bundle.formats[format], inputs, limit_s=limit_s, through_imagej=True).outputs)


def versions() -> dict[str, str]:
    """Both ONNX Runtimes, and ImageJ."""
    return {"onnxruntime": ", ".join(VARIANTS), "imagej": java.versions("onnx-1.13.1")["ij"]}


def _engine(variant: str) -> java.Engine:
    return cast(java.Engine, f"onnx-{variant}")
