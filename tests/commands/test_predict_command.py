"""`zooready predict`: folders, axes, grey in colour, and what else people have."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from broken import good

import zooready
from zooready import cli
from zooready.commands import predict
from zooready.commands.predict import predict_files
from zooready.errors import InputInvalid
from zooready.images.files import read_image
from zooready.prediction import Prediction

GREY = np.random.default_rng(0).integers(0, 250, (20, 24), dtype=np.uint8)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return good().write(tmp_path_factory.mktemp("bundle") / "tiny.zip")


def written(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_gives_all_images_in_it_and_no_hidden_files(bundle, tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.tif", "b.TIFF"):
        tifffile.imwrite(images / name, GREY)
    (images / "._a.tif").write_bytes(b"\0\5\26\7")
    (images / "notes.txt").write_text("none")
    (images / "deeper.tif").mkdir()
    assert cli.main(["predict", str(bundle), str(images), "-o", str(tmp_path / "out")]) == 0, capsys.readouterr().out
    assert written(tmp_path / "out") == ["a_probabilities.tif", "b_probabilities.tif"]


def test_one_image_with_one_output_is_written_to_the_file_that_is_named(bundle, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    assert cli.main(["predict", str(bundle), str(tmp_path / "a.tif"), "-o", str(tmp_path / "deeper" / "out.tif")]) == 0
    assert written(tmp_path / "deeper") == ["out.tif"]
    assert np.array_equal(read_image(tmp_path / "deeper" / "out.tif").array, zooready.predict(bundle, GREY).images["probabilities"].array)
    assert cli.main(["predict", str(bundle), str(tmp_path / "a.tif"), "-o", str(tmp_path / "out.csv")]) == 2
    assert "'probabilities' is an image: let the file's name end in .tif" in " ".join("".join(capsys.readouterr()).split())


def test_one_file_for_several_results_is_refused(bundle, tmp_path):
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, GREY)
    with pytest.raises(InputInvalid, match=r"out.tif is one file, and there are 2 images: name a folder"):
        list(predict_files(bundle, [tmp_path / "a.tif", tmp_path / "b.tif"], tmp_path / "out.tif"))
    two = good()
    two.rdf["outputs"].append({**two.rdf["outputs"][0], "id": "again"})
    two.rdf["config"]["zooready"]["cases"] = []
    with pytest.raises(InputInvalid, match=r"out.tif is one file, and two.zip has several outputs \(probabilities, again\)"):
        list(predict_files(two.write(tmp_path / "two.zip"), [tmp_path / "a.tif"], tmp_path / "out.tif"))
    assert not (tmp_path / "out.tif").exists()


def test_an_image_whose_values_no_network_can_use_gets_no_result_and_the_others_theirs(bundle, tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    tifffile.imwrite(images / "a.tif", GREY)
    tifffile.imwrite(images / "large.tif", GREY.astype(np.float32) * 1e20)
    assert cli.main(["predict", str(bundle), str(images), "-o", str(tmp_path / "out")]) == 2
    assert written(tmp_path / "out") == ["a_probabilities.tif"]
    assert "beyond 1e+15 does not fit into float32, and the result would be of no use" in " ".join("".join(capsys.readouterr()).split())


@pytest.mark.parametrize(("outputs", "code"), [((), 0), (("maps",), 1)])
def test_a_result_that_is_not_finite_is_no_success(monkeypatch, capsys, outputs, code):
    written = [(Path(name), Prediction(notes=("read",), not_finite=found), (Path("out"),)) for name, found in (("a", outputs), ("b", ()))]
    monkeypatch.setattr(predict, "predict_files", lambda *_, **__: iter(written))
    assert cli.main(["predict", "tiny.zip", "a", "b", "-o", "out"]) == code
    assert "read" in "".join(capsys.readouterr())


def test_no_image_is_overwritten_by_a_result(bundle, tmp_path):
    names = ("a.tif", "a_probabilities.tif")
    for name in names:
        tifffile.imwrite(tmp_path / name, GREY)
    for images, out in ((names[:1], "a.tif"), (names[:1], "deeper/../a.tif"), (names, "")):
        (tmp_path / "deeper").mkdir(exist_ok=True)
        with pytest.raises(InputInvalid, match=r"\.tif would be overwritten by a result: name another folder or file"):
            list(predict_files(bundle, [tmp_path / name for name in images], tmp_path / out))
    for name in names:
        np.testing.assert_array_equal(tifffile.imread(tmp_path / name), GREY)


def test_a_folder_without_images_or_for_the_results_too_is_refused(bundle, tmp_path, capsys):
    assert cli.main(["predict", str(bundle), str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "is a folder, not an image: name the files inside it" in " ".join("".join(capsys.readouterr()).split())
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    with pytest.raises(InputInvalid, match="the results would be written among the images of"):
        list(predict_files(bundle, [tmp_path], tmp_path))


def test_a_plain_stack_is_predicted_with_its_axes(bundle, tmp_path, capsys):
    with tifffile.TiffWriter(tmp_path / "stack.tif") as tiff:
        for shift in range(3):
            tiff.write(np.roll(GREY, shift, 0), contiguous=False, metadata=None)
    assert cli.main(["predict", str(bundle), str(tmp_path / "stack.tif"), "-o", str(tmp_path / "out"), "--axes", "zyx"]) == 0
    result = read_image(tmp_path / "out" / "stack_probabilities.tif")
    assert result.axes.startswith("z")
    for shift in range(3):
        alone = zooready.predict(bundle, np.roll(GREY, shift, 0)).images["probabilities"].array
        assert np.array_equal(result.array[shift], alone)
    assert np.array_equal(zooready.predict(bundle, tmp_path / "stack.tif", axes="zyx").images["probabilities"].array, result.array)


def test_grey_in_colour_gives_what_grey_gives(bundle, tmp_path):
    tifffile.imwrite(tmp_path / "rgba.tif", np.stack([GREY] * 3 + [GREY * 0 + 255], -1), photometric="rgb", extrasamples=["unassalpha"])
    grey, colour = (zooready.predict(bundle, image).images["probabilities"].array for image in (GREY, tmp_path / "rgba.tif"))
    assert np.array_equal(grey, colour)


def test_a_family_is_predicted_as_its_bundle_is(bundle, monkeypatch):
    from zooready.commands import export, predict

    asked = []
    monkeypatch.setattr(export, "is_family", lambda source: source == "segmentation")
    monkeypatch.setattr(export, "export", lambda source, **options: asked.append(source) or type("Result", (), {"path": bundle}))
    result = predict.predict("segmentation", GREY)
    assert asked == ["segmentation"]
    assert np.array_equal(result.images["probabilities"].array, predict.predict(bundle, GREY).images["probabilities"].array)
