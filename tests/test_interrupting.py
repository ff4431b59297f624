"""Tests of Ctrl-C hold in the background as they do in a terminal."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CHILD = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
PARENT = f"import subprocess, sys; from interrupting import interruptible; subprocess.run([sys.executable, '-c', {CHILD!r}], preexec_fn=%s)"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("start", "reached"), [("interruptible", "True"), ("None", "False")])
def test_a_child_is_interruptible_only_where_a_test_asks_for_it(start, reached):
    script = 'trap "" INT; exec "$0" -c "$1"'  # as nohup and cron start things
    environment = {**os.environ, "PYTHONPATH": str(TESTS / "helpers")}
    ended = subprocess.run(
        ["sh", "-c", script, sys.executable, PARENT % start], capture_output=True, text=True, env=environment, check=True
    )
    assert ended.stdout.strip() == reached


def test_every_test_that_sends_sigint_starts_its_child_interruptibly():
    sending = [
        path for path in TESTS.rglob("test_*.py") if re.search(r"signal\.SIGINT|\"SIGINT\"", path.read_text()) and path != Path(__file__)
    ]
    assert {path.name for path in sending} >= {"test_bad_input.py", "test_export.py", "test_java_child.py"}
    assert [path.name for path in sending if "preexec_fn=interruptible" not in path.read_text()] == []
