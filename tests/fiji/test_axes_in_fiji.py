"""Stacks, time series and both: the macro gives every plane what the network gives it alone, or says in words why not."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import stand_in
import tifffile
import toy
from scenes import AXES, CHANNELS, check_planes, expected, planes_of, write, write_channels

from zooready.commands.install import install

pytestmark = pytest.mark.java
KINDS = {"labels": "labels", "maps": "image", "scores": "scores", "stack": "image"}
NAMES = {"labels": "bands", "maps": "bright,dark", "scores": "highest,middle,lowest", "stack": "grey"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return toy.write(tmp_path_factory.mktemp("toy") / "toy.zip")


@pytest.fixture
def installed(bundle, tmp_path, monkeypatch):
    """Install the toy as a macro of some outputs, and of stacks where ``planes`` says so, run by the stand-in."""
    monkeypatch.delenv("ZOOREADY_FIJI", raising=False)
    for name in ("jars", "plugins"):
        (tmp_path / "Fiji.app" / name).mkdir(parents=True)

    def macro_of(names, planes="", about="", channels=1):
        macro = install(bundle, fiji=tmp_path / "Fiji.app", force=True).macro
        _state(macro, names, planes, about, channels)
        return macro

    return macro_of


def _state(macro, names, planes, about, channels):
    """Let an installed macro be that of another network, and call the stand-in."""
    stated = {
        "OUTPUTS": f"newArray({_quoted(names)})",
        "KINDS": f"newArray({_quoted(KINDS[name] for name in names)})",
        "NAMES": f"newArray({_quoted(NAMES[name] for name in names)})",
        "STACKS": str("stack" in names and not planes).lower(),
        "CHANNELS": str(channels),
        "TAKES_Z": str(bool(planes)).lower(),
    }
    stated |= {"PLANES": f"newArray({planes})"} if planes else {}
    stated |= {"RANGE": f'"{about}"'} if about else {}
    text = macro.read_text(encoding="utf-8")
    for name, value in stated.items():
        text, count = re.subn(rf"(?m)^var {name} = .*?;", f"var {name} = {value};", text)
        assert count == 1
    macro.write_text(text, encoding="utf-8")
    stand_in.put_into(macro, names)


def _quoted(texts):
    return ", ".join(f'"{text}"' for text in texts)


def ran(macro, path, paths, folder):
    return macro(f'return runMacro("{path}", getArgument());', *(f"{one}|{folder / 'out'}" for one in paths))


def documented(kind, column):
    """Whether the table of docs/fiji.md says that the macro runs."""
    rows = {"plane": "a single plane", "depth1": "a single plane", "z": "z-stack |", "t": "time series |", "tz": "z-stack over time |"}
    text = (Path(__file__).parents[2] / "docs" / "fiji.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^\| {re.escape(rows[kind])}.*$", text, re.MULTILINE)
    return not line.split("|")[2 + column].strip().startswith("refused")


def test_every_plane_of_every_kind_of_image_is_what_it_is_alone(macro, installed, tmp_path):
    path = installed(("labels", "maps", "scores"))
    assert ran(macro, path, [write(tmp_path, kind) for kind in AXES], tmp_path) == ["OK"] * len(AXES)
    assert all(documented(kind, column) for kind in AXES for column in (0, 1))
    check_planes(tmp_path / "out", AXES)


@pytest.mark.parametrize("axes", CHANNELS)
def test_channels_stay_together_in_every_plane(two_channels, axes):
    found, expected_ones = two_channels[axes]
    np.testing.assert_allclose(found, expected_ones, atol=1e-6)


@pytest.fixture(scope="module")
def two_channels(bundle, macro, tmp_path_factory):
    """{axes: (result, what it should be)} of images with two channels; all run in one ImageJ."""
    folder = tmp_path_factory.mktemp("channels")
    for name in ("jars", "plugins"):
        (folder / "Fiji.app" / name).mkdir(parents=True)
    path = install(bundle, fiji=folder / "Fiji.app").macro
    _state(path, ("maps",), "", "", 2)
    wanted = write_channels(folder)
    answers = ran(macro, path, [folder / f"{name}.tif" for name in (*CHANNELS, "three")], folder)
    assert answers == [*["OK"] * len(CHANNELS), "[aborted]"]
    return {axes: (tifffile.imread(folder / "out" / f"{axes}_maps.tif"), wanted[axes]) for axes in CHANNELS}


def test_a_stack_made_of_a_plane_comes_for_every_time_point_and_not_for_every_plane(macro, installed, tmp_path):
    path = installed(("stack",))
    paths = [write(tmp_path, kind) for kind in ("plane", "t", "z", "tz")]
    assert ran(macro, path, paths, tmp_path) == ["OK", "OK", "[aborted]", "[aborted]"]
    assert [documented(kind, 2) for kind in ("plane", "t", "z", "tz")] == [True, True, False, False]
    for kind in ("plane", "t"):
        found = tifffile.imread(tmp_path / "out" / f"{kind}_stack.tif")
        np.testing.assert_allclose(found, expected(kind, "stack"), atol=1e-4)


def test_a_network_of_stacks_takes_stacks_alone_and_each_time_point_as_one(macro, installed, tmp_path):
    path = installed(("labels",), planes="2, 1", about="0.2|0.4|0.8")
    paths = [write(tmp_path, kind) for kind in ("z", "tz", "t", "plane", "depth1")]
    assert ran(macro, path, paths, tmp_path) == ["OK", "OK", *["[aborted]"] * 3]
    assert [documented(kind, 3) for kind in ("z", "tz", "t", "plane", "depth1")] == [True, True, False, False, False]
    for kind in ("z", "tz"):
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / f"{kind}_labels.tif"), planes_of(kind) // 100)
    assert ran(macro, installed(("labels",), planes="4, 4"), paths[:1], tmp_path) == ["[aborted]"]
    assert ran(macro, installed(("labels",), planes="3, 0"), paths[:1], tmp_path) == ["[aborted]"]


def test_a_stack_that_would_be_scaled_beyond_the_limit_of_a_piece_is_refused(macro, installed, tmp_path):
    path = installed(("labels",), planes="2, 1")
    text = path.read_text().replace("LIMIT = 50331648", "LIMIT = 4000")  # two planes of 600 px, of 2400 px at twice the size
    path.write_text(text.replace('DIAMETERS = ""', 'DIAMETERS = "10|40"'))
    stack, out = write(tmp_path, "z"), tmp_path / "out"
    answers = macro(f'return runMacro("{path}", getArgument());', *(f"{stack}|{out}|{diameter}" for diameter in (20, 10)))
    assert answers == ["OK", "[aborted]"]


def test_the_script_for_pyimagej_gets_every_plane_and_says_what_failed(macro, installed, tmp_path, monkeypatch):
    """Its ImageJ is a plain one in a child process, which runs the macro; arrays come from the files, as pyimagej's do."""
    path = installed(("labels", "scores"))
    spec = importlib.util.spec_from_file_location("run_bundle", Path(__file__).parents[2] / "export" / "pyimagej" / "run_bundle.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    one = SimpleNamespace(
        runMacroFile=lambda file, argument: macro(f'return runMacro("{file}", getArgument());', argument)[0], openImage=tifffile.imread
    )
    gateway = SimpleNamespace(IJ=one, py=SimpleNamespace(from_java=lambda array: array))
    monkeypatch.chdir(path.parents[2])
    found = script.run(gateway, path.parent.name, write(tmp_path, "tz"), tmp_path / "out")
    assert set(found) == {"labels", "scores"}
    np.testing.assert_array_equal(found["labels"], planes_of("tz") // 100)
    np.testing.assert_allclose(found["scores"].squeeze(), expected("tz", "scores"), rtol=1e-6)
    path = installed(("stack",))
    with pytest.raises(RuntimeError, match=r"wrote no results for tz.tif \(the macro returned \[aborted\]\): see what it printed above"):
        script.run(gateway, path.parent.name, tmp_path / "tz.tif", tmp_path / "out")


def test_what_was_refused_is_said_with_the_cure(installed):
    text = installed(("labels",), planes="2, 1").read_text()
    for words in (
        "are stored as time (",
        "exchange slices and frames in Image > Properties",
        "but this image is a single plane: open the whole stack",
        "use Image > Duplicate to select one plane",
    ):
        assert words in text


def test_values_are_those_that_imagej_shows(macro, installed, tmp_path):
    """ImageJ keeps signed 16 bits as 32768 more, and shows them by a calibration function."""
    shown = (np.arange(600).reshape(20, 30) - 100).astype(np.int16)
    tifffile.imwrite(tmp_path / "signed.tif", shown)
    assert ran(macro, installed(("stack",)), [tmp_path / "signed.tif"], tmp_path) == ["OK"]
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out" / "signed_stack.tif")[0], shown, atol=0.01)
