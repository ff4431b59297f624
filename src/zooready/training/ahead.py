"""Pairs made ahead of the step that takes them, by worker processes, so that a fast device does not wait for a simulation.

pairs that come next -- one worker a pair, in turn, so that what a source keeps of a pair's neighbours stays with one worker --> in order

A pair depends on its seed and number only, so any number of workers gives the same training.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from zooready.errors import InputInvalid, ZooreadyError
from zooready.processes import cores
from zooready.records import Pair

Source = Callable[[int, int], Pair]  # of seed and number

MOST = 8  # workers, if nobody says how many
DEPTH = 4  # fewest pairs that each worker is asked for ahead
WATCH_S = 1.0  # between a worker's looks for its parent

_SOURCE: Source  # in a worker: what makes its pairs


def suited_workers(asked: int | None, device: str, processes: int = 1) -> int:
    """How many workers: as asked; without a word none beside a CPU, which computes with all cores, else one a core that is left.

    Raises
    ------
    InputInvalid
        A number below 0, or workers on a system that cannot copy processes.
    """
    is_possible = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"  # forks of a Mac's frameworks crash
    if asked is None:
        return max(0, min(MOST, cores() // processes - 1)) if is_possible and device != "cpu" else 0
    if asked < 0 or (asked and not is_possible):
        raise InputInvalid(
            f"workers={asked}: give {'a whole number from 0' if is_possible else '0, since this system copies no processes'}."
        )
    return asked


@contextmanager
def made_ahead(source: Source, workers: int, least: int = 0) -> Iterator[Source]:
    """The source itself, or with workers one whose pairs they make ahead, at least so many, until the end."""
    if not workers:
        yield source
        return
    ahead = Ahead(source, workers, least)
    try:
        yield ahead
    finally:
        ahead.close()


class Ahead:
    """A source of pairs whose next ones are made by workers; it is asked for pairs in the order in which it expects them.

    Parameters
    ----------
    source
        ``source(seed, number)`` gives a pair; it is copied into the workers with all that it holds.
    workers
        How many, at least 1.
    least
        Pairs that are asked for ahead, at least: a step takes a whole batch at once, so what is ready must not be less.
    """

    def __init__(self, source: Source, workers: int, least: int = 0) -> None:
        context = multiprocessing.get_context("fork")
        self._pools = [
            ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(source, os.getpid())) for _ in range(workers)
        ]
        self._ahead = max(least, DEPTH * workers)
        self._next: deque[tuple[int, int]] = deque()
        self._asked: deque[tuple[tuple[int, int], Future[Pair]]] = deque()

    def expect(self, seed: int, numbers: Iterable[int]) -> None:
        """Say which pairs come next, in their order; others that were expected are forgotten."""
        self._next = deque((seed, number) for number in numbers)
        self._asked.clear()
        self._ask()

    def __call__(self, seed: int, number: int) -> Pair:
        """The pair, the next of those that are expected.

        Raises
        ------
        ZooreadyError
            A worker has ended, or what its source raises.
        """
        expected, future = self._asked.popleft()
        assert expected == (seed, number), f"pair {number} of seed {seed} in place of {expected}"
        self._ask()
        try:
            return future.result()
        except BrokenProcessPool:
            raise ZooreadyError(
                "a worker that makes pairs was ended by the system, which may be out of memory: use fewer workers, or 0. The run goes on "
                "where it was if you start it again."
            ) from None

    def _ask(self) -> None:
        """Keep every worker busy."""
        while self._next and len(self._asked) < self._ahead:
            pair = self._next.popleft()
            self._asked.append((pair, self._pools[pair[1] % len(self._pools)].submit(_made, *pair)))

    def close(self) -> None:
        """End the workers, after the pairs that they are at."""
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)


def _begin(source: Source, parent: int) -> None:
    """In a worker, before its first pair."""
    import torch

    global _SOURCE  # noqa: PLW0603 - a worker has one source, and its jobs are two numbers
    _SOURCE = source
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker once its parent is gone, however that came about."""
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)


def _made(seed: int, number: int) -> Pair:
    return _SOURCE(seed, number)
