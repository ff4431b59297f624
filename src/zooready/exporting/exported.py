"""Any module becomes a bundle: measured, wrapped, written in every format that holds, and packed.

module --probing--> Measured --wrapping--> FijiSafe --formats--> Weights, each compared with the eager network --bundle--> zip
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.bundle import jdll, writing
from zooready.bundle.provenance import without_folders
from zooready.errors import InputInvalid, ZooreadyError
from zooready.exporting import arguments, cases, compiled, halves, pace, probing
from zooready.exporting.attempts import Draft, Job, draft, in_java, sources
from zooready.exporting.halves import Halves
from zooready.formats import torchscript as recordings
from zooready.formats.copies import untouched
from zooready.records import FORMATS, TOLERANCE, About, Array, Form, Format, Image, Measured, Part, Weights
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The zip that an export wrote, and what was measured on the way.

    ``unavailable`` maps each format that could not be had to the reason. ``seconds`` are the timings by which the TorchScript variant was
    chosen, each the median of three runs on the example, in the engine that ``timed_in`` names; empty if the variant was given.
    ``float16`` is the extra bundle, None if it was not asked for or could not be had.
    """

    path: Path
    measured: Measured
    formats: tuple[Format, ...]
    unavailable: Mapping[str, str]
    variant: str
    seconds: Mapping[str, float]
    timed_in: str
    float16: Halves | None = None


