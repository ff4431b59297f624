"""PyTorch 2.0.0 in Java (DJL 0.22.1), the engine inside DeepImageJ, on pixels that ImageJ's own TIFF reader opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from zooready import java
from zooready.records import Array, Bundle, Format, Level, as_float32

NAME = "java-pytorch"
READS: tuple[Format, ...] = ("torchscript",)
LEVEL: Level = "engine"
OPENS_FILES = True
SECONDS = 600.0  # for all images of one bundle together


def missing() -> str | None:
    """None with the engine installed."""
    return java.missing("pytorch")


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """TorchScript that reaches beyond tensors: the child process has limits, but it is no sandbox."""
    if format != "torchscript":
        return
    from zooready.formats.torchscript import unsafe

    path = bundle.formats["torchscript"]
    if operators := unsafe(path):
        yield (
            f"{path.name} is not run. It uses what is on no list of operators that only compute: {', '.join(operators[:5])}. "
            "TorchScript is code and could touch files; export the network without these."
        )


def run(bundle: Bundle, format: Format, images: Sequence[Array | Path]) -> list[tuple[Array, ...]]:
    """Outputs for each (b, c, y, x) or (b, c, z, y, x) image, float32.

    Images of batch 1 are written as ImageJ TIFF and read by ImageJ, files are opened by ImageJ as they are; larger batches, which it has
    no axis for, go as arrays.

    Raises
    ------
    ConsumerMissing, ConsumerFailed
        See :func:`zooready.java.run`.
    """
    inputs = [image if isinstance(image, Path) else as_float32(image) for image in images]
    return list(java.run("pytorch", bundle.formats[format], inputs, limit_s=bundle.time_limit_s or SECONDS, through_imagej=True).outputs)


def versions() -> dict[str, str]:
    """PyTorch, DJL and ImageJ."""
    return versions_of("pytorch")


def versions_of(engine: java.Engine) -> dict[str, str]:
    """The same of another engine of PyTorch."""
    ran = java.versions(engine)
    return {"pytorch": ran["pytorch-native-cpu"], "djl": ran["pytorch-engine"], "imagej": ran["ij"]}
