"""A child process that runs a network, so that a crash, a hang or a greedy file is a verdict and not the end of the command."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zooready import errors
from zooready.processes import YIELDING, Worker, end, memory_bytes, scratch, start_worker
from zooready.records import Array, as_float32

WORKER = "zooready.consumers.sandbox_worker"
SECONDS = 600.0
LAST_LINES = 4
ANSWER = 0.25  # largest size of an answer / memory that a child may take
TORCH = ("torch",)
IMPORTS = {"onnx": ("onnxruntime",), "bioimageio": (*TORCH, "onnxruntime", "bioimageio.core")}  # of a kind of job, where not torch alone
POLL_S = (0.002, 0.05)  # between two looks for an answer, the first and the longest
PASSED_ON = re.compile(  # the rest of the environment, tokens and proxies among it, stays here
    r"(LD_LIBRARY_|DYLD_LIBRARY_|PYTHON)?PATH|PYTHON(DONTWRITEBYTECODE|PYCACHEPREFIX)|LANG|LC_ALL|SYSTEMROOT|(OMP|MKL|OPENBLAS)_NUM_THREADS|CUDA_VISIBLE_DEVICES"
    r"|ORT_DISABLE_TELEMETRY"
)


def ask(
    job: Mapping[str, Any], images: Sequence[Array | Sequence[Array]], *, who: str, seconds: float | None = None
) -> list[tuple[Array, ...]]:
    """Run one job of :mod:`zooready.consumers.sandbox_worker` in a fresh process.

    Parameters
    ----------
    job
        ``kind`` and its arguments, plain data.
    images
        (b, c, …) each, or all inputs of a network that takes several; sent as float32.
    who
        What is running, for messages.
    seconds
        Time limit for all images together; :data:`SECONDS` if None.

    Raises
    ------
    ConsumerFailed
        It crashed, hung, or raised; the message has the last lines that it wrote.
    BundleInvalid, OutputsDiffer
        What the job itself found.
    """
    until = time.monotonic() + (seconds or SECONDS)
    with contextlib.closing(Session(job, who=who, seconds=seconds)) as session:
        return [session.answer([image] if isinstance(image, np.ndarray) else image, until) for image in images]


@dataclass(kw_only=True)
class _Child:
    """A running worker, its folder, and how many requests it had."""

    process: Worker
    folder: Path
    requests: int = 0


class Session:
    """A worker that is asked again and again; started when it is first asked, and again after it crashed.

    It ends with :meth:`close`, when nobody holds this object any more, and when this process ends, however that comes about.
    ``worker`` is the module that runs in it.
    """

    def __init__(self, job: Mapping[str, Any], *, who: str, seconds: float | None = None, worker: str = WORKER) -> None:
        self.job, self.who, self.seconds, self.worker = dict(job), who, seconds or SECONDS, worker
        self._child: _Child | None = None
        self._end = weakref.finalize(self, lambda: None)

    def load(self) -> None:
        """Start the worker and have it load the weights; errors are those of :func:`ask`."""
        self.answer([], time.monotonic() + self.seconds)

    def __call__(self, image: Array, *gradients: Array) -> tuple[Array, ...]:
        """Outputs for (b, c, …); with the gradients of a loss in each output, the one array of its gradient in the image.

        Errors are those of :func:`ask`.
        """
        return self.answer([image, *gradients], time.monotonic() + self.seconds)

    def answer(self, arrays: Sequence[Array], until: float) -> tuple[Array, ...]:
        """What the worker makes of some arrays, before the clock shows ``until``."""
        child = self._child or self._start()
        number, child.requests = child.requests, child.requests + 1
        try:
            for k, array in enumerate(arrays):
                self._hand(array, child.folder / f"input{number}_{k}.npy")
            with contextlib.suppress(OSError):  # it is gone already, which is found below
                assert child.process.stdin is not None
                child.process.stdin.write(f"{number} {len(arrays)}\n".encode())
                child.process.stdin.flush()
            count = self._count(child, child.folder / f"answer{number}.json", until)
            files = [child.folder / f"output{number}_{k}.npy" for k in range(count)]
            size = sum(file.stat().st_size for file in files)
            if size > ANSWER * memory_bytes():
                raise errors.ConsumerFailed(
                    f"{self.who} gave {size / 1e9:.1f} GB for one image, more than is read: give a smaller one, or look at its outputs."
                )
            outputs = tuple(np.load(file, allow_pickle=False) for file in files)
            for file in (*files, *child.folder.glob(f"input{number}_*.npy")):
                file.unlink()
            return outputs
        except BaseException:
            self.close()
            raise

    def _hand(self, array: Array, file: Path) -> None:
        """Write an array where the worker reads it."""
        try:
            np.save(file, as_float32(array))
        except OSError as error:  # NumPy reports how many numbers it wrote, not why it failed
            reason = error.strerror or f"the disk is full or a quota reached ({error})"
            raise errors.InputInvalid(
                f"cannot write {file}: {reason}. Nothing was left behind. Free space there, or set TMPDIR to a folder with more."
            ) from None

    def close(self) -> None:
        """End the worker and those that it started, and remove its folder."""
        self._child = None
        self._end()

    def _start(self) -> _Child:
        stack = contextlib.ExitStack()
        folder = stack.enter_context(scratch())
        try:
            job = {"memory": memory_bytes(), **self.job}
            (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
            process = _started(folder, self.worker, job)
        except BaseException:
            stack.close()
            raise
        stack.callback(end, process)
        self._child = _Child(process=process, folder=folder)
        self._end = weakref.finalize(self, stack.close)
        return self._child

    def _count(self, child: _Child, file: Path, until: float) -> int:
        """How many outputs the answer has; every other end is an error."""
        pause, longest = POLL_S
        while not file.is_file():
            if (child.folder / "failure.json").is_file():
                self._fail(child.folder)
            code = child.process.poll()
            if code is not None and not file.is_file():
                self._ended(child.folder, code)
            if time.monotonic() > until:
                raise errors.ConsumerFailed(
                    f"{self.who} was stopped after {self.seconds:.0f} s. Last lines: {_last_lines(child.folder)} Try a smaller image, a "
                    "faster machine, or a longer time limit."
                )
            time.sleep(pause)
            pause = min(longest, 1.5 * pause)
        return int(json.loads(file.read_text(encoding="utf-8")))

    def _fail(self, folder: Path) -> None:
        try:
            reason = json.loads((folder / "failure.json").read_text(encoding="utf-8"))
            kind, why = getattr(errors, str(reason["error"]), errors.ConsumerFailed), reason["why"]
        except (ValueError, KeyError, TypeError):  # the worker renames a whole file; a network that runs there may write what it likes
            raise errors.ConsumerFailed(
                f"{self.who} left a reason that cannot be read. Last lines: {_last_lines(folder)} Check the file with another program."
            ) from None
        raise kind(f"{self.who}: {why}")

    def _ended(self, folder: Path, code: int) -> None:
        """Say why the worker is gone without an answer."""
        if (folder / "failure.json").is_file():
            self._fail(folder)
        if not code:
            raise errors.ConsumerFailed(
                f"{self.who} ended without a result. Last lines: {_last_lines(folder)} Check the file with another program."
            )
        name = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        memory = " (the machine may be out of memory)" if code == -9 else ""
        raise errors.ConsumerFailed(
            f"{self.who} crashed with {name}{memory}. Last lines: {_last_lines(folder)} Try the file on its own to see more."
        )


def _started(folder: Path, worker: str, job: Mapping[str, Any]) -> Worker:
    """Start the worker; its home and its temporary folder are below ``folder``, its words go to ``log.txt``."""
    home = folder / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    environment |= dict.fromkeys(("HOME", "USERPROFILE", "XDG_CACHE_HOME", "TMPDIR", "TEMP", "TMP"), str(home))
    environment |= YIELDING | {"BIOIMAGEIO_CACHE_PATH": str(home / "bioimageio"), "PYTHONIOENCODING": "utf-8"}
    imports = (worker, *IMPORTS.get(job["kind"], TORCH)) if job.get("device", "cpu") == "cpu" else ()  # a GPU's driver cannot be copied
    return start_worker(worker, folder, imports=imports, environment=environment, cwd=home, log=folder / "log.txt")


def _last_lines(folder: Path) -> str:
    lines = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    return " | ".join([line.strip() for line in lines if line.strip()][-LAST_LINES:]) or "(none)."
