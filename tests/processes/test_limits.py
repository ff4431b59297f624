"""Child processes are ended with their group, on every system."""

import os
import subprocess
import sys

import pytest

from zooready.processes import end


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups on this system")
@pytest.mark.parametrize("error", [ProcessLookupError, PermissionError])
def test_a_group_that_has_ended_already_is_no_error(monkeypatch, error):
    child = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE, start_new_session=True)
    child.wait()

    def killpg(*words):
        raise error

    monkeypatch.setattr(os, "killpg", killpg)
    end(child)
    assert child.returncode == 0
    assert child.stdin.closed
