"""Scratch folders: gone when they are no longer needed, and those of runs that were killed are removed by the next run.

<temporary folder>/zooready-…/      one for each use
in-use                          locked as long as its process lives
files/                          what the caller gets
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PREFIX = "zooready-"
LOCK = "in-use"


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder that vanishes when the block ends; first, folders of runs that were killed are removed."""
    sweep()
    outer = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    try:
        with (outer / f"{LOCK}.new").open("wb") as lock:
            if locked(lock):
                (outer / f"{LOCK}.new").rename(outer / LOCK)  # only now, so that nobody finds it unlocked
            (outer / "files").mkdir()
            yield outer / "files"
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def sweep() -> None:
    """Remove scratch folders whose process is gone. Where the system has no locks that end with a process, nothing is removed."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError):
            if lock.is_symlink() or lock.parent.is_symlink() or lock.stat().st_uid != os.getuid():
                continue
            with lock.open("rb") as file:
                if locked(file):
                    shutil.rmtree(lock.parent, ignore_errors=True)


def locked(file: BinaryIO) -> bool | None:
    """Lock an open file, until this process ends or the file is closed: False if another process holds it, None where no locks are."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # Windows; a file system without locks
        return None
    return True
