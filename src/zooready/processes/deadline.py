"""How long a piece of work may take: whoever does it step by step asks whether time is left."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from zooready.errors import ZooreadyError

_END: ContextVar[float] = ContextVar("end", default=math.inf)


class OutOfTime(Exception):
    """Something took longer than it may; :func:`within` turns it into an error for people."""


@contextmanager
def within(seconds: float | None, otherwise: ZooreadyError) -> Iterator[None]:
    """Let this block take ``seconds``, None for any time; raise ``otherwise`` at the first :func:`on_time` after that.

    >>> with within(1e-9, ZooreadyError("too slow")):
    ...     on_time()
    Traceback (most recent call last):
    zooready.errors.ZooreadyError: too slow
    """
    end = math.inf if seconds is None else time.monotonic() + seconds
    token = _END.set(min(end, _END.get()))
    try:
        yield
    except OutOfTime:
        if time.monotonic() < end:  # the block around this one has less time
            raise
        raise otherwise from None
    finally:
        _END.reset(token)


def on_time() -> None:
    """Raise :class:`OutOfTime` once the time of the block around this call is over."""
    if time.monotonic() > _END.get():
        raise OutOfTime


def time_left() -> float:
    """Seconds that are left to the block around this call; infinity without a limit, 0 once they are over.

    >>> time_left()
    inf
    """
    return max(0.0, _END.get() - time.monotonic())
