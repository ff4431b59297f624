"""Outlines as QuPath has them: labels come back exactly, holes and pieces with them, and what is no outline is refused."""

import json

import numpy as np
import pytest

from zooready.data import read_folder
from zooready.errors import InputInvalid
from zooready.images.files import write_image
from zooready.images.geojson import read_geojson, write_geojson
from zooready.records import Image, Pair


def labels():
    """A disk, a ring, an object of two pieces, one of a single pixel, and one at the corner that touches itself diagonally."""
    y, x = np.mgrid[:60, :80]
    image = np.zeros((60, 80), np.uint16)
    image[np.hypot(y - 15, x - 15) < 9] = 1
    image[(np.hypot(y - 15, x - 50) < 12) & (np.hypot(y - 15, x - 50) > 5)] = 2
    image[40:45, 5:12], image[50:55, 20:22] = 4, 4
    image[40, 40] = 7
    image[59, 79], image[58, 78], image[57, 77] = 9, 9, 9
    return image


def test_labels_come_back_exactly_and_in_order(tmp_path):
    write_geojson(labels(), tmp_path / "new" / "a.geojson")
    found = read_geojson(tmp_path / "new" / "a.geojson", (60, 80))
    expected = np.select([labels() == number for number in (1, 2, 4, 7, 9)], [1, 2, 3, 4, 5], 0)
    np.testing.assert_array_equal(found, expected)


def test_an_object_is_a_detection_with_its_numbers_and_pixel_corners_are_whole(tmp_path):
    square = np.zeros((10, 10), np.int32)
    square[2:5, 3:9] = 3
    write_geojson(square, tmp_path / "a.geojson", {3: {"area_px2": 18.0}})
    (feature,) = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert feature["properties"] == {"objectType": "detection", "name": "3", "measurements": {"area_px2": 18.0}}
    ring = np.array(feature["geometry"]["coordinates"][0])
    assert (ring.min(0).tolist(), ring.max(0).tolist()) == ([3.0, 2.0], [9.0, 5.0])
    np.testing.assert_array_equal(ring[0], ring[-1])


def written(path, *geometries):
    path.write_text(json.dumps([{"type": "Feature", "geometry": geometry, "properties": {}} for geometry in geometries]))
    return path


BOX = {"type": "Polygon", "coordinates": [[[2, 1], [6, 1], [6, 4], [2, 4], [2, 1]]]}


def test_polygons_of_whole_corners_hold_the_pixels_between_and_are_cut_at_the_edge(tmp_path):
    far = {"type": "Polygon", "coordinates": [[[7, 5], [90, 5], [90, 90], [7, 90]]]}
    found = read_geojson(written(tmp_path / "a.geojson", BOX, far), (8, 10))
    expected = np.zeros((8, 10), np.int32)
    expected[1:4, 2:6], expected[5:, 7:] = 1, 2
    np.testing.assert_array_equal(found, expected)
    (tmp_path / "one.geojson").write_text(json.dumps({"type": "Feature", "geometry": BOX}))
    assert read_geojson(tmp_path / "one.geojson", (8, 10)).sum() == 12


def test_objects_outside_the_image_are_counted_and_refused(tmp_path):
    """Outlines of the whole slide beside a crop of it; before, those outside vanished, and the background there was taught."""
    beside = {"type": "Polygon", "coordinates": [[[10, 1], [14, 1], [14, 4], [10, 4]]]}
    both = {"type": "MultiPolygon", "coordinates": [*[BOX["coordinates"]], *[beside["coordinates"]]]}
    assert read_geojson(written(tmp_path / "b.geojson", both), (8, 10)).sum() == 12
    with pytest.raises(
        InputInvalid, match="1 of 3 objects of a.geojson lie outside the image, which has 10x8 px: .* Draw them on this one"
    ):
        read_geojson(written(tmp_path / "a.geojson", BOX, beside, both), (8, 10))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "cannot be read as outlines"),
        ("[]", "holds no objects: outline them"),
        ('{"type": "FeatureCollection", "features": 3}', "cannot be read as outlines"),
        (json.dumps({"geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}}), "a LineString is no polygon.*from QuPath"),
        (json.dumps({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}), "needs three corners"),
        (json.dumps({"geometry": None}), "cannot be read as outlines"),
    ],
)
def test_what_is_no_outline_is_refused_with_the_cure(tmp_path, content, message):
    (tmp_path / "a.geojson").write_text(content)
    with pytest.raises(InputInvalid, match=message):
        read_geojson(tmp_path / "a.geojson", (8, 10))


def test_a_file_that_nests_without_end_is_refused(tmp_path):
    (tmp_path / "deep.geojson").write_text("[" * 200_000)
    with pytest.raises(InputInvalid, match="deep.geojson cannot be read as outlines"):
        read_geojson(tmp_path / "deep.geojson", (4, 4))


def test_a_folder_may_have_such_masks(tmp_path):
    (tmp_path / "images").mkdir()
    write_image(Image(array=labels() * 20, axes="yx"), tmp_path / "images" / "a.tif")
    write_geojson(labels(), tmp_path / "masks" / "a.geojson")
    folder = read_folder(tmp_path, lambda image, mask, side: Pair(input=image, target=image, pixel_size_um=side, truth=mask))
    np.testing.assert_array_equal(folder.pairs[0].truth > 0, labels() > 0)
    assert folder.pairs[0].truth.max() == 5
