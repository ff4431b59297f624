"""Verdicts as a table in the terminal, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.images.whole_files import whole_file
from zooready.records import Status, Verdict

if TYPE_CHECKING:
    from rich.table import Table

MARKS: dict[Status, tuple[str, str]] = {  # a sign and a colour, because some readers cannot distinguish the colours
    "passed": ("✓", "green"),
    "differs": ("≠", "red"),
    "refused": ("✗", "red"),
    "failed": ("!", "red"),
    "missing": ("–", "bright_black"),
    "untrusted": ("?", "yellow"),
}


def table(verdicts: Sequence[Verdict], *, title: str | None = None) -> Table:
    """One row per verdict: program, format, status, level, difference / tolerance, seconds, and reason."""
    from rich.table import Table
    from rich.text import Text

    lines = Table(title=title, title_justify="left", header_style="bold", pad_edge=False, box=None)
    for name in ("program", "format", "status", "level"):
        lines.add_column(name, no_wrap=True)
    lines.add_column("difference", justify="right", no_wrap=True)
    lines.add_column("s", justify="right", no_wrap=True)
    lines.add_column("why", ratio=1, overflow="fold")
    for verdict in verdicts:
        sign, colour = MARKS[verdict.status]
        lines.add_row(
            verdict.consumer,
            verdict.format or "",
            Text(f"{sign} {verdict.status}", style=colour),
            verdict.level if verdict.status == "passed" else "",
            difference(verdict),
            f"{verdict.seconds:.1f}" if verdict.versions else "",
            Text(verdict.why),
        )
    return lines


def difference(verdict: Verdict) -> str:
    """Largest difference / range and the tolerance, e.g. ``3e-07 / 1e-05``; empty if nothing was compared by value."""
    if verdict.difference is None:
        return ""
    return f"{verdict.difference:.1g} / {verdict.tolerance:.0e}" if verdict.tolerance else f"{verdict.difference:.1g}"


def to_json(verdicts: Sequence[Verdict], path: Path | str) -> None:
    """Write ``{"verdicts": [...]}`` with every field; the file is complete or not written at all. Numbers that are not finite become null.

    Raises
    ------
    InputInvalid
        The file cannot be written.
    """
    content = {"verdicts": [_plain(dataclasses.asdict(verdict)) for verdict in verdicts]}
    with whole_file(Path(path)) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in record.items()}
