"""The wheel that others install: built without a network, put where the source is not, and used."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXPORT = """
import numpy, torch, zooready

about = zooready.About(name="My network", description="Finds spots.", authors=({"name": "Ada Example"},), license="CC-BY-4.0")
image = numpy.random.default_rng(0).random((40, 50)).astype("float32")
network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Sigmoid())
print(zooready.__file__, *zooready.export(network, image, about, "spots.zip", torchscript="plain").formats)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not here: make setup"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def ran(wheel, tmp_path_factory):
    """Standard output of Python with the installed wheel, in a folder away from the source."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(folder / "site")]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    (folder / "desk").mkdir()

    def run(*words):
        environment = {**os.environ, "PYTHONPATH": str(folder / "site"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-P", *words], cwd=folder / "desk", env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run, folder


def test_the_wheel_holds_what_lies_outside_the_package_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"zooready/export/fiji/README.md", "zooready/weights/mrbcr.safetensors", "zooready/sharing/web/page.css"} <= set(names)
    assert not any(name.startswith("tests") for name in names)


def test_the_installed_command_lists_the_families(ran):
    run, folder = ran
    assert "superres-sted" in run("-m", "zooready", "list")
    assert any((folder / "site" / "bin").glob("zooready")) or any((folder / "site" / "Scripts").glob("zooready*"))


def test_a_network_is_exported_by_the_installed_package(ran):
    run, folder = ran
    where, *formats = run("-c", EXPORT).split()
    assert Path(where).is_relative_to(folder / "site")
    assert formats == ["torchscript", "onnx"]
    assert (folder / "desk" / "spots.zip").stat().st_size > 1000
