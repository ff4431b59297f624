"""The pipelines that we ship, run by the real CellProfiler without a window: what it exports equals what Python says."""

import csv
import shutil

import numpy as np
import pytest
import tifffile

from zooready import predict
from zooready.consumers.cellprofiler import headless

pytestmark = pytest.mark.cellprofiler
RAW = np.random.default_rng(2).integers(0, 400, (37, 52)).astype(np.uint16)


@pytest.fixture
def exported(program, bundles, tmp_path):
    """Runs a pipeline on a 16-bit, an 8-bit and a float image; gives the folder of the images and that of what it exported."""

    def launch(name):
        for folder in ("images", "results", "home"):
            (tmp_path / folder).mkdir()
        for file in bundles.glob("*.zip"):
            shutil.copy(file, tmp_path / "images")
        tifffile.imwrite(tmp_path / "images" / "sixteen.tif", RAW)
        tifffile.imwrite(tmp_path / "images" / "eight.tif", (RAW[:20] // 2).astype(np.uint8))
        tifffile.imwrite(tmp_path / "images" / "float.tif", RAW[:, :20].astype(np.float32) / 3)
        headless.launch(headless.plugins() / name, tmp_path / "images", tmp_path / "results", home=tmp_path / "home")
        return tmp_path / "images", tmp_path / "results"

    return launch


def rows(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_segmentation_gives_the_labels_and_objects_of_python(exported):
    images, results = exported("segmentation.cppipe")
    numbers = {row["FileName_Raw"]: row["ImageNumber"] for row in rows(results / "Image.csv")}
    for name in ("sixteen", "eight", "float"):
        expected = predict(images / "segmentation.zip", images / f"{name}.tif").images["labels"].array
        found = tifffile.imread(results / f"{name}_labels.tiff")
        assert np.array_equal(found, expected)
        objects = [row for row in rows(results / "Nuclei.csv") if row["ImageNumber"] == numbers[f"{name}.tif"]]
        assert len(objects) == expected.max() > 0
        for row in objects:
            y, x = np.nonzero(expected == int(row["ObjectNumber"]))
            assert float(row["AreaShape_Area"]) == len(y)
            assert float(row["Location_Center_X"]) == pytest.approx(x.mean(), abs=1e-9)
            assert float(row["Location_Center_Y"]) == pytest.approx(y.mean(), abs=1e-9)


def test_restoration_gives_the_image_of_python_on_the_scale_of_its_input(exported):
    images, results = exported("restoration.cppipe")
    for name, scale in (("sixteen", 65535), ("eight", 255), ("float", 1)):
        expected = predict(images / "mrbcr.zip", images / f"{name}.tif").images["restored"].array
        found = tifffile.imread(results / f"{name}_restored.tiff")
        assert found.dtype == np.float32
        assert np.array_equal(found, expected / np.float32(scale))


def test_classification_gives_each_object_the_scores_of_python(exported):
    images, results = exported("classification.cppipe")
    numbers = {row["FileName_Raw"]: row["ImageNumber"] for row in rows(results / "Image.csv")}
    for name in ("sixteen", "eight", "float"):
        raw = tifffile.imread(images / f"{name}.tif")
        labels = predict(images / "segmentation.zip", raw).images["labels"].array
        objects = [row for row in rows(results / "Nuclei.csv") if row["ImageNumber"] == numbers[f"{name}.tif"]]
        assert len(objects) == labels.max() > 0
        for row in objects:
            y, x = np.nonzero(labels == int(row["ObjectNumber"]))
            piece = raw[y.min() : y.max() + 1, x.min() : x.max() + 1]
            scores = predict(images / "classifier.zip", piece).scores["scores"]
            for column, value in zip(scores.columns, scores.rows[0], strict=True):
                assert float(row[f"RunZooready_Class_{column.replace(' ', '')}"]) == pytest.approx(value, rel=1e-6)
