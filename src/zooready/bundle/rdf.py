"""``rdf.yaml``: what a bundle says of itself, in the form that every consumer reads (docs/consumers.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zooready.bundle.hashes import sha256
from zooready.records import About, Measured, Weights
from zooready.tensors import TensorSpec

BUILDER = "build"  # the callable of architecture.py that builds the network
FORMAT_VERSION = "0.5.10"  # the newest in which documentation is a plain string, which is all that JDLL can read


def describe(
    *,
    about: About,
    identity: str,
    input: TensorSpec,
    outputs: tuple[TensorSpec, ...],
    weights: tuple[Weights, ...],
    pytorch_version: str,
    folder: Path,
    config: Mapping[str, Any],
) -> dict[str, Any]:
    """The description as plain data; every ``source`` is a file that already lies in ``folder``.

    Without ``null`` anywhere, which JDLL cannot read, and without a time stamp, so that equal bundles are equal bytes.
    """

    def file(name: str) -> dict[str, str]:
        return {"source": name, "sha256": sha256(folder / name)}

    named = {"rdf.yaml", "README.md", "cover.png", "architecture.py", "environment.yaml", *(w.path.name for w in weights)}
    named |= {f"{kind}-{spec.name}.{end}" for spec in (input, *outputs) for kind, end in (("test", "npy"), ("sample", "tif"))}
    attached = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {
        "format_version": FORMAT_VERSION,
        "type": "model",
        "id": identity,
        "name": about.name,
        "description": about.description,
        "authors": [dict(author) for author in about.authors],
        "license": about.license,
        "cite": [{"text": text, "doi": doi} for text, doi in about.cite],
        "tags": list(about.tags),
        "documentation": "README.md",
        "covers": ["cover.png"],
        "attachments": [file(name) for name in attached if name not in named],
        "inputs": [_tensor(input, None, folder, file)],
        "outputs": [_tensor(spec, input, folder, file) for spec in outputs],
        "weights": {key: entry for w in weights for key, entry in _weights(w, pytorch_version, file)},
        "config": {"zooready": dict(config)},
    }


def measured_facts(measured: Measured) -> dict[str, Any]:
    """What probing found, as plain data; an unbounded halo is said in words."""
    facts = {key: value for key, value in asdict(measured).items() if key in ("stride", "minimum", "fixed") and value}
    return {**facts, "halo": "whole image" if measured.halo is None else measured.halo, "notes": list(measured.notes)}


def _tensor(spec: TensorSpec, reference: TensorSpec | None, folder: Path, file: Any) -> dict[str, Any]:
    tensor = {
        "id": spec.name,
        "description": spec.description or spec.name,
        "axes": [_axis(letter, spec, reference) for letter in spec.axes],
        "test_tensor": file(f"test-{spec.name}.npy"),
        "data": {"type": "float32", **({"unit": spec.unit} if spec.unit else {})},
    }
    sample = f"sample-{spec.name}.tif"
    return {**tensor, **({"sample_tensor": file(sample)} if (folder / sample).exists() else {})}


def _axis(letter: str, spec: TensorSpec, reference: TensorSpec | None) -> dict[str, Any]:
    if letter == "b":
        return {"type": "batch"}
    if letter == "c":
        return {"type": "channel", "channel_names": list(spec.channels)}
    kind = "time" if letter == "t" else "space"
    if letter in spec.sizes:
        return {"type": kind, "id": letter, "size": spec.sizes[letter]}
    if reference is None:
        return {"type": kind, "id": letter, "size": {"min": 1, "step": 1}}
    return {"type": kind, "id": letter, "size": {"tensor_id": reference.name, "axis_id": letter}}


def _weights(weights: Weights, pytorch_version: str, file: Any) -> list[tuple[str, dict[str, Any]]]:
    entry = file(weights.path.name)
    if weights.format == "onnx":
        return [("onnx", {**entry, "opset_version": weights.details["opset"]})]
    if weights.format == "torchscript":
        return [("torchscript", {**entry, "pytorch_version": pytorch_version})]
    architecture = {**file("architecture.py"), "callable": BUILDER}
    state = {**entry, "architecture": architecture, "pytorch_version": weights.details["torch"], "dependencies": file("environment.yaml")}
    return [("pytorch_state_dict", state)]
