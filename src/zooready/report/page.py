"""A self-contained HTML page with verdicts, and with images side by side."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path

from zooready.images.drawing import limits
from zooready.images.thumbnails import data_url
from zooready.images.whole_files import whole_file
from zooready.records import Verdict
from zooready.report.panels import Panel, Section
from zooready.report.tables import MARKS, difference

STYLE = "page.css"
COLUMNS = 6  # least number of columns, so that images in short rows are not enlarged
LEVELS = {
    "ran": "the program itself ran it",
    "engine": "the same engine version ran it in Java, on pixels that ImageJ read",
    "rules": "only the written rules were checked",
}


def html(sections: Sequence[Section], path: Path | str, *, title: str = "What runs where", lead: str = "") -> None:
    """Write the page; the file is complete or not written at all.

    Parameters
    ----------
    sections
        One for each bundle, in order; see :func:`zooready.report.section`.
    path
        Target, ``.html``.
    title, lead
        Heading, and a sentence below it.

    Raises
    ------
    InputInvalid
        The file cannot be written.
    """
    style = resources.files("zooready.report").joinpath(STYLE).read_text(encoding="utf-8")
    links = "".join(f'<a href="#{number}">{escape(section.title)} {_sum(section.verdicts)}</a>' for number, section in enumerate(sections))
    legend = "".join(f"<dt>{name}</dt><dd>{words}</dd>" for name, words in LEVELS.items())
    body = "".join(_section(number, section) for number, section in enumerate(sections))
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head><body>'
        f"<header><h1>{escape(title)}</h1>{f'<p>{escape(lead)}</p>' if lead else ''}<nav>{links}</nav></header><main>{body}</main>"
        f"<footer><dl>{legend}</dl><p>Difference: largest difference / range of the expected output, beside the tolerance. "
        "Images of a row share their contrast.</p></footer></body></html>\n"
    )
    with whole_file(Path(path)) as file:
        file.write(page.encode())


def _sum(verdicts: Sequence[Verdict]) -> str:
    passed = sum(verdict.status == "passed" for verdict in verdicts)
    bad = sum(verdict.status in ("differs", "refused", "failed") for verdict in verdicts)
    return f'<b class="{"bad" if bad else "good"}">{passed} of {len(verdicts)} passed</b>'


def _section(number: int, section: Section) -> str:
    lines = "".join(map(_line, section.verdicts))
    rows = "".join(_row(title, panels) for title, panels in section.rows)
    note = f"<p>{escape(section.note)}</p>" if section.note else ""
    heads = "".join(f"<th>{name}</th>" for name in ("program", "format", "verdict", "level", "difference / tolerance", "time", "why"))
    return (
        f'<section id="{number}"><h2>{escape(section.title)}</h2>{note}'
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>{rows}</section>'
    )


def _line(verdict: Verdict) -> str:
    sign, _ = MARKS[verdict.status]
    versions = ", ".join(f"{name} {version}" for name, version in verdict.versions.items())
    cells = [
        f'<td class="who">{escape(verdict.consumer)}<small>{escape(versions)}</small></td>',
        f"<td>{verdict.format or ''}</td>",
        f'<td><span class="pill {verdict.status}">{sign} {verdict.status}</span></td>',
        f'<td title="{LEVELS[verdict.level]}">{verdict.level if verdict.status == "passed" else ""}</td>',
        f'<td class="number">{difference(verdict)}</td>',
        f'<td class="number">{f"{verdict.seconds:.1f} s" if verdict.versions else ""}</td>',
        f'<td class="why">{escape(verdict.why)}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _row(title: str, panels: Sequence[Panel]) -> str:
    images = [panel for panel in panels if panel.kind == "image"]
    contrast = limits(images[0].array) if images else (0.0, 1.0)
    figures = "".join(_figure(panel, limits(panel.array) if panel.kind == "input" else contrast) for panel in panels)
    return f'<h3>{escape(title)}</h3><div class="scroll row" style="--columns: {max(len(panels), COLUMNS)}">{figures}</div>'


def _figure(panel: Panel, contrast: tuple[float, float]) -> str:
    if panel.kind == "scores":
        top = max((abs(float(value)) for value in panel.array), default=0.0) or 1.0
        bars = "".join(f'<i style="width:{100 * abs(float(v)) / top:.1f}%"></i><s>{float(v):.4g}</s>' for v in panel.array)
        image = f'<div class="bars">{bars}</div>'
    else:
        large = max(panel.array.shape) > 160
        rendering = "smooth" if large else "pixels"
        image = f'<img class="{rendering} {panel.kind}" alt="{escape(panel.caption)}" src="{data_url(panel.array, panel.kind, contrast)}">'
    return f"<figure>{image}<figcaption><b>{escape(panel.caption)}</b><span>{escape(panel.note)}</span></figcaption></figure>"
