"""Explain and measure as a person calls them: files in, files out, from bundles, runs and the command line."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import zooready
from zooready import pipeline
from zooready.cli import main
from zooready.errors import BundleInvalid, InputInvalid
from zooready.images.files import write_image
from zooready.pipeline import asking
from zooready.records import Image
from zooready.training.checkpoint import RECORD


@pytest.fixture
def files(three, tmp_path):
    """Two images with labels, cells.tif and more.tif, in a folder."""
    image, labels = three
    for name, shift in (("cells", 0), ("more", 7)):
        write_image(Image(array=np.roll(image.array, shift, 0), axes="yx", pixel_size_um=0.25), tmp_path / f"{name}.tif")
        write_image(Image(array=np.roll(labels, shift, 0), axes="yx"), tmp_path / f"{name}-labels.tif")
    return tmp_path


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_from_the_command_line_has_a_row_for_each_object_of_each_image(bundles, files, capsys):
    images, labels = ([str(files / f"{name}{end}.tif") for name in ("cells", "more")] for end in ("", "-labels"))
    assert main(["measure", str(bundles["patterns"]), *images, "--labels", *labels, "--out", str(files / "table.csv"), "--crop", "48"]) == 0
    rows = read(files / "table.csv")
    assert [(row["image"], row["label"]) for row in rows] == [(f"{name}.tif", str(n)) for name in ("cells", "more") for n in (2, 5, 9)]
    assert [row["class"] for row in rows][:3] == ["spots", "bars", "smooth"]
    assert "6 objects" in capsys.readouterr().out


def test_arrays_are_measured_as_files_are_and_nothing_is_written_unasked(bundles, three, files):
    image, labels = three
    found = pipeline.measure(bundles["patterns"], [image], labels=[labels])
    written = pipeline.measure(bundles["patterns"], [files / "cells.tif"], files / "table.csv", labels=[files / "cells-labels.tif"])
    assert found.column("image") == ["image_000"] * 3
    assert found.matrix("embedding_", "intensity_", "adjacency_") == pytest.approx(written.matrix("embedding_", "intensity_", "adjacency_"))
    assert not (files / "image_000").exists()


def test_objects_are_found_by_a_segmentation_bundle(bundles, three):
    image, _ = three
    found = pipeline.measure(bundles["patterns"], [image], segment=bundles["bright"])
    assert found.column("shape_area_px2") == [int((image.array > 300).sum())]


def test_the_segmentation_takes_its_own_channel(bundles, three):
    image, _ = three
    both = Image(array=np.stack([image.array, np.flip(image.array) // 2]), axes="cyx", pixel_size_um=0.25)
    first, second = (
        pipeline.measure(bundles["patterns"], [both], segment=bundles["bright"], channel=1, segment_channel=number) for number in (1, 2)
    )
    assert first.column("shape_area_px2") == [int((both.array[0] > 300).sum())]
    assert second.column("shape_area_px2") == [int((both.array[1] > 300).sum())]


def test_an_image_in_which_nothing_is_found_is_noted_and_all_of_them_refused(bundles, three):
    image, _ = three
    dark = np.full((20, 20), 9, np.uint16)
    found = pipeline.measure(bundles["patterns"], [dark, image], segment=bundles["bright"])
    assert len(found.rows) == 1
    assert "image_000: no object was found." in found.notes
    with pytest.raises(InputInvalid, match="no object was found in image_000: look at the segmentation"):
        pipeline.measure(bundles["patterns"], [dark], segment=bundles["bright"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": [np.ones((4, 4))] * 2}, "2 label images for 1 images"),
        ({"labels": [np.ones((4, 4))], "segment": "x.zip"}, "labels and a segmentation were both given"),
        ({"labels": [np.ones((4, 4))]}, r"image_000: the labels have shape \(4, 4\)"),
        ({"labels": [np.ones((2, 100, 160))]}, "a mask or label image has axes 'cyx'"),
    ],
    ids=["count", "both", "size", "channels"],
)
def test_labels_that_do_not_match_are_refused(bundles, three, options, words):
    with pytest.raises(InputInvalid, match=words):
        pipeline.measure(bundles["patterns"], [three[0]], **options)


def test_two_images_of_one_name_are_refused(bundles, files):
    with pytest.raises(InputInvalid, match=r"several images are called cells.tif"):
        pipeline.measure(bundles["patterns"], [files / "cells.tif", files / "cells.tif"])


def test_a_segmentation_without_labels_is_refused(bundles, three):
    with pytest.raises(BundleInvalid, match=r"patterns.zip gives scores \(scores\) and no labels"):
        pipeline.measure(bundles["patterns"], [three[0]], segment=bundles["patterns"])


def test_explanations_from_the_command_line_leave_figures_and_numbers(bundles, files, capsys):
    write_image(Image(array=np.ones((100, 160), np.uint8), axes="yx"), files / "mask.tif")
    wanted = [str(bundles["patterns"]), str(files / "cells.tif"), "--out", str(files / "why"), "--class", "bars", "--seed", "3"]
    assert main(["explain", *wanted, "--mask", str(files / "mask.tif")]) == 0
    told = json.loads((files / "why" / "cells_explanation.json").read_text(encoding="utf-8"))
    assert (told["class"], told["seed"]) == ("bars", 3)
    assert (files / "why" / "cells_occlusion.png").exists()
    said = capsys.readouterr().out
    assert "explained: bars" in said
    assert "class_activation: 100% inside the cell, 100% in a box" in said
    assert "no integrated gradients" in said


def test_an_unknown_class_is_a_sentence_and_an_exit_code(bundles, files, capsys):
    wanted = [str(bundles["patterns"]), str(files / "cells.tif"), "--out", str(files / "why"), "--class", "stripes"]
    assert main(["explain", *wanted]) == 2
    assert "no class is called 'stripes'" in capsys.readouterr().err
    assert not (files / "why").exists()


@pytest.fixture
def quick_export(bundles, monkeypatch):
    """Exports give the classifier of these tests, without work; returns what was asked for."""
    asked = []

    def copy(source, out, torchscript):
        asked.append((str(source), out.name, torchscript))
        shutil.copy(bundles["patterns"], out)
        return SimpleNamespace(path=out)

    monkeypatch.setattr(asking, "export_trained", copy)
    return asked


def test_a_run_or_a_shipped_family_is_exported_for_the_question_and_trusted(quick_export, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-run").mkdir()
    (tmp_path / "my-run" / RECORD).write_text("{}")
    for source in ("my-run", "segmentation"):
        with asking.bundle_of(source) as bundle:
            assert bundle.trusted
            assert bundle.kinds == (("scores", "scores"),)
        assert not bundle.folder.exists()
    assert quick_export == [("my-run", "my-run.zip", "plain"), ("segmentation", "segmentation.zip", "plain")]


def test_the_bundle_of_a_family_tells_the_size_of_the_cells_that_it_was_trained_on(monkeypatch):
    monkeypatch.setattr("zooready.exporting.exported.export", lambda *args, provenance, **kwargs: provenance)
    assert pipeline.export_trained("plcnn")["crop_px"] == 96
    assert pipeline.export_trained("segmentation")["crop_px"] is None


def test_a_bundle_is_not_trusted_unasked(bundles):
    for trust in (False, True):
        with asking.bundle_of(bundles["patterns"], trust_code=trust) as bundle:
            assert bundle.trusted is trust


def test_what_is_neither_bundle_nor_run_nor_family_is_refused():
    with pytest.raises(BundleInvalid, match="nowhere.zip"), asking.bundle_of("nowhere.zip"):
        pass


@pytest.mark.slow
def test_a_finished_run_is_explained_as_the_bundle_that_it_would_make(tmp_path):
    zooready.train("mrbcr", tmp_path / "run", steps=1, batch=1, device="cpu")
    image = np.random.default_rng(0).poisson(200, (40, 48)).astype(np.uint16)
    found = zooready.explain(tmp_path / "run", image, tmp_path / "why")
    assert [one.name for one in found.explanations] == ["receptive_field", "noise_sensitivity", "uncertainty"]
    assert found.facts["bundle"] == "run.zip"
    assert {path.name for path in found.files} == {path.name for path in (tmp_path / "why").iterdir()}
    assert "image_explanation.json" in {path.name for path in found.files}
