"""PyTorch in Python, the version installed here: TorchScript, and the state dict of a trusted bundle.

Both run in a child process: a state dict comes with Python, and TorchScript is code too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from zooready.bundle.builders import builder_of
from zooready.consumers.sandbox import ask
from zooready.consumers.torchscript_rules import only_computes
from zooready.errors import BundleInvalid
from zooready.records import Array, Bundle, Format, Level

NAME = "torch"
READS: tuple[Format, ...] = ("state_dict", "torchscript")
LEVEL: Level = "ran"


def missing() -> str | None:
    """None with torch installed."""
    return None if find_spec("torch") else "No PyTorch here. Run pip install torch."


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """TorchScript that reaches beyond tensors, and state dicts without their source."""
    if format == "torchscript":
        yield from only_computes(bundle.formats["torchscript"])
    if format == "state_dict" and builder_of(bundle) is None:
        yield "the state dict names no architecture to load it into: add weights.pytorch_state_dict.architecture (file and callable)."


def run(bundle: Bundle, format: Format, images: Sequence[Array]) -> list[tuple[Array, ...]]:
    """Outputs of the network for each image, from a child process.

    Raises
    ------
    BundleInvalid
        A state dict of a bundle that is not trusted.
    """
    job: dict[str, Any] = {"kind": format, "path": str(bundle.formats[format])}
    if format == "state_dict":
        if not bundle.trusted:
            raise BundleInvalid(f"{bundle.path.name}: a state dict runs the bundle's own Python. Read it, then use trust_code=True.")
        if builder := builder_of(bundle):
            job["builder"] = {**asdict(builder), "file": str(builder.file) if builder.file else None}
    return ask(job, images, who=f"PyTorch {version('torch')} ({format})", seconds=bundle.time_limit_s)


def versions() -> dict[str, str]:
    """The installed torch."""
    return {"torch": version("torch")}
