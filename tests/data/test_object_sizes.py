"""The objects of a folder of label images, as its bundle states them."""

import numpy as np

from zooready.data import objects_in
from zooready.records import Pair


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
