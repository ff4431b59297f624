"""A measured network becomes files: wrapped in each way that may work, written in every format, kept where the numbers agree."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zooready import java
from zooready.bundle.describing import BUILDER
from zooready.bundle.provenance import without_folders
from zooready.errors import InputInvalid, OutputsDiffer, ZooreadyError, amount
from zooready.exporting import architecture, cases, reproducing, sizes
from zooready.exporting.pace import begin
from zooready.exporting.trying import ODD, resized
from zooready.formats import onnx, state_dict, torchscript
from zooready.formats.copies import copied
from zooready.formats.demands import Demands
from zooready.formats.proof import largest_difference
from zooready.formats.starting import Run
from zooready.nets.wrapping import FijiSafe
from zooready.records import FORMATS, Array, Case, Format, Measured, Part, Weights
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

VARIANT_TOLERANCE = 1e-6  # of the range: a faster TorchScript must compute the same
GROWN = 1e-2  # of the range: what rounding may come to on large images; a frozen size is off by more
BY_SIZE = (
    "more than rounding, at a size at which smaller images were right. If the network's Python decides on the size (an if, or a table by "
    "x.shape), leave that out, and export one network for each case"
)
TIMED_RUNS = 3
ALIKE = 1.1  # times the fastest variant's time, up to which a simpler one is kept: timings of one file differ by as much


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
    compared: tuple[int, ...]
    weights: tuple[Weights, ...]
    unavailable: Mapping[str, str]
    fixed: Mapping[str, int]
    seconds: Mapping[str, float]
    timed_in: str = ""
    notes: tuple[str, ...] = ()
    reproducibility: tuple[Mapping[str, Any], ...] = ()
    large: tuple[Case, ...] = ()

    @property
    def formats(self) -> tuple[Format, ...]:
        """Those that came out right."""
        return tuple(weights.format for weights in self.weights)


def draft(job: Job, folder: Path) -> Draft:
    """The first way to wrap the network that yields TorchScript, which Fiji needs; else the one that yields ONNX.

    Raises
    ------
    InputInvalid
        None of the formats that were asked for came of any way; the message holds every reason.
    """
    runnable = [format for format in ("torchscript", "onnx") if format in job.formats] or ["state_dict"]
    drafts: list[Draft] = []
    reasons: list[str] = []
    for number, (stride, minimum, fixed) in enumerate(_ways(job.measured)):
        try:
            attempt = _files(job, stride, minimum, fixed, folder / str(number))
        except InputInvalid as error:
            reasons.append(str(error))
            continue
        if runnable[0] in attempt.formats:
            return attempt
        drafts.append(attempt)
        reasons += [why for format, why in attempt.unavailable.items() if format in runnable]
    for attempt in drafts:
        if runnable[-1] in attempt.formats:
            return attempt
    if not drafts:
        raise InputInvalid((reasons or list(job.measured.notes))[0])
    first = dict.fromkeys(reasons[: len(runnable)])  # the later ways fail for the same reason
    raise InputInvalid(f"no file that programs can run came of this network: {' '.join(first)}")


Steps = int | tuple[int, ...]  # px, for all spatial axes or one for each


def _ways(measured: Measured) -> Iterator[tuple[Steps, Steps, Mapping[str, int]]]:
    """(stride, minimum, fixed sizes) to try: as measured; by another tracer at the eager network's stride; at one size."""
    if measured.stride:
        yield measured.strides or measured.stride, measured.minimums or measured.minimum, measured.fixed
        return
    if measured.eager_stride:
        yield measured.eager_stride, measured.minimum, {}
    if measured.fixed:
        yield 0, 0, measured.fixed


