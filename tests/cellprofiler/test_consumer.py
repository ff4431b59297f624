"""The consumer cellprofiler: real verdicts by the real program, and what it says when something is in the way."""

import ast
import os
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from zooready import check
from zooready.bundle.reading import opened
from zooready.consumers import consumer, export_files
from zooready.consumers.cellprofiler import cppipe, headless
from zooready.errors import BundleInvalid, ConsumerFailed, ConsumerMissing
from zooready.processes import memory_bytes
from zooready.tensors import TensorSpec

ROOT = Path(__file__).parents[2]


def rewritten(source, target, change):
    """A copy of a bundle with another description."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "rdf.yaml":
                rdf = yaml.safe_load(content)
                change(rdf)
                content = yaml.safe_dump(rdf).encode()
            new.writestr(name, content)
    return target


@pytest.mark.cellprofiler
@pytest.mark.usefixtures("program")
def test_images_labels_and_scores_of_every_case_equal_those_stored(bundles):
    (verdict,) = check(bundles / "every.zip", consumers=["cellprofiler"]).verdicts
    assert (verdict.status, verdict.level, verdict.cases) == ("passed", "ran", ("test", "case0", "case1", "case2")), verdict.why
    assert verdict.difference <= 1e-6
    assert set(verdict.versions) == {"cellprofiler", "onnxruntime"}


@pytest.mark.cellprofiler
@pytest.mark.usefixtures("program")
def test_volumes_equal_those_stored_also_from_a_folder(bundles, tmp_path):
    shutil.unpack_archive(bundles / "volume.zip", tmp_path / "open")
    (verdict,) = check(tmp_path / "open", consumers=["cellprofiler"]).verdicts
    assert (verdict.status, verdict.difference) == ("passed", 0), verdict.why


@pytest.mark.cellprofiler
@pytest.mark.usefixtures("program")
def test_a_bundle_whose_stored_output_is_wrong_differs(bundles, tmp_path):
    shutil.unpack_archive(bundles / "mrbcr.zip", tmp_path / "open")
    wrong = np.load(tmp_path / "open" / "test-restored.npy")
    wrong[0, 0, 1, 1] += 1
    np.save(tmp_path / "open" / "test-restored.npy", wrong)
    rdf = yaml.safe_load((tmp_path / "open" / "rdf.yaml").read_text())
    del rdf["outputs"][0]["test_tensor"]["sha256"]
    (tmp_path / "open" / "rdf.yaml").write_text(yaml.safe_dump(rdf))
    (verdict,) = check(tmp_path / "open", consumers=["cellprofiler"]).verdicts
    assert verdict.status == "differs"
    assert "'restored' of case 'test' (1, 1, 6, 8) differs by" in verdict.why


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes a program that stands for CellProfiler."""

    def make(script):
        program = tmp_path / "cellprofiler"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("ZOOREADY_CELLPROFILER", str(program))
        (tmp_path / "home").mkdir(exist_ok=True)
        return lambda **options: headless.launch(Path("p"), Path("i"), Path("o"), home=tmp_path / "home", **options)

    return make


def test_an_error_of_the_program_is_told(fake):
    with pytest.raises(ConsumerFailed, match="exit code 1. It said: no bundle"):
        fake("echo 'runzooready.BundleError: no bundle'; exit 1")()


def test_a_module_that_failed_fails_although_the_program_says_nothing(fake):
    with pytest.raises(ConsumerFailed, match="exit code 0. It said: bad"):
        fake("echo 'Error detected during run of module X'; echo 'ValueError: bad'")()


def test_a_plugin_that_was_skipped_fails(fake):
    with pytest.raises(ConsumerFailed, match="could not load these modules: runfoo,runzooready"):
        fake("echo 'could not load these modules: runfoo,runzooready'")()


def test_a_missing_runtime_in_its_python_is_missing(fake):
    with pytest.raises(ConsumerMissing, match="pip install onnxruntime"):
        fake('echo "runzooready.BundleError: RunZooready needs onnxruntime in CellProfiler\'s Python: pip install onnxruntime"; exit 1')()


def test_a_program_that_hangs_is_stopped(fake):
    with pytest.raises(ConsumerFailed, match="stopped after 1 s"):
        fake("exec sleep 60")(seconds=1)


def test_a_program_that_exports_nothing_fails(fake, bundles):
    fake("echo 'ModuleNotFoundError: No module named MySQLdb'; echo done")
    with (
        opened(bundles / "mrbcr.zip") as bundle,
        pytest.raises(ConsumerFailed, match=r"case000-000-channel0-0-0.tiff.*is missing.*said: done"),
    ):
        headless.run(bundle, "onnx", [np.zeros((1, 1, 3, 3), np.float32)])


def test_secrets_and_preferences_stay_outside(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "hunter2")
    fake("env")()
    log = (tmp_path / "home" / "log.txt").read_text()
    assert "hunter2" not in log
    assert f"HOME={tmp_path / 'home'}" in log


def test_memory_of_the_program_is_bounded(fake, tmp_path):
    fake("sleep 1; ulimit -d")()
    assert int((tmp_path / "home" / "log.txt").read_text()) == memory_bytes() // 1024


