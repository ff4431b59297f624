"""Workers as copies of a template: as much processes of their own as those that are started, and sooner at work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import zooready
from zooready.processes import end, start_worker, templates

WORKER = """
import os, signal, sys, time

def main(folder):
    (folder / "facts").write_text(repr({"pid": os.getpid(), "group": os.getpgid(0), "parent": os.getppid(), "cwd": os.getcwd(),
        "environment": dict(os.environ), "has_json": "wave" in sys.modules, "random": __import__("random").random()}))
    print("begun", flush=True)
    what = sys.stdin.buffer.readline().decode().strip()
    print(what, flush=True)
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "raise":
        raise ValueError("such a thing")
    if what == "exit":
        sys.exit(3)
    if what == "sleep":
        time.sleep(600)
"""
pytestmark = pytest.mark.skipif(not templates.is_possible(), reason="processes cannot be copied here")


def paths(folder):
    """Where the worker's module and zooready are."""
    return os.pathsep.join([str(folder), str(Path(zooready.__file__).parent.parent)])


@pytest.fixture
def start(tmp_path):
    """Starts a worker and gives it with what it wrote down of itself."""
    (tmp_path / "some_worker.py").write_text(WORKER)
    count, running = iter(range(99)), []

    def started(copied=True, **more):
        folder = tmp_path / str(next(count))
        folder.mkdir()
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": paths(tmp_path), "COLOUR": "blue", **more}
        imports = ("wave",) if copied else ()
        worker = start_worker("some_worker", folder, imports=imports, environment=environment, cwd=folder, log=folder / "log.txt")
        running.append(worker)
        until = time.monotonic() + 60
        while "begun" not in (folder / "log.txt").read_text() if (folder / "log.txt").exists() else True:
            assert time.monotonic() < until
            time.sleep(0.01)
        return worker, folder, eval((folder / "facts").read_text())

    yield started
    for worker in running:
        end(worker)
    templates.end_all()


def tell(worker, what):
    worker.stdin.write(f"{what}\n".encode())
    worker.stdin.flush()


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize(("what", "code", "says"), [
    ("well", 0, "well"), ("exit", 3, "exit"), ("raise", 1, "ValueError: such a thing"), ("crash", -signal.SIGSEGV, "crash")
])  # fmt: skip
def test_a_copy_ends_as_a_process_that_was_started_does(start, copied, what, code, says):
    worker, folder, facts = start(copied)
    assert isinstance(worker, templates.Copy if copied else subprocess.Popen)
    assert (worker.pid, worker.poll()) == (facts["pid"], None)
    assert facts["group"] == facts["pid"]
    assert facts["cwd"] == str(folder)
    assert facts["has_json"] == copied
    assert {name: value for name, value in facts["environment"].items() if name != "LC_CTYPE"} == {
        "PATH": os.environ["PATH"], "PYTHONPATH": paths(folder.parent), "COLOUR": "blue"
    }  # fmt: skip
    tell(worker, what)
    assert worker.wait(60) == code == worker.poll() == worker.returncode
    assert (folder / "log.txt").read_text().splitlines()[-1] == says


def test_copies_of_one_template_do_not_share_their_lives(start):
    (first, _, one), (second, _, other) = start(), start(COLOUR="red")
    assert one["parent"] == other["parent"] != os.getpid()
    assert one["random"] != other["random"]
    assert other["environment"]["COLOUR"] == "red"
    tell(first, "crash")
    assert first.wait(60) == -signal.SIGSEGV
    assert second.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.01)
    tell(second, "sleep")
    end(second)
    assert second.returncode == -signal.SIGKILL


def test_what_is_read_at_the_start_gets_a_template_of_its_own(start):
    parents = [
        start(**more)[2]["parent"] for more in ({}, {"OMP_NUM_THREADS": "3"}, {}, {"OMP_NUM_THREADS": "4"}, {"OMP_NUM_THREADS": "4"})
    ]
    assert parents[0] == parents[2] != parents[1]
    assert parents[3] == parents[4] not in parents[:2]
    assert len(templates._TEMPLATES) == templates.MOST


def test_a_template_can_import_before_there_is_anything_to_do(start, tmp_path):
    (tmp_path / "wave.py").write_text("import os, pathlib\npathlib.Path(__file__).with_name('by').write_text(str(os.getpid()))")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": paths(tmp_path)}
    templates.prepare(("wave",), environment, tmp_path)
    until = time.monotonic() + 60
    while not (tmp_path / "by").is_file():
        assert time.monotonic() < until
        time.sleep(0.01)
    assert start()[2]["parent"] == int((tmp_path / "by").read_text())


def test_a_template_that_is_gone_is_replaced(start):
    first, _, one = start()
    os.kill(one["parent"], signal.SIGKILL)
    assert first.wait(60) == -signal.SIGKILL, "nobody could say how it ends"
    second, _, other = start()
    assert other["parent"] != one["parent"]
    tell(second, "well")
    assert second.wait(60) == 0


def test_where_no_template_starts_workers_do(start, monkeypatch):
    def refuse(environment):
        raise OSError

    monkeypatch.setattr(templates, "_Template", refuse)
    worker, _, _ = start()
    assert isinstance(worker, subprocess.Popen)


PARENT = """
import pathlib, sys, time
from zooready.processes import start_worker
folder = pathlib.Path(sys.argv[1])
worker = start_worker("some_worker", folder, imports=("wave",), environment={"PYTHONPATH": sys.argv[2]}, cwd=folder, log=folder / "log.txt")
print(worker.pid, flush=True)
time.sleep(600)
"""


def test_template_and_worker_end_when_the_parent_is_killed(start, tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), paths(tmp_path)], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    above = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 60
    for number in (worker, above):
        while (state := Path(f"/proc/{number}/stat")).exists() and state.read_text().rpartition(")")[2].split()[0] not in "ZX":
            assert time.monotonic() < until
            time.sleep(0.05)