def _files(job: Job, stride: Steps, minimum: Steps, fixed: Mapping[str, int], folder: Path) -> Draft:
    """Wrap, compute the cases, write every format and keep those that give the eager network's numbers."""
    import torch

    folder.mkdir(parents=True)
    _, normal, head = (part.build() if part and index else None for index, part in enumerate(job.parts))
    wrapped = FijiSafe(
        job.network, normal, head, stride=stride, minimum=minimum, axes=job.measured.outputs, restores=job.restores, keep=job.keep
    ).eval()
    begin("computing the stored outputs")
    known = cases.cases(copied(wrapped), job.image, fixed)
    _demand_described(job, known[0])
    known, notes = cases.steady(wrapped, known, max(job.tolerance.values()))
    doubted = job.measured.decides_on_sizes or not job.measured.stride
    begin("computing outputs of large images")
    large = tuple(cases.large(wrapped, job.image, sizes.large(wrapped, torch.from_numpy(job.image), fixed, doubted)))
    # Where no plain trace was right at every size, the way that is tried instead must show more.
    proof = known if job.measured.stride or fixed else (*known, *cases.long(copied(wrapped), job.image))
    labels = [index for index, spec in enumerate(job.outputs) if spec.kind == "labels"]
    weights: list[Weights] = []
    unavailable: dict[str, str] = {}
    seconds: Mapping[str, float] = {}
    timed_in = ""
    tested: list[tuple[Array, ...]] = []  # what each file makes of the test image
    for format in (format for format in FORMATS if format in job.formats):
        try:
            if format == "torchscript":
                written, seconds, timed_in = _torchscript(job, wrapped, proof, labels, fixed, folder)
                run = torchscript.start(written.path)
            elif format == "onnx":
                written, run = _onnx(job, wrapped, proof, labels, fixed, folder)
            else:
                weights.append(_state_dict(job, wrapped, proof, labels, folder))
                continue  # the network itself, which was compared with itself
            begin(f"comparing {format} on large images")
            notes += _at_large(job, written, large, run, labels)
            tested.append(run(known[0].input))
            weights.append(written)
        except (InputInvalid, OutputsDiffer) as error:
            unavailable[format] = without_folders(str(error).replace(FijiSafe.__name__, type(job.network).__name__))
    reproducibility, more = reproducing.stated(job.outputs, known[0], tested)
    return Draft(
        wrapped=wrapped, cases=known, compared=max((case.input.shape[2:] for case in (*proof, *large)), key=np.prod),
        weights=tuple(weights), unavailable=unavailable, fixed=fixed, seconds=seconds, timed_in=timed_in,
        notes=(*notes, *more), reproducibility=reproducibility, large=large,
    )  # fmt: skip


def _at_large(job: Job, weights: Weights, large: tuple[Case, ...], run: Run, labels: list[int]) -> tuple[str, ...]:
    """A note where a file is off by more than its tolerance at the large sizes, since rounding grows with what is summed.

    Raises
    ------
    OutputsDiffer
        It is off by more than rounding explains.
    """
    notes = []
    for case in large:
        tolerance = job.tolerance[weights.format]
        try:
            off = largest_difference([case], run, max(GROWN, tolerance), labels, [spec.name for spec in job.outputs])
        except OutputsDiffer as error:
            raise OutputsDiffer(f"{error}: {BY_SIZE}") from None
        if off > tolerance:
            notes.append(
                f"the {weights.format} file is {off:.1g} of the range away from the network at {case.name} px, beyond its tolerance"
            )
    return tuple(notes)


def _demand_described(job: Job, test: Case) -> None:
    """Raise InputInvalid unless the described outputs are what the wrapped network returns."""
    given = [f"'{spec.name}' {spec.axes} with {amount(len(spec.channels), 'channel')}" for spec in job.outputs]
    got = [output.shape for output in test.outputs]
    fits = len(given) == len(got) and all(
        len(shape) == len(spec.axes) and shape[spec.axes.index("c")] == len(spec.channels)
        for spec, shape in zip(job.outputs, got, strict=True)
    )
    if not fits:
        raise InputInvalid(f"outputs are described as {', '.join(given)}, but the shapes {got} come out: make the two agree.")


