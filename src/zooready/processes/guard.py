"""A program that is not ours, with a limit of memory and an end together with the process that started it.

``python -m zooready.processes.guard BYTES COMMAND…`` does what the command does, and returns its exit code. Whoever starts it makes it
the leader of a new group and holds the other end of its standard input (:func:`zooready.processes.end_with_parent`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from zooready.processes.limits import end_with_parent


def command(program: Sequence[str], memory: int) -> list[str]:
    """The guarded command of a program that may take so many bytes of memory, where the system can limit it."""
    return [sys.executable, "-P", "-m", __name__, str(memory), *program]


def main(memory: int, program: Sequence[str]) -> int:
    """Run the program to its end; its exit code, 128 and the number of the signal that ended it."""
    end_with_parent()
    _limit(memory)
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it may bring a Python of its own
    code = subprocess.call(program, stdin=subprocess.DEVNULL, env=others)
    return code if code >= 0 else 128 - code


def _limit(memory: int) -> None:
    """Bound the memory of this process and of those that it starts; not on Windows."""
    try:
        import resource
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
