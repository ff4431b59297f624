"""Measuring without a classifier: where objects are, how large, and how bright in every channel."""

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.images.drawing import coloured
from zooready.measurement import object_rows, outlined, table, with_classes
from zooready.records import Image


@pytest.fixture
def two():
    """A rectangle of 3 x 5 px of label 4 and a single pixel of label 9 at the edge; two channels."""
    labels = np.zeros((12, 20), np.int32)
    labels[2:5, 6:11], labels[11, 19] = 4, 9
    first = np.zeros((12, 20), np.uint16)
    first[2:5, 6:11] = np.arange(15).reshape(3, 5) + 100
    first[11, 19] = 7
    return Image(array=np.stack([first, 2 * first]), axes="cyx", pixel_size_um=0.5, channels=("dna", "actin")), labels


def test_a_row_says_where_an_object_is_how_large_and_how_bright(two):
    rows, notes = object_rows("a.tif", *two)
    assert notes == []
    first, second = rows
    assert (first["image"], first["label"], second["label"]) == ("a.tif", 4, 9)
    assert [first[f"box_{side}_px"] for side in ("top", "left", "height", "width")] == [2, 6, 3, 5]
    assert (first["centroid_y_px"], first["centroid_x_px"], first["centroid_x_um"]) == (3, 8, 4)
    assert (first["shape_area_px2"], first["shape_area_um2"]) == (15, 3.75)
    assert first["dna_intensity_mean"] == 107
    assert first["actin_intensity_sum"] == 2 * (15 * 100 + 105)
    assert (first["touches_edge"], second["touches_edge"]) == (0, 1)
    assert (second["dna_intensity_mean"], second["dna_intensity_std"], second["shape_area_px2"]) == (7, 0, 1)


def test_the_rows_are_a_table_with_the_same_columns_for_every_object(two):
    measured = table(object_rows("a.tif", *two)[0])
    assert len(measured.rows) == 2
    assert np.isfinite(measured.matrix("shape_", "dna_", "actin_", "box_", "centroid_")).all()
    assert not [name for name in measured.columns if name.startswith(("haralick", "embedding", "score"))]


def test_channels_without_names_are_numbered_and_a_plane_of_one_has_none(two):
    image, labels = two
    unnamed = object_rows("a", Image(array=image.array, axes="cyx"), labels)[0][0]
    assert unnamed["channel2_intensity_mean"] == 214
    assert unnamed["shape_area_um2"] is None
    assert object_rows("a", Image(array=image.array[0], axes="yx"), labels)[0][0]["intensity_mean"] == 107


def test_planes_of_length_one_are_planes_and_others_are_refused(two):
    image, labels = two
    flat = Image(array=image.array[:, None], axes="czyx", channels=image.channels)
    assert object_rows("a", flat, labels)[0][0]["dna_intensity_mean"] == 107
    with pytest.raises(InputInvalid, match=r"a.tif has several planes \(axes 'zyx'\), and only one can be measured"):
        object_rows("a.tif", Image(array=np.zeros((3, 12, 20)), axes="zyx"), labels)


def test_pixels_that_are_no_numbers_are_refused(two):
    image, labels = two
    array = image.array.astype(np.float32)
    array[1, 3, 8] = np.nan
    with pytest.raises(InputInvalid, match="the object has 1 pixel of NaN"):
        object_rows("a", Image(array=array, axes="cyx"), labels)


def test_outlines_lie_on_the_rim_inside_and_nowhere_else(two):
    image, labels = two
    drawn = outlined(image, labels)
    colours = coloured(labels)
    assert drawn.shape == (12, 20, 3)
    rim = labels > 0
    rim[3, 7:10] = False
    np.testing.assert_array_equal(drawn[rim], colours[rim])
    inner = drawn[3, 7:10]
    assert (inner[:, 0] == inner[:, 1]).all()  # grey


def test_each_object_has_the_name_of_its_class_after_its_label():
    labels, classes = np.zeros((20, 20), np.uint16), np.zeros((20, 20), np.uint16)
    labels[2:6, 2:6], labels[10:18, 10:18] = 1, 7
    classes[2:6, 2:6], classes[10:18, 10:18] = 2, 1
    rows, _ = object_rows("a.tif", Image(array=labels * 10, axes="yx"), labels)
    named = with_classes(rows, labels, classes, ("nuclei", "micronuclei"))
    assert [(row["label"], row["class"]) for row in named] == [(1, "micronuclei"), (7, "nuclei")]
    assert list(named[0])[:3] == ["image", "label", "class"]
    assert {key: value for key, value in named[0].items() if key != "class"} == dict(rows[0])
