"""The objects of a folder of label images, as its bundle states them."""

import logging

import numpy as np
import pytest
import tifffile

from zooready.data import notes_on_points, objects_in
from zooready.families import FAMILIES
from zooready.records import Pair
from zooready.training.pairs import pairs_of


def pair(width, dark=0.0, bright=100.0):
    labels = np.zeros((100, 100), np.int32)
    labels[10 : 10 + width, 10 : 10 + width], labels[60:80, 60:80] = 1, 2
    image = np.where(labels > 0, bright, dark).astype(np.float32) + np.linspace(0, 1, 100, dtype=np.float32)
    return Pair(input=image[None], target=labels[None].astype(np.float32), pixel_size_um=1.0, truth=labels)


def test_sizes_shares_and_backgrounds_are_those_of_the_images_with_some_room():
    objects = objects_in([pair(10), pair(40)])
    low, high = objects.diameter_px
    assert 10 / 1.5 < low < 10 * 1.3 / 1.5 + 0.1
    assert 40 * 1.12 < high < 40 * 1.13 * 1.5 + 0.1
    assert objects.foreground == 0.6
    assert objects.background == (0.0, 0.21)
    assert objects_in([pair(10, dark=100, bright=0)]).background == (0.79, 1.0)


def test_images_without_objects_state_nothing():
    empty = Pair(input=np.zeros((1, 40, 40)), target=np.zeros((1, 40, 40)), pixel_size_um=1.0, truth=np.zeros((40, 40), np.int32))
    assert objects_in([empty, Pair(input=empty.input, target=empty.target, pixel_size_um=1.0)]) is None
    assert objects_in([empty, pair(20)]) == objects_in([pair(20)])


def test_masks_of_single_points_are_noted_and_a_few_stray_pixels_are_not():
    points = Pair(input=np.zeros((1, 40, 40)), target=np.zeros((1, 40, 40)), pixel_size_um=1.0, truth=np.diag(np.arange(40)))
    (note,) = notes_on_points([points, pair(20)])
    assert "single pixels" in note
    assert "train spots" in note
    assert notes_on_points([pair(1), pair(20), pair(20)]) == []
    assert notes_on_points([Pair(input=points.input, target=points.target, pixel_size_um=1.0)]) == []


@pytest.mark.parametrize(("family", "is_noted"), [("segmentation", True), ("spots", False)])
def test_training_on_points_warns_once_unless_the_network_marks_spots(tmp_path, caplog, family, is_noted):
    mask = np.zeros((64, 64), np.uint16)
    mask[8::16, 8::16] = np.arange(1, 17).reshape(4, 4)
    image = np.random.default_rng(0).poisson(20 + 400 * (mask > 0)).astype(np.uint16)
    for kind, array in (("images", image), ("masks", mask)):
        (tmp_path / kind).mkdir()
        tifffile.imwrite(tmp_path / kind / "a.tif", array)
    with caplog.at_level(logging.WARNING, "zooready"):
        pairs_of(FAMILIES[family], tmp_path, 0)
    assert sum("single pixels" in message for message in caplog.messages) == is_noted
