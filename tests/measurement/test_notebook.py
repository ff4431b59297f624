"""What a notebook shows of predictions, tables and runs; and a predictor that is loaded once."""

import base64
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from zooready.commands.predict import Predictor, predict
from zooready.errors import InputInvalid
from zooready.images.files import write_image
from zooready.measurement.rows import Table
from zooready.prediction import Prediction
from zooready.prediction.whole import Scores
from zooready.records import Image
from zooready.training.checkpoint import Checkpoint


def pictures(text):
    return [np.asarray(PIL.Image.open(BytesIO(base64.b64decode(code)))) for code in re.findall(r"base64,([^']+)'", text)]


def test_a_prediction_shows_images_scores_and_notes():
    labels = np.zeros((20, 30), np.uint16)
    labels[2:6, 3:9] = 1
    stack = np.zeros((3, 2, 20, 30), np.float32)
    stack[1, 1, 5] = 7.0  # in the middle plane of the second channel
    shown = Prediction(
        images={
            "labels": Image(array=labels, axes="yx", channels=("nuclei",), pixel_size_um=0.25),
            "maps": Image(array=stack, axes="zcyx", channels=("<b>", "spots")),
        },
        scores={"scores": Scores(columns=("actin", "dna"), rows=((0.25, 0.75),))},
        notes=("look at <this>",),
    )._repr_html_()
    found, first, second = pictures(shown)
    assert np.ptp(found, axis=2).any()  # labels in colours
    assert not first.any()
    assert second[5].any()
    assert "labels: yx 20 x 30, 0.25 µm a pixel" in shown
    assert "maps &lt;b&gt;" in shown
    assert "look at &lt;this&gt;" in shown
    assert "<td>0.75</td>" in shown


def test_a_long_table_is_cut_and_says_so():
    table = Table(
        columns=tuple(f"c{n}" for n in range(20)), rows=tuple((n, None, 1 / 3, *range(17)) for n in range(40)), notes=("careful",)
    )
    shown = table._repr_html_()
    assert shown.count("<tr>") == 11
    assert "40 rows, 20 columns" in shown
    assert "<td></td><td>0.3333</td>" in shown
    assert "careful" in shown


def test_a_run_shows_its_metrics():
    run = Checkpoint(folder=Path("run"), family="segmentation", seed=0, steps=5, batch=2, data="simulated", metrics={"f1_50": 0.875})
    assert "<td>f1_50</td><td>0.875</td>" in run._repr_html_()


def test_a_predictor_gives_what_predict_gives_for_every_image(bundles, three, tmp_path):
    image, _ = three
    with Predictor(bundles["bright"]) as predictor:
        for factor in (1, 2):
            array = image.array * np.uint16(factor)
            found, expected = predictor(array).images["labels"], predict(bundles["bright"], array).images["labels"]
            np.testing.assert_array_equal(found.array, expected.array)
        write_image(image, tmp_path / "a.tif")
        assert predictor(tmp_path / "a.tif").images["labels"].pixel_size_um == pytest.approx(0.25)
        folder = predictor.bundle.folder
        assert folder.exists()
    assert not folder.exists()
    with pytest.raises(InputInvalid, match="this predictor was closed: make a new one"):
        predictor(image.array)


def test_a_predictor_of_weights_that_are_not_there_is_refused(bundles):
    with pytest.raises(InputInvalid, match="holds no torchscript"):
        Predictor(bundles["bright"], format="torchscript")
