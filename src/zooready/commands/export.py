"""``zooready export``: a network becomes a bundle, whether it is a module, the folder of a run, or a family with shipped weights."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from rich.table import Table

from zooready.bundle.about import read
from zooready.bundle.reading import opened
from zooready.commands import runs, switches
from zooready.commands.console import CONSOLE, print_line
from zooready.commands.lists import Several
from zooready.commands.runs import Trained, is_family, is_run, sample_of, trained
from zooready.errors import InputInvalid, meant
from zooready.evaluation import cards
from zooready.families import FAMILIES
from zooready.processes import scratch
from zooready.records import About, Array, Bundle, Family, Form, Format, Image, Part
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import nn

    from zooready.exporting import Exported
    from zooready.exporting.halves import Halves


class Described(TypedDict, total=False):
    """What only a module needs stated, since the record of a family states it for runs; see :func:`zooready.exporting.export`."""

    architecture: Part | tuple[str, Mapping[str, Any]] | None
    normalization: Part | str | None
    head: Part | None
    input: TensorSpec | None
    outputs: tuple[TensorSpec, ...] | None
    restores: bool
    formats: Collection[Format]
    tolerance: Mapping[Format, float] | None
    provenance: Mapping[str, Any] | None


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready export``."""
    add = parser.add_argument
    runs.takes_family(add("source", help="folder of a run, or a family with shipped weights"))
    add("-o", "--out", type=Path, default=SUPPRESS, help="zip to write (default: <family>.zip)")
    add("--about", type=Path, default=SUPPRESS, help="about.yaml with authors, licence, citation (default: the family's)")
    add("--torchscript", default="auto", choices=("auto", "plain", "frozen", "channels_last"), help="variant; auto keeps the fastest")
    switches.add_form(parser)
    add("--float16", action="store_true", default=SUPPRESS, help="write <name>-float16.zip, too: ONNX with smaller weights")
    switches.add_time_limit(parser, "the whole export")
    add("--outputs", dest="keep", action=Several, default=SUPPRESS, metavar="ID", help="keep only these outputs (QuPath takes one)")


def export(
    source: nn.Module | Path | str,
    example: Array | Image | Path | str | None = None,
    about: About | Path | str | None = None,
    out: Path | str | None = None,
    *,
    keep: Sequence[int] | Sequence[str] = (),
    torchscript: str = "auto",
    form: Form = "rich",
    float16: bool = False,
    family: Family | None = None,
    time_limit_s: float | None = None,
    progress: Callable[[str], None] | None = None,
    **described: Unpack[Described],
) -> Exported:
    """Write a Fiji-safe bundle of a network; see docs/export.md.

    Parameters
    ----------
    source
        Any ``nn.Module``; or the folder of a finished run, or the name of a family with shipped weights.
    example
        A typical raw image, a file or an array; for a module only, since a family has its own.
    about
        Names, licence, citation, description: an :class:`About` or the path of an ``about.yaml``. A family has its own.
    out
        The zip to write; ``<family>.zip`` here if None, which only a run or a family may leave out.
    keep
        The outputs that the bundle gives, in order, all if empty (QuPath takes one): positions for a module, ids for a run or a family.
    torchscript
        "plain", "frozen", "channels_last", or "auto": the fastest that agrees to 1e-6, timed in Fiji's engine if it is here.
    form
        "rich" for colleagues, or "zoo" as the BioImage Model Zoo takes it: of several outputs of a run or a family, the labels or else the
        first one is kept unless ``keep`` says another.
    float16
        Write a second bundle beside ``out``, of the name ``<out>-float16.zip``: its ONNX file with large weights stored as float16.
    family
        The record that a run was trained with, for one that is not in FAMILIES.
    time_limit_s
        Seconds after which the export ends at its next step; None for no limit.
    progress
        Called with what begins, in a few words.
    **described
        What else a module needs stated (``normalization``, ``architecture``, ``outputs``, ...): see :func:`zooready.exporting.export`.

    Raises
    ------
    InputInvalid
        The network, the example or the facts cannot make a bundle, or what was given does not go together; the message says why and
        what to do.
    """
    from zooready.exporting import exported  # with PyTorch, which takes seconds

    if not isinstance(source, str | Path):
        if example is None or about is None or out is None:
            absent = [name for name, value in (("example", example), ("about", about), ("out", out)) if value is None]
            raise InputInvalid(
                f"a {type(source).__name__} was given without {' and '.join(absent)}: only a run or a family has its own. Give all three."
            )
        if family is not None:
            raise InputInvalid(f"family={family.name!r} was given with a {type(source).__name__}: only runs have one. Leave family out.")
        chosen = {"keep": tuple(keep), "torchscript": torchscript, "form": form, "float16": float16}
        return exported.export(source, example, about, out, **chosen, time_limit_s=time_limit_s, progress=progress, **described)  # type: ignore[arg-type]
    if surplus := [*(["example"] if example is not None else []), *described]:
        raise InputInvalid(
            f"{str(source)!r} was given with {', '.join(surplus)}: the record of a run or a family states that itself. Leave it out, or "
            "give the network as a module. To keep some outputs only, give keep=[...] with their ids."
        )
    result = trained(source, family)
    record = result.family
    network = record.network.architecture.build()
    network.load_state_dict(result.weights)
    return exported.export(
        network,
        sample_of(record, source),
        _for_zoo(result, about) if form == "zoo" else about or result.about,
        out or Path(f"{record.name}.zip"),
        architecture=record.network.architecture,
        normalization=record.network.normalization,
        head=record.network.head,
        input=record.input,
        outputs=record.outputs,
        keep=_positions(record, keep or (_one(record) if form == "zoo" else ())),
        restores=record.network.restores,
        torchscript=torchscript,
        form=form,
        float16=float16,
        time_limit_s=time_limit_s,
        progress=progress,
        tolerance=record.tolerance,
        provenance={**result.provenance, "crop_px": record.training.crop_px, "objects": asdict(record.objects) if record.objects else None},
    )


