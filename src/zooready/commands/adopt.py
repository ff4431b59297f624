"""``zooready adopt``: somebody else's bundle becomes one that runs in Fiji, with the numbers of the original."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready import report
from zooready.commands import switches
from zooready.commands.check import check
from zooready.commands.console import CONSOLE, print_line, print_notes, progress_bar
from zooready.comparison import exit_code
from zooready.records import FORMATS, Format

if TYPE_CHECKING:
    from zooready.sharing.adopting import Adoption


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready adopt``."""
    add = parser.add_argument
    add("bundle", type=Path, help="zip or folder of somebody else's bundle, format 0.4 or 0.5")
    add("-o", "--out", type=Path, required=True, help="zip to write")
    add("--format", choices=FORMATS, default=SUPPRESS, help="which of its weights to take (default: the first that can be had)")
    switches.add_consumers(parser)
    switches.add_time_limit(parser, "measuring and writing")
    switches.add_trust_code(parser, ", which a state dict needs")


def adopt(
    bundle: Path | str, out: Path | str, *, format: Format | None = None, trust_code: bool = False, time_limit_s: float | None = None
) -> Adoption:
    """Write a Fiji-safe bundle of somebody else's; see docs/adopt.md.

    Parameters and errors are those of :func:`zooready.sharing.adopting.adopted`.
    """
    from zooready.sharing.adopting import adopted  # with PyTorch, which takes seconds

    return adopted(bundle, out, format=format, trust_code=trust_code, time_limit_s=time_limit_s)


def run(bundle: Path, out: Path, consumers: Sequence[str] | None = None, **options: Any) -> int:
    """Adopt, print how the numbers compare with the original's, and check the new bundle; the exit code is that of the check."""
    with CONSOLE.status(f"measuring, writing and comparing {bundle.name} ..."):
        result = adopt(bundle, out, **options)
    for format, reason in result.passed_over.items():
        print_line(f"its {format} cannot be had: {reason}")
    print_line(f"{result.path} ({result.path.stat().st_size / 1e6:.1f} MB), made of its {result.format}: {', '.join(result.formats)}")
    for one in result.compared:
        size = " x ".join(map(str, one.size))
        print_line(f"{size} px: up to {one.difference:.1g} of the range from what bioimageio.core gives for the original")
    for format, reason in result.unavailable.items():
        print_line(f"no {format}: {reason}")
    print_notes(result.notes)
    with progress_bar() as progress:
        verdicts = check(result.path, consumers=consumers, progress=progress).verdicts
    CONSOLE.print(report.table(verdicts))
    return exit_code(verdicts, asked=set(consumers) if consumers else None)
