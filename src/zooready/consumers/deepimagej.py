"""Fiji with DeepImageJ 3, judged by its written rules: Fiji itself does not run here.

A pass says that nothing known stands in the way. When ``java-pytorch`` passes in the same check, the engine that DeepImageJ starts
has computed the same numbers, and the comparison lifts the verdict to ``engine``; ``java-onnx`` never lifts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zooready.bundle.jdll import TIE, picks
from zooready.consumers.deepimagej_rules import RULES, Rule, axes
from zooready.consumers.torchscript_rules import known_operators, no_device
from zooready.records import Bundle, Format, Level

NAME = "deepimagej"
READS: tuple[Format, ...] = ("torchscript",)
LEVEL: Level = "rules"
APPLIES_OPERATORS = True


def missing() -> str | None:
    """None: rules need no program."""
    return None


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """Every rule that the bundle breaks, in words."""
    for rule in (*RULES, *WEIGHT_RULES):
        yield from rule(bundle)


def remarks(bundle: Bundle) -> Iterator[str]:
    """What a user will notice although nothing is refused."""
    for tensor, axis in axes(bundle, "inputs"):
        size = axis.get("size")
        if isinstance(size, Mapping) and int(size.get("step") or 1) > 1:
            yield (
                f"sizes that are no multiple of {size['step']} ({axis.get('id')} of '{tensor}') are cut into tiles, with seams unless "
                "there is a halo"
            )
    if any(axis.get("halo") for _, axis in axes(bundle, "outputs")):
        yield "with a halo Fiji mirrors the picture at its rim, so that rim pixels differ from Python"


def versions() -> dict[str, str]:
    """The version whose rules these are."""
    return {"rules of JDLL": "0.6.1"}


def _entry(bundle: Bundle, key: str) -> Mapping[str, Any]:
    return (bundle.rdf.get("weights") or {}).get(key) or {}


def has_engine(bundle: Bundle) -> Iterator[str]:
    """A state dict alone asks for a Python environment, not for the Java engine."""
    if picks(bundle.rdf) is None:
        held = ", ".join(bundle.formats)
        yield f"only {held} inside, which Fiji cannot run with its own engines (it would set up Python): add TorchScript."


def picks_torchscript(bundle: Bundle) -> Iterator[str]:
    """ONNX inside DeepImageJ 3 closes its outputs twice and crashes Fiji, and there is no fall-back."""
    taken, version = picks(bundle.rdf), _entry(bundle, "torchscript").get("pytorch_version")
    opset = _entry(bundle, "onnx").get("opset_version")
    if taken == "onnx" and "torchscript" not in bundle.formats:
        yield "only ONNX inside, with which DeepImageJ 3 crashes Fiji at the end of every run: add TorchScript."
    elif taken == "onnx":
        yield (
            f"DeepImageJ would take the ONNX weights and crash Fiji (pytorch_version {version}, opset {opset}): declare pytorch_version "
            "'2.0.0' "
            "once java-pytorch passed, or leave ONNX out."
        )
    elif taken == TIE:
        yield (
            f"DeepImageJ would take whichever weights come first, and crash Fiji with ONNX (pytorch_version {version} and opset {opset} "
            "share a "
            "place in its table): declare pytorch_version '2.0.0' once java-pytorch passed."
        )
    elif taken not in ("torchscript", None):
        yield f"DeepImageJ would take {taken}, which is not checked here: leave it out, or move it to a bundle of its own."


def pytorch_version(bundle: Bundle) -> Iterator[str]:
    """JDLL's newest engine is PyTorch 2.0.0, taken for 2.x and for nothing else."""
    if "torchscript" not in bundle.formats:
        return
    version = _entry(bundle, "torchscript").get("pytorch_version")
    if not isinstance(version, str):
        yield f"pytorch_version is {version!r} and not text, so JDLL may ask for another engine: write it in quotes, e.g. '2.0.0'."
    elif not version.startswith("2."):
        yield (
            f"pytorch_version '{version}' asks for an engine that Fiji does not have beside 2.0.0: export with PyTorch 2, declare '2.0.0'."
        )


def torchscript_name(bundle: Bundle) -> Iterator[str]:
    """The engine looks for exactly this ending."""
    name = bundle.formats["torchscript"].name if "torchscript" in bundle.formats else ".pt"
    if not name.endswith(".pt"):
        yield f"the TorchScript file is called {name!r}, and Fiji's engine loads names that end in .pt only: call it weights.pt."


def torchscript_operators(bundle: Bundle) -> Iterator[str]:
    """The engine is libtorch 2.0.0."""
    if "torchscript" in bundle.formats:
        yield from known_operators(bundle.formats["torchscript"])


def torchscript_device(bundle: Bundle) -> Iterator[str]:
    """Fiji may run on a GPU."""
    if "torchscript" in bundle.formats:
        yield from no_device(bundle.formats["torchscript"])


WEIGHT_RULES: tuple[Rule, ...] = (
    *(has_engine, picks_torchscript, pytorch_version, torchscript_name),
    *(torchscript_operators, torchscript_device),
)
