"""Runs a weight file in Java: a child process with limits of time and memory, whose every end becomes a result or an explanation."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.errors import ConsumerFailed, ConsumerMissing, InputInvalid
from zooready.java.engines import folder, libjvm, missing
from zooready.java.jars import ENGINES, Engine, class_path, platform_name

Array = NDArray[Any]
THREADS = 2
TAIL = 12  # lines of the child's log that a message shows
PASSED_ON = (  # tokens, proxies, and variables that would change Java or DJL stay here
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "SYSTEMROOT", "SYSTEMDRIVE"),
    *("PYTHONDONTWRITEBYTECODE",),
)


@dataclass(frozen=True, kw_only=True)
class JavaResult:
    """What came out of Java.

    ``outputs``: per input, the network's outputs, float32, in the file's order. ``seconds``: per input, of the first run or, with
    ``repeats``, the median after a warm-up (copying in and out included). ``versions``: what ran, e.g. ``{"pytorch": "2.0.0"}``.
    """

    outputs: tuple[tuple[Array, ...], ...]
    seconds: tuple[float, ...]
    versions: Mapping[str, str]


def run(
    engine: Engine,
    weights: Path,
    inputs: Sequence[Array | Path],
    *,
    repeats: int = 0,
    limit_s: float = 300.0,
    memory_mb: int = 16384,
    through_imagej: bool = False,
) -> JavaResult:
    """Run a TorchScript or ONNX file in a Java engine, in a child process.

    Parameters
    ----------
    engine
        One of :data:`ENGINES`.
    weights
        TorchScript for ``"pytorch"``, else ONNX.
    inputs
        float32 arrays of any rank, or TIFF files, which ImageJ opens: (t, c, y, x), with several slices (t, c, z, y, x), raw values.
    repeats
        Timed runs of each input after a warm-up; 0 runs once.
    limit_s
        Seconds for the whole child, its start (1-3 s) included.
    memory_mb
        MiB of resident memory, watched where the system tells it (Linux); a quarter of it bounds Java's heap everywhere.
    through_imagej
        Write each (1, c, y, x) and (1, c, z > 1, y, x) array as an ImageJ TIFF first, so that ImageJ reads its pixels.

    Raises
    ------
    ConsumerMissing
        The engine is not installed; the message has the cure.
    ConsumerFailed
        An error in Java, a crash, or a limit reached; the message has the input's number, the signal, and the end of the log.
    InputInvalid
        An unknown engine, a file that is not there, or an array that is not float32.
    """
    if engine not in ENGINES:
        raise InputInvalid(f"engine {engine!r} is not known: use one of {', '.join(ENGINES)}.")
    absent = missing(engine)
    if absent:
        raise ConsumerMissing(absent)
    if not weights.is_file():
        raise InputInvalid(f"no weight file at {weights}: give a TorchScript file for pytorch, an ONNX file for onnx.")
    with tempfile.TemporaryDirectory(prefix="zooready-java-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        files = [_stored(place, number, item, through_imagej) for number, item in enumerate(inputs)]
        job = {"weights": str(weights.resolve()), "inputs": [str(file) for file in files], "repeats": repeats}
        result = work(place, engine, job, djl=folder() / "djl", limit_s=limit_s, memory_mb=memory_mb)
        outputs = tuple(
            tuple(np.load(place / f"output_{index}_{number}.npy", allow_pickle=False) for number in range(len(shapes)))
            for index, shapes in enumerate(result["shapes"])
        )
    return JavaResult(outputs=outputs, seconds=tuple(result["seconds"]), versions=result["versions"])


def work(place: Path, engine: Engine, job: Mapping[str, Any], *, djl: Path, limit_s: float, memory_mb: int) -> Mapping[str, Any]:
    """Start the child in ``place``, wait for it, and return its ``result.json``; for errors see :func:`run`."""
    jars = [str(folder() / "jars" / jar.name) for jar in class_path(engine, platform_name())]
    java = {"jvm": str(libjvm()), "class_path": jars, "options": options(place, djl, memory_mb), "threads": THREADS}
    (place / "job.json").write_text(json.dumps({**job, **java, "engine": engine}), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "zooready.java.worker", str(place / "job.json")]
    started = time.monotonic()
    end, code = attended(command, place, environment(place, djl), limit_s=limit_s, memory_mb=memory_mb)
    return _judged(place, engine, end, code, time.monotonic() - started)


def attended(command: Sequence[str], place: Path, environment: Mapping[str, str], *, limit_s: float, memory_mb: int) -> tuple[str, int]:
    """Start a child in ``place``, its words going to ``log.txt`` there, wait for it, and leave no process behind.

    Returns
    -------
    end
        The limit that it reached, in words; empty if it ended by itself.
    code
        Its exit code, negative for a signal.
    """
    with (place / "log.txt").open("wb") as log:
        # its own session: a Ctrl-C reaches only the parent, which then ends the whole group
        child = subprocess.Popen(
            command,
            cwd=place,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            end = _watched(child, limit_s, memory_mb)
        finally:
            _end(child)
    return end, child.returncode


def environment(place: Path, djl: Path) -> dict[str, str]:
    """A small environment: the job's folder is home and temporary folder, no GPU, DJL offline."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    homes = dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "TMPDIR", "TEMP", "TMP"), str(place))
    settings = {"DJL_OFFLINE": "true", "DJL_CACHE_DIR": str(djl), "ENGINE_CACHE_DIR": str(djl), "OPT_OUT_TRACKING": "true"}
    settings["CUDA_VISIBLE_DEVICES"] = ""
    return {**kept, **homes, **settings, "PYTHONUSERBASE": site.getuserbase()}


