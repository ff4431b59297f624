"""Pieces of an image around its objects, counted by hand."""

import ast
from pathlib import Path

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.measurement import crops


@pytest.fixture
def image():
    return np.arange(2 * 9 * 12, dtype=np.uint16).reshape(2, 9, 12)


@pytest.fixture
def labels():
    numbers = np.zeros((9, 12), int)
    numbers[2:5, 3:7] = 7
    numbers[4:9, 8:10] = 3
    return numbers


def test_objects_come_in_the_order_of_their_numbers_with_their_boxes(image, labels):
    first, second = crops(image, labels)
    assert (first.label, second.label) == (3, 7)
    assert second.box == (slice(2, 5), slice(3, 7))
    assert (second.image == image[:, 2:5, 3:7]).all()
    assert second.image.dtype == np.float32
    assert (first.is_at_edge, second.is_at_edge) == (True, False)
    assert not first.is_cut


def test_a_size_is_cut_around_the_middle_of_the_box(image, labels):
    _, second = crops(image, labels, (5, 6))
    assert (second.image == image[:, 1:6, 2:8]).all()


def test_beyond_the_image_its_edge_is_repeated(image, labels):
    first, _ = crops(image, labels, (9, 8))
    rows, columns = np.clip(np.arange(2, 11), 0, 8), np.clip(np.arange(5, 13), 0, 11)
    assert (first.image == image[:, rows[:, None], columns]).all()


def test_an_object_larger_than_the_piece_is_said_to_be_cut(image, labels):
    assert [crop.is_cut for crop in crops(image, labels, (4, 4))] == [True, False]
    assert [crop.is_cut for crop in crops(image, labels, (5, 3))] == [False, True]


@pytest.mark.parametrize(("background", "outside"), [("zero", 0), ("lowest", None)])
def test_what_is_not_the_object_can_be_hidden(image, labels, background, outside):
    labels[2, 2] = 3
    _, second = crops(image + 5, labels, (5, 6), background)
    inside = np.zeros((5, 6), bool)
    inside[1:4, 1:5] = True
    kept = image[:, 1:6, 2:8] + 5
    assert (second.image[:, inside] == kept[:, inside]).all()
    for channel, piece in zip(second.image, kept, strict=True):
        assert (channel[~inside] == (piece.min() if outside is None else outside)).all()


def test_one_object_that_fills_the_image_is_the_image(image):
    (only,) = crops(image, np.full((9, 12), 4.0))
    assert only.label == 4
    assert (only.image == image).all()


def plugins_pieces():
    """The function that cuts pieces in CellProfiler, alone, since the rest of its file needs CellProfiler."""
    file = Path(__file__).parents[2] / "export" / "cellprofiler" / "runzooready.py"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    tree.body = [ast.parse("from __future__ import annotations").body[0]] + [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "pieces"
    ]
    space = {"numpy": np}
    exec(compile(tree, file.name, "exec"), space)
    return space["pieces"]


@pytest.mark.parametrize("side", [0, 5, 8, 20])
@pytest.mark.parametrize(("background", "blank"), [("keep", False), ("lowest", True)])
def test_cellprofiler_cuts_the_same_pieces(image, labels, side, background, blank):
    ours = list(crops(image, labels, (side, side) if side else None, background))
    theirs = list(plugins_pieces()(image, labels, side, blank))
    assert [crop.label for crop in ours] == [number for number, _ in theirs]
    for crop, (_, piece) in zip(ours, theirs, strict=True):
        assert (crop.image == piece).all()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.ones((3, 3)), r"labels have shape \(3, 3\) and the image \(9, 12\)"),
        (np.ones((1, 9, 12)), r"labels have shape \(1, 9, 12\)"),
        (np.full((9, 12), 0.5), "not object numbers"),
        (np.full((9, 12), -1), "not object numbers"),
        (np.full((9, 12), np.nan), "not object numbers"),
        (np.zeros((9, 12)), "contain no object: every pixel is 0"),
    ],
    ids=["size", "axes", "fractions", "negative", "nan", "empty"],
)
def test_labels_that_cannot_be_used_are_refused(image, labels, words):
    with pytest.raises(InputInvalid, match=words):
        list(crops(image, labels))


def test_an_unknown_background_is_refused(image, labels):
    with pytest.raises(InputInvalid, match="background='black' is not known: use one of 'keep', 'zero', 'lowest'"):
        list(crops(image, labels, background="black"))
