"""Output files and folders that are complete or not there at all."""

from __future__ import annotations

import glob
import os
import shutil
import sys
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
    part = _part(path)
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


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder that appears at ``path`` once the block succeeds, in the place of what is there; nothing is left of it if it fails.

    Raises
    ------
    InputInvalid
        As :func:`whole_file`.
    """
    part = _part(path)
    before = part.with_suffix(".old")
    try:
        part.mkdir()
        yield part
        if path.is_dir():
            path.rename(before)
        part.rename(path)
    except OSError as error:
        raise InputInvalid(
            f"cannot write {path}: {error.strerror or error}. Nothing was left behind. Free space, or choose another folder that you may "
            "write to."
        ) from error
    finally:
        for left in (part, before):
            shutil.rmtree(left, ignore_errors=True)


def _part(path: Path) -> Path:
    """Where a file or folder grows until it is whole; first, what killed processes left of it is removed."""
    name = path.name[:200]
    for left in path.parent.glob(f".{glob.escape(name)}.*.part"):
        if _is_gone(left.name.removeprefix(f".{name}.").removesuffix(".part")):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    return path.with_name(f".{name}.{os.getpid()}.part")


def _is_gone(process: str) -> bool:
    """Whether no process has this number; False where the system cannot be asked."""
    if sys.platform == "win32" or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


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
