"""Output files that are complete or not there at all, and folders for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from zooready.errors import InputInvalid


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file for writing that appears at ``path`` once the block succeeds; nothing is left there if it fails.

    Raises
    ------
    InputInvalid
        The file cannot be written: no such folder, no permission, disk full.
    """
    part = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    try:
        with part.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        cure = (
            "Make the folder first."
            if isinstance(error, FileNotFoundError)
            else "Free space, or choose another folder that you may write to."
        )
        reason = (
            error.strerror or f"the disk is full or a quota reached ({error})"
        )  # NumPy reports how many bytes it wrote, not why it failed
        raise InputInvalid(f"cannot write {path}: {reason}. Nothing was left behind. {cure}") from error
    except BaseException:  # Ctrl-C must not leave a partial file either
        part.unlink(missing_ok=True)
        raise


def make_folder(folder: Path) -> Path:
    """Create a folder if it does not exist, and return it.

    Raises
    ------
    InputInvalid
        It cannot be created, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputInvalid(f"cannot make the folder {folder}: {error.strerror}. Choose another one that you may write to.") from None
    return folder
