"""Model cards: one page for each shipped model, written from the record of its weights, never by hand.

May import: families, pictures
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zooready.families import FAMILIES, load_record, shipped
from zooready.pictures import whole_file
from zooready.records import Family

TITLES = {"f1_50": "F1 at IoU 0.5", "f1_75": "F1 at IoU 0.75", "mean_iou": "mean IoU of what matched", "psnr": "PSNR, dB", "ssim": "SSIM"}
METHODS = {"network": "this network", "otsu": "Otsu + watershed", "li": "Li + watershed"}


def write(folder: Path) -> tuple[Path, ...]:
    """Write the card of every shipped model as ``<family>.md``; returns the files."""
    written = []
    for name in shipped():
        written.append(folder / f"{name}.md")
        with whole_file(written[-1]) as file:
            file.write(page(name).encode())
    return tuple(written)


def page(name: str) -> str:
    """The card of a shipped model, Markdown."""
    family, record = FAMILIES[name], load_record(name)
    return "\n".join([*_what(family, record), *tables(record), *_origin(family, record)]) + "\n"


def tables(record: Mapping[str, Any]) -> Iterator[str]:
    """What was measured, as Markdown tables, each with the pictures that it was measured on."""
    yield from ("## Measured quality", "")
    where = record.get("measured_on", {})
    if "evaluation" in record:
        yield from (f"{_sentence(record['evaluation'])}", "")
    for place, content in record.get("tables", {}).items():
        yield from (f"### {str(place).capitalize()}" + (f": {where[place]}" if place in where else ""), "")
        rows = _rows(content)
        columns = list(dict.fromkeys(key for _, row in rows for key in row))
        yield "| method | " + " | ".join(TITLES.get(key, key) for key in columns) + " |"
        yield "|---|" + "---|" * len(columns)
        for method, row in rows:
            yield f"| {method} | " + " | ".join(f"{row[key]:.3f}" if key in row else "" for key in columns) + " |"
        yield ""


def _rows(content: Any) -> Sequence[tuple[str, Mapping[str, float]]]:
    """(method, scores) of a table, given by method or as a list of rows."""
    if isinstance(content, Mapping):
        return [(METHODS.get(str(method), str(method)), scores) for method, scores in content.items()]
    return [(row["method"], {key: row[key] for key in ("psnr", "ssim") if key in row}) for row in content]


def _what(family: Family, record: Mapping[str, Any]) -> Iterator[str]:
    low, high = family.pixel_size_um
    yield from (f"# {family.title} (`{family.name}`)", "", family.description, "")
    yield f"- Input: {family.input.description or family.input.name}"
    for spec in family.outputs:
        yield f"- Output `{spec.name}`: {spec.description or ', '.join(spec.channels)}"
    yield f"- Pixel size: {low:g} to {high:g} µm."
    yield f"- Network: {family.architecture.path.rpartition('.')[2]}, {record['parameters']:,} parameters."
    yield ""


def _origin(family: Family, record: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## How it was made", "")
    yield f"- Trained on {record['data']}."
    minutes = f"{record['seconds'] / 60:.0f} minutes"
    yield f"- {record['steps']} steps of {record['batch']} pairs, seed {record['seed']}, {record['precision']}, {minutes}."
    if "thresholds" in record:
        values = ", ".join(f"{key} {value}" for key, value in record["thresholds"].items() if key != "chosen_on")
        yield f"- Thresholds {values}, chosen on {record['thresholds']['chosen_on']}."
    if record.get("git"):
        yield f"- Code: commit {record['git'][:12]}; PyTorch {record['versions']['torch']}."
    yield from ("", "## Not for", "")
    yield "- Pictures of another kind than it was trained on, or of another pixel size: the numbers above do not hold for them."
    yield "- Diagnosis."
    yield from ("", "## Licence and citation", "", "Weights and code: BSD-3-Clause.", "")
    yield from (f"- {text}, doi:{doi}" for text, doi in family.cite)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
