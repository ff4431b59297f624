"""bioimageio.core: its own test of each weights format, in a child process without network, and its predictions for every case.

Its verdict alone is too kind: NaN passes, a wrong output is ``valid-format``, and values are compared at one size. Here it must say
``passed``, and its predictions are compared like everybody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec

from zooready.bundle.reading import DESCRIPTIONS
from zooready.consumers.sandbox import ask
from zooready.consumers.torchscript_rules import only_computes
from zooready.errors import BundleInvalid
from zooready.records import Array, Bundle, Format, Level

NAME = "bioimageio"
READS: tuple[Format, ...] = ("state_dict", "torchscript", "onnx")
LEVEL: Level = "ran"
APPLIES_OPERATORS = True
WEIGHTS: Mapping[Format, str] = {"state_dict": "pytorch_state_dict", "torchscript": "torchscript", "onnx": "onnx"}


def missing() -> str | None:
    """None with bioimageio.core installed."""
    return None if find_spec("bioimageio") and find_spec("bioimageio.core") else "No bioimageio.core here. Run pip install bioimageio.core."


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """The same dangers as where the weights run alone: core loads them without a look."""
    if format == "torchscript":
        yield from only_computes(bundle.formats["torchscript"])


def run(bundle: Bundle, format: Format, images: Sequence[Array]) -> list[tuple[Array, ...]]:
    """Predictions of core for each image, once its own test said ``passed``.

    Raises
    ------
    BundleInvalid
        core refuses the description, or a state dict would run code of a bundle that is not trusted.
    OutputsDiffer
        core's own test says that the outputs are wrong.
    ConsumerFailed
        It crashed, hung, or could not run the network.
    """
    return predicted(bundle, format, [[image] for image in images])


def predicted(bundle: Bundle, format: Format, inputs: Sequence[Sequence[Array]]) -> list[tuple[Array, ...]]:
    """As :func:`run`, for networks of one or of several inputs: all of one prediction together, in the description's order."""
    if format == "state_dict" and not bundle.trusted:
        raise BundleInvalid(f"{bundle.path.name}: a state dict runs the bundle's own Python. Read it, then use trust_code=True.")
    description = next(bundle.folder / name for name in DESCRIPTIONS if (bundle.folder / name).is_file())  # the one that was judged
    job = {"kind": "bioimageio", "bundle": str(description), "weights": WEIGHTS[format]}
    return ask(job, inputs, who=f"bioimageio.core {version('bioimageio.core')} ({format})", seconds=bundle.time_limit_s)


def versions() -> dict[str, str]:
    """The installed core and spec."""
    return {name: version(name) for name in ("bioimageio.core", "bioimageio.spec")}
