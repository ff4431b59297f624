"""Any module becomes a bundle: measured, wrapped, written in every format that holds, and packed.

    module --probing--> Measured --wrapping--> FijiSafe --formats--> Weights, each compared with the eager network --bundle--> zip

May import: about, pictures, formats, bundle, probing, wrapping, java
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zooready import about as facts
from zooready import java, probing
from zooready.bundle import architecture as source
from zooready.bundle import cases, jdll, writing
from zooready.errors import InputInvalid, OutputsDiffer, ZooreadyError
from zooready.pictures import read_picture
from zooready.records import FORMATS, TOLERANCE, About, Array, Case, Format, Measured, Part, Picture, Weights, as_float32
from zooready.tensors import TensorSpec
from zooready.wrapping import FijiSafe

if TYPE_CHECKING:
    from torch import Tensor, nn

VARIANT_TOLERANCE = 1e-6  # of the range: a faster TorchScript must compute the same
TIMED_RUNS = 3
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


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """One way to wrap the network, and the files that came of it."""

    wrapped: FijiSafe
    cases: tuple[Case, ...]
    weights: tuple[Weights, ...]
    unavailable: Mapping[str, str]
    fixed: Mapping[str, int]
    seconds: Mapping[str, float]
    timed_in: str = ""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What stays the same for every way to wrap."""

    network: nn.Module
    parts: tuple[Part | None, Part | None, Part | None]
    image: Array
    measured: Measured
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    restores: bool
    torchscript: str
    formats: Collection[Format]
    tolerance: Mapping[Format, float]
    name: str


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
    job = _Job(
        network=network, parts=(part, normal, head), image=image, measured=measured, input=_input(input, image, measured),
        outputs=_outputs(outputs, measured, head), restores=restores, torchscript=torchscript, formats=formats,
        tolerance={**TOLERANCE, **(tolerance or {})}, name=who.name,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="zooready-") as folder:
        draft = _draft(job, Path(folder))
        script = next((w for w in draft.weights if w.format == "torchscript"), None)
        contents = writing.Contents(
            about=who,
            input=replace(job.input, sizes=dict(draft.fixed)),
            outputs=tuple(replace(s, sizes={**s.sizes, **{a: n for a, n in draft.fixed.items() if a in s.axes}}) for s in job.outputs),
            measured=replace(measured, fixed=draft.fixed, stride=draft.wrapped.stride, minimum=draft.wrapped.minimum),
            weights=draft.weights,
            unavailable=draft.unavailable,
            cases=draft.cases,
            sample=sample,
            sample_case=draft.cases[0] if draft.fixed else cases.evaluated(draft.wrapped, "sample", image),
            tolerance=job.tolerance,
            pytorch_version=_declared_version(draft, script),
            provenance=provenance or {},
            **_sources(job, draft),
        )
        path = writing.write(contents, Path(out))
    return Exported(
        path=path,
        measured=contents.measured,
        formats=tuple(w.format for w in draft.weights),
        unavailable=draft.unavailable,
        variant=str(script.details["variant"]) if script else "",
        seconds=draft.seconds,
        timed_in=draft.timed_in,
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


def _outputs(given: tuple[TensorSpec, ...] | None, measured: Measured, head: Part | None) -> tuple[TensorSpec, ...]:
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


def _draft(job: _Job, folder: Path) -> _Draft:
    """The first way to wrap the network that yields TorchScript, which Fiji needs; else the one that yields ONNX."""
    drafts = []
    for number, (stride, minimum, fixed) in enumerate(_ways(job.measured)):
        try:
            drafts.append(_files(job, stride, minimum, fixed, folder / str(number)))
        except InputInvalid as error:
            reason = str(error)
            continue
        if "torchscript" not in job.formats or any(w.format == "torchscript" for w in drafts[-1].weights):
            return drafts[-1]
    kept = next((draft for draft in drafts if any(w.format == "onnx" for w in draft.weights)), None)
    if kept is None:
        reasons = "; ".join(f"{format}: {why}" for draft in drafts[-1:] for format, why in draft.unavailable.items()) or reason
        raise InputInvalid(" ".join(("no format that programs can run came of this network.", *job.measured.notes, f"({reasons})")))
    return kept


def _ways(measured: Measured) -> Iterator[tuple[int, int, Mapping[str, int]]]:
    """(stride, minimum, fixed sizes) to try: as measured; by another tracer at the eager network's stride; at one size."""
    if measured.stride:
        yield measured.stride, measured.minimum, {}
        return
    if measured.eager_stride:
        yield measured.eager_stride, measured.eager_stride, {}
    if measured.fixed:
        yield 0, 0, measured.fixed
    if not (measured.eager_stride or measured.fixed):
        raise InputInvalid(measured.notes[0])


def _files(job: _Job, stride: int, minimum: int, fixed: Mapping[str, int], folder: Path) -> _Draft:
    """Wrap, compute the cases, write every format and keep those that give the eager network's numbers."""
    import torch

    from zooready.formats import onnx, state_dict

    folder.mkdir(parents=True)
    _, normal, head = (part.build() if part and index else None for index, part in enumerate(job.parts))
    wrapped = FijiSafe(job.network, normal, head, stride=stride, minimum=minimum, axes=job.measured.outputs, restores=job.restores).eval()
    known = cases.cases(wrapped, job.image, fixed)
    example = torch.from_numpy(known[0].input.copy())
    labels = [index for index, spec in enumerate(job.outputs) if spec.kind == "labels"]
    weights: list[Weights] = []
    unavailable: dict[str, str] = {}
    seconds: Mapping[str, float] = {}
    timed_in = ""
    for format in FORMATS:
        if format not in job.formats:
            continue
        try:
            if format == "torchscript":
                script, seconds, timed_in = _torchscript(job, wrapped, known, labels, folder)
                weights.append(script)
            elif format == "onnx":
                axes = {"input_axes": job.input.axes, "output_axes": [spec.axes for spec in job.outputs]}
                names = {"input_name": job.input.name, "output_names": [spec.name for spec in job.outputs]}
                written = onnx.write(wrapped, example, folder / "weights.onnx", fixed=fixed, labels=labels, **axes, **names)
                weights.append(_agreeing(written, known, job.tolerance["onnx"], labels))
            elif job.parts[0] is None:
                unavailable[format] = "its source was not given (architecture=(import path, kwargs))"
            else:
                written = state_dict.write(wrapped, folder / "weights-state-dict.pt")
                weights.append(_agreeing(written, known, job.tolerance["state_dict"], labels, _sources_of(job, wrapped)))
        except (InputInvalid, OutputsDiffer) as error:
            unavailable[format] = str(error)
    return _Draft(
        wrapped=wrapped, cases=known, weights=tuple(weights), unavailable=unavailable, fixed=fixed, seconds=seconds, timed_in=timed_in
    )


def _torchscript(
    job: _Job, wrapped: FijiSafe, known: tuple[Case, ...], labels: list[int], folder: Path
) -> tuple[Weights, Mapping[str, float], str]:
    """The variant that was asked for, or the fastest of all that agree."""
    import torch

    from zooready.formats import torchscript

    if job.torchscript not in ("auto", *torchscript.VARIANTS):
        raise InputInvalid(
            f"torchscript={job.torchscript!r} is not known: use one of 'auto', {', '.join(map(repr, torchscript.VARIANTS))}."
        )
    example = torch.from_numpy(known[0].input.copy())
    found: dict[str, Weights] = {}
    problems: list[Exception] = []
    for variant in torchscript.VARIANTS if job.torchscript == "auto" else (job.torchscript,):
        try:
            (folder / variant).mkdir()
            written = torchscript.write(wrapped, example, folder / variant / "weights.pt", variant=variant)
            if unknown := torchscript.unsupported(written.path):
                raise InputInvalid(f"Fiji's PyTorch 2.0.0 does not know {', '.join(unknown)}: write that step with older operators.")
            strict = VARIANT_TOLERANCE if job.torchscript == "auto" and variant != "plain" else job.tolerance["torchscript"]
            found[variant] = _agreeing(written, known, strict, labels)
        except (InputInvalid, OutputsDiffer) as error:
            problems.append(error)
    if not found:
        raise problems[0]
    if len(found) == 1:
        return next(iter(found.values())), {}, ""
    seconds, where = _timed(found, known[0].input)
    return found[min(seconds, key=lambda variant: seconds[variant])], seconds, where


def _timed(found: Mapping[str, Weights], image: Array) -> tuple[Mapping[str, float], str]:
    """Median seconds of each variant, in Java if the engine is here, else in Python; the plain one last, so that ties are broken by it."""
    import time

    import torch

    if java.missing() is None:
        runs = {variant: java.run("pytorch", weights.path, [image], repeats=TIMED_RUNS) for variant, weights in found.items()}
        return {variant: result.seconds[0] for variant, result in runs.items()}, "java-pytorch"
    seconds = {}
    for variant, weights in found.items():
        from zooready.formats import torchscript

        network, tensor, taken = torchscript.load(weights.path), torch.from_numpy(image.copy()), []
        for _ in range(TIMED_RUNS + 1):
            start = time.perf_counter()
            network(tensor)
            taken.append(time.perf_counter() - start)
        seconds[variant] = float(np.median(taken[1:]))
    return seconds, "torch"


def _agreeing(weights: Weights, known: tuple[Case, ...], tolerance: float, labels: list[int], build: Any = None) -> Weights:
    """The weights, if what they compute equals every case.

    Raises
    ------
    OutputsDiffer
        The message names the case and the difference.
    """
    from zooready.formats import agreement, onnx, state_dict, torchscript

    if weights.format == "onnx":
        session = onnx.load(weights.path)
        agreement.difference(known, lambda image: session.run(None, {session.get_inputs()[0].name: image}), tolerance, labels)
        return weights
    if weights.format == "torchscript":
        network = torchscript.load(weights.path)
    else:
        network = build()
        network.load_state_dict(state_dict.load(weights.path))
        network.eval()
    agreement.difference(known, lambda image: agreement.eager(network, image), tolerance, labels)
    return weights


def _sources(job: _Job, draft: _Draft) -> dict[str, str | None]:
    """Texts of ``architecture.py`` and ``environment.yaml``, None when there is no state dict."""
    state = next((w for w in draft.weights if w.format == "state_dict"), None)
    parts = job.parts
    if state is None or parts[0] is None:
        return {"architecture": None, "environment": None}
    text = source.source(job.name, (parts[0], parts[1], parts[2]), draft.wrapped)
    return {"architecture": text, "environment": source.environment((parts[0], parts[1], parts[2]), str(state.details["torch"]))}


def _sources_of(job: _Job, wrapped: FijiSafe) -> Any:
    """``build`` of the very source that goes into the bundle."""
    network, normal, head = job.parts
    if network is None:
        raise InputInvalid("the network's source was not given.")
    source.environment((network, normal, head), "0")
    namespace: dict[str, Any] = {"__name__": "bundle_architecture"}
    exec(compile(source.source(job.name, (network, normal, head), wrapped), "architecture.py", "exec"), namespace)
    return namespace[source.BUILDER]


def _declared_version(draft: _Draft, script: Weights | None) -> str:
    """The PyTorch version that JDLL reads: the real one, unless JDLL would then take ONNX, and 2.0.0 was seen to run the file."""
    if script is None:
        return ""
    real = str(script.details["torch"])
    onnx = next((w for w in draft.weights if w.format == "onnx"), None)
    weights = {"torchscript": {"pytorch_version": real}, **({"onnx": {"opset_version": onnx.details["opset"]}} if onnx else {})}
    if jdll.picks({"weights": weights}) == "torchscript" or java.missing() is not None:
        return real
    try:
        java.run("pytorch", script.path, [case.input for case in draft.cases])
    except ZooreadyError:
        return real
    return "2.0.0"
