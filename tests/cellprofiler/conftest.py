"""CellProfiler lives in an environment of its own; who has none skips these tests, with the reason."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import tiny_bundles

from zooready.consumers.cellprofiler import headless

HERE = Path(__file__).parent
collect_ignore = ["inside.py"]  # runs in CellProfiler's Python, not here
WAIT = 600


@pytest.fixture(scope="session")
def program():
    """The command cellprofiler."""
    reason = headless.missing()
    if reason and "cellprofiler" in os.environ.get("ZOOREADY_CONSUMERS", "").split(","):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    return headless._command()


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """A folder with a zip of each tiny bundle."""
    folder = tmp_path_factory.mktemp("bundles")
    tiny_bundles.write_all(folder)
    return folder


@pytest.fixture(scope="session")
def inside(program, bundles, tmp_path_factory):
    """What became of every check of inside.py, by name: an empty text, or the error; all in one process of CellProfiler's Python."""
    out = tmp_path_factory.mktemp("inside")
    command = [program.parent / "python", HERE / "inside.py", headless.plugins(), bundles, out]
    home = {"HOME": str(out), "MPLBACKEND": "agg", "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, env=home)
    assert (out / "results.json").is_file(), done.stderr[-2000:]
    return json.loads((out / "results.json").read_text())