def _state_dict(job: Job, wrapped: FijiSafe, known: tuple[Case, ...], labels: list[int], folder: Path) -> Weights:
    text = _source_of(job, wrapped)
    begin("writing the state dict")
    written = state_dict.write(wrapped, folder / "weights-state-dict.pt")
    file = folder / "architecture.py"
    file.write_text(text, encoding="utf-8")
    try:
        run = state_dict.start(written.path, builder=state_dict.Builder(callable=BUILDER, file=file))
    except Exception as error:  # somebody's class and keyword arguments may fail in any way
        raise InputInvalid(
            f"architecture {job.parts[0]} does not build the network that was given ({type(error).__name__}: {str(error)[:300]}): "
            "correct its path and keyword arguments."
        ) from None
    return _proven(job, written, known, run, job.tolerance["state_dict"], labels, wrapped)


def _onnx(
    job: Job, wrapped: FijiSafe, known: tuple[Case, ...], labels: list[int], fixed: Mapping[str, int], folder: Path
) -> tuple[Weights, Run]:
    """The file, and a function that runs it."""
    import torch

    begin("writing and comparing ONNX")
    written = onnx.write(
        wrapped,
        torch.from_numpy(known[0].input.copy()),
        folder / "weights.onnx",
        _demands(job, fixed, labels, "onnx"),
        input_name=job.input.name,
        input_axes=job.input.axes,
        output_names=[spec.name for spec in job.outputs],
        output_axes=[spec.axes for spec in job.outputs],
    )
    run = onnx.start(written.path, outputs=[spec.name for spec in job.outputs])
    return _proven(job, written, known, run, job.tolerance["onnx"], labels, wrapped), run


def _demands(job: Job, fixed: Mapping[str, int], labels: list[int], format: Format) -> Demands:
    return Demands(fixed=fixed, others=_others(job, fixed), labels=labels, tolerance=job.tolerance[format])


def _others(job: Job, fixed: Mapping[str, int]) -> tuple[Tensor, ...]:
    """Images to record on where the test image is of a size at which a network that pads inside need not."""
    import torch

    if max(job.measured.strides or (job.measured.stride or job.measured.eager_stride,)) > 1 or set(fixed) >= {"y", "x"}:
        return ()
    lengths = (fixed.get("z", ODD[0]), *ODD[1:])[2 - job.image.ndim :]
    return (resized(torch.from_numpy(job.image), 1, *lengths),)


def _proven(
    job: Job, weights: Weights, known: Sequence[Case], run: Run, tolerance: float, labels: Collection[int], wrapped: FijiSafe
) -> Weights:
    """The weights with the largest difference seen.

    The formats' writers prove a file on images of their own; these are the cases that travel in the bundle, judged by the tolerance
    that it states, so that its own check cannot fail where it was made.
    """
    largest = largest_difference(known, run, tolerance, labels, [spec.name for spec in job.outputs], network=wrapped)
    return replace(weights, details={**weights.details, "difference": max(largest, float(weights.details.get("difference", 0.0)))})


def _torchscript(
    job: Job, wrapped: FijiSafe, known: tuple[Case, ...], labels: list[int], fixed: Mapping[str, int], folder: Path
) -> tuple[Weights, Mapping[str, float], str]:
    """The variant that was asked for, or the fastest of all that agree; of those nearly as fast, the one that is tried first."""
    import torch

    example = torch.from_numpy(known[0].input.copy())
    tolerance = job.tolerance["torchscript"]
    right: dict[str, Weights] = {}
    problems: list[Exception] = []
    for variant in torchscript.VARIANTS if job.torchscript == "auto" else (job.torchscript,):
        begin(f"writing and comparing TorchScript ({variant})")
        try:
            (folder / variant).mkdir()
            demands = _demands(job, fixed, labels, "torchscript")
            written = torchscript.write(wrapped, example, folder / variant / "weights.pt", demands, variant=variant)
            if unknown := torchscript.unsupported(written.path):
                raise InputInvalid(f"Fiji's PyTorch 2.0.0 does not know {', '.join(unknown)}: write that step with older operators.")
            strict = min(VARIANT_TOLERANCE, tolerance) if job.torchscript == "auto" and variant != "plain" else tolerance
            right[variant] = _proven(job, written, known, torchscript.start(written.path), strict, labels, wrapped)
        except (InputInvalid, OutputsDiffer) as error:
            problems.append(error)
            if variant == "plain" and not (folder / variant / "weights.pt").exists():
                break  # a recording that failed is not repeated
    if not right:
        raise problems[0]
    if len(right) == 1:
        return next(iter(right.values())), {}, ""
    seconds, timed_in = _timed(job, right, known, labels)
    fastest = min(seconds.values())
    return right[next(variant for variant, taken in seconds.items() if taken <= ALIKE * fastest)], seconds, timed_in


