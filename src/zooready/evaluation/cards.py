"""Model cards: one page for each shipped model, written from the record of its weights, never by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zooready.errors import amount
from zooready.evaluation.recorded_runs import Run, recorded_runs, recorded_words
from zooready.families import FAMILIES, load_record, shipped
from zooready.images.whole_files import whole_file
from zooready.records import Family

TITLES = {
    "f1_50": "F1 at IoU 0.5",
    "f1_75": "F1 at IoU 0.75",
    "mean_iou": "mean IoU of matched objects",
    "psnr": "PSNR, dB",
    "psnr_error": "± (standard error)",
    "ssim": "SSIM",
    "psnr_held-out": "held-out PSNR, dB",
    "ssim_held-out": "held-out SSIM",
    "psnr_unseen": "unseen PSNR, dB",
    "ssim_unseen": "unseen SSIM",
}
ANY_SIZE = "Neither the size of a pixel nor the distance of planes need be known: what counts is how many pixels wide the objects are."
METHODS = {"network": "this network", "otsu": "Otsu + watershed", "li": "Li + watershed"}


def write(folder: Path) -> tuple[Path, ...]:
    """Write the card of every shipped model as ``<family>.md``; returns the files."""
    written = []
    for name in shipped():
        written.append(folder / f"{name}.md")
        with whole_file(written[-1]) as file:
            file.write(of_shipped(name).encode())
    return tuple(written)


def of_shipped(name: str) -> str:
    """The card of a shipped model, with the runs of its weights in programs that few machines have."""
    return page(FAMILIES[name], {**load_record(name), "recorded": recorded_runs(name)})


def page(family: Family, record: Mapping[str, Any]) -> str:
    """The card of a model, Markdown; its images lie beside it. ``recorded`` in the record are runs in programs that few machines have."""
    parts = (_what, _uses, _quality, _confusion, _images, _limits, _programs, _origin)
    return "\n".join(line for part in parts for line in part(family, record)) + "\n"


def tables(record: Mapping[str, Any]) -> Iterator[str]:
    """The measured numbers as Markdown tables, each with a sentence on the images that it was measured on."""
    yield from ("## Measured quality", "")
    yield from _measurements(record)


def zoo_sections(family: Family, record: Mapping[str, Any]) -> dict[str, str]:
    """Sections of the page that the BioImage Model Zoo shows, by heading, as far as the record fills them."""
    general = "Images of another kind than those it was trained on: the numbers of this page do not apply to them."
    biases = [*record.get("unsuited", ()), *record.get("limits", ()), *([general] if record.get("unsuited") else [])]
    if record.get("tables"):
        measured = list(_measurements(record))
    else:
        rows = {TITLES.get(key, key): value for key, value in record.get("metrics", {}).items()}
        on = "held-out images" if record.get("has_held_out", True) else "the one image that it was trained on,"
        measured = [f"Measured on {on} during training.", "", *_table([("this network", rows)])] if rows else []
    sections = {
        "Intended Use": "\n".join(f"- {line}" for line in record.get("suited", ())),
        "Validation": "\n".join(measured).strip(),
        "Limitations and biases": "\n".join(f"- {line}" for line in biases),
        "Training data": _sentence(f"trained on {record['data']}") if record.get("data") else "",
        "Voxel size": "" if family.pixel_size_um or family.blur_px else ANY_SIZE,
    }
    return {heading: text for heading, text in sections.items() if text}


def _measurements(record: Mapping[str, Any]) -> Iterator[str]:
    """A table under a heading of its own for each set of images, and the notes."""
    measured_on = record.get("measured_on", {})
    for title, content in record.get("tables", {}).items():
        yield from (f"### {str(title)[:1].upper() + str(title)[1:]}", "")
        if title in measured_on:
            yield from (_sentence(measured_on[title]), "")
        yield from (*_table(_rows(content)), "")
    yield from (f"- {_sentence(note)}" for note in record.get("notes", ()))
    if record.get("notes"):
        yield ""


def _table(rows: Sequence[tuple[str, Mapping[str, float]]]) -> Iterator[str]:
    columns = list(dict.fromkeys(key for _, row in rows for key in row))
    yield "| method | " + " | ".join(TITLES.get(key, key) for key in columns) + " |"
    yield "|---|" + "---|" * len(columns)
    for method, row in rows:
        yield f"| {method} | " + " | ".join(number(row[key]) if key in row else "" for key in columns) + " |"


def number(value: float) -> str:
    """Whole numbers with separators, others with three digits.

    >>> number(236630), number(0.5), number(30.4623)
    ('236,630', '0.500', '30.462')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _rows(content: Any) -> Sequence[tuple[str, Mapping[str, float]]]:
    """(method, numbers) of a table, given by method or as a list of rows."""
    if isinstance(content, Mapping):
        return [(METHODS.get(str(method), str(method)), scores) for method, scores in content.items()]
    return [(row["method"], {key: value for key, value in row.items() if key not in ("method", "fields")}) for row in content]


