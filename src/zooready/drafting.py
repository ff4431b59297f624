"""A measured network becomes files: wrapped in each way that may work, written in every format, kept where the numbers agree.

May import: formats, bundle, wrapping, java
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zooready import java
from zooready.bundle import architecture as source
from zooready.bundle import cases
from zooready.errors import InputInvalid, OutputsDiffer
from zooready.records import FORMATS, Array, Case, Format, Measured, Part, Weights
from zooready.tensors import TensorSpec
from zooready.wrapping import FijiSafe

if TYPE_CHECKING:
    from torch import nn

VARIANT_TOLERANCE = 1e-6  # of the range: a faster TorchScript must compute the same
TIMED_RUNS = 3


@dataclass(frozen=True, kw_only=True)
class Job:
    """What stays the same for every way to wrap."""

    network: nn.Module
    parts: tuple[Part | None, Part | None, Part | None]
    image: Array
    measured: Measured
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    restores: bool
    keep: tuple[int, ...]
    torchscript: str
    formats: Collection[Format]
    tolerance: Mapping[Format, float]
    name: str


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One way to wrap the network, and the files that came of it."""

    wrapped: FijiSafe
    cases: tuple[Case, ...]
    weights: tuple[Weights, ...]
    unavailable: Mapping[str, str]
    fixed: Mapping[str, int]
    seconds: Mapping[str, float]
    timed_in: str = ""


def draft(job: Job, folder: Path) -> Draft:
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


def _files(job: Job, stride: int, minimum: int, fixed: Mapping[str, int], folder: Path) -> Draft:
    """Wrap, compute the cases, write every format and keep those that give the eager network's numbers."""
    folder.mkdir(parents=True)
    _, normal, head = (part.build() if part and index else None for index, part in enumerate(job.parts))
    wrapped = FijiSafe(
        job.network, normal, head, stride=stride, minimum=minimum, axes=job.measured.outputs, restores=job.restores, keep=job.keep
    ).eval()
    known = cases.cases(wrapped, job.image, fixed)
    labels = [index for index, spec in enumerate(job.outputs) if spec.kind == "labels"]
    weights: list[Weights] = []
    unavailable: dict[str, str] = {}
    seconds: Mapping[str, float] = {}
    timed_in = ""
    for format in (format for format in FORMATS if format in job.formats):
        try:
            if format == "torchscript":
                script, seconds, timed_in = _torchscript(job, wrapped, known, labels, folder)
                weights.append(script)
            elif format == "onnx":
                weights.append(_onnx(job, wrapped, known, labels, fixed, folder))
            else:
                weights.append(_state_dict(job, wrapped, known, labels, folder))
        except (InputInvalid, OutputsDiffer) as error:
            unavailable[format] = str(error)
    return Draft(
        wrapped=wrapped, cases=known, weights=tuple(weights), unavailable=unavailable, fixed=fixed, seconds=seconds, timed_in=timed_in
    )


def _state_dict(job: Job, wrapped: FijiSafe, known: tuple[Case, ...], labels: list[int], folder: Path) -> Weights:
    from zooready.formats import agreement, state_dict

    build = _sources_of(job, wrapped)
    written = state_dict.write(wrapped, folder / "weights-state-dict.pt")
    network = build()
    network.load_state_dict(state_dict.load(written.path))
    agreement.difference(known, lambda image: agreement.eager(network.eval(), image), job.tolerance["state_dict"], labels)
    return written


def _onnx(job: Job, wrapped: FijiSafe, known: tuple[Case, ...], labels: list[int], fixed: Mapping[str, int], folder: Path) -> Weights:
    import torch

    from zooready.formats import agreement, onnx

    written = onnx.write(
        wrapped,
        torch.from_numpy(known[0].input.copy()),
        folder / "weights.onnx",
        input_name=job.input.name,
        input_axes=job.input.axes,
        output_names=[spec.name for spec in job.outputs],
        output_axes=[spec.axes for spec in job.outputs],
        fixed=fixed,
        labels=labels,
    )
    session = onnx.load(written.path)
    agreement.difference(known, lambda image: session.run(None, {job.input.name: image}), job.tolerance["onnx"], labels)
    return written


def _torchscript(
    job: Job, wrapped: FijiSafe, known: tuple[Case, ...], labels: list[int], folder: Path
) -> tuple[Weights, Mapping[str, float], str]:
    """The variant that was asked for, or the fastest of all that agree."""
    import torch

    from zooready.formats import agreement, torchscript

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
            network = torchscript.load(written.path)
            agreement.difference(known, partial(agreement.eager, network), strict, labels)
            found[variant] = written
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
    import torch

    from zooready.formats import torchscript

    if java.missing() is None:
        runs = {variant: java.run("pytorch", weights.path, [image], repeats=TIMED_RUNS) for variant, weights in found.items()}
        return {variant: result.seconds[0] for variant, result in runs.items()}, "java-pytorch"
    seconds = {}
    for variant, weights in found.items():
        network, tensor, taken = torchscript.load(weights.path), torch.from_numpy(image.copy()), []
        for _ in range(TIMED_RUNS + 1):
            start = time.perf_counter()
            network(tensor)
            taken.append(time.perf_counter() - start)
        seconds[variant] = float(np.median(taken[1:]))
    return seconds, "torch"


def sources(job: Job, draft: Draft) -> dict[str, str | None]:
    """Texts of ``architecture.py`` and ``environment.yaml``, None when there is no state dict."""
    state = next((w for w in draft.weights if w.format == "state_dict"), None)
    parts = job.parts
    if state is None or parts[0] is None:
        return {"architecture": None, "environment": None}
    text = source.source(job.name, (parts[0], parts[1], parts[2]), draft.wrapped)
    return {"architecture": text, "environment": source.environment((parts[0], parts[1], parts[2]), str(state.details["torch"]))}


def _sources_of(job: Job, wrapped: FijiSafe) -> Any:
    """``build`` of the very source that goes into the bundle."""
    network, normal, head = job.parts
    if network is None:
        raise InputInvalid("its source was not given (architecture=(import path, kwargs)).")
    source.environment((network, normal, head), "0")  # refuses what nobody else could import
    namespace: dict[str, Any] = {"__name__": "bundle_architecture"}
    exec(compile(source.source(job.name, (network, normal, head), wrapped), "architecture.py", "exec"), namespace)
    return namespace[source.BUILDER]
