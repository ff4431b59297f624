"""Workers that have imported what they need when they begin: copies of a template, a process that does nothing but import (Linux).

Importing torch takes two to three seconds of the processor, copying a process that has done so a hundredth of that. A copy is a process of
its own: it may crash, be limited and be ended without the others. Where processes cannot be copied, each worker is started and imports.

``python -m zooready.processes.templates FD`` is the template. Each message on the socket is a job with two pipes: the worker's standard
input, and the one that says its number and, once it has ended, its exit code. It ends a while after the last worker, or with its parent.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from zooready.processes.folders import scratch

IDLE_S = 60  # a template without workers ends after that
ANSWER_S = 300  # for the imports of a template
LAST_S = 2.0  # for the end of a template when this process ends
MOST = 2  # templates of one process: one more ends the oldest
MESSAGE = 2**17  # bytes, the environment included
NUMBER = struct.Struct("=q")
AT_START = re.compile(  # variables that Python and libraries read once, when they begin; workers get all of theirs besides
    r"PATH|LANG|LC_\w+|(PYTHON|LD_|DYLD_|OMP_|MKL_|KMP_|OPENBLAS_|CUDA_|TORCH|PYTORCH|ORT_|GOMP_)\w*"
)
CHILD = "import importlib, pathlib, sys; importlib.import_module(sys.argv[1]).main(pathlib.Path(sys.argv[2]))"


class Copy:
    """A worker that a template copied, with what :class:`subprocess.Popen` has that callers here use."""

    def __init__(self, stdin: BinaryIO, status: int) -> None:
        self.pid, self.stdin = 0, stdin
        self.returncode: int | None = None
        self._status = status
        weakref.finalize(self, os.close, status)  # until then the template keeps its number from being given to another process

    def has_begun(self) -> bool:
        """Wait until it runs; False if it never will."""
        number = os.read(self._status, NUMBER.size) if select.select([self._status], [], [], ANSWER_S)[0] else b""
        self.pid = NUMBER.unpack(number)[0] if number else 0
        return bool(number)

    def poll(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises
        ------
        TimeoutExpired
            It still runs after ``timeout`` seconds.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            code = os.read(self._status, NUMBER.size)
            if not code:  # the template is gone, and with it who could say how the worker ends
                self.kill()
            self.returncode = NUMBER.unpack(code)[0] if code else -signal.SIGKILL
        return self.returncode

    def kill(self) -> None:
        """End it and those that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


Worker = Copy | subprocess.Popen[bytes]


def start_worker(module: str, folder: Path, *, imports: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path) -> Worker:
    """Start a worker: a process of a group of its own that calls ``main(folder)`` of a module.

    Parameters
    ----------
    imports
        Modules that a template may import before it is copied; empty if the worker shall be no copy.
    environment
        All variables that it gets.
    log
        File for what it writes.
    """
    if imports and is_possible():
        with contextlib.suppress(OSError):  # a template that ended just now, or cannot start
            return _copied(module, folder, imports, environment, cwd, log)
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, module, str(folder)],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(environment),
            start_new_session=True,
        )


def prepare(imports: Sequence[str], environment: Mapping[str, str], cwd: Path) -> None:
    """Have a template import modules beside what is done here, so that workers that name them later begin at once.

    Parameters are those of :func:`start_worker`. Where processes cannot be copied, nothing is done.
    """
    if not is_possible():
        return

    def work() -> None:
        with contextlib.suppress(OSError):  # the worker needs no folder and says nothing
            worker = _copied(__name__, cwd, imports, environment, cwd, Path(os.devnull))
            worker.wait()
            worker.stdin.close()

    threading.Thread(target=work, daemon=True).start()


def main(folder: Path) -> None:
    """Do nothing: the worker of :func:`prepare`, whose template has imported what was asked for."""


def is_possible() -> bool:
    """Whether processes can be copied here, and waited for."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # an old kernel, or a sandbox around this process
        return False
    return True


class _Template:
    """A running template, seen from the process that started it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(ANSWER_S)
        self._stack = contextlib.ExitStack()
        self._stack.callback(self._channel.close)
        home = self._stack.enter_context(scratch())
        homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR"), str(home))
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
                env={**environment, **homes, "BIOIMAGEIO_CACHE_PATH": str(home / "bioimageio"), "PYTHONIOENCODING": "utf-8"},
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._waits = threading.Thread(target=process.wait, daemon=True)
        self._waits.start()

    def copied(self, job: bytes) -> Copy:
        """A worker; OSError if the template is gone."""
        (stdin, writes), (status, says) = os.pipe(), os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._channel, [job], [stdin, says])
        except OSError:
            os.close(writes)
            os.close(status)
            raise
        finally:
            os.close(stdin)
            os.close(says)
        worker = Copy(os.fdopen(writes, "wb"), status)
        if not worker.has_begun():
            worker.stdin.close()
            raise ConnectionError("the template has ended")
        return worker

    def end(self, wait_s: float = 0.0) -> None:
        """Take no more copies: it ends with the last of its workers, which is awaited so long."""
        self._stack.close()
        self._waits.join(wait_s)


