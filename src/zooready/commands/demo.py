"""``zooready demo``: the shipped models on their own images: bundles, verdicts, one page to look at, and the table of the README."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from zooready import report
from zooready.commands import switches
from zooready.commands.check import check
from zooready.commands.console import CONSOLE, print_line, progress_bar
from zooready.commands.export import export
from zooready.comparison import Comparison, exit_code
from zooready.errors import InputInvalid
from zooready.evaluation import recording
from zooready.evaluation.recorded_runs import recorded_runs, recorded_words
from zooready.families import FAMILIES, load_record, shipped
from zooready.images.files import write_image
from zooready.images.matching import f1
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Family

BEGIN, END = "<!-- verdicts -->", "<!-- /verdicts -->"
RAN = "ran, "  # before the date of a recorded run
LEAD = "Every bundle was run on its own sample image by every program that is on this machine, and compared with PyTorch in Python."
ENGINE = "java-pytorch torchscript"  # whose labels are counted: the engine that runs inside Fiji
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A shipped model, exported and checked.

    ``notes`` are sentences: how good it was on its sample image in this run, and which format could not be had, and why.
    """

    name: str
    bundle: Path
    comparison: Comparison
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """What a demo made; ``exit_code`` is that of the worst check."""

    models: tuple[Model, ...]
    report: Path
    exit_code: int


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready demo``."""
    parser.add_argument("--out", type=Path, default=Path("export/bundles"), help="folder for bundles and report")
    parser.add_argument("--readme", type=Path, default=SUPPRESS, help="also write the verdict table into this file")
    parser.add_argument("--records", type=Path, default=SUPPRESS, help="folder of the records <family>.json that get the verdicts too")
    switches.add_time_limit(parser, "a program")


def demo(out: Path, progress: Progress, *, time_limit_s: float | None = None) -> Demonstration:
    """Export every shipped model into ``out``, check it in every consumer on its sample image, and write ``report.html``.

    ``time_limit_s`` is what each program may take for one model, s; ten or fifteen minutes if None.

    Raises
    ------
    InputInvalid
        The folder cannot be made or written.
    """
    make_folder(out)
    names = shipped()
    models = []
    for number, name in enumerate(names):

        def progress_of_check(done: int, total: int, what: str, number: int = number, name: str = name) -> None:
            progress(number * (total + 1) + done + 1, len(names) * (total + 1), f"{name}: {what}")

        progress(number, len(names), f"{name}: export")
        family = FAMILIES[name]
        bundle = export(name, out=out / f"{name}.zip", torchscript=family.torchscript)
        with TemporaryDirectory(prefix="zooready-") as folder:
            image = Path(folder) / f"{name}.tif"
            if family.sample is None:
                raise InputInvalid(f"{name} has no sample image: give its Family a sample().")
            write_image(family.sample(), image)
            comparison = check(bundle.path, image=image, trust_code=True, time_limit_s=time_limit_s, progress=progress_of_check)
        lacking = tuple(f"No {format}: {reason}" for format, reason in bundle.unavailable.items())
        models.append(Model(name=name, bundle=bundle.path, comparison=comparison, notes=(*_quality(family, comparison), *lacking)))
    page = out / "report.html"
    report.html([report.section(model.comparison, title=model.name, note=" ".join(model.notes)) for model in models], page, lead=LEAD)
    worst = max((exit_code(model.comparison.verdicts) for model in models), default=0)
    return Demonstration(models=tuple(models), report=page, exit_code=worst)


def write_table(result: Demonstration, readme: Path) -> None:
    """Put the table families x consumers between the marks of a Markdown file; errors are those of :func:`around_table`."""
    before, after = around_table(readme)
    with whole_file(readme) as file:
        file.write(f"{before}{BEGIN}\n{with_records(markdown(result))}\n{END}{after}".encode())


def write_verdicts(result: Demonstration, folder: Path) -> None:
    """Put the verdicts of each model into its record, from which its card is written."""
    for model in result.models:
        recording.write({**load_record(model.name), "verdicts": recording.plain(model.comparison.verdicts)}, model.name, folder)


def renew_records(readme: Path) -> None:
    """Put the recorded runs of today's weights into the table that is there; errors are those of :func:`around_table`."""
    before, after = around_table(readme)
    table = readme.read_text(encoding="utf-8").removeprefix(f"{before}{BEGIN}").removesuffix(f"{END}{after}").strip()
    with whole_file(readme) as file:
        file.write(f"{before}{BEGIN}\n{with_records(table)}\n{END}{after}".encode())


