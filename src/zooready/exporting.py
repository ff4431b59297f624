"""Any module becomes a bundle: measured, wrapped, written in every format that holds, and packed.

    module --probing--> Measured --wrapping--> FijiSafe --formats--> Weights, each compared with the eager network --bundle--> zip

May import: about, pictures, bundle, probing, drafting, java
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zooready import about as facts
from zooready import java, probing
from zooready.bundle import cases, jdll, writing
from zooready.drafting import Draft, Job, draft, sources
from zooready.errors import InputInvalid, ZooreadyError
from zooready.pictures import read_picture
from zooready.records import FORMATS, TOLERANCE, About, Array, Format, Measured, Part, Picture, Weights, as_float32
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

NORMALIZATIONS: Mapping[str, Part | None] = {
    "none": None,
    "percentiles": Part(path="zooready.nets.normalization.Percentiles", kwargs={"low": 1.0, "high": 99.8}),
    "mean-std": Part(path="zooready.nets.normalization.MeanStd"),
    "min-max": Part(path="zooready.nets.normalization.MinMax"),
}


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export made and found.

    ``unavailable`` maps each format that could not be had to the reason. ``seconds`` are the timings by which the TorchScript variant was
    chosen, each the median of three runs on the example, in the engine that ``timed_in`` names; empty if the variant was given.
    """

    path: Path
    measured: Measured
    formats: tuple[Format, ...]
    unavailable: Mapping[str, str]
    variant: str
    seconds: Mapping[str, float]
    timed_in: str


