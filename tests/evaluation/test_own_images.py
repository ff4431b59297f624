"""A network judged on a folder of images: the numbers are those of the objects, and images that training saw are left out."""

import re
import shutil

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch

from zooready.commands.evaluate import evaluate
from zooready.data import mark, read_folder
from zooready.errors import InputInvalid
from zooready.evaluation import own_images
from zooready.families import FAMILIES, load_weights, segmentation
from zooready.training.pairs import pairs_of

FAMILY = FAMILIES["segmentation"]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def data(tmp_path):
    """Three fields of four bright squares each, with their label images."""
    for name in "abc":
        labels = np.zeros((96, 96), np.uint16)
        for number, (top, left) in enumerate(((10, 10), (10, 60), (60, 10), (60, 60)), 1):
            labels[top : top + 22, left : left + 22] = number
        image = np.random.default_rng(ord(name)).poisson(20 + 400 * (labels > 0)).astype(np.uint16)
        for kind, array in (("images", image), ("masks", labels)):
            (tmp_path / "cells" / kind).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / "cells" / kind / f"{name}.tif", array)
    return tmp_path / "cells"


def test_counts_and_scores_are_those_of_the_objects(data):
    folder = read_folder(data, segmentation.pair_of)
    truth = folder.pairs[0].truth
    methods = {"network": lambda *_: np.where(truth < 4, truth, 0), "otsu": lambda *_: truth, "li": lambda *_: truth * 0}
    row = own_images.judged(folder, 0, methods)
    assert row["image"] == "a"
    assert row["counts"] == {"network": (4, 3, 3, 3, 3.0), "otsu": (4, 4, 4, 4, 4.0), "li": (4, 0, 0, 0, 0.0)}
    assert row["f1"] == pytest.approx(6 / 7, abs=1e-4)


def test_the_page_has_every_method_every_image_and_a_picture(data, tmp_path):
    page = evaluate("segmentation", tmp_path / "out", data=data)
    text = page.read_text(encoding="utf-8")
    assert page.name == "segmentation-on-cells.md"
    assert "3 images of the folder 'cells'." in text
    for method in ("this network", "Otsu + watershed", "Li + watershed"):
        assert re.search(rf"\| {re.escape(method)} \| 12 \| \d+ \|", text)
    assert all(f"| {name} | 4 | 4 | 1.000 |" in text for name in "abc")
    assert PIL.Image.open(tmp_path / "out" / "segmentation-on-cells.png").size[0] > 400


def test_of_the_folder_that_was_trained_on_only_held_out_images_are_judged(data, tmp_path):
    weights, folder = load_weights("segmentation"), read_folder(data, segmentation.pair_of)
    text = own_images.write(FAMILY, weights, data, tmp_path, data_sha256=folder.sha256, seed=0).read_text(encoding="utf-8")
    assert "1 image of the folder 'cells', those that training did not see, without 2 that it saw." in text
    held_out = folder.names[folder.split(0)[1][0]]
    assert [name for name in folder.names if f"| {name} | 4 |" in text] == [held_out]


def test_images_that_training_saw_are_known_wherever_they_lie(data, tmp_path):
    weights, folder = load_weights("segmentation"), read_folder(data, segmentation.pair_of)
    marks = pairs_of(FAMILY, data, 0).trained_on
    assert marks == tuple(sorted(mark(folder.pairs[member].input) for member in folder.split(0)[0]))
    for kind in ("images", "masks"):
        for number, name in enumerate("abc"):
            (data / kind / f"{name}.tif").rename(data / kind / f"renamed{number}.tif")
        shutil.copy(data / kind / "renamed0.tif", data / kind / "one-more.tif")
        tifffile.imwrite(data / kind / "one-more.tif", np.flip(tifffile.imread(data / kind / "one-more.tif")))
    text = own_images.write(FAMILY, weights, data, tmp_path, trained_on=marks).read_text(encoding="utf-8")
    assert "2 images of the folder 'cells', those that training did not see, without 2 that it saw." in text
    everything = [mark(pair.input) for pair in read_folder(data, segmentation.pair_of).pairs]
    text = own_images.write(FAMILY, weights, data, tmp_path, trained_on=everything).read_text(encoding="utf-8")
    assert "4 images of the folder 'cells', **all of which training saw, so that the numbers say little about others**." in text


def test_stacks_are_judged_too_and_their_middle_planes_drawn(tmp_path):
    z, y, x = np.mgrid[:12, :64, :64]
    labels = np.zeros((12, 64, 64), np.uint16)
    for number, (row, column) in enumerate(((16, 16), (16, 48), (48, 16), (48, 48)), 1):
        labels[((z - 6) * 2.5) ** 2 + (y - row) ** 2 + (x - column) ** 2 < 11**2] = number
    image = np.random.default_rng(0).poisson(20 + 400 * (labels > 0)).astype(np.uint16)
    for kind, array in (("images", image), ("masks", labels)):
        (tmp_path / "nuclei" / kind).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "nuclei" / kind / "a.tif", array, imagej=True, metadata={"axes": "ZYX"})
    text = evaluate("segmentation3d", tmp_path / "out", data=tmp_path / "nuclei").read_text(encoding="utf-8")
    assert "1 image of the folder 'nuclei'." in text
    for method in ("this network", "Otsu + watershed"):
        assert re.search(rf"\| {re.escape(method)} \| 4 \| 4 \| 1\.000 \|", text)
    assert PIL.Image.open(tmp_path / "out" / "segmentation3d-on-nuclei.png").size[0] > 400


def test_a_family_that_finds_no_objects_is_refused(data, tmp_path):
    with pytest.raises(InputInvalid, match="mrbcr does not find objects, and only families that do can be judged on your images"):
        evaluate("mrbcr", tmp_path, data=data)
