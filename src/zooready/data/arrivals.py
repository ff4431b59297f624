"""Image files of a folder as a microscope writes them: whole ones only, none twice, and after a restart the others."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from zooready.data.classes import images_in
from zooready.errors import InputInvalid
from zooready.images.whole_files import whole_file

STILL_S = 3.0  # a file that has not changed for so long is whole
LOOK_S = 0.5  # between two looks at the folder

State = list[int]  # of a file: bytes, and when it changed last, ns


def arriving(folder: Path, record: Path) -> Iterator[Path]:
    """Each image file of a folder once it is whole; without end.

    Parameters
    ----------
    folder
        Where files appear. One that changes later comes again.
    record
        File that remembers those that were taken, so that a restart goes on with the others. A file is remembered when the next one is
        asked for: one whose work was interrupted comes again.

    Raises
    ------
    InputInvalid
        There is no such folder, or the record cannot be read or written.
    """
    if not folder.is_dir():
        raise InputInvalid(f"{folder} is no folder, and only a folder can be watched: name the one that the microscope writes to.")
    taken = _read(record)
    waiting: dict[str, tuple[State, float]] = {}
    while True:
        for path in images_in(folder):
            state = _state(path)
            if state is None or taken.get(path.name) == state:
                continue
            before, since = waiting.get(path.name, (None, 0.0))
            if before != state:
                waiting[path.name] = (state, time.monotonic())
            elif time.monotonic() - since >= STILL_S:
                yield path
                taken[path.name] = state
                with whole_file(record) as file:
                    file.write((json.dumps(taken, indent=1) + "\n").encode())
        time.sleep(LOOK_S)


def _state(path: Path) -> State | None:
    """Size and time of a file; None for one that is empty, or gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns] if found.st_size else None


def _read(record: Path) -> dict[str, State]:
    if not record.exists():
        return {}
    try:
        taken = json.loads(record.read_text(encoding="utf-8"))
        return {str(name): [int(number) for number in state] for name, state in taken.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputInvalid(
            f"{record}, which remembers the files that were taken, cannot be read ({error}): delete it to begin anew."
        ) from None
