"""Who has no Java engines skips these tests, with the reason; under CI=true that is a failure.

The engines must need nothing that a machine may lack: tests of them see no java, javac or gcc.
"""

import os
import shutil

import pytest

from zooready import java


@pytest.fixture(scope="session")
def engines():
    reason = java.missing()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture(autouse=True)
def no_java_no_compiler(request, monkeypatch):
    if request.node.get_closest_marker("java"):
        monkeypatch.setenv("PATH", "")
        monkeypatch.delenv("JAVA_HOME", raising=False)
        assert not [name for name in ("java", "javac", "gcc", "cc") if shutil.which(name)]