def export(
    module: nn.Module,
    example: Array | Image | Path | str,
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
    form: Form = "rich",
    float16: bool = False,
    time_limit_s: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Exported:
    """Write a Fiji-safe bundle of any network; see docs/export.md.

    Parameters
    ----------
    module
        One input, (b, c, y, x) or (b, c, z, y, x) float32; tensors, lists or dicts of them out. It is copied, never changed.
    example
        A typical raw image: a file, or an array (y, x), (c, y, x), (b, c, y, x) or (b, c, z, y, x).
    about
        Names, licence, citation, description: an :class:`About` or the path of an ``about.yaml``.
    out
        The zip to write; it appears whole or not at all. Folders that are missing are made.
    architecture
        Where the network's class is: (import path, keyword arguments). Without it the bundle has no state dict.
    normalization
        From raw pixels to what the network sees: "none", "percentiles", "mean-std", "min-max", or a :class:`Part`.
    head
        What finishes the network's outputs; then ``outputs`` must describe its results.
    input, outputs
        Names, channels and kinds; measured defaults otherwise.
    restores
        Map outputs back to the image's intensities (restoration networks).
    keep
        Places of the outputs that the bundle gives, in order (QuPath takes one); all if empty.
    torchscript
        "plain", "frozen", "channels_last", or "auto": the fastest that agrees to 1e-6, timed in Fiji's engine if it is here.
    formats
        Which formats to try.
    tolerance
        Largest difference / range that each format may show in every comparison, e.g. ``{"onnx": 5e-3}``; the bundle states it.
    provenance
        Plain data for ``config.zooready``: seed, data hash, metrics, training. Versions and git commits are added.
    form
        "rich" for colleagues; "zoo" as the BioImage Model Zoo takes it, which has one output.
    float16
        Write a second bundle beside ``out``, of the name ``<out>-float16.zip``: its ONNX file with large weights stored as float16.
    time_limit_s
        Seconds after which the export ends at its next step; each recording and each run in Java has a limit of its own besides.
    progress
        Called with what begins, in a few words.

    Raises
    ------
    InputInvalid
        The network, the example or the facts cannot make a bundle, or the time is over; the message says why and what to do.
    """
    import torch

    who = arguments.who(about)
    path = arguments.target(out)
    arguments.demand_known(torchscript, formats, tolerance or {}, float16=float16)
    if "torchscript" in formats:
        recordings.soon()
    facts = arguments.provenance(provenance or {}, module)
    sample, image = arguments.sample(example)
    normal = arguments.normalization(normalization)
    part = Part(path=architecture[0], kwargs=architecture[1]) if isinstance(architecture, tuple) else architecture
    plain = compiled.as_written()
    with pace.watched(progress, time_limit_s), torch.random.fork_rng(devices=[]), _one_thread(), plain, _scratch() as folder:
        pace.begin("measuring the network")
        network = probing.prepared(module)
        chosen_outputs = () if head else keep
        with untouched(probing.unwrapped(module)):
            measured = _with(head, probing.measure(network, arguments.normalised(normal, image), chosen_outputs))
        job = Job(
            network=network, parts=(part, normal, head), image=image, measured=measured, input=arguments.input_spec(input, image),
            outputs=arguments.output_specs(outputs, measured, head, keep), restores=restores, keep=keep, torchscript=torchscript,
            formats=formats, tolerance={**TOLERANCE, **(tolerance or {})}, name=who.name,
        )  # fmt: skip
        arguments.demand_one(job.outputs, form)
        chosen = draft(job, folder)
        pace.begin("packing")
        contents = _contents(job, chosen, who, sample, facts, form)
        writing.write(contents, path)
        written = _exported(path, contents, chosen)
        return _with_float16(written, contents, chosen, folder) if float16 else written


def _exported(path: Path, contents: writing.Contents, chosen: Draft) -> Exported:
    """What the export of a bundle returns."""
    script = _script(chosen)
    return Exported(
        path=path,
        measured=contents.measured,
        formats=chosen.formats,
        unavailable=chosen.unavailable,
        variant=str(script.details["variant"]) if script else "",
        seconds=chosen.seconds,
        timed_in=chosen.timed_in,
    )


def _with_float16(written: Exported, contents: writing.Contents, chosen: Draft, folder: Path) -> Exported:
    """The same with the extra bundle, or with the reason why there is none."""
    try:
        return replace(written, float16=halves.beside(contents, chosen.large, written.path, folder))
    except InputInvalid as error:
        return replace(written, unavailable={**written.unavailable, "float16": str(error)})


def _with(head: Part | None, measured: Measured) -> Measured:
    """What was measured, with the pixels that a head sees beside each, as its ``reach_px``."""
    reach = getattr(head.build(), "reach_px", 0) if head else 0
    return replace(measured, halo=measured.halo + reach) if isinstance(measured.halo, int) else measured


@contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread: the last digit depends on their number, and equal exports shall be equal bytes."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for drafts, gone afterwards; a full disk is an InputInvalid with its cure."""
    try:
        with tempfile.TemporaryDirectory(prefix="zooready-") as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            raise
        raise InputInvalid(
            f"cannot write drafts below {tempfile.gettempdir()}: {error.strerror or error}. Free space, or set TMPDIR to another folder."
        ) from error


def _contents(job: Job, chosen: Draft, who: About, sample: Image, facts: Mapping[str, Any], form: Form) -> writing.Contents:
    """Everything that goes into the zip."""
    test = chosen.cases[0]
    version, note = _declared_version(job, chosen)
    stride, minimum = (max(side) if isinstance(side, tuple) else side for side in (chosen.wrapped.stride, chosen.wrapped.minimum))
    measured = replace(job.measured, fixed=chosen.fixed, stride=stride, minimum=minimum, compared=chosen.compared)
    notes = (*(measured.notes if job.measured.stride or chosen.fixed else ()), *chosen.notes, *note)
    if chosen.fixed:  # the sample must have the one size too
        sample = replace(sample, array=test.input.reshape(test.input.shape[1 if "c" in sample.axes else 2 :]).astype(sample.array.dtype))
    return writing.Contents(
        about=who,
        input=replace(job.input, sizes=chosen.fixed),
        outputs=tuple(_sized(spec, job.input, chosen.fixed, output.shape) for spec, output in zip(job.outputs, test.outputs, strict=True)),
        measured=replace(measured, notes=notes),
        weights=chosen.weights,
        unavailable=chosen.unavailable,
        cases=chosen.cases,
        sample=sample,
        sample_case=test if chosen.fixed else cases.evaluated(chosen.wrapped, "sample", job.image),
        tolerance=job.tolerance,
        reproducibility=chosen.reproducibility,
        pytorch_version=version,
        inside={"normalization": job.parts[1], "head": job.parts[2]},
        provenance={**facts, "restores": job.restores},
        form=form,
        **{**sources(job, chosen), **({"environment": None} if form == "zoo" else {})},  # the zoo runs it in an environment of its own
    )


def _sized(spec: TensorSpec, input: TensorSpec, fixed: Mapping[str, int], shape: tuple[int, ...]) -> TensorSpec:
    """The spec with the length of each axis that is fixed, or that the input has not (planes made from an image)."""
    lengths = dict(zip(spec.axes, map(int, shape), strict=True))
    return replace(spec, sizes={axis: lengths[axis] for axis in spec.spatial if axis in fixed or axis not in input.axes})


def _script(chosen: Draft) -> Weights | None:
    return next((weights for weights in chosen.weights if weights.format == "torchscript"), None)


def _declared_version(job: Job, chosen: Draft) -> tuple[str, tuple[str, ...]]:
    """The PyTorch version that JDLL reads, and a note where Fiji would not run the bundle.

    It is the real one, unless JDLL would then take ONNX, which crashes DeepImageJ, and PyTorch 2.0.0 gives the right numbers for the file.
    """
    script = _script(chosen)
    if script is None:
        return "", ()
    real = str(script.details["torch"])
    onnx = next((w for w in chosen.weights if w.format == "onnx"), None)
    versions = {"torchscript": real, **({"onnx": onnx.details["opset"]} if onnx else {})}
    if jdll.picks(versions) == "torchscript":
        return real, ()
    if chosen.timed_in == "java-pytorch":  # where only a file whose numbers are right is timed
        return "2.0.0", ()
    try:
        in_java(script, chosen.cases, job.tolerance["torchscript"], [n for n, spec in enumerate(job.outputs) if spec.kind == "labels"])
    except ZooreadyError as error:
        why = without_folders(str(error)).rstrip(".")
        return real, (
            f"DeepImageJ would take the ONNX file, and crash, because the bundle states PyTorch {real}; it could not be shown that Fiji's "
            f"PyTorch 2.0.0 runs the TorchScript file ({why}). Leave ONNX out for Fiji, or export again where the Java engines are.",
        )
    return "2.0.0", ()
