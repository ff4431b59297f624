"""``rdf.yaml`` is written, in the form that every consumer reads (docs/consumers.md), or in that which the BioImage Model Zoo takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zooready.bundle.hashes import sha256
from zooready.records import About, Form, Format, Weights
from zooready.tensors import TensorSpec

BUILDER = "build"  # the callable of architecture.py that builds the network
FORMAT_VERSION = "0.5.10"  # the newest in which documentation is a plain string, which is all that JDLL can read
ENVIRONMENT = "environment.yaml"
KEYS: dict[Format, str] = {"state_dict": "pytorch_state_dict", "torchscript": "torchscript", "onnx": "onnx"}


def describe(
    *,
    about: About,
    form: Form,
    identity: str,
    input: TensorSpec,
    outputs: tuple[TensorSpec, ...],
    weights: tuple[Weights, ...],
    pytorch_version: str,
    folder: Path,
    config: Mapping[str, Any],
    reproducibility: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The description as plain data; every ``source`` is a file that already lies in ``folder``.

    The zoo gives a model its id itself, and asks which weights were converted: all but the first.

    Without ``null`` anywhere, which JDLL cannot read, and without a time stamp, so that equal bundles are equal bytes.
    """

    def file(name: str) -> dict[str, str]:
        return {"source": name, "sha256": sha256(folder / name)}

    first = KEYS[weights[0].format]
    named = {"rdf.yaml", "README.md", "cover.png", "architecture.py", ENVIRONMENT, *(w.path.name for w in weights)}
    named |= {f"{kind}-{spec.name}.{end}" for spec in (input, *outputs) for kind, end in (("test", "npy"), ("sample", "tif"))}
    attached = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {
        "format_version": FORMAT_VERSION,
        "type": "model",
        **({"id": identity} if form == "rich" else {}),
        "name": about.name,
        "description": about.description,
        "authors": [dict(author) for author in about.authors],
        **({"maintainers": [dict(maintainer) for maintainer in about.maintainers]} if about.maintainers else {}),
        "license": about.license,
        "cite": [{"text": text, "doi": doi} for text, doi in about.cite],
        "tags": list(about.tags),
        "documentation": "README.md",
        "covers": ["cover.png"],
        "attachments": [file(name) for name in attached if name not in named],
        "inputs": [_tensor(input, None, folder, file)],
        "outputs": [_tensor(spec, input, folder, file) for spec in outputs],
        "weights": {
            KEYS[w.format]: {**_weights(w, pytorch_version, folder, file), **({"parent": first} if form == "zoo" and n else {})}
            for n, w in enumerate(weights)
        },
        **({"parent": {"id": about.parent}} if about.parent else {}),
        "config": {"zooready": dict(config), **_of_bioimageio(reproducibility)},
    }


def _of_bioimageio(reproducibility: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The part of ``config`` that bioimageio's own test reads; nothing if there is nothing to say."""
    return {"bioimageio": {"reproducibility_tolerance": [dict(entry) for entry in reproducibility]}} if reproducibility else {}


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


def _weights(weights: Weights, pytorch_version: str, folder: Path, file: Any) -> dict[str, Any]:
    entry = file(weights.path.name)
    if weights.format == "onnx":
        return {**entry, "opset_version": weights.details["opset"]}
    if weights.format == "torchscript":
        return {**entry, "pytorch_version": pytorch_version}
    builder = {**file("architecture.py"), "callable": BUILDER, "kwargs": {}}  # written out: BiaPy refuses a description without them
    state = {**entry, "architecture": builder, "pytorch_version": weights.details["torch"]}
    return {**state, "dependencies": file(ENVIRONMENT)} if (folder / ENVIRONMENT).is_file() else state
