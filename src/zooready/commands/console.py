"""What commands print with: lines, notes, and a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

CONSOLE = Console(markup=False)  # file names and advice hold brackets


def print_line(line: object, style: str | None = None) -> None:
    """One line, never broken, so that paths can be copied."""
    CONSOLE.print(str(line), style=style, soft_wrap=True)


def print_fault(path: Path, fault: Exception) -> None:
    """A red line for a file that cannot be used, its path once."""
    print_line(fault if str(fault).startswith(f"{path} ") else f"{path}: {fault}", "red")


def print_notes(notes: Iterable[str], title: str = "note") -> None:
    """A yellow line for each note."""
    for note in notes:
        print_line(f"{title}: {note}", "yellow")


@contextmanager
def progress_bar(*, left: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """A bar that names what runs at this moment; call it with (done, in all, what runs next). ``left``: with the time that is left."""
    time = (TimeElapsedColumn(), *([TimeRemainingColumn()] if left else []))
    columns = (BarColumn(), MofNCompleteColumn(), *time, TextColumn("{task.description}"))
    is_seen = CONSOLE.is_terminal or CONSOLE.is_jupyter  # elsewhere an empty line would be left of it
    with Progress(*columns, console=CONSOLE, transient=True, disable=not is_seen) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)
