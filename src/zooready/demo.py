"""The shipped models on their own images: bundles, verdicts, one page to look at, and the table of the README.

May import: images, families, comparison, report, pipeline
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from zooready import pipeline, report
from zooready.comparison import Comparison, exit_code
from zooready.errors import InputInvalid
from zooready.families import FAMILIES, segmentation, shipped
from zooready.images.files import write_image
from zooready.images.matching import f1
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Family

BEGIN, END = "<!-- verdicts -->", "<!-- /verdicts -->"
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


def demonstrate(out: Path, progress: Progress) -> Demonstration:
    """Export every shipped model into ``out``, check it in every consumer on its sample image, and write ``report.html``.

    Raises
    ------
    InputInvalid
        The folder cannot be made or written.
    """
    make_folder(out)
    names = shipped()
    models = []
    for number, name in enumerate(names):

        def tell(done: int, total: int, what: str, number: int = number, name: str = name) -> None:
            progress(number * (total + 1) + done + 1, len(names) * (total + 1), f"{name}: {what}")

        progress(number, len(names), f"{name}: export")
        family = FAMILIES[name]
        made = pipeline.export_trained(name, out / f"{name}.zip", torchscript=family.torchscript)
        with TemporaryDirectory(prefix="zooready-") as folder:
            image = Path(folder) / f"{name}.tif"
            if family.sample is None:
                raise InputInvalid(f"{name} has no sample image: give its Family a sample().")
            write_image(family.sample(), image)
            found = pipeline.check(made.path, image=image, trust_code=True, progress=tell)
        lacking = tuple(f"No {format}: {reason}" for format, reason in made.unavailable.items())
        models.append(Model(name=name, bundle=made.path, comparison=found, notes=(*_quality(family, found), *lacking)))
    page = out / "report.html"
    report.html([report.section(one.comparison, title=one.name, note=" ".join(one.notes)) for one in models], page, lead=LEAD)
    worst = max((exit_code(model.comparison.verdicts) for model in models), default=0)
    return Demonstration(models=tuple(models), report=page, exit_code=worst)


def write_table(result: Demonstration, readme: Path) -> None:
    """Put the table families x consumers between the marks of a Markdown file; errors are those of :func:`around_table`."""
    before, after = around_table(readme)
    with whole_file(readme) as file:
        file.write(f"{before}{BEGIN}\n{markdown(result)}\n{END}{after}".encode())


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


def _quality(family: Family, found: Comparison) -> tuple[str, ...]:
    """How well the labels that came out of Fiji's engine match the objects that people drew."""
    outputs = found.results.get(ENGINE)
    if family.name != segmentation.FAMILY.name or outputs is None:
        return ()
    labels = outputs[[kind for _, kind in found.outputs].index("labels")][0, 0]
    truth = segmentation.sample_labels()
    counted = ", ".join(f"F1@{iou:g} {f1(truth, labels, iou):.3f}" for iou in (0.5, 0.75))
    drawn = len(np.unique(truth[truth > 0]))
    return (f"{counted} on {drawn} hand-drawn nuclei, labels from PyTorch 2.0.0 in Java (a development image, never trained on).",)
