"""Splits: what is trained on, what is held out."""

import numpy as np
import pytest

from zooready.data import folds, share
from zooready.errors import InputInvalid

LABELS = np.random.default_rng(0).permutation([0] * 41 + [1] * 20 + [2] * 9)


def test_every_image_is_held_out_in_exactly_one_fold():
    splits = folds(LABELS)
    assert [split.name for split in splits] == [f"fold-{n:02d}" for n in range(1, 11)]
    assert sorted(number for split in splits for number in split.held_out) == list(range(70))
    for split in splits:
        assert sorted((*split.training, *split.held_out)) == list(range(70))


def test_folds_hold_the_classes_in_equal_numbers():
    splits = folds(LABELS)
    assert {len(split.held_out) for split in splits} == {7}
    for label, fewest in ((0, 4), (1, 2), (2, 0)):
        counts = [int((LABELS[list(split.held_out)] == label).sum()) for split in splits]
        assert min(counts) >= fewest
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("training", "name", "counts"), [(0.9, "90-10", (37, 18, 8)), (0.6, "60-40", (25, 12, 5)), (0.5, "50-50", (20, 10, 4))]
)
def test_a_share_of_every_class_is_trained_on(training, name, counts):
    split = share(LABELS, training)
    assert split.name == name
    assert tuple(int((LABELS[list(split.training)] == label).sum()) for label in range(3)) == counts
    assert sorted((*split.training, *split.held_out)) == list(range(70))


def test_the_seed_decides_and_the_same_seed_gives_the_same_split():
    assert folds(LABELS, seed=1) == folds(LABELS, seed=1) != folds(LABELS, seed=2)
    assert share(LABELS, 0.8, seed=1) == share(LABELS, 0.8, seed=1) != share(LABELS, 0.8, seed=2)


def test_small_classes_lie_on_both_sides_where_they_can():
    split = share([0, 0, 1, 1, 1, 2], 0.9)
    labels = np.array([0, 0, 1, 1, 1, 2])
    assert set(labels[list(split.held_out)]) == {0, 1}
    assert set(labels[list(split.training)]) == {0, 1, 2}


def test_splits_that_cannot_be_are_refused():
    with pytest.raises(InputInvalid, match="1 fold of 70 images: give a number from 2"):
        folds(LABELS, 1)
    with pytest.raises(InputInvalid, match="71 folds of 70 images"):
        folds(LABELS, 71)
    with pytest.raises(InputInvalid, match="training share of 1: give a number between 0 and 1"):
        share(LABELS, 1.0)
    with pytest.raises(InputInvalid, match="every class has a single image"):
        share([0, 1, 2], 0.5)
