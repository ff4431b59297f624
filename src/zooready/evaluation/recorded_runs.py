"""Runs of shipped bundles in programs that few machines have, kept beside the weights that ran (``weights/programs.json``).

A run counts as long as the weights are those that ran: it is kept with their SHA-256, so that renewed weights have none until they run.
``benchmarks/recorded.py`` runs the programs and writes the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path

from zooready.families import weights_file
from zooready.images.whole_files import whole_file
from zooready.records import Verdict

FILE = "programs.json"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A pass of level ``ran``: which program and format, when, and the largest difference / range.

    ``sha256`` is that of the weights (the shipped file, hexadecimal), ``date`` as 2026-11-27, ``versions`` are of what ran, by name.
    """

    consumer: str
    format: str
    date: str
    sha256: str
    difference: float
    versions: Mapping[str, str] = field(default_factory=dict)


def recorded_runs(name: str, file: Path | None = None) -> tuple[Run, ...]:
    """The runs of the weights that are shipped for a family today; none of any before."""
    today = shipped_sha256(name)
    return tuple(run for run in _read(file).get(name, ()) if run.sha256 == today)


def shipped_sha256(name: str) -> str:
    """Of the weights that are shipped for a family."""
    return hashlib.sha256(files("zooready").joinpath("weights", weights_file(name)).read_bytes()).hexdigest()


def renew(name: str, verdicts: Sequence[Verdict], date: str, file: Path) -> tuple[Run, ...]:
    """Put the passes of level ``ran`` into the file, in place of those of the same program and format, and drop runs of older weights.

    Returns
    -------
    tuple of Run
        What the file holds of this family now.
    """
    known = _read(file)
    today = shipped_sha256(name)
    fresh = [
        Run(
            consumer=verdict.consumer, format=verdict.format, date=date, sha256=today, difference=float(f"{verdict.difference or 0.0:.1e}"),
            versions=dict(verdict.versions),
        )
        for verdict in verdicts
        if verdict.status == "passed" and verdict.level == "ran" and verdict.format
    ]  # fmt: skip
    again = {(run.consumer, run.format) for run in fresh}
    kept = [run for run in known.get(name, ()) if run.sha256 == today and (run.consumer, run.format) not in again]
    known[name] = (*kept, *fresh)
    content = {family: [asdict(run) for run in runs] for family, runs in sorted(known.items())}
    with whole_file(file) as written:
        written.write((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return known[name]


def recorded_words(runs: Sequence[Run]) -> Iterator[str]:
    """A line on the versions of each program that ran, with the dates; Markdown."""
    for consumer in dict.fromkeys(run.consumer for run in runs):
        own = [run for run in runs if run.consumer == consumer]
        versions = dict(pair for run in own for pair in run.versions.items())
        dates = " and ".join(sorted({run.date for run in own}))
        yield f"- `{consumer}` ran on {dates}: {', '.join(f'{name} {version}' for name, version in versions.items())}."


def _read(file: Path | None) -> dict[str, tuple[Run, ...]]:
    source = file or files("zooready").joinpath("weights", FILE)
    if not source.is_file():
        return {}
    content = json.loads(source.read_text(encoding="utf-8"))
    return {family: tuple(Run(**run) for run in runs) for family, runs in content.items()}
