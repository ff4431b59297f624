"""A child process that runs a network, so that a crash, a hang or a greedy file is a verdict and not the end of the check."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zooready import errors
from zooready.records import Array, as_float32

SECONDS = 600.0
MEMORY = 24 * 2**30  # bytes of data; torch alone maps several GiB
LAST_LINES = 4
PASSED_ON = re.compile(  # the rest of the environment, tokens and proxies among it, stays here
    r"(LD_LIBRARY_|DYLD_LIBRARY_|PYTHON)?PATH|PYTHON(DONTWRITEBYTECODE|PYCACHEPREFIX)|LANG|LC_ALL|SYSTEMROOT|TE?MP|TMPDIR|(OMP|MKL|OPENBLAS)_NUM_THREADS|CUDA_VISIBLE_DEVICES"
    r"|ORT_DISABLE_TELEMETRY"
)


def ask(job: Mapping[str, Any], images: Sequence[Array], *, who: str, seconds: float = SECONDS) -> list[tuple[Array, ...]]:
    """Run one job of :mod:`zooready.consumers.sandbox_worker` in a fresh process.

    Parameters
    ----------
    job
        ``kind`` and its arguments, plain data.
    images
        (b, c, …) each; sent as float32.
    who
        What is running, for messages.
    seconds
        Time limit for all images together.

    Raises
    ------
    ConsumerFailed
        It crashed, hung, or raised; the message has the last lines that it wrote.
    BundleInvalid, OutputsDiffer
        What the job itself found.
    """
    with tempfile.TemporaryDirectory(prefix="zooready-") as temporary:
        folder = Path(temporary)
        for number, image in enumerate(images):
            np.save(folder / f"input{number}.npy", as_float32(image))
        (folder / "job.json").write_text(json.dumps({**job, "images": len(images), "memory": MEMORY}), encoding="utf-8")
        code = _wait(folder, who, seconds)
        failure = folder / "failure.json"
        if failure.is_file():
            reason = json.loads(failure.read_text(encoding="utf-8"))
            kind = getattr(errors, str(reason["error"]), errors.ConsumerFailed)
            raise kind(f"{who}: {reason['why']}")
        if not code and not (folder / "outputs.json").is_file():
            raise errors.ConsumerFailed(
                f"{who} ended without a result. Last lines: {_last_lines(folder)} Check the file with another program."
            )
        if code:
            name = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise errors.ConsumerFailed(
                f"{who} crashed with {name}. Last lines: {_last_lines(folder)} Try the file on its own to see more."
            )
        counts = json.loads((folder / "outputs.json").read_text(encoding="utf-8"))
        return [tuple(np.load(folder / f"output{i}_{k}.npy", allow_pickle=False) for k in range(n)) for i, n in enumerate(counts)]


def _wait(folder: Path, who: str, seconds: float) -> int:
    """Start the worker, wait, and leave no process behind, whatever happens."""
    home = folder / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "XDG_CACHE_HOME": str(home)}
    environment |= {"BIOIMAGEIO_CACHE_PATH": str(home / "bioimageio"), "PYTHONIOENCODING": "utf-8"}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "zooready.consumers.sandbox_worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,
            env=environment,
            start_new_session=True,
        )
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise errors.ConsumerFailed(
                f"{who} was stopped after {seconds:.0f} s. Last lines: {_last_lines(folder)} Try a smaller image, or a faster machine."
            ) from None
        finally:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and those that it started."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        finally:
            process.wait()
    else:
        process.kill()
        process.wait()


def _last_lines(folder: Path) -> str:
    lines = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    return " | ".join([line.strip() for line in lines if line.strip()][-LAST_LINES:]) or "(none)."
