"""How much memory a child process may take, and its end when its parent is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zooready.processes.templates import Worker

SHARE = 0.8  # of the machine's memory that child processes may take, all that run side by side together
LEAST = 4 * 2**30  # bytes; importing torch alone asks for 2 GiB of address space
UNKNOWN = 16 * 2**30  # bytes, where the system does not say what it has
GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container, version 2 and 1


BESIDE: ContextVar[int] = ContextVar("beside", default=1)  # child processes that run side by side


def machine_bytes() -> int:
    """Memory of this machine, or of the container that this process runs in, in bytes."""
    limits = []
    with suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for file in GROUPS:
        with suppress(OSError, ValueError):  # "max" where there is no limit
            limits.append(int(Path(file).read_text()))
    return min(limits, default=UNKNOWN)


def memory_bytes() -> int:
    """Memory that one child process may take, in bytes; of several that run side by side, each has its part."""
    return max(LEAST, int(SHARE * machine_bytes()) // BESIDE.get())


def end_with_parent() -> None:
    """From a thread, end this process and those that it started once the parent is gone, however that came about.

    The parent holds the other end of this process's standard input, which the system closes when the parent ends.
    """
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    with suppress(OSError, ValueError):
        while os.read(0, 2**16):
            pass
    end_group()


def end_group() -> None:
    """End this process, and those that it started if it leads their group."""
    if sys.platform != "win32" and os.getpgid(0) == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def end(process: Worker) -> None:
    """End a process that leads its group, and those that it started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group that has ended and nobody waited for
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
