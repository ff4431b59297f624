"""Runs a weight file in Java, in a child process with limits of time and memory; every failure becomes an error that explains it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import site
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.errors import ConsumerFailed, ConsumerMissing, InputInvalid
from zooready.java.engines import folder, libjvm, missing
from zooready.java.jars import ENGINES, EXTRA, Engine, class_path, platform_name, unpacked
from zooready.processes import YIELDING, end, memory_bytes, scratch

Array = NDArray[Any]
THREADS = 2
TAIL = 12  # lines of the child process's log that a message shows
PASSED_ON = (  # environment variables of the child process; tokens, proxies and settings of Java or DJL are not among them
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "SYSTEMROOT", "SYSTEMDRIVE"),
    *("PYTHONDONTWRITEBYTECODE",),
)


@dataclass(frozen=True, kw_only=True)
class JavaResult:
    """Outputs of a network in Java.

    ``outputs``: per input, the network's outputs, float32, in the order of the weight file. ``seconds``: per input, time of the first run
    or, with ``repeats``, the median after a warm-up (copying in and out included). ``versions``: software that ran, e.g.
    ``{"pytorch": "2.0.0"}``.
    """

    outputs: tuple[tuple[Array, ...], ...]
    seconds: tuple[float, ...]
    versions: Mapping[str, str]


Ran = JavaResult | ConsumerFailed


def run(
    engine: Engine,
    weights: Path,
    inputs: Sequence[Array | Path],
    *,
    repeats: int = 0,
    limit_s: float = 300.0,
    memory_mb: int | None = None,
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
        float32 arrays of any rank, or a person's own files (TIFF, PNG, JPEG), which ImageJ opens as they are: (t, c, y, x), with several
        slices (t, c, z, y, x), the values that it shows.
    repeats
        Timed runs of each input after a warm-up; 0 runs once.
    limit_s
        Time limit of the child process, s, its start (1-3 s) included.
    memory_mb
        Limit of resident memory, MiB, by default most of the machine's, enforced where the system reports it (Linux); Java's heap is
        limited to a quarter of it on every system.
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
    _demand_ready(engine, [weights])
    with scratch() as job_folder:
        files = [_stored(job_folder, position, item, through_imagej) for position, item in enumerate(inputs)]
        job = {"weights": str(weights.resolve()), "inputs": [str(file) for file in files], "repeats": repeats}
        most = memory_mb or memory_bytes() >> 20
        result = work(job_folder, engine, job, djl=folder() / (unpacked(engine) or "djl"), limit_s=limit_s, memory_mb=most)
        return _loaded(job_folder, "output", result, result["versions"])


def race(engine: Engine, weights: Sequence[Path], inputs: Sequence[Array], *, repeats: int, limit_s: float = 300.0) -> list[Ran]:
    """Run several files of one network in one child process, each on every input; on the first input they are timed, by turns.

    Parameters
    ----------
    engine, inputs, limit_s
        As for :func:`run`; the limit is that of each file.
    weights
        The files, as for :func:`run`.
    repeats
        Timed runs of each file on the first input, after a warm-up; the other inputs are run once.

    Returns
    -------
    list
        For each file what :func:`run` gives, its ``seconds`` being those of the first input only; or why it could not be run. A crash,
        which ends the process, is charged to its file: the others are then run again, each by itself.

    Raises
    ------
    ConsumerMissing, InputInvalid
        As :func:`run`.
    """
    _demand_ready(engine, weights)
    try:
        return _raced(engine, weights, inputs, repeats, limit_s)
    except ConsumerFailed as error:
        return [error] if len(weights) == 1 else [race(engine, [file], inputs, repeats=repeats, limit_s=limit_s)[0] for file in weights]


def _raced(engine: Engine, weights: Sequence[Path], inputs: Sequence[Array], repeats: int, limit_s: float) -> list[Ran]:
    with scratch() as job_folder:
        files = [str(_stored(job_folder, position, item, through_imagej=False)) for position, item in enumerate(inputs)]
        job = {"weights": [str(file.resolve()) for file in weights], "inputs": files, "repeats": repeats}
        most, limit_s = memory_bytes() >> 20, limit_s * len(weights)
        result = work(job_folder, engine, job, djl=folder() / (unpacked(engine) or "djl"), limit_s=limit_s, memory_mb=most)
        return [
            ConsumerFailed(f"{engine} in Java: {each['error'][:1500]}")
            if "error" in each
            else _loaded(job_folder, f"output_{number}", each, result["versions"])
            for number, each in enumerate(result["files"])
        ]


def _demand_ready(engine: Engine, weights: Sequence[Path]) -> None:
    """Raise unless the engine is known and here, and the files are there."""
    if engine not in (*ENGINES, *EXTRA):
        raise InputInvalid(f"engine {engine!r} is not known: use one of {', '.join((*ENGINES, *EXTRA))}.")
    reason = missing(engine)
    if reason:
        raise ConsumerMissing(reason)
    for file in weights:
        if not file.is_file():
            raise InputInvalid(f"no weight file at {file}: give a TorchScript file for pytorch, an ONNX file for onnx.")


def _loaded(job_folder: Path, name: str, result: Mapping[str, Any], versions: Mapping[str, str]) -> JavaResult:
    """What the child process saved as ``<name>_<input>_<output>.npy``."""
    outputs = tuple(
        tuple(np.load(job_folder / f"{name}_{index}_{position}.npy", allow_pickle=False) for position in range(len(shapes)))
        for index, shapes in enumerate(result["shapes"])
    )
    return JavaResult(outputs=outputs, seconds=tuple(result["seconds"]), versions=versions)


def work(job_folder: Path, engine: Engine, job: Mapping[str, Any], *, djl: Path, limit_s: float, memory_mb: int) -> Mapping[str, Any]:
    """Start the child process in ``job_folder``, wait for it, and return its ``result.json``; for errors see :func:`run`."""
    jars = [str(folder() / "jars" / jar.name) for jar in class_path(engine, platform_name())]
    java = {"jvm": str(libjvm()), "class_path": jars, "options": options(job_folder, djl, memory_mb), "threads": THREADS}
    (job_folder / "job.json").write_text(json.dumps({**job, **java, "engine": engine}), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "zooready.java.worker", str(job_folder / "job.json")]
    started = time.monotonic()
    limit_reached, code = attended(command, job_folder, environment(job_folder, djl), limit_s=limit_s, memory_mb=memory_mb)
    return _judged(job_folder, engine, limit_reached, code, time.monotonic() - started)


def attended(
    command: Sequence[str], job_folder: Path, environment: Mapping[str, str], *, limit_s: float, memory_mb: int
) -> tuple[str, int]:
    """Run a child process in ``job_folder`` to its end, its output going to ``log.txt`` there, and leave no process behind.

    Returns
    -------
    limit_reached
        The limit that it exceeded, in words; empty if it ended by itself.
    code
        Its exit code, negative for a signal.
    """
    with (job_folder / "log.txt").open("wb") as log:
        # its own session: a Ctrl-C reaches only the parent, which then ends the whole group
        child = subprocess.Popen(
            command,
            cwd=job_folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            limit_reached = _watched(child, limit_s, memory_mb)
        finally:
            end(child)
    return limit_reached, child.returncode


def environment(job_folder: Path, djl: Path) -> dict[str, str]:
    """Environment variables of the child process: ``job_folder`` is its home and temporary folder; no GPU, DJL offline."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    homes = dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "TMPDIR", "TEMP", "TMP"), str(job_folder))
    settings = {"DJL_OFFLINE": "true", "DJL_CACHE_DIR": str(djl), "ENGINE_CACHE_DIR": str(djl), "OPT_OUT_TRACKING": "true"}
    settings["CUDA_VISIBLE_DEVICES"] = ""
    return {**kept, **homes, **settings, **YIELDING, "PYTHONUSERBASE": site.getuserbase()}


