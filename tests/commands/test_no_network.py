"""Nobody is asked anything: commands run in a network namespace in which nothing is reachable, and the kernel counts each attempt."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zooready.consumers import sandbox
from zooready.errors import ConsumerFailed
from zooready.images.files import write_image
from zooready.processes import templates
from zooready.records import Image

COUNTED = """\
import json, sys

def attempts():
    \"\"\"IP packets sent, and those without a route: look-ups of names and connections, of this process and its children.\"\"\"
    lines = [line.split() for line in open("/proc/net/snmp") if line.startswith("Ip:")]
    counters = dict(zip(*lines))
    return int(counters["OutRequests"]) + int(counters["OutNoRoutes"])
"""
COMMANDS = """
from zooready.cli import main

found, before = {}, attempts()
for arguments in json.loads(sys.argv[1]):
    code, now = main(arguments), attempts()
    found[arguments[0]] = [code, now - before]
    before = now
print(json.dumps(found))
"""
QUESTION = """
import socket, subprocess

before = attempts()
for ask in ("socket.getaddrinfo('example.org', 443)", "socket.create_connection(('192.0.2.1', 443))"):
    subprocess.run([sys.executable, "-c", "import socket; " + ask], stderr=subprocess.DEVNULL)
    now, before = attempts() - before, attempts()
    print(now)
"""


def closed(script, *arguments):
    """Standard output of a Python script in an empty network namespace; the test is skipped where none can be made."""
    unshare = shutil.which("unshare")
    inside = [unshare, *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net"] if unshare and sys.platform == "linux" else []
    if not inside or subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("this system does not let us make a network namespace")
    done = subprocess.run([*inside, sys.executable, "-c", COUNTED + script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_question_would_be_counted():
    assert all(int(line) > 0 for line in closed(QUESTION).splitlines())


@pytest.mark.slow
def test_no_command_asks_anybody_anything(bundles, three, tmp_path):
    image, labels = tmp_path / "cells.tif", tmp_path / "labels.tif"
    write_image(three[0], image)
    write_image(Image(array=three[1], axes="yx"), labels)
    classifier, out = str(bundles["patterns"]), str(tmp_path)
    wanted = [
        ["list"],
        ["doctor"],
        ["export", "mrbcr", "--out", f"{out}/mrbcr.zip", "--torchscript", "plain"],
        ["check", classifier, "--in", "onnxruntime", "bioimageio"],
        ["predict", classifier, str(image), "--out", f"{out}/predicted"],
        ["measure", classifier, str(image), "--labels", str(labels), "--out", f"{out}/table.csv"],
        ["explain", classifier, str(image), "--out", f"{out}/why"],
    ]
    last = closed(COMMANDS, json.dumps(wanted)).splitlines()[-1]
    assert json.loads(last) == {arguments[0]: [0, 0] for arguments in wanted}


# ONNX Runtime's wheels send telemetry unless a variable is set before their import.


@pytest.mark.parametrize(("own", "expected"), [(None, "1"), ("0", "0")])
def test_telemetry_is_off_before_onnx_runtime_is_imported_and_a_persons_own_setting_stays(own, expected):
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"ORT_DISABLE_TELEMETRY": own} if own else {}
    code = "import os, sys, zooready; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected, "False"]


@pytest.mark.parametrize("value", ["1", "0"])
def test_telemetry_in_a_child_process_is_as_in_ours(value, monkeypatch):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", value)
    monkeypatch.setattr(templates, "_TEMPLATES", {})
    asked, real = [], subprocess.Popen

    def refuse(environment):
        asked.append(environment["ORT_DISABLE_TELEMETRY"])
        raise OSError("no template, so a process that imports for itself")

    monkeypatch.setattr(templates, "_Template", refuse)
    code = "import os; raise SystemExit('telemetry ' + os.environ['ORT_DISABLE_TELEMETRY'])"
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: real([sys.executable, "-c", code], **options))
    with pytest.raises(ConsumerFailed, match=f"telemetry {value}"):
        sandbox.ask({"kind": "onnx"}, [np.zeros((1, 1, 2, 2))], who="the test")
    assert set(asked) == ({value} if templates.is_possible() else set())


def test_the_plugin_of_cellprofiler_switches_telemetry_off_before_it_imports_onnx_runtime():
    text = (Path(__file__).parents[2] / "export" / "cellprofiler" / "runzooready.py").read_text(encoding="utf-8")
    setting = text.index('os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")')
    assert 0 < setting < text.index('_package("onnxruntime"')
