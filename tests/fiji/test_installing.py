"""zooready install: a bundle below Fiji's models, whole or not at all, with a macro that says what the bundle is."""

import numpy as np
import pytest
import tifffile
from foreign import good

from zooready import cli
from zooready.commands.install import install
from zooready.consumers.deepimagej import fiji
from zooready.errors import BundleInvalid, InputInvalid


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folders of a Fiji without anything inside."""
    monkeypatch.delenv("ZOOREADY_FIJI", raising=False)
    for name in ("jars", "plugins"):
        (tmp_path / "Fiji.app" / name).mkdir(parents=True)
    return tmp_path / "Fiji.app"


def draft(tmp_path, **own):
    bundle = good()
    bundle.rdf |= {"id": "Tiny Net/2", "name": 'Tiny "nuclei"\n//'}
    bundle.rdf["config"]["zooready"] = {**(bundle.rdf["config"].get("zooready") or {}), **own}
    return bundle.write(tmp_path / "tiny.zip")


def test_a_bundle_lies_in_the_models_with_its_files_and_macros(tmp_path, home):
    installed = install(draft(tmp_path), fiji=home)
    assert installed.folder == home / "models" / "tiny-net-2"
    assert installed.macro == installed.folder / "tiny-net-2.ijm"
    names = {path.name for path in installed.folder.iterdir()}
    assert {"rdf.yaml", "weights.pt", "tiny-net-2.ijm", *fiji.MACROS} <= names
    assert [path.name for path in installed.folder.parent.iterdir()] == ["tiny-net-2"]
    assert any("lacks" in note and "DeepImageJ" in note for note in installed.notes)


def test_of_an_id_that_is_too_long_for_a_folder_the_beginning_is_taken(tmp_path, home):
    bundle = good()
    bundle.rdf["id"] = "y" * 3000
    assert install(bundle.write(tmp_path / "tiny.zip"), fiji=home).macro == home / "models" / ("y" * 100) / f"{'y' * 100}.ijm"


def test_the_macro_says_what_the_bundle_is_and_nothing_that_a_stranger_wrote_can_end_a_string(tmp_path, home):
    text = install(draft(tmp_path, pixel_size_um=[0.2, 0.65]), fiji=home).macro.read_text()
    assert 'var ID = "tiny-net-2";' in text
    assert 'var OUTPUTS = newArray("probabilities");' in text
    assert 'var KINDS = newArray("image");' in text
    assert 'var RANGE = "0.2|0.65";' in text
    assert "var CHANNELS = 1;" in text
    assert "Tiny _nuclei____" in text
    assert "${" not in text


@pytest.mark.parametrize("said", ["0.2", [0.2], [0.2, "0.4|x"], None, [1, 2, 3]])
def test_a_pixel_size_that_makes_no_sense_is_left_out(tmp_path, home, said):
    assert 'var RANGE = "";' in install(draft(tmp_path, pixel_size_um=said), fiji=home).macro.read_text()


def test_a_model_that_is_there_is_replaced_only_by_force(tmp_path, home):
    path = draft(tmp_path)
    installed = install(path, fiji=home)
    (installed.folder / "mine.txt").write_text("notes")
    with pytest.raises(InputInvalid, match=r"tiny-net-2 is there already: use --force to replace it"):
        install(path, fiji=home)
    assert (installed.folder / "mine.txt").exists()
    install(path, fiji=home, force=True)
    assert not (installed.folder / "mine.txt").exists()
    assert installed.macro.exists()


def test_a_folder_that_is_no_model_stays_even_by_force(tmp_path, home):
    (home / "models" / "tiny-net-2").mkdir(parents=True)
    (home / "models" / "tiny-net-2" / "thesis.txt").write_text("years")
    with pytest.raises(InputInvalid, match="it holds no model: move it away first"):
        install(draft(tmp_path), fiji=home, force=True)
    assert (home / "models" / "tiny-net-2" / "thesis.txt").exists()


def test_an_installation_that_fails_leaves_the_old_model(tmp_path, home, monkeypatch):
    installed = install(draft(tmp_path), fiji=home)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zooready.commands.install.placed", full)
    with pytest.raises(InputInvalid, match=r"cannot write to .*models \(No space left on device\): check its rights"):
        install(draft(tmp_path), fiji=home, force=True)
    assert installed.macro.exists()
    assert [path.name for path in installed.folder.parent.iterdir()] == ["tiny-net-2"]


def test_what_would_crash_fiji_is_not_installed(tmp_path, home):
    bundle = good()
    del bundle.rdf["weights"]["torchscript"]
    with pytest.raises(BundleInvalid, match=r"DeepImageJ would not run onnx.zip, so it is not installed: only ONNX inside"):
        install(bundle.write(tmp_path / "onnx.zip"), fiji=home)
    assert not (home / "models").exists()


def test_a_folder_that_is_no_fiji_is_refused(tmp_path, home):
    with pytest.raises(InputInvalid, match=r"is no Fiji: it has no folders jars and plugins"):
        install(draft(tmp_path), fiji=tmp_path)
    with pytest.raises(InputInvalid, match="no Fiji is named: give --fiji its folder, or set ZOOREADY_FIJI"):
        install(draft(tmp_path))


def test_the_command_names_the_macro(tmp_path, home, capsys, monkeypatch):
    monkeypatch.setenv("ZOOREADY_FIJI", str(home))
    assert cli.main(["install", str(draft(tmp_path))]) == 0
    assert "tiny-net-2.ijm" in capsys.readouterr().out.replace("\n", "")
    assert cli.main(["install", str(tmp_path / "tiny.zip"), "--fiji", str(home)]) == 2


@pytest.mark.fiji
def test_the_installed_macro_runs_files_and_outlines_labels(tmp_path, home, deepimagej_here, monkeypatch):
    monkeypatch.setenv("ZOOREADY_FIJI", str(deepimagej_here))
    installed = install(draft(tmp_path), fiji=home)
    image = np.random.default_rng(0).random((23, 31), np.float32)
    tifffile.imwrite(tmp_path / "my image.tif", image, imagej=True)
    folder = tmp_path / "place"
    folder.mkdir()
    answers = fiji.run_macro(installed.macro, [f"{tmp_path / 'my image.tif'}|{tmp_path / 'out'}"], folder, limit_s=200, memory_mb=8192)
    assert answers == ["OK"]
    assert tifffile.imread(tmp_path / "out" / "my_image_probabilities.tif").shape == (2, 23, 31)


@pytest.mark.fiji
def test_the_macro_refuses_other_channels_lines_and_images_beyond_the_limit(tmp_path, home, deepimagej_here, monkeypatch):
    monkeypatch.setenv("ZOOREADY_FIJI", str(deepimagej_here))
    installed = install(draft(tmp_path), fiji=home)
    installed.macro.write_text(installed.macro.read_text().replace("LIMIT = 50331648", "LIMIT = 700"))
    tifffile.imwrite(tmp_path / "large.tif", np.zeros((40, 20), np.float32), imagej=True)
    tifffile.imwrite(tmp_path / "two.tif", np.zeros((2, 10, 10), np.float32), imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "line.tif", np.zeros((1, 10), np.float32), imagej=True)
    folder = tmp_path / "place"
    folder.mkdir()
    arguments = [f"{tmp_path / name}.tif|{tmp_path / 'out'}" for name in ("large", "two", "line")]
    assert fiji.run_macro(installed.macro, arguments, folder, limit_s=200, memory_mb=8192) == ["[aborted]"] * 3
    log = (folder / "log.txt").read_text()
    assert "800 elements, but DeepImageJ hangs above 700: use zooready predict" in log
    assert "takes 1 channel, but this image has 2" in log
    assert "DeepImageJ takes no images that are one pixel wide or high" in log
