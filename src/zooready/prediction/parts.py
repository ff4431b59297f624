"""Results that grow in files beside the output, so that a run which was stopped goes on at the tile where it was.

    <folder of results>/.<stem>.tiles/
    in-use          locked as long as a process works on them
    done.json       what these are results of (a hash), the side of the windows, px, and how many tiles are done
    0, 1, ...       the outputs that are computed by tiles, as in memory

None of it is a result: those get their names when they are whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import numpy as np

from zooready.errors import ConsumerFailed, ConsumerMissing, ZooreadyError
from zooready.images.mapped import blocks, in_a_file, kept_in
from zooready.images.whole_files import make_folder, whole_file
from zooready.processes import locked
from zooready.records import Array

ENDING = ".tiles"
LOCK, RECORD = "in-use", "done.json"
EVERY_S = 1.0  # that the files are brought up to date: so much work at most, or one tile, is done again
NEARLY = 1.25  # times the side that suits the memory: an earlier run that measured it may have found a little more
STALE_S = 7 * 24 * 3600.0  # since a stopped run last wrote: then its parts are removed by the next run into the same folder


class Parts:
    """Where the results of one image grow, and how far they are.

    Attributes
    ----------
    side
        Of the windows, px; None before the first tile.
    done
        Tiles that are in the files.
    before
        Of them, those that an earlier run computed.
    scratch
        Folder for numbers that nobody takes up again; the system's if None.
    """

    def __init__(self, folder: Path | None = None, scratch: Path | None = None) -> None:
        self.scratch = scratch
        self.side: int | None = None
        self.done = self.before = 0
        self._folder, self._key = folder, ""
        self._lock: BinaryIO | None = None
        self._kept_s = time.monotonic()
        self._arrays: list[np.memmap] = []

    def claim(self, key: str) -> None:
        """Take up what a run with the same hash left, or begin; nothing is kept where another process is at work, or no locks are."""
        if self._folder is None:
            return
        self._key, self._lock = key, (make_folder(self._folder) / LOCK).open("ab")
        if not locked(self._lock):
            self._folder = None
            return
        record: dict[str, object] = {}
        with suppress(OSError, ValueError):
            record = json.loads((self._folder / RECORD).read_text(encoding="utf-8"))
        side, done = record.get("side"), record.get("done")
        if record.get("key") == key and isinstance(side, int) and isinstance(done, int):
            self.side, self.done, self.before = side, done, done
        else:
            (self._folder / RECORD).unlink(missing_ok=True)

    def begin(self, side: int) -> None:
        """Cut windows of this side, px, or of that of an earlier run; what it did with much larger ones is done again."""
        if self.side is None or side * NEARLY < self.side:
            self.side, self.done, self.before = side, 0, 0

    def room(self, shape: tuple[int, ...], *, is_kept: bool) -> Array:
        """Zeros for one output: float32 for one that is kept, as far as it was; int32 for labels, which are made last."""
        if self._folder is None or not is_kept:
            return in_a_file(shape, np.float32 if is_kept else np.int32, self.scratch)
        file = self._folder / str(len(self._arrays))
        array, is_new = kept_in(file, shape, np.float32)
        if is_new:
            self.side, self.done, self.before = None, 0, 0
        self._arrays.append(array)
        return array

    def keep(self, done: int) -> None:
        """So many tiles are in the arrays: soon they are in the files as well."""
        self.done = done
        if self._folder is None or time.monotonic() - self._kept_s < EVERY_S:
            return
        self._kept_s = time.monotonic()
        for array in self._arrays:
            array.flush()
        with whole_file(self._folder / RECORD) as file:
            file.write(json.dumps({"key": self._key, "side": self.side, "done": done}).encode())

    def remove(self) -> None:
        """Remove what was claimed."""
        self._arrays.clear()
        if self._folder is not None and self._lock is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """Let other processes take it up."""
        if self._lock is not None:
            self._lock.close()


@contextmanager
def resumable(folder: Path, stem: str) -> Iterator[Parts]:
    """Parts of the image ``stem`` in a folder of results.

    They are gone with the block, unless it is left by an end of the process, a Ctrl-C or a failure of what computes, such as a cluster.
    """
    _sweep(folder)
    parts = Parts(folder / f".{stem}{ENDING}", folder)
    try:
        yield parts
    except (ConsumerFailed, ConsumerMissing):
        raise
    except ZooreadyError:
        parts.remove()
        raise
    else:
        parts.remove()
    finally:
        parts.close()


def fingerprint(facts: object, weights: str, image: Array) -> str:
    """Hash of whatever decides on the results: facts as they print, weights, an image, and the software that computes.

    Parameters
    ----------
    weights
        Hash of their file.
    image
        Any shape and type, in memory or in a file.
    """
    hashed = hashlib.sha256(repr((facts, image.shape, image.dtype.str, version("zooready"), version("onnxruntime"))).encode())
    hashed.update(weights.encode())
    for block in blocks(image):
        hashed.update(np.ascontiguousarray(image[block]).data)
    return hashed.hexdigest()


def _sweep(folder: Path) -> None:
    """Remove parts of runs that were stopped long ago and never taken up."""
    for record in folder.glob(f".*{ENDING}/{RECORD}"):
        with suppress(OSError), (record.parent / LOCK).open("ab") as lock:
            if time.time() - record.stat().st_mtime > STALE_S and locked(lock):
                shutil.rmtree(record.parent, ignore_errors=True)
