"""bioimageio.core's own test of bundles, which is what ``bioimageio test`` prints, in a process that stays warm and has no network."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory

CORE = """
import gc, json, sys, zooready.consumers.sandbox_worker as worker
from zooready.processes import memory_bytes
worker.no_network()
worker.limit(memory_bytes() // 2)  # a description may ask for any size
import onnxruntime, torch
from bioimageio.core import test_model
new, held = onnxruntime.InferenceSession, {}
def session(source, *arguments, **options):  # core makes eight of the same bytes for one bundle
    key = source, repr((arguments, options))
    if key not in held:
        held.clear()
        held[key] = new(source, *arguments, **options)
    return held[key]
onnxruntime.InferenceSession = session
gc.freeze()  # core collects after each of its steps
for path in sys.stdin:
    try:
        summary = test_model(path.rstrip("\\n"))
        reported = [summary.status, *(str(error.msg) for detail in summary.details for error in detail.errors)]
    except Exception as error:
        reported = ["raises", f"{type(error).__name__}: {error}"]
    print("CORE" + json.dumps(reported[:2]), flush=True)
"""


class Core:
    """A process that tests one bundle after the other; a fresh one follows after a crash or when the time is over."""

    def __init__(self, limit_s: float = 300.0):
        self.limit_s = limit_s
        self._child = None

    def ask(self, path: Path) -> None:
        """Begin with the test of a file."""
        if self._child is None:
            self._home = TemporaryDirectory()
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            self._child = subprocess.Popen([sys.executable, "-c", CORE], **pipes, text=True, cwd=self._home.name)
            self._lines: Queue[str] = Queue()
            threading.Thread(target=_queue, args=(self._child.stdout, self._lines), daemon=True).start()
        self._child.stdin.write(f"{path}\n")
        self._child.stdin.flush()

    def answer(self) -> str:
        """Status and first error of the file that was asked for last."""
        try:
            while line := self._lines.get(timeout=self.limit_s):
                if line.startswith("CORE"):
                    return ": ".join(" ".join(word.split()) for word in json.loads(line[4:]))
            reported = f"crashes with exit code {self._child.wait()}"
        except Empty:
            reported = f"no answer after {self.limit_s:g} s"
        self.close()
        return reported

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child.stdin.close()
            self._home.cleanup()
            self._child = None


def core_says(paths: Iterable[Path]) -> Iterator[str]:
    """Status and first error for each file."""
    with closing(Core()) as core:
        for path in paths:
            core.ask(path)
            yield core.answer()


def _queue(stream, lines):
    """Put every line of a stream into a queue, and an empty text at its end."""
    for line in stream:
        lines.put(line)
    lines.put("")