def options(job_folder: Path, djl: Path, memory_mb: int) -> list[str]:
    """Arguments of the JVM: a heap of a quarter of the memory, no screen, no network, no files outside ``job_folder``."""
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
        f"-Djava.io.tmpdir={job_folder}",
        f"-Djna.tmpdir={job_folder}",
        f"-XX:ErrorFile={job_folder / 'crash.txt'}",
        "-XX:-CreateCoredumpOnCrash",
        "-Xshare:auto",
    ]


def _stored(job_folder: Path, number: int, item: Array | Path, through_imagej: bool) -> Path:
    """Path of input ``number`` for the child process: the user's TIFF, or the array written as TIFF or .npy."""
    if isinstance(item, Path):
        if not item.is_file():
            raise InputInvalid(f"no image at {item}: give a TIFF, PNG or JPEG file, or a float32 array.")
        return item.resolve()
    if item.dtype != np.float32:
        raise InputInvalid(f"input {number + 1} is {item.dtype}: bundles take raw pixels as float32; use `.astype('float32')`.")
    flat = item.ndim == 4
    if through_imagej and item.shape[0] == 1 and item.size and (flat or (item.ndim == 5 and item.shape[2] > 1)):
        import tifffile

        path = job_folder / f"input_{number}.tif"
        planes = item[:, :, None] if flat else item  # (t, c, z, y, x)
        # the sample axis is given, since tifffile takes a last axis of length 1 for it and would write x = 1 as y
        tifffile.imwrite(path, np.ascontiguousarray(planes.swapaxes(1, 2))[..., None], imagej=True, metadata={"axes": "TZCYXS"})
        return path
    path = job_folder / f"input_{number}.npy"
    np.save(path, item)
    return path