def with_records(table: str) -> str:
    """A verdict table with the recorded runs of programs that were not run for it, and below it the versions that ran.

    Those that it had are taken out first, so that weights which were renewed and did not run show what is known without them.
    """
    lines = [line for line in table.splitlines() if line.startswith("|")]
    names = _cells(lines[0])
    rows, seen = lines[:2], []
    for line in lines[2:]:
        model, format, *cells = _cells(line)
        runs = {run.consumer: run for run in recorded_runs(model) if run.format == format}
        told = []
        for consumer, cell in zip(names[2:], cells, strict=True):
            today = "missing" if cell.startswith(RAN) else cell.partition(f"; {RAN}")[0]
            run = runs.get(consumer) if today and "(ran)" not in today else None
            past = f"{RAN}{run.date} {run.difference:.0e}" if run else ""
            told.append("; ".join(filter(None, ["" if run and today == "missing" else today, past])))
            seen += [run] if run else []
        rows.append(f"| {' | '.join([model, format, *told])} |")
    return "\n".join([*rows, *(["", *recorded_words(seen)] if seen else [])])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def around_table(readme: Path) -> tuple[str, str]:
    """What stands before and after the table in a Markdown file.

    Raises
    ------
    InputInvalid
        The file cannot be read, or has no marks for the table.
    """
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputInvalid(f"cannot read {readme} ({error}): give a Markdown file with the lines {BEGIN} and {END}.") from None
    if BEGIN not in text or END not in text:
        raise InputInvalid(f"{readme} has no lines {BEGIN} and {END}: add them where the table belongs.")
    return text.split(BEGIN)[0], text.split(END)[1]


def markdown(result: Demonstration) -> str:
    """One row a model and format, one column a consumer: status, level and the largest difference / range."""
    consumers = list(dict.fromkeys(verdict.consumer for model in result.models for verdict in model.comparison.verdicts))
    lines = ["| model | format | " + " | ".join(consumers) + " |", "|" + "---|" * (len(consumers) + 2)]
    for model in result.models:
        formats = dict.fromkeys(verdict.format for verdict in model.comparison.verdicts if verdict.format)
        for format in formats:
            cells = []
            for consumer in consumers:
                verdict = next((v for v in model.comparison.verdicts if (v.consumer, v.format) == (consumer, format)), None)
                if verdict is None:
                    cells.append("")
                    continue
                difference = "" if verdict.difference is None else f" {verdict.difference:.0e}"
                cells.append(f"{verdict.status} ({verdict.level}){difference}" if verdict.status == "passed" else verdict.status)
            lines.append(f"| {model.name} | {format} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _quality(family: Family, comparison: Comparison) -> tuple[str, ...]:
    """How well the labels that came out of Fiji's engine match the objects that people drew, if the family has such a sample."""
    outputs = comparison.results.get(ENGINE)
    if family.sample_labels is None or outputs is None:
        return ()
    position = [kind for _, kind in comparison.outputs].index("labels")
    labels, truth = outputs[position][0, 0], family.sample_labels()
    scores = ", ".join(f"F1@{iou:g} {f1(truth, labels, iou):.3f}" for iou in (0.5, 0.75))
    count, objects = len(np.unique(truth[truth > 0])), family.outputs[position].channels[0]
    return (f"{scores} on {count} hand-drawn {objects}, labels from PyTorch 2.0.0 in Java (a development image, never trained on).",)


def run(out: Path, readme: Path | None = None, records: Path | None = None, time_limit_s: float | None = None) -> int:
    """Make the shipped bundles, check them, and leave a page of images; print verdicts and where the page is."""
    if readme:
        around_table(readme)  # a fault there is better known before the work than after it
    if records:
        make_folder(records)
    with progress_bar() as progress:
        result = demo(out, progress, time_limit_s=time_limit_s)
    for model in result.models:
        print_line(f"\n{model.name}  {model.bundle}")
        CONSOLE.print(report.table(model.comparison.verdicts))
        for note in model.notes:
            print_line(note)
    print_line(f"\nImages: {result.report}")
    if readme:
        write_table(result, readme)
    if records:
        write_verdicts(result, records)
    return result.exit_code
