"""Arrays that lie in files: pixels that are read when they are used, and results that do not fit into memory."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from zooready.errors import InputInvalid
from zooready.images.chunked import Chunked
from zooready.records import Array

BLOCK = 2**22  # values that are looked at at once


Lazily = bool | Path  # whether pixels stay in a file until they are used, or the folder for that file


def in_a_file(shape: tuple[int, ...], dtype: DTypeLike, folder: Lazily | None = None) -> Array:
    """An array of zeros in a file without a name, which vanishes with the array.

    Parameters
    ----------
    folder
        On whose disk it lies; the system's folder for temporary files, which some systems keep in memory, if it names none.

    Raises
    ------
    InputInvalid
        The disk has no room.
    """
    folder = folder if isinstance(folder, Path) else None
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            reserve(file.fileno(), math.prod(shape) * np.dtype(dtype).itemsize)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        size, where = math.prod(shape) * np.dtype(dtype).itemsize / 1e9, folder or tempfile.gettempdir()
        raise InputInvalid(
            f"cannot make a file of {size:.1f} GB for results in {where}: {error.strerror or error}. Free space, or choose another folder."
        ) from error


def kept_in(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> tuple[np.memmap, bool]:
    """The array in a file, as it is there; or of zeros, in a new file, if there is none of this size. And whether it is new.

    Raises
    ------
    InputInvalid
        The disk has no room.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        is_new = not path.is_file() or path.stat().st_size != size
        if is_new:
            with path.open("wb") as file:
                reserve(file.fileno(), size)
        return np.memmap(path, dtype, "r+", shape=shape), is_new
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputInvalid(
            f"cannot make a file of {size / 1e9:.1f} GB for results in {path.parent}: {error.strerror or error}. Free space, or choose "
            "another folder."
        ) from error


def reserve(file: int, size: int) -> None:
    """Give an open file its length and its room on the disk, since a mapped file that finds none later ends the process."""
    os.ftruncate(file, size)
    if hasattr(os, "posix_fallocate") and size:
        os.posix_fallocate(file, 0, size)


def is_mapped(array: Array) -> bool:
    """Whether an array, or what it is a view of, lies in a file, or in the chunks of a store."""
    return isinstance(array, Chunked) or _mapping(array) is not None


def release(array: Array) -> None:
    """Give back the memory that a mapped file's pages take; they are read again when they are used. Nothing for other arrays."""
    mapping = _mapping(array)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        with suppress(OSError, ValueError):
            mapping.madvise(mmap.MADV_DONTNEED)


def _mapping(array: object) -> mmap.mmap | None:
    """The mapping of a file of which an array is a view; changes to a copy of a file's pages would be lost, so such is left out."""
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array._mmap if array is not None and array.mode in ("r", "r+") else None  # type: ignore[attr-defined]


def blocks(array: Array) -> Iterator[tuple[slice | int, ...]]:
    """Indices that together cover an array, in its order, for at most :data:`BLOCK` values each (or one line of x).

    A mapped array's memory is given back after each. Of one in chunks they are whole chunks.
    """
    if isinstance(array, Chunked):
        yield from array.blocks(BLOCK)
        return
    depth, size = 0, array.size
    while depth < array.ndim - 1 and size > BLOCK:
        size //= max(1, array.shape[depth])
        depth += 1
    together = max(1, BLOCK // max(1, size)) if depth else 1
    for outer in np.ndindex(*array.shape[: max(0, depth - 1)]):
        if not depth:
            yield (Ellipsis,)  # type: ignore[misc]
        for first in range(0, array.shape[depth - 1] if depth else 0, together):
            yield (*outer, slice(first, first + together))
            release(array)