def _timed(job: Job, right: Mapping[str, Weights], known: tuple[Case, ...], labels: list[int]) -> tuple[Mapping[str, float], str]:
    """Median seconds of each variant on the test image: in Java, if the engine is here, of those right there; else in Python."""
    import torch

    seconds: dict[str, float] = {}
    begin("timing the variants of TorchScript")
    if java.missing() is None:
        files, images = [weights.path for weights in right.values()], [case.input for case in known]
        for variant, ran in zip(right, java.race("pytorch", files, images, repeats=TIMED_RUNS), strict=True):
            with suppress(ZooreadyError):  # a variant that fails there is not chosen; if all do, the check of the bundle says why
                seconds[variant] = _right_in_java(ran, known, job.tolerance["torchscript"], labels)
        if seconds:
            return seconds, "java-pytorch"
    for variant, weights in right.items():
        network, tensor, taken = torchscript.load(weights.path), torch.from_numpy(known[0].input.copy()), []
        with torch.no_grad():
            for _ in range(TIMED_RUNS + 1):
                start = time.perf_counter()
                network(tensor)
                taken.append(time.perf_counter() - start)
        seconds[variant] = float(np.median(taken[1:]))
    return seconds, "torch"


def in_java(weights: Weights, known: Sequence[Case], tolerance: float, labels: Collection[int]) -> None:
    """Run Fiji's engine, where every case must give the eager network's numbers.

    Raises
    ------
    ZooreadyError
        The engine is missing or fails, or its numbers differ.
    """
    begin("running Fiji's engine")
    _right_in_java(java.run("pytorch", weights.path, [case.input for case in known]), known, tolerance, labels)


def _right_in_java(ran: java.JavaResult | ZooreadyError, known: Sequence[Case], tolerance: float, labels: Collection[int]) -> float:
    """Seconds for the first case; raises as :func:`in_java`."""
    if isinstance(ran, ZooreadyError):
        raise ran
    outputs = iter(ran.outputs)
    largest_difference(known, lambda image: next(outputs), tolerance, labels)
    return ran.seconds[0]


def sources(job: Job, draft: Draft) -> dict[str, str | None]:
    """Texts of ``architecture.py`` and ``environment.yaml``, None when there is no state dict."""
    state = next((w for w in draft.weights if w.format == "state_dict"), None)
    parts = job.parts
    if state is None or parts[0] is None:
        return {"architecture": None, "environment": None}
    text = architecture.source(job.name, (parts[0], parts[1], parts[2]), draft.wrapped)
    return {"architecture": text, "environment": architecture.environment((parts[0], parts[1], parts[2]), str(state.details["torch"]))}


def _source_of(job: Job, wrapped: FijiSafe) -> str:
    """The very source that goes into the bundle."""
    network, normal, head = job.parts
    if network is None:
        raise InputInvalid("the import path of its class was not given (architecture=('package.module.Class', {its keyword arguments})).")
    architecture.environment((network, normal, head), "0")  # refuses what nobody else could import
    return architecture.source(job.name, (network, normal, head), wrapped)
