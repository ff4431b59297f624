"""ONNX's reference evaluator: every operator in plain NumPy, slow, and nobody's engine."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec

from zooready.consumers.onnx_rules import one_file, onnx_objections
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
        yield from onnx_objections(bundle.formats["onnx"], (one_file,))


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
