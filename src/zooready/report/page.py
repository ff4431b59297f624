"""A self-contained HTML page with verdicts, and with images side by side."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path

from zooready.images.drawing import limits, round_length
from zooready.images.thumbnails import data_url
from zooready.images.whole_files import whole_file
from zooready.records import Status, Verdict
from zooready.report.panels import Panel, Section
from zooready.report.tables import MARKS, difference

STYLE = "page.css"
COLUMNS = 6  # least number of columns, so that images in short rows are not enlarged
BAR = 0.3  # of an image's width is the longest scale bar
LEVELS = {
    "ran": "the program itself ran it",
    "engine": "its engine, of the same version, ran it without the program",
    "rules": "nothing ran: its written rules were checked",
}
STATUSES: dict[Status, str] = {
    "passed": "the numbers are those of the network in PyTorch, within the tolerance; of rules alone: none is broken",
    "differs": "it ran, and its numbers are others",
    "refused": "the program cannot open the bundle, or would get it wrong; why, and what to do, stands beside it",
    "failed": "it crashed, or took too long",
    "missing": "the program is not on this machine; what to install stands beside it",
    "untrusted": "it would run Python that came with the bundle, for which nobody gave leave",
}
HEADS = ("program", "format", "verdict", "how far it was tried", "difference / tolerance", "time", "why, and what to do")


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
    given = {verdict.status for section in sections for verdict in section.verdicts}
    legend = "".join(f"<dt>{_pill(name)}</dt><dd>{words}</dd>" for name, words in STATUSES.items() if name in given)
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
    heads = "".join(f"<th>{name}</th>" for name in HEADS)
    return (
        f'<section id="{number}"><h2>{escape(section.title)}</h2>{note}'
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>{rows}</section>'
    )


def _line(verdict: Verdict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in verdict.versions.items())
    cells = (
        ("who", f"{escape(verdict.consumer)}<small>{escape(versions)}</small>"),
        ("", verdict.format or ""),
        ("", _pill(verdict.status)),
        ("level", f"{verdict.level}<small>{LEVELS[verdict.level]}</small>" if verdict.status == "passed" else ""),
        ("number", difference(verdict)),
        ("number", f"{verdict.seconds:.1f} s" if verdict.versions else ""),
        ("why", escape(verdict.why)),
    )
    line = (f'<td class="{name}" data-head="{head}">{text}</td>' for head, (name, text) in zip(HEADS, cells, strict=True))
    return f"<tr>{''.join(line)}</tr>"


def _pill(status: Status) -> str:
    return f'<span class="pill {status}">{MARKS[status][0]} {status}</span>'


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
        drawn = f'<img class="{rendering} {panel.kind}" alt="{escape(panel.caption)}" src="{data_url(panel.array, panel.kind, contrast)}">'
        image = f'<div class="image">{drawn}{_scale_bar(panel.width_um) if panel.width_um else ""}</div>'
    return f"<figure>{image}<figcaption><b>{escape(panel.caption)}</b><span>{escape(panel.note)}</span></figcaption></figure>"


def _scale_bar(width_um: float) -> str:
    """A white bar of a round length, and its length."""
    length_um = round_length(BAR * width_um)
    return f'<i class="scale" style="width: {100 * length_um / width_um:.2f}%">{length_um:g} µm</i>'
