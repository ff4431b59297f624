"""Several pieces of work that wait for child processes, side by side."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any, TypeVar

from zooready.processes.limits import BESIDE, machine_bytes

T = TypeVar("T")
YIELDING = {"OMP_WAIT_POLICY": "passive"}  # environment of programs: their threads that wait leave the core to others, and do not spin
EACH_BYTES = 6 * 2**30  # of memory for each program with a network


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def at_once() -> int:
    """How many programs may run side by side: one a processor core that this process may use, as far as memory suffices; one at least."""
    return max(1, min(cores(), machine_bytes() // EACH_BYTES))


def side_by_side(
    calls: Sequence[Callable[[], T]], most: int, begun: Callable[[int, int], None] | None = None, order: Sequence[int] | None = None
) -> list[T]:
    """The results of some calls, in their order, of which up to ``most`` run at a time; they share the memory.

    The first error ends it, as does Ctrl-C: calls that have not begun are left, and those that run end with this process.

    Parameters
    ----------
    begun
        Called with (number of a call that begins, how many are done); here, not beside.
    order
        Numbers of all calls in the order in which they begin; their own if None.
    """
    events: queue.SimpleQueue[tuple[str, int, Any]] = queue.SimpleQueue()
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(calls)) if order is None else order:
        waiting.put(number)
    stop = threading.Event()

    def work() -> None:
        BESIDE.set(max(1, min(most, len(calls))))
        while not stop.is_set():
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            events.put(("begun", number, None))
            try:
                events.put(("done", number, calls[number]()))
            except BaseException as error:  # is raised where the results are awaited
                stop.set()
                events.put(("failed", number, error))

    for _ in range(min(most, len(calls))):
        threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
    results: dict[int, T] = {}
    try:
        while len(results) < len(calls):
            kind, number, value = events.get()
            if kind == "failed":
                raise value
            if kind == "done":
                results[number] = value
            elif begun:
                begun(number, len(results))
    finally:
        stop.set()
    return [results[number] for number in range(len(calls))]
