"""What an export does at this moment, and how long it may take in all: its parts say what they begin, whoever waits is told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from zooready.errors import InputInvalid, ZooreadyError
from zooready.processes import on_time, within

Tell = Callable[[str], None]
_TELL: ContextVar[Tell] = ContextVar("tell", default=lambda what: None)


class _Late(ZooreadyError):
    """The time is over."""


@contextmanager
def watched(tell: Tell | None, seconds: float | None) -> Iterator[None]:
    """Hand what :func:`begin` says in this block to ``tell``, and let the block take ``seconds``, None for any time.

    Raises
    ------
    InputInvalid
        ``seconds`` is no time, or is over: at the next :func:`begin`, with what was done when it ended.
    """
    if seconds is not None and not 0 < seconds < math.inf:
        raise InputInvalid(f"time_limit_s={seconds!r}: give seconds above 0, or None for no limit.")
    begun = ["the start"]

    def noted(what: str) -> None:
        begun.append(what)
        if tell is not None:
            tell(what)

    token = _TELL.set(noted)
    try:
        with within(seconds, _Late()):
            yield
    except _Late:
        raise InputInvalid(
            f"the export was ended, since it took longer than its time limit of {seconds:g} s; it was at: {begun[-1]}. Nothing was "
            "written. Give a smaller example or a longer time."
        ) from None
    finally:
        _TELL.reset(token)


def begin(what: str) -> None:
    """Say what begins, in a few words; ends the export where its time is over."""
    on_time()
    _TELL.get()(what)
