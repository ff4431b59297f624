"""Tiles handed to a Dask cluster: windows go out, results come back in the order of the tiles, and what a lost worker had is done again.

The network is sent once to each worker that needs it, and started there once. Nothing but the order in time differs from computing
here, so that an image has the same bytes, and a run that was stopped goes on where it was, with a cluster or without.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zooready.errors import ConsumerFailed, ConsumerMissing, ZooreadyError
from zooready.formats.starting import Run
from zooready.prediction.sessions import Graph
from zooready.prediction.tiled import Spread
from zooready.records import Array, as_float32

AHEAD = 2  # tiles for each worker that are sent before the first of them is back
WAIT_S = 30.0  # for an answer of the scheduler, and for the first worker
KEPT = 2  # networks that a worker keeps started
SOFTWARE = ("zooready", "onnxruntime")  # that decides on the numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Sent:
    """A graph on its way to a worker; ``key`` tells it from others, ``software`` are the versions here."""

    graph: Graph
    key: str
    software: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Started:
    """A graph on a worker, its folder, and the lock that lets one tile after the other through, since each takes all of the processor."""

    run: Run
    folder: TemporaryDirectory[str]
    lock: threading.Lock


_started: dict[str, _Started] = {}  # on a worker, by key
_starting = threading.Lock()


@contextmanager
def cluster(address: str) -> Iterator[Spread]:
    """A way to have tiles computed by the workers of a Dask scheduler.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    ConsumerMissing
        The package distributed is missing, no scheduler answers, or no worker has joined it.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ConsumerMissing("the package distributed is not here: pip install 'zooready[cluster]'.") from None
    try:
        client = Client(address, timeout=WAIT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConsumerMissing(
            f"no Dask scheduler answers at {address} ({error}): start one with 'dask scheduler', and give the address that it prints."
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_S)
        except TimeoutError:
            raise ConsumerMissing(
                f"no worker has joined the scheduler at {address}: start one on each machine with 'dask worker {address} --nthreads 1'."
            ) from None
        yield lambda graph, windows: _spread(client, graph, windows)


def _spread(client: Any, graph: Graph, windows: Iterable[Array]) -> Generator[tuple[Array, ...]]:
    """The outputs of each window (c, ..., y, x), in their order, computed by the workers."""
    sent, run = sent_graph(graph), uuid.uuid4().hex
    network = client.submit(held, sent, key=f"zooready-network-{run}")  # a task, which is done again if its worker is lost
    waiting: deque[Any] = deque()
    try:
        for number, window in enumerate(windows):
            waiting.append(client.submit(computed, network, np.array(window), key=f"zooready-tile-{run}-{number}"))
            if len(waiting) >= AHEAD * max(1, len(client.nthreads())):
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())
    finally:
        client.cancel([*waiting, network])


def _result(future: Any) -> tuple[Array, ...]:
    """What a worker computed; its failure in words."""
    try:
        outputs: tuple[Array, ...] = future.result()
    except ZooreadyError:
        raise
    except ModuleNotFoundError as error:
        raise ConsumerMissing(f"a worker of the cluster cannot import {error.name}: install zooready there, as here.") from None
    except Exception as error:  # of distributed: workers that ended again and again, a scheduler that is gone
        raise ConsumerFailed(
            f"the cluster gave no result for a tile ({type(error).__name__}: {error}): look at the logs of its workers, of which each "
            "needs the memory of one tile. The same command goes on after the last tile that is here."
        ) from error
    return outputs


def sent_graph(graph: Graph) -> Sent:
    """A graph as it is sent: of its bundle the description alone."""
    digest = hashlib.sha256(graph.content)
    for name, value in graph.constants.items():
        digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
    bundle = replace(graph.bundle, cases=(), formats={})
    return Sent(graph=replace(graph, bundle=bundle), key=digest.hexdigest()[:32], software=tuple(map(version, SOFTWARE)))


def held(sent: Sent) -> Sent:
    """The graph, as a result of a task: Dask hands such to the workers that need it, and computes it again if they are lost."""
    return sent


def computed(sent: Sent, window: Array) -> tuple[Array, ...]:
    """On a worker: what the graph makes of a window (c, ..., y, x).

    Raises
    ------
    ConsumerMissing
        The worker has other versions of the software.
    """
    started = _on_this_worker(sent)
    with started.lock:
        return started.run(as_float32(window)[None])


def _on_this_worker(sent: Sent) -> _Started:
    """The graph, started; it stays so until :data:`KEPT` others came."""
    with _starting:
        if sent.key not in _started:
            here = tuple(map(version, SOFTWARE))
            if here != sent.software:
                pairs = zip(SOFTWARE, here, sent.software, strict=True)
                differ = ", ".join(f"{name} {own} instead of {wanted}" for name, own, wanted in pairs if own != wanted)
                raise ConsumerMissing(f"a worker of the cluster has {differ}: its numbers could differ. Install the same there.")
            folder = TemporaryDirectory()
            file = Path(folder.name) / "weights.onnx"
            file.write_bytes(sent.graph.content)
            graph = replace(sent.graph, bundle=replace(sent.graph.bundle, folder=Path(folder.name), formats={"onnx": file}))
            _started[sent.key] = _Started(run=graph.start(), folder=folder, lock=threading.Lock())
            for key in list(_started)[:-KEPT]:
                del _started[key]
        return _started[sent.key]