def options(place: Path, djl: Path, memory_mb: int) -> list[str]:
    """What the JVM is started with: a heap of a quarter of the memory, no screen, no network, nothing outside ``place``."""
    return [
        f"-Xmx{max(memory_mb // 4, 64)}m",
        "-Djava.awt.headless=true",
        "--add-opens=java.base/java.lang=ALL-UNNAMED",
        "--enable-native-access=ALL-UNNAMED",
        "-Dai.djl.offline=true",
        "-DOPT_OUT_TRACKING=true",
        f"-DDJL_CACHE_DIR={djl}",
        f"-DENGINE_CACHE_DIR={djl}",
        f"-Dai.djl.pytorch.num_threads={THREADS}",
        "-Dai.djl.pytorch.num_interop_threads=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        f"-Djava.io.tmpdir={place}",
        f"-Djna.tmpdir={place}",
        f"-XX:ErrorFile={place / 'crash.txt'}",
        "-XX:-CreateCoredumpOnCrash",
        "-Xshare:auto",
    ]


def _stored(place: Path, number: int, item: Array | Path, through_imagej: bool) -> Path:
    """Where the child finds input ``number``: a TIFF of the user, or an array written as TIFF or .npy."""
    if isinstance(item, Path):
        if not item.is_file():
            raise InputInvalid(f"no image at {item}: give a TIFF or a float32 array.")
        return item.resolve()
    if item.dtype != np.float32:
        raise InputInvalid(f"input {number + 1} is {item.dtype}: bundles take raw pixels as float32; use `.astype('float32')`.")
    flat = item.ndim == 4
    if through_imagej and item.shape[0] == 1 and item.size and (flat or (item.ndim == 5 and item.shape[2] > 1)):
        import tifffile

        path = place / f"input_{number}.tif"
        planes = item[:, :, None] if flat else item  # (t, c, z, y, x)
        # the sample axis is given, since tifffile takes a last axis of length 1 for it and would write x = 1 as y
        tifffile.imwrite(path, np.ascontiguousarray(planes.swapaxes(1, 2))[..., None], imagej=True, metadata={"axes": "TZCYXS"})
        return path
    path = place / f"input_{number}.npy"
    np.save(path, item)
    return path


def _watched(child: subprocess.Popen[bytes], limit_s: float, memory_mb: int) -> str:
    """Wait for the child; what ended it: "" (itself), or the limit that it reached, in words."""
    until = time.monotonic() + limit_s
    while True:
        try:
            child.wait(min(0.1, max(until - time.monotonic(), 0.001)))
            return ""
        except subprocess.TimeoutExpired:
            if time.monotonic() >= until:
                return f"no answer after {limit_s:g} s (its limit). Try a smaller image, or give it longer"
            used = _resident_mb(str(child.pid))
            if used > memory_mb:
                return f"it took {used} MiB of memory (limit {memory_mb}). Try a smaller image, or allow more"


def _resident_mb(pid: str) -> int:
    """MiB of memory that a process and those below it hold; 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        own = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
        below = [one for file in Path(f"/proc/{pid}/task").glob("*/children") for one in file.read_text().split()]
        return own + sum(map(_resident_mb, below))
    return 0


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and those that it started, which can outlive it."""
    if sys.platform == "win32":
        child.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _judged(place: Path, engine: Engine, end: str, code: int, seconds: float) -> Mapping[str, Any]:
    log = (place / "log.txt").read_text(errors="replace")
    at = (place / "at.txt").read_text() if (place / "at.txt").exists() else "the start of Python"
    where = f"{engine} in Java, at {at}"
    if end:
        raise ConsumerFailed(f"{where}: {end}.{tail(log)}")
    if code or not (place / "result.json").exists():
        raise ConsumerFailed(f"{where}: {cause(place, code)} after {seconds:.1f} s. Fiji would crash with it.{tail(log)}")
    result: Mapping[str, Any] = json.loads((place / "result.json").read_text(encoding="utf-8"))
    if "error" in result:
        raise ConsumerFailed(f"{where}: {result['error'][:1500]}")
    return result


def cause(place: Path, code: int) -> str:
    """What killed the child, by name; the JVM turns a native SIGSEGV into SIGABRT and writes the first to its crash report."""
    report = (place / "crash.txt").read_text(errors="replace") if (place / "crash.txt").exists() else ""
    native = re.search(r"^#\s+(SIG[A-Z]+|EXCEPTION_[A-Z_]+) \(", report, re.MULTILINE)
    frame = re.search(r"^# Problematic frame:\s*\n#\s*(.+)$", report, re.MULTILINE)
    if native:
        return f"the JVM crashed with {native[1]}" + (f" in {' '.join(frame[1].split())}" if frame else "")
    if code < 0:
        name = signal.Signals(-code).name
        return f"the process was killed by {name}" + (" (the system may be out of memory)" if name == "SIGKILL" else "")
    return f"the process ended with exit code {code} and no result"


def tail(log: str) -> str:
    """The last lines of a log, as a message shows them."""
    lines = [line for line in log.splitlines() if line.strip()][-TAIL:]
    return "".join(f"\n  | {line[:300]}" for line in lines)
