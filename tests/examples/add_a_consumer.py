"""A new consumer is one file with these names: ONNX's reference evaluator, which is slow, plain NumPy, and nobody's engine.

    python add_a_consumer.py BUNDLE

checks BUNDLE with it. In the package the file would be src/zooready/consumers/onnx_reference.py, with one line in CONSUMERS.
"""

# ruff: noqa: T201  scripts print

import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from zooready.consumers.onnx_rules import one_file
from zooready.errors import ConsumerFailed
from zooready.records import Array, Bundle, Format, Level

NAME = "onnx-reference"
READS: tuple[Format, ...] = ("onnx",)
LEVEL: Level = "ran"  # what a pass proves: the program itself computed it


def missing() -> str | None:
    """None with onnx installed; else what to install."""
    return None if find_spec("onnx") else "No onnx here. Run pip install onnx."


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """What it would refuse or misread, said before anything starts."""
    if format == "onnx":
        yield from one_file(bundle.formats["onnx"])


def run(bundle: Bundle, format: Format, images: Sequence[Array]) -> list[tuple[Array, ...]]:
    """Outputs for each (b, c, y, x) float32 image, in the bundle's order; no tolerance is applied here."""
    from onnx.reference import ReferenceEvaluator

    network = ReferenceEvaluator(str(bundle.formats[format]))
    names = [output.name for output in bundle.outputs]
    try:
        return [tuple(network.run(names, {network.input_names[0]: image})) for image in images]
    except (NotImplementedError, RuntimeError, TypeError) as error:
        raise ConsumerFailed(f"ONNX's reference evaluator stopped ({error}): an operator is probably missing there.") from error


def versions() -> dict[str, str]:
    """What ran."""
    return {"onnx": version("onnx")}


if __name__ == "__main__":
    import zooready
    from zooready.consumers import CONSUMERS

    CONSUMERS[NAME] = __name__  # in the package: a line of the dictionary in consumers/__init__.py
    for verdict in zooready.check(Path(sys.argv[1]), consumers=[NAME]).verdicts:
        print(f"{verdict.consumer} {verdict.format}: {verdict.status} ({verdict.level}). {verdict.why}")
        print(f"largest difference / range {verdict.difference:.1g}, tolerance {verdict.tolerance:g}")