def _watched(child: subprocess.Popen[bytes], limit_s: float, memory_mb: int) -> str:
    """Wait until the child process ends or exceeds a limit; return that limit in words, "" if it ended by itself."""
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
    """Resident memory of a process and its child processes, MiB; 0 where the system does not report it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
        children = [child for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
        return resident + sum(map(_resident_mb, children))
    return 0


def _judged(job_folder: Path, engine: Engine, limit_reached: str, code: int, seconds: float) -> Mapping[str, Any]:
    log = (job_folder / "log.txt").read_text(errors="replace")
    stage = (job_folder / "at.txt").read_text() if (job_folder / "at.txt").exists() else "the start of Python"
    location = f"{engine} in Java, at {stage}"
    if limit_reached:
        raise ConsumerFailed(f"{location}: {limit_reached}.{tail(log)}")
    if code or not (job_folder / "result.json").exists():
        raise ConsumerFailed(f"{location}: {cause(job_folder, code)} after {seconds:.1f} s. Fiji would crash with it.{tail(log)}")
    result: Mapping[str, Any] = json.loads((job_folder / "result.json").read_text(encoding="utf-8"))
    if "error" in result:
        raise ConsumerFailed(f"{location}: {result['error'][:1500]}")
    return result


def cause(job_folder: Path, code: int) -> str:
    """Why the child process died. The JVM turns a native SIGSEGV into SIGABRT, and names SIGSEGV only in its crash report."""
    report = (job_folder / "crash.txt").read_text(errors="replace") if (job_folder / "crash.txt").exists() else ""
    native = re.search(r"^#\s+(SIG[A-Z]+|EXCEPTION_[A-Z_]+) \(", report, re.MULTILINE)
    frame = re.search(r"^# Problematic frame:\s*\n#\s*(.+)$", report, re.MULTILINE)
    if native:
        return f"the JVM crashed with {native[1]}" + (f" in {' '.join(frame[1].split())}" if frame else "")
    if code < 0:
        name = signal.Signals(-code).name
        return f"the process was killed by {name}" + (" (the system may be out of memory)" if name == "SIGKILL" else "")
    return f"the process ended with exit code {code} and no result"


def tail(log: str) -> str:
    """The last lines of a log, formatted for an error message."""
    lines = [line for line in log.splitlines() if line.strip()][-TAIL:]
    return "".join(f"\n  | {line[:300]}" for line in lines)
