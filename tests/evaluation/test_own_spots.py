"""Spots judged on a folder of a person's own: by the distance of marks from places, beside the classical method."""

import re

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch

from zooready.commands.evaluate import evaluate
from zooready.evaluation import spots
from zooready.simulate.spots import field


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_spots_are_judged_by_distance_beside_the_classical_method(tmp_path):
    """The masks are single pixels, as points of ImageJ are, on which no overlap could be counted."""
    count = 0
    for name in "ab":
        image, marks = field(np.random.default_rng(ord(name)), 128)
        points = np.zeros(marks.shape, np.uint16)
        for number, (y, x) in enumerate(np.rint(spots.family.middles(marks)).astype(int), 1):
            points[y, x] = number
        count += points.max()
        for kind, array in (("images", image.astype(np.uint16)), ("masks", points)):
            (tmp_path / "rna" / kind).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / "rna" / kind / f"{name}.tif", array)
    text = evaluate("spots", tmp_path / "out", data=tmp_path / "rna").read_text(encoding="utf-8")
    assert "2 images of the folder 'rna'. A spot is found if it is marked within 3 px." in text
    assert "| method | spots | found | F1 within 3 px | mean distance, px |" in text
    f1 = {}
    for method in ("this network", "Laplacian of a Gaussian, 5 x noise", "Laplacian of a Gaussian, best threshold"):
        f1[method] = float(re.search(rf"\| {re.escape(method)} \| {count} \| \d+ \| ([01]\.\d+) \| 0\.\d+ \|", text)[1])
    assert f1["this network"] > 0.8
    assert all(f"| {name} | " in text for name in "ab")
    assert PIL.Image.open(tmp_path / "out" / "spots-on-rna.png").size[0] > 400


def test_scores_are_those_of_the_sums_and_of_nothing_there_is_no_distance():
    truth, marks = np.zeros((2, 20, 20), np.int32)
    truth[5, 5], truth[15, 15], marks[5, 7], marks[1, 18] = 1, 2, 1, 2
    assert spots.distances(truth, marks) == (2, 2, 1, 2.0)
    assert spots.scores_of_distances(4, 4, 2, 3.0) == {"spots": 4, "found": 4, spots.F1: 0.5, "mean distance, px": 1.5}
    assert spots.scores_of_distances(0, 0, 0, 0.0) == {"spots": 0, "found": 0, spots.F1: 1.0}