def _what(family: Family, record: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"# {family.title} (`{family.name}`)", "", family.description, "")
    yield f"- Input: {family.input.description or family.input.name}"
    for spec in family.outputs:
        yield f"- Output `{spec.name}`: {spec.description or ', '.join(spec.channels)}"
    if family.pixel_size_um:
        yield "- Pixel size: {:g} to {:g} µm.".format(*family.pixel_size_um)
    yield f"- Network: {family.network.architecture.path.rpartition('.')[2]}, {record['parameters']:,} parameters."
    yield ""


def _uses(family: Family, record: Mapping[str, Any]) -> Iterator[str]:
    """Suited and unsuited uses; the general warning holds for every model."""
    yield from ("## For", "", *(f"- {line}" for line in record.get("suited", ())), "")
    yield from ("## Not for", "", *(f"- {line}" for line in record.get("unsuited", ())))
    kind = "kind or pixel size" if family.pixel_size_um else "kind"  # a network that states none was trained on any
    yield from (f"- Images of another {kind} than those it was trained on: the numbers below do not apply to them.", "")


def _quality(family: Family, record: Mapping[str, Any]) -> Iterator[str]:
    yield from tables(record)


def _confusion(family: Family, record: Mapping[str, Any]) -> Iterator[str]:
    """Counts, one row per true class."""
    if "confusion" not in record:
        return
    classes, counts = record["confusion"]["classes"], record["confusion"]["counts"]
    yield from ("### Confusion: true classes in rows, answers in columns", "")
    yield "| true | " + " | ".join(classes) + " | recall |"
    yield "|---|" + "---|" * (len(classes) + 1)
    for index, (name, row) in enumerate(zip(classes, counts, strict=True)):
        yield f"| {name} | " + " | ".join(str(count) for count in row) + f" | {row[index] / max(sum(row), 1):.3f} |"
    yield ""


def _images(family: Family, record: Mapping[str, Any]) -> Iterator[str]:
    if record.get("images"):
        yield from ("## Images", "")
    for image in record.get("images", ()):
        yield from (f"![{image['caption']}]({image['file']})", "", image["caption"], "")


def _limits(family: Family, record: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Physical limits", "", *(f"- {line}" for line in record.get("limits", ())), "")


def _programs(family: Family, record: Mapping[str, Any]) -> Iterator[str]:
    """The verdict table: one row per format, one column per program."""
    verdicts = record.get("verdicts", ())
    if not verdicts:
        return
    consumers = list(dict.fromkeys(verdict["consumer"] for verdict in verdicts))
    yield from ("## Where its bundle ran", "")
    yield "Status, level of proof, and largest difference / range to PyTorch; `missing`: not installed on the machine that measured."
    runs = {(run.consumer, run.format): run for run in record.get("recorded", ())}
    yield from ("", "| format | " + " | ".join(consumers) + " |", "|---|" + "---|" * len(consumers))
    for format in dict.fromkeys(verdict["format"] for verdict in verdicts if verdict["format"]):
        cells = {
            verdict["consumer"]: _cell(verdict, runs.get((verdict["consumer"], format)))
            for verdict in verdicts
            if verdict["format"] == format
        }
        yield f"| {format} | " + " | ".join(cells.get(consumer, "") for consumer in consumers) + " |"
    yield ""
    if runs:
        yield from ("A run with a date was made elsewhere, with these weights:", "", *recorded_words(tuple(runs.values())), "")


def _cell(verdict: Mapping[str, Any], run: Run | None) -> str:
    if run and (verdict["status"] == "missing" or (verdict["status"] == "passed" and verdict["level"] != "ran")):
        return f"passed (ran {run.date}) {run.difference:.0e}"
    difference = "" if verdict["difference"] is None else f" {verdict['difference']:.0e}"
    return f"passed ({verdict['level']}){difference}" if verdict["status"] == "passed" else str(verdict["status"])


def _origin(family: Family, record: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## How it was made", "")
    yield f"- Trained on {record['data']}."
    minutes = f"{record['seconds'] / 60:.0f} minutes"
    optimizer = record.get("optimizer", "AdamW")
    batch = amount(record["batch"], "pair")
    yield f"- {amount(record['steps'], 'step')} of {batch}, {optimizer}, seed {record['seed']}, {record['precision']}, {minutes}."
    if "thresholds" in record:
        values = ", ".join(f"{key} {value}" for key, value in record["thresholds"].items() if key != "chosen_on")
        yield f"- Thresholds {values}, chosen on {record['thresholds']['chosen_on']}."
    if record.get("git"):
        yield f"- Code: commit {record['git'][:12]}; PyTorch {record['versions']['torch']}."
    yield "- `make evaluate` measures every number on this page again, except in tables for which other networks were trained."
    yield from ("", "## Licence and citation", "", "Weights and code: BSD-3-Clause.", "")
    yield from (f"- {text}, doi:{doi}" for text, doi in family.cite)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
