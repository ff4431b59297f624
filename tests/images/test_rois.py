"""Regions of ImageJ as label images: pixels whose centres are inside, and a clear word for what is no region."""

import zipfile

import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi, roiwrite

from zooready.errors import InputInvalid
from zooready.images.rois import read_rois

SQUARE = [[2, 1], [6, 1], [6, 4], [2, 4]]  # x, y of the corners


def polygon(points, name="square"):
    return ImagejRoi.frompoints(np.array(points, np.float32), name=name)


def test_a_square_covers_the_pixels_between_its_corners(tmp_path):
    roiwrite(tmp_path / "a.roi", polygon(SQUARE))
    expected = np.zeros((8, 9), np.int32)
    expected[1:4, 2:6] = 1
    np.testing.assert_array_equal(read_rois(tmp_path / "a.roi", (8, 9)), expected)


def test_regions_are_numbered_in_their_order_cut_at_the_rim_and_the_later_one_lies_above(tmp_path):
    roiwrite(tmp_path / "a.zip", [polygon(SQUARE, "one"), polygon([[5, 3], [30, 3], [30, 30], [5, 30]], "two")])
    labels = read_rois(tmp_path / "a.zip", (8, 9))
    assert labels[1, 2] == 1
    assert labels[3, 5] == 2
    assert (labels == 2).sum() == 5 * 4
    assert (labels == 1).sum() == 11


def test_what_encloses_nothing_is_named(tmp_path):
    line = polygon(SQUARE, "a line")
    line.roitype = ROI_TYPE.FREELINE
    roiwrite(tmp_path / "a.zip", [polygon(SQUARE), line])
    with pytest.raises(InputInvalid, match="region .* of a.zip is a freeline, which encloses nothing: outline objects"):
        read_rois(tmp_path / "a.zip", (8, 9))


@pytest.mark.parametrize("name", ["a.roi", "a.zip"])
@pytest.mark.parametrize("content", [b"", b"PK", b"Iout", b"Iout" + bytes(8), b"garbage" * 9])
def test_damaged_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputInvalid, match=f"{name} cannot be read as regions of ImageJ"):
        read_rois(tmp_path / name, (8, 9))


def test_a_zip_of_something_else_and_one_of_too_much_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(InputInvalid, match="a.zip holds no regions: add the outlines to the ROI Manager"):
        read_rois(tmp_path / "a.zip", (8, 9))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.roi", bytes(65 * 2**20))
    with pytest.raises(InputInvalid, match="more than 64 MiB"):
        read_rois(tmp_path / "a.zip", (8, 9))


def test_points_are_objects_of_one_pixel_each_also_several_in_one_region(tmp_path):
    several = polygon([[2, 1], [6, 4]], "spots")
    one = polygon([[3.6, 5.2]], "spot")
    several.roitype = one.roitype = ROI_TYPE.POINT
    roiwrite(tmp_path / "a.zip", [several, polygon(SQUARE, "cell"), one])
    labels = read_rois(tmp_path / "a.zip", (8, 9))
    assert (labels[4, 6], labels[5, 3]) == (2, 4)
    assert (labels == 3).sum() == 12  # the square lies above the point in its corner
    assert sorted(np.unique(labels)) == [0, 2, 3, 4]


def test_points_and_outlines_outside_the_image_are_counted_and_refused(tmp_path):
    """A cropped image keeps the regions of the whole one; before, its points vanished, and the background there was taught."""
    points = polygon([[2, 1], [9, 4], [40, 4], [3, -1]], "spots")
    points.roitype = ROI_TYPE.POINT
    roiwrite(tmp_path / "a.zip", [points, polygon(SQUARE, "cell")])
    with pytest.raises(InputInvalid, match="3 of 5 regions of a.zip lie outside the image, which has 9x8 px: .* Draw them on this one, or"):
        read_rois(tmp_path / "a.zip", (8, 9))
    roiwrite(tmp_path / "b.zip", [polygon(SQUARE), polygon([[9, 1], [14, 1], [14, 4], [9, 4]])])
    with pytest.raises(InputInvalid, match="1 of 2 regions of b.zip"):
        read_rois(tmp_path / "b.zip", (8, 9))