PARENT = """
import pathlib, sys
from zooready.consumers.cellprofiler import headless
headless.launch(pathlib.Path("p"), pathlib.Path("i"), pathlib.Path("o"), home=pathlib.Path(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_program_and_what_it_started_end_when_their_parent_is_killed(fake, tmp_path):
    fake(f"sleep 600 & echo $$ $! > {tmp_path}/pids.new; mv {tmp_path}/pids.new {tmp_path}/pids; wait")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "home")])
    until = time.monotonic() + 60
    while not (tmp_path / "pids").exists():
        assert time.monotonic() < until
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    for pid in (tmp_path / "pids").read_text().split():
        status = Path("/proc") / pid / "stat"
        while status.exists() and status.read_text().rpartition(")")[2].split()[0] not in "ZX":
            assert time.monotonic() < until, "it still lives"
            time.sleep(0.05)


def test_the_python_of_the_program_does_not_look_into_ours(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "ours"))
    fake("env")()
    assert "PYTHONPATH" not in (tmp_path / "home" / "log.txt").read_text()


def test_java_comes_from_the_system_or_from_zooready(monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/some/java")
    assert headless._java() == {"JAVA_HOME": "/some/java"}
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", "")
    (home,) = headless._java().values()
    assert any(Path(home).rglob("libjvm.*"))


def test_where_it_is_looked_for_and_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOOREADY_CELLPROFILER", str(tmp_path / "nowhere"))
    assert "which is no file: set it to the path of the command cellprofiler" in headless.missing()
    monkeypatch.delenv("ZOOREADY_CELLPROFILER")
    monkeypatch.setattr(export_files, "PACKAGE", tmp_path / "a" / "b")
    assert "Run make cellprofiler" in headless.missing()
    with pytest.raises(ConsumerMissing, match="install zooready again"):
        headless.plugins()
    with pytest.raises(ConsumerMissing, match="Run make cellprofiler"):
        headless.launch(Path("p"), Path("i"), Path("o"), home=tmp_path)


def test_an_installed_package_carries_the_plugin(monkeypatch, tmp_path):
    mapped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    source, target = next((source, target) for source, target in mapped.items() if "cellprofiler" in source)
    assert (ROOT / source / headless.PLUGIN).is_file()
    (tmp_path / target).mkdir(parents=True)
    (tmp_path / target / headless.PLUGIN).touch()
    monkeypatch.setattr(export_files, "PACKAGE", tmp_path / "zooready")
    assert headless.plugins() == tmp_path / target


def test_the_plugin_is_written_for_the_python_of_cellprofiler():
    text = (headless.plugins() / headless.PLUGIN).read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 8))


def test_it_is_a_consumer_of_onnx_that_ran():
    module = consumer("cellprofiler")
    assert (module.NAME, module.READS, module.LEVEL) == ("cellprofiler", ("onnx",), "ran")


def test_what_the_plugin_refuses_is_known_before_anything_starts(bundles, tmp_path):
    def objections(change):
        with opened(rewritten(bundles / "mrbcr.zip", tmp_path / "changed.zip", change)) as bundle:
            return " ".join(headless.objections(bundle, "onnx"))

    assert objections(lambda rdf: None) == ""
    assert "format 0.4.9" in objections(lambda rdf: rdf.update(format_version="0.4.9"))
    assert "'image' has 'bcti'" in objections(
        lambda rdf: rdf["inputs"][0].update(axes=[{"type": kind} for kind in ("batch", "channel", "time", "index")])
    )
    with opened(bundles / "mrbcr.zip") as bundle:
        assert list(headless.objections(bundle, None)) == []


def test_two_outputs_with_labels_are_refused():
    labels = [TensorSpec(name=name, axes="bcyx", channels=("cells",), kind="labels") for name in ("first", "second")]
    with pytest.raises(BundleInvalid, match="several outputs with labels"):
        cppipe.pipeline(labels, channels=1, volume=False, bundle="b.zip")


def test_whole_numbers_travel_as_16_bit_and_all_others_as_float(tmp_path):
    import tifffile

    for values, dtype in (([[0, 65535]], np.uint16), ([[0, 65536]], np.float32), ([[-1, 3]], np.float32), ([[0.5, 3]], np.float32)):
        image = np.array([values], np.float32)
        headless._write(image, tmp_path, "case")
        stored = tifffile.imread(tmp_path / "case-channel0.tif")
        assert stored.dtype == dtype
        assert np.array_equal(stored, image[0])


def test_the_skip_names_its_reason_and_becomes_a_failure_when_asked_for(pytestconfig, tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/cellprofiler/test_consumer.py", "-k", "volumes_equal"]
    environment = os.environ | {"ZOOREADY_CELLPROFILER": str(tmp_path / "none")}
    environment.pop("ZOOREADY_CONSUMERS", None)
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert "1 skipped" in done.stdout
    assert "which is no file" in done.stdout
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment | {"ZOOREADY_CONSUMERS": "cellprofiler"})
    assert "1 error" in done.stdout


def test_scores_are_read_by_the_name_of_their_class_since_the_program_sorts_columns():
    spec = TensorSpec(name="scores", axes="bc", channels=("actin", "DNA", "Golgi 130"), kind="scores")
    row = {"FileName_Channel0": "a.tif", "RunZooready_Out_Best": "2", "RunZooready_Out_DNA": "0.7", "RunZooready_Out_Golgi130": "0.2"}
    row["RunZooready_Out_actin"] = "0.1"
    assert headless._read(Path(), "a", 0, spec, {"a.tif": row}).tolist() == pytest.approx([0.1, 0.7, 0.2])


def test_classes_whose_names_are_no_words_are_numbered_as_the_plugin_does():
    spec = TensorSpec(name="scores", axes="bc", channels=("+", "-"), kind="scores")
    assert headless._columns(spec) == ["RunZooready_Out_Class1", "RunZooready_Out_Class2"]
