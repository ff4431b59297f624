"""Matching of label images."""

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.images.matching import f1, match, match_middles


def discs(*centres, radius=6, size=64):
    y, x = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.int32)
    for name, (cy, cx) in enumerate(centres, 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = name
    return labels


def test_equal_images_match_completely_whatever_the_numbers():
    labels = discs((15, 15), (15, 45), (45, 30))
    renamed = np.array([0, 900_000_000, 5, 70], np.int64)[labels]
    matches = match(labels, renamed)
    assert matches.pairs.tolist() == [[1, 900_000_000], [2, 5], [3, 70]]
    assert matches.f1 == matches.mean_iou == 1
    assert matches.overlap.sum() == matches.foreground_first == matches.foreground_second == (labels > 0).sum()


def test_iou_is_intersection_over_union():
    first, second = np.zeros((1, 10), int), np.zeros((1, 10), int)
    first[0, :6], second[0, 1:7] = 1, 1
    assert match(first, second).iou.tolist() == [5 / 7]
    assert f1(first, second, 0.7) == 1
    assert f1(first, second, 5 / 7) == 0


def test_two_halves_of_one_object_are_no_match():
    disc = discs((30, 30), radius=10)
    halves = disc * np.where(np.arange(64) < 30, 1, 2)
    matches = match(disc, halves)
    assert (len(matches.pairs), matches.n_first, matches.n_second) == (1, 1, 2)  # the half with the middle column is more than half
    halves[:, 30] = 0
    assert match(disc, halves).f1 == 0


def test_missed_and_invented_objects_lower_f1():
    truth = discs((15, 15), (15, 45), (45, 30))
    labels = np.where(truth == 3, 0, truth) + 4 * discs((50, 55), radius=3)
    assert f1(truth, labels) == 4 / 6


def test_agrees_with_a_loop_over_all_pairs():
    rng = np.random.default_rng(0)
    first, second = (np.kron(rng.integers(0, 9, (6, 6)), np.ones((9, 9), int)) for _ in range(2))
    second = np.where(rng.random(first.shape) < 0.7, first, second)
    expected = {}
    for a in range(1, 9):
        for b in range(1, 9):
            ratio = ((first == a) & (second == b)).sum() / max(1, ((first == a) | (second == b)).sum())
            if ratio > 0.5:
                expected[a, b] = ratio
    matches = match(first, second)
    assert expected
    assert dict(zip(map(tuple, matches.pairs.tolist()), matches.iou.tolist(), strict=True)) == expected


def test_float_labels_count_as_labels_and_empty_images_agree():
    assert f1(discs((20, 20)).astype(np.float32), discs((20, 20))) == 1
    empty = np.zeros((5, 7), np.uint8)
    assert (match(empty, empty).f1, match(empty, empty).mean_iou, f1(empty, empty + 1)) == (1, 0, 0)
    assert f1(np.zeros((0, 3)), np.zeros((0, 3))) == 1


@pytest.mark.parametrize(
    ("first", "second", "iou", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), 0.5, r"shapes \(2, 3\) and \(3, 2\)"),
        (np.full((2, 2), 0.5), np.zeros((2, 2)), 0.5, "first label image holds values that are not whole"),
        (np.zeros((2, 2)), np.full((2, 2), np.nan), 0.5, "second label image holds values that are not whole"),
        (np.full((2, 2), -1), np.zeros((2, 2)), 0.5, r"first label image \(int64\) holds no labels"),
        (np.zeros((2, 2)), np.zeros((2, 2)), 0.3, "iou=0.3 gives no unique matching"),
    ],
)
def test_what_cannot_be_matched_is_refused(first, second, iou, message):
    with pytest.raises(InputInvalid, match=message):
        match(first, second, iou)


def test_middles_are_matched_by_distance_one_to_one():
    first, second = np.zeros((2, 20, 20), int)
    first[5, 5], first[5, 9], first[15, 15] = 1, 2, 3
    second[5, 7], second[15, 15] = 4, 1  # the first lies 2 px from two of them
    f1, distance = match_middles(first, second, 3.0)
    assert f1 == pytest.approx(2 * 2 / 5)
    assert distance == pytest.approx(1.0)
    assert match_middles(first, second, 1.0)[0] == pytest.approx(2 * 1 / 5)


def test_as_many_middles_as_possible_are_matched():
    first, second = np.zeros((2, 1, 20), int)
    first[0, 4], first[0, 7] = 1, 2
    second[0, 1], second[0, 4] = 1, 2  # the nearest pair would leave the others 6 px apart
    assert match_middles(first, second, 3.0) == (1.0, 3.0)


def test_no_middles_at_all_agree():
    empty, one = np.zeros((4, 4), int), np.eye(4, dtype=int)
    assert match_middles(empty, empty, 3.0)[0] == 1
    assert match_middles(empty, one, 3.0)[0] == 0
