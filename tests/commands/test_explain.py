"""Explaining as a person does: an image in, figures and numbers out, from bundles, runs and the command line."""

import json

import numpy as np
import pytest
import tifffile

import zooready
from zooready.cli import main
from zooready.images.files import write_image
from zooready.records import Image


@pytest.fixture
def files(three, tmp_path):
    """cells.tif in a folder."""
    write_image(three[0], tmp_path / "cells.tif")
    return tmp_path


def test_explanations_from_the_command_line_leave_figures_and_numbers(bundles, files, capsys):
    write_image(Image(array=np.ones((100, 160), np.uint8), axes="yx"), files / "mask.tif")
    wanted = [str(bundles["patterns"]), str(files / "cells.tif"), "--out", str(files / "why"), "--class", "bars", "--seed", "3"]
    assert main(["explain", *wanted, "--mask", str(files / "mask.tif")]) == 0
    explanation = json.loads((files / "why" / "cells_explanation.json").read_text(encoding="utf-8"))
    assert (explanation["class"], explanation["seed"]) == ("bars", 3)
    assert (files / "why" / "cells_occlusion.png").exists()
    printed = capsys.readouterr().out
    assert "explained: bars" in printed
    assert "class_activation: 100% inside the cell, 100% in a box" in printed
    assert "no integrated gradients" in printed


def test_a_plain_stack_of_channels_is_explained_once_its_axes_are_named(bundles, three, files):
    plain = np.stack([three[0].array * 0, three[0].array])
    tifffile.imwrite(files / "plain.tif", plain, photometric="minisblack", metadata=None)
    given = [str(bundles["patterns"]), str(files / "plain.tif"), "--out", str(files / "why"), "--channel", "2", "--axes", "cyx"]
    assert main(["explain", *given]) == 0
    alone, turned = (
        zooready.explain(bundles["patterns"], image, axes=axes) for image, axes in ((three[0].array, None), (three[0].array.T, "xy"))
    )
    found = json.loads((files / "why" / "plain_explanation.json").read_text(encoding="utf-8"))
    assert found["scores"] == pytest.approx(alone.facts["scores"])
    assert turned.facts["scores"] == pytest.approx(alone.facts["scores"])


def test_an_unknown_class_is_a_sentence_and_an_exit_code(bundles, files, capsys):
    wanted = [str(bundles["patterns"]), str(files / "cells.tif"), "--out", str(files / "why"), "--class", "stripes"]
    assert main(["explain", *wanted]) == 2
    assert "no class is called 'stripes'" in capsys.readouterr().err
    assert not (files / "why").exists()


@pytest.mark.slow
def test_a_finished_run_is_explained_as_the_bundle_that_it_would_make(tmp_path):
    zooready.train("mrbcr", tmp_path / "run", steps=1, batch=1, device="cpu")
    image = np.random.default_rng(0).poisson(200, (40, 48)).astype(np.uint16)
    explained = zooready.explain(tmp_path / "run", image, tmp_path / "why")
    assert [explanation.name for explanation in explained.explanations] == ["receptive_field", "noise_sensitivity", "uncertainty", "doubt"]
    assert explained.facts["bundle"] == "run.zip"
    assert {path.name for path in explained.files} == {path.name for path in (tmp_path / "why").iterdir()}
    assert "image_explanation.json" in {path.name for path in explained.files}
