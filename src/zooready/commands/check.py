"""``zooready check``: a bundle in every program that is here, its numbers compared."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path

from zooready import report
from zooready.commands import switches
from zooready.commands.console import CONSOLE, print_notes, progress_bar
from zooready.comparison import Comparison, compare, exit_code
from zooready.errors import InputInvalid
from zooready.records import LEVELS, Level


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready check``."""
    add = parser.add_argument
    add("bundle", type=Path, help="zip or folder")
    switches.add_consumers(parser)
    add("--at-least", choices=LEVELS, default=SUPPRESS, help="weakest level of proof that counts")
    add("--image", type=Path, default=SUPPRESS, help="also run this image in all programs")
    switches.add_axes(parser)
    switches.add_time_limit(parser, "a program")
    switches.add_trust_code(parser)
    add("--json", type=Path, default=SUPPRESS, metavar="FILE", help="write the verdicts as JSON")
    add("--html", type=Path, default=SUPPRESS, metavar="FILE", help="write an HTML page with images")


def check(
    bundle: Path | str,
    *,
    consumers: Sequence[str] | None = None,
    image: Path | str | None = None,
    axes: str | None = None,
    trust_code: bool = False,
    time_limit_s: float | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Comparison:
    """Run a bundle in every program that is here, and compare the numbers; see docs/verdicts.md.

    Parameters and errors are those of :func:`zooready.comparison.compare`; axes without an image are an InputInvalid too.
    """
    if axes is not None and image is None:
        raise InputInvalid(f"axes {axes!r} are those of an image, and none is given: give the image, or leave them out.")
    return compare(
        bundle, consumers=consumers, image=image, axes=axes, trust_code=trust_code, time_limit_s=time_limit_s, progress=progress
    )  # fmt: skip


def run(
    bundle: Path,
    consumers: Sequence[str] | None = None,
    at_least: Level | None = None,
    image: Path | None = None,
    axes: str | None = None,
    trust_code: bool = False,
    time_limit_s: float | None = None,
    json: Path | None = None,
    html: Path | None = None,
) -> int:
    """Check, print the table, and write the files that were asked for; the exit code says what came of it."""
    with progress_bar() as progress:
        result = check(
            bundle, consumers=consumers, image=image, axes=axes, trust_code=trust_code, time_limit_s=time_limit_s, progress=progress
        )  # fmt: skip
    CONSOLE.print(report.table(result.verdicts))
    print_notes(result.notes, image.name if image else "note")
    if json:
        report.to_json(result.verdicts, json)
    if html:
        report.html([report.section(result, note=" ".join(result.notes))], html)
    return exit_code(result.verdicts, asked=set(consumers) if consumers else None, at_least=at_least)