def export(
    module: nn.Module,
    example: Array | Picture | Path | str,
    about: About | Path | str,
    out: Path | str,
    *,
    architecture: Part | tuple[str, Mapping[str, Any]] | None = None,
    normalization: Part | str | None = None,
    head: Part | None = None,
    input: TensorSpec | None = None,
    outputs: tuple[TensorSpec, ...] | None = None,
    restores: bool = False,
    keep: tuple[int, ...] = (),
    torchscript: str = "auto",
    formats: Collection[Format] = FORMATS,
    tolerance: Mapping[Format, float] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Exported:
    """Write a Fiji-safe bundle of any network; see docs/export.md.

    Parameters
    ----------
    module
        One input, (b, c, y, x) or (b, c, z, y, x) float32; tensors, lists or dicts of them out. It is copied, never changed.
    example
        A typical raw picture: a file, or an array (y, x), (c, y, x), (b, c, y, x) or (b, c, z, y, x).
    about
        Names, licence, citation, description: an :class:`About` or the path of an ``about.yaml``.
    out
        The zip to write; it appears whole or not at all.
    architecture
        Where the network's class is: (import path, keyword arguments). Without it the bundle has no state dict.
    normalization
        From raw pixels to what the network sees: "none", "percentiles", "mean-std", "min-max", or a :class:`Part`.
    head
        What finishes the network's outputs; then ``outputs`` must describe its results.
    input, outputs
        Names, channels and kinds; measured defaults otherwise.
    restores
        Map outputs back to the picture's intensities (restoration networks).
    keep
        Places of the outputs that the bundle gives, in order (QuPath takes one); all if empty.
    torchscript
        "plain", "frozen", "channels_last", or "auto": the fastest that agrees to 1e-6, timed in Fiji's engine if it is here.
    formats
        Which formats to try.
    tolerance
        Largest difference / range a format may show.
    provenance
        Plain data for ``config.zooready``: seed, data hash, metrics, training.

    Raises
    ------
    InputInvalid
        The network, the example or the facts cannot make a bundle; the message says why and what to do.
    """
    who = about if isinstance(about, About) else facts.read(Path(about))
    sample, image = _example(example)
    network = probing.prepared(module)
    normal = _normalization(normalization)
    part = Part(path=architecture[0], kwargs=architecture[1]) if isinstance(architecture, tuple) else architecture
    measured = probing.measure(network, _normalised(normal, image))
    job = Job(
        network=network, parts=(part, normal, head), image=image, measured=measured, input=_input(input, image, measured),
        outputs=_outputs(outputs, measured, head, keep), restores=restores, keep=keep, torchscript=torchscript, formats=formats,
        tolerance={**TOLERANCE, **(tolerance or {})}, name=who.name,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="zooready-") as folder:
        made = draft(job, Path(folder))
        script = next((w for w in made.weights if w.format == "torchscript"), None)
        contents = writing.Contents(
            about=who,
            input=replace(job.input, sizes=dict(made.fixed)),
            outputs=tuple(replace(s, sizes={**s.sizes, **{a: n for a, n in made.fixed.items() if a in s.axes}}) for s in job.outputs),
            measured=replace(measured, fixed=made.fixed, stride=made.wrapped.stride, minimum=made.wrapped.minimum),
            weights=made.weights,
            unavailable=made.unavailable,
            cases=made.cases,
            sample=sample,
            sample_case=made.cases[0] if made.fixed else cases.evaluated(made.wrapped, "sample", image),
            tolerance=job.tolerance,
            pytorch_version=_declared_version(made, script),
            provenance=provenance or {},
            **sources(job, made),
        )
        path = writing.write(contents, Path(out))
    return Exported(
        path=path,
        measured=contents.measured,
        formats=tuple(w.format for w in made.weights),
        unavailable=made.unavailable,
        variant=str(script.details["variant"]) if script else "",
        seconds=made.seconds,
        timed_in=made.timed_in,
    )


def _example(example: Array | Picture | Path | str) -> tuple[Picture, Array]:
    """The sample picture, and the same as (1, c, y, x) or (1, c, z, y, x) float32."""
    if isinstance(example, str | Path):
        example = read_picture(example)
    if not isinstance(example, Picture):
        array = np.asarray(example)
        axes = {2: "yx", 3: "cyx", 4: "cyx", 5: "czyx"}.get(array.ndim)
        if axes is None or not array.size:
            raise InputInvalid(f"example of shape {array.shape}: give it as (y, x), (c, y, x), (b, c, y, x) or (b, c, z, y, x).")
        example = Picture(array=array[0] if array.ndim > 3 else array, axes=axes)
    if "t" in example.axes:
        raise InputInvalid(f"the example is a time series (axes {example.axes!r}): give one of its time points.")
    order = "".join(axis for axis in "czyx" if axis in example.axes)
    array = example.array.transpose([example.axes.index(axis) for axis in order])
    image = as_float32(array[None] if "c" in order else array[None, None])
    if not np.isfinite(image).all():
        raise InputInvalid(f"the example holds {int((~np.isfinite(image)).sum())} NaN or infinite pixels: give a picture without them.")
    array = array if array.dtype.name in ("uint8", "uint16", "float32") else array.astype(np.float32)
    return replace(example, array=array, axes=order), image


def _normalization(given: Part | str | None) -> Part | None:
    if isinstance(given, str):
        if given not in NORMALIZATIONS:
            raise InputInvalid(f"normalization={given!r} is not known: use one of {', '.join(map(repr, NORMALIZATIONS))}, or a Part.")
        return NORMALIZATIONS[given]
    return given


def _normalised(part: Part | None, image: Array) -> Tensor:
    import torch

    tensor = torch.from_numpy(image.copy())
    result: Tensor = part.build()(tensor) if part else tensor
    return result


def _input(given: TensorSpec | None, image: Array, measured: Measured) -> TensorSpec:
    axes = "bcyx" if image.ndim == 4 else "bczyx"
    spec = given or TensorSpec(name="image", axes=axes, channels=_channel_names(image.shape[1]), description="raw picture")
    if spec.axes != axes or len(spec.channels) != image.shape[1]:
        raise InputInvalid(
            f"input '{spec.name}' has axes {spec.axes!r} and {len(spec.channels)} channels, but the example is {axes} with "
            f"{image.shape[1]}: make the two agree."
        )
    return spec


def _outputs(given: tuple[TensorSpec, ...] | None, measured: Measured, head: Part | None, keep: tuple[int, ...]) -> tuple[TensorSpec, ...]:
    specs = _described(given, measured, head)
    if any(place not in range(len(specs)) for place in keep):
        raise InputInvalid(f"keep={keep} names an output that does not exist: the network has {len(specs)}, counted from 0.")
    return tuple(specs[place] for place in keep) or specs


def _described(given: tuple[TensorSpec, ...] | None, measured: Measured, head: Part | None) -> tuple[TensorSpec, ...]:
    if given is None and head is not None:
        raise InputInvalid(f"head={head.path!r} changes what comes out: describe its results with outputs=(TensorSpec(...), ...).")
    found = []
    for number, (axes, channels) in enumerate(zip(measured.outputs, measured.channels, strict=True)):
        full = axes if "c" in axes else f"bc{axes[1:]}"
        name = "output" if len(measured.outputs) == 1 else f"output_{number}"
        found.append(TensorSpec(name=name, axes=full, channels=_channel_names(channels), kind="image" if "y" in full else "scores"))
    if given is None:
        return tuple(found)
    if head is None and [(s.axes, len(s.channels)) for s in given] != [(s.axes, len(s.channels)) for s in found]:
        stated, measured_as = ([f"{s.axes} with {len(s.channels)} channels" for s in specs] for specs in (given, found))
        raise InputInvalid(f"outputs are described as {stated}, but the network returns {measured_as}: make the two agree.")
    return given


def _channel_names(count: int) -> tuple[str, ...]:
    return ("intensity",) if count == 1 else tuple(f"channel_{number}" for number in range(count))


def _declared_version(made: Draft, script: Weights | None) -> str:
    """The PyTorch version that JDLL reads: the real one, unless JDLL would then take ONNX, and 2.0.0 was seen to run the file."""
    if script is None:
        return ""
    real = str(script.details["torch"])
    onnx = next((w for w in made.weights if w.format == "onnx"), None)
    weights = {"torchscript": {"pytorch_version": real}, **({"onnx": {"opset_version": onnx.details["opset"]}} if onnx else {})}
    if jdll.picks({"weights": weights}) == "torchscript" or java.missing() is not None:
        return real
    try:
        java.run("pytorch", script.path, [case.input for case in made.cases])
    except ZooreadyError:
        return real
    return "2.0.0"