def _one(family: Family) -> tuple[str, ...]:
    """The id of the output to keep where only one is taken: labels if there are some, else the first."""
    labels = [spec.name for spec in family.outputs if spec.kind == "labels"]
    return (next(iter([*labels, *(spec.name for spec in family.outputs)])),)


def _for_zoo(result: Trained, about: About | Path | str | None) -> About:
    """The facts given, with what they leave open from the family, and with the sections of the page that its measurements fill."""
    known = result.about
    who = about if isinstance(about, About) else read(Path(about)) if about else replace(known, documentation="")
    open = {key: getattr(known, key) for key in ("cite", "tags", "pixel_size_um", "blur_px") if not getattr(who, key)}
    sections = cards.zoo_sections(result.family, result.record)
    written = {heading for heading in sections if f"## {heading}\n" in who.documentation}
    added = [f"## {heading}\n\n{text}" for heading, text in sections.items() if heading not in written]
    return replace(who, documentation="\n\n".join([*filter(None, [who.documentation.strip()]), *added]), **open)


def _positions(family: Family, keep: Sequence[int] | Sequence[str]) -> tuple[int, ...]:
    """Positions of the outputs that were asked for by id; empty for all."""
    ids = [spec.name for spec in family.outputs]
    if unknown := [name for name in keep if name not in ids]:
        raise InputInvalid(f"{family.name} has no output {', '.join(map(repr, unknown))}: choose from {', '.join(ids)}.")
    return tuple(ids.index(str(name)) for name in keep)


@contextmanager
def bundle_of(source: Path | str, *, trust_code: bool = False, time_limit_s: float | None = None) -> Iterator[Bundle]:
    """A bundle, opened; of a run or of a family, one that is made for this and gone afterwards.

    Raises
    ------
    InputInvalid
        The run is not finished.
    BundleInvalid
        The bundle cannot be read safely.
    """
    if not is_run(source) and (Path(source).exists() or not is_family(source)):
        if not Path(source).exists() and (question := meant(str(source), FAMILIES)):
            raise InputInvalid(f"no bundle, run or family is called {str(source)!r}.{question}")
        with opened(source, trust_code=trust_code, time_limit_s=time_limit_s) as bundle:
            yield bundle
        return
    with scratch() as folder:
        name = Path(source).resolve().name if is_run(source) else str(source)
        result = export(source, out=folder / f"{name}.zip", torchscript="plain")
        with opened(result.path, trust_code=True, time_limit_s=time_limit_s) as bundle:
            yield bundle


def run(source: str, **options: Any) -> None:
    """Export, and print what the bundle holds and what it does not."""
    with CONSOLE.status(f"exporting {source} ...") as status:
        result = export(source, **options, progress=lambda what: status.update(f"exporting {source}: {what} ..."))
    print_line(f"{result.path} ({result.path.stat().st_size / 1e6:.1f} MB): {', '.join(result.formats)}")
    if result.seconds:
        times = ", ".join(f"{variant} {seconds:.2f} s" for variant, seconds in result.seconds.items())
        fastest = "the fastest" if result.seconds[result.variant] == min(result.seconds.values()) else "nearly as fast as any"
        print_line(f"TorchScript variant {result.variant}, {fastest} in {result.timed_in}: {times}")
    if result.float16:
        _print_float16(result.float16)
    for format, reason in result.unavailable.items():
        print_line(f"no {format}: {reason}")
    for note in result.measured.notes:
        print_line(f"note: {note}")


def _print_float16(halves: Halves) -> None:
    """The extra bundle, and a table of what rounding the weights changed."""
    before, after = (size / 1e6 for size in halves.bytes)
    print_line(f"{halves.path} ({halves.path.stat().st_size / 1e6:.1f} MB): onnx with float16 weights, {before:.2f} -> {after:.2f} MB")
    table = Table("output", "differs from float32", "on the test image", f"on {halves.images} images", box=None, header_style="bold")
    for off in halves.off:
        of = "share of objects' pixels" if off.kind == "labels" else "largest difference / range"
        counts = f" ({off.objects[0]} -> {off.objects[1]} objects)" if off.kind == "labels" else ""
        table.add_row(off.output, of, f"{off.test:.2g}", f"{off.most:.2g}{counts}")
    CONSOLE.print(table)
