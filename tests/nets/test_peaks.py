"""Marks of peaks."""

import numpy as np
import pytest
import torch

from zooready.nets.peaks import Peaks


def scene(at, size=24, width=1.2):
    y, x = np.mgrid[:size, :size]
    hills = [np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2)) for row, column in at]
    distance = np.max(hills, 0) if hills else np.zeros((size, size))
    return torch.from_numpy(np.stack([distance > 0.2, distance])[None].astype(np.float32))


def marks(probabilities, **settings):
    return Peaks(**settings)(probabilities)[1][0, 0].numpy()


def test_every_peak_has_a_mark_and_crowded_ones_stay_apart():
    labels = marks(scene([(4, 4), (4, 7), (15, 15), (23, 0)]))
    assert labels.max() == 4
    assert len({labels[4, 4], labels[4, 7], labels[15, 15], labels[23, 0]} - {0}) == 4


def test_peaks_of_one_height_that_touch_are_one():
    probabilities = scene([(10, 10)])
    probabilities[0, 1, 10, 10:12] = 1.0
    assert marks(probabilities).max() == 1


def test_low_peaks_have_none_and_nothing_is_empty():
    low = scene([(10, 10)])
    low[:, 1] *= 0.39
    assert not marks(low).any()
    assert not marks(torch.zeros(1, 2, 1, 1)).any()


@pytest.mark.parametrize(("growth", "area"), [(0, 1), (1, 9), (2, 25)])
def test_a_mark_spreads_into_the_foreground(growth, area):
    probabilities = scene([(10, 10)])
    probabilities[:, 0] = 1.0
    assert np.count_nonzero(marks(probabilities, growth=growth)) == area
    probabilities[:, 0] = 0.0
    assert np.count_nonzero(marks(probabilities, growth=growth)) == 1


def test_probabilities_pass_through_and_images_of_a_batch_are_numbered_alone():
    both = torch.cat([scene([(4, 4), (12, 12)]), scene([(8, 8)])])
    same, labels = Peaks()(both)
    assert torch.equal(same, both)
    assert labels.amax((1, 2, 3)).tolist() == [2, 1]
