"""One HTML page that needs nothing beside itself: verdicts, and images side by side."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path

from zooready.images.drawing import limits
from zooready.images.files import whole_file
from zooready.records import Verdict
from zooready.report.panels import Panel, Section
from zooready.report.tables import MARKS, difference
from zooready.report.thumbnails import data_url

STYLE = "page.css"
COLUMNS = 6  # at least, so that rows of few images do not grow
LEVELS = {
    "ran": "the program itself ran it",
    "engine": "the same engine version ran it in Java, on pixels that ImageJ read",
    "rules": "only the written rules were checked",
}


def html(sections: Sequence[Section], path: Path | str, *, title: str = "What runs where", lead: str = "") -> None:
    """Write the page; it appears whole or not at all.

    Parameters
    ----------
    sections
        One for each bundle, in order; see :func:`zooready.report.section`.
    path
        Target, ``.html``.
    title, lead
        Heading, and a plain sentence under it.

    Raises
    ------
    InputInvalid
        The file cannot be written.
    """
    style = resources.files("zooready.report").joinpath(STYLE).read_text(encoding="utf-8")
    contents = "".join(f'<a href="#{number}">{escape(one.title)} {_sum(one.verdicts)}</a>' for number, one in enumerate(sections))
    legend = "".join(f"<dt>{name}</dt><dd>{words}</dd>" for name, words in LEVELS.items())
    body = "".join(_section(number, one) for number, one in enumerate(sections))
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head><body>'
        f"<header><h1>{escape(title)}</h1>{f'<p>{escape(lead)}</p>' if lead else ''}<nav>{contents}</nav></header><main>{body}</main>"
        f"<footer><dl>{legend}</dl><p>Difference: largest difference / range of the expected output, beside the tolerance. "
        "Images of a row share their contrast.</p></footer></body></html>\n"
    )
    with whole_file(Path(path)) as file:
        file.write(page.encode())


def _sum(verdicts: Sequence[Verdict]) -> str:
    passed = sum(one.status == "passed" for one in verdicts)
    bad = sum(one.status in ("differs", "refused", "failed") for one in verdicts)
    return f'<b class="{"bad" if bad else "good"}">{passed} of {len(verdicts)} passed</b>'


def _section(number: int, one: Section) -> str:
    lines = "".join(map(_line, one.verdicts))
    rows = "".join(_row(title, panels) for title, panels in one.rows)
    note = f"<p>{escape(one.note)}</p>" if one.note else ""
    heads = "".join(f"<th>{name}</th>" for name in ("program", "format", "verdict", "level", "difference / tolerance", "time", "why"))
    return (
        f'<section id="{number}"><h2>{escape(one.title)}</h2>{note}'
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>{rows}</section>'
    )


def _line(one: Verdict) -> str:
    sign, _ = MARKS[one.status]
    versions = ", ".join(f"{name} {version}" for name, version in one.versions.items())
    cells = [
        f'<td class="who">{escape(one.consumer)}<small>{escape(versions)}</small></td>',
        f"<td>{one.format or ''}</td>",
        f'<td><span class="pill {one.status}">{sign} {one.status}</span></td>',
        f'<td title="{LEVELS[one.level]}">{one.level if one.status == "passed" else ""}</td>',
        f'<td class="number">{difference(one)}</td>',
        f'<td class="number">{f"{one.seconds:.1f} s" if one.versions else ""}</td>',
        f'<td class="why">{escape(one.why)}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _row(title: str, panels: Sequence[Panel]) -> str:
    images = [one for one in panels if one.kind == "image"]
    contrast = limits(images[0].array) if images else (0.0, 1.0)
    figures = "".join(_figure(one, limits(one.array) if one.kind == "input" else contrast) for one in panels)
    return f'<h3>{escape(title)}</h3><div class="scroll row" style="--columns: {max(len(panels), COLUMNS)}">{figures}</div>'


def _figure(one: Panel, contrast: tuple[float, float]) -> str:
    if one.kind == "scores":
        top = max((abs(float(value)) for value in one.array), default=0.0) or 1.0
        shown = "".join(f'<i style="width:{100 * abs(float(v)) / top:.1f}%"></i><s>{float(v):.4g}</s>' for v in one.array)
        image = f'<div class="bars">{shown}</div>'
    else:
        large = max(one.array.shape) > 160
        what = "smooth" if large else "pixels"
        image = f'<img class="{what} {one.kind}" alt="{escape(one.caption)}" src="{data_url(one.array, one.kind, contrast)}">'
    return f"<figure>{image}<figcaption><b>{escape(one.caption)}</b><span>{escape(one.note)}</span></figcaption></figure>"