_LOCK = threading.Lock()
_TEMPLATES: dict[tuple[Any, ...], _Template] = {}
_OVER = threading.Event()  # this process ends: a thread that still asks gets no template, whose folder nobody would remove


def _copied(module: str, folder: Path, imports: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path) -> Copy:
    """A worker of the template that begins as it shall, which is started if it is not here."""
    start = {name: value for name, value in environment.items() if AT_START.fullmatch(name)}
    key = (os.getpid(), sys.executable, *sorted(start.items()), *sorted(os.sched_getaffinity(0)))
    job = {"module": module, "folder": str(folder), "imports": list(imports), "cwd": str(cwd), "log": str(log)}
    message = json.dumps({**job, "environment": dict(environment)}).encode()
    if len(message) > MESSAGE:
        raise OSError("the environment is too large for a message")
    for is_last in (False, True):
        with _LOCK:
            if _OVER.is_set():
                raise OSError("this process ends")
            if (template := _TEMPLATES.pop(key, None)) is None:
                while len(_TEMPLATES) >= MOST:
                    _TEMPLATES.pop(next(iter(_TEMPLATES))).end()
                template = _Template(start)
            _TEMPLATES[key] = template
        try:
            return template.copied(message)
        except OSError:  # it was idle, and ended
            with _LOCK:
                if _TEMPLATES.get(key) is template:
                    _TEMPLATES.pop(key).end()
            if is_last:
                raise
    raise AssertionError


@atexit.register
def _end() -> None:
    """Before this process ends: no more templates."""
    _OVER.set()
    end_all()


def end_all() -> None:
    """End the templates of this process."""
    with _LOCK:
        while _TEMPLATES:
            _TEMPLATES.popitem()[1].end(LAST_S)


class _Workers:
    """Inside a template: its workers, by the descriptors that say that one has ended, or that nobody wants to know."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel, self.poll = channel, select.poll()
        self.poll.register(channel, select.POLLIN)
        self.running: dict[int, tuple[int, int]] = {}  # descriptor of the process: its number, where its end is told
        self.ended: dict[int, int] = {}  # where its end was told: its number

    def serve(self) -> None:
        """Copy this process for every job, and say how the copies end, until nobody can ask for more."""
        is_open = True
        while is_open or self.running:
            events = self.poll.poll(None if self.running or self.ended else IDLE_S * 1000)
            if not events:
                return
            for descriptor, _ in events:
                if descriptor == self.channel.fileno():
                    is_open = self._begin()
                elif descriptor in self.running:
                    self._tell(descriptor)
                else:
                    self._forget(descriptor)

    def _begin(self) -> bool:
        """Begin a worker; False if there can be no more."""
        message, descriptors, _, _ = socket.recv_fds(self.channel, MESSAGE, 2)
        if not message:
            self.poll.unregister(self.channel)
            return False
        job, (stdin, says) = json.loads(message), descriptors
        for name in job["imports"]:
            with contextlib.suppress(Exception):  # the worker meets it, too, and says so
                importlib.import_module(name)
        gc.collect()
        gc.freeze()
        number = os.fork()
        if not number:
            others = [self.channel.fileno(), *self.running, *self.ended, *(pair[1] for pair in self.running.values())]
            _work(job, stdin, says, others)
        os.close(stdin)
        ends = os.pidfd_open(number)
        self.running[ends] = (number, says)
        self.poll.register(ends, select.POLLIN)
        return True

    def _tell(self, ends: int) -> None:
        """Say how a worker ended. Its number stays its own until nobody looks any more."""
        number, says = self.running.pop(ends)
        self.poll.unregister(ends)
        os.close(ends)
        how = os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
        code = 0 if how is None else how.si_status if how.si_code == os.CLD_EXITED else -how.si_status
        with contextlib.suppress(OSError):
            os.write(says, NUMBER.pack(code))
        self.ended[says] = number
        self.poll.register(says, 0)

    def _forget(self, says: int) -> None:
        self.poll.unregister(says)
        os.waitpid(self.ended.pop(says), 0)
        os.close(says)


def _work(job: Mapping[str, Any], stdin: int, says: int, others: Sequence[int]) -> NoReturn:
    """Be the worker, from its first step to its last."""
    code = 1
    try:
        os.setsid()
        os.write(says, NUMBER.pack(os.getpid()))  # only now, so that whoever ends it finds its group
        for descriptor in (says, *others):
            os.close(descriptor)
        log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor, standard in ((stdin, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, standard)
        os.close(stdin)
        os.close(log)
        os.environ.clear()
        os.environ.update(job["environment"])
        os.chdir(job["cwd"])
        tempfile.tempdir = None
        importlib.import_module(job["module"]).main(Path(job["folder"]))
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # as the interpreter would
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        _Workers(channel).serve()
