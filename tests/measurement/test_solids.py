"""Measuring objects of stacks: where they are, their volumes, and how bright they are in every channel."""

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.measurement import table
from zooready.measurement.solids import solid_rows
from zooready.records import Image


@pytest.fixture
def two():
    """A block of 2 x 3 x 5 voxels of label 4 and a single voxel of label 9 in the last corner; two channels."""
    labels = np.zeros((6, 12, 20), np.int32)
    labels[1:3, 2:5, 6:11], labels[5, 11, 19] = 4, 9
    first = np.zeros(labels.shape, np.uint16)
    first[labels == 4], first[labels == 9] = np.arange(30) + 100, 7
    return Image(array=np.stack([first, 2 * first]), axes="czyx", pixel_size_um=0.5, z_um=2.0, channels=("dna", "actin")), labels


def test_a_row_says_where_an_object_is_its_volume_and_how_bright(two):
    rows, notes = solid_rows("a.tif", *two)
    first, second = rows
    assert notes == []
    assert (first["image"], first["label"], second["label"]) == ("a.tif", 4, 9)
    assert [first[f"box_{side}"] for side in ("first_plane", "top_px", "left_px", "planes", "height_px", "width_px")] == [1, 2, 6, 2, 3, 5]
    assert [first[f"centroid_{axis}"] for axis in ("z_planes", "y_px", "x_px", "z_um", "y_um", "x_um")] == [1.5, 3, 8, 3, 1.5, 4]
    assert (first["shape_volume_voxels"], first["shape_volume_um3"], first["shape_extent"]) == (30, 15, 1)
    assert first["shape_diameter_um"] == pytest.approx((6 * 15 / np.pi) ** (1 / 3))
    assert (first["dna_intensity_mean"], first["actin_intensity_sum"]) == (114.5, 2 * 30 * 114.5)
    assert (first["touches_edge"], second["touches_edge"]) == (0, 1)
    assert (second["dna_intensity_mean"], second["dna_intensity_std"], second["shape_volume_voxels"]) == (7, 0, 1)


def test_axes_in_any_order_and_unknown_sizes_give_the_same_voxels(two):
    image, labels = two
    turned = Image(array=image.array.transpose(1, 2, 3, 0)[None], axes="tzyxc", channels=image.channels)
    rows, notes = solid_rows("a.tif", turned, labels)
    known = solid_rows("a.tif", *two)[0]
    assert "volumes are in voxels only" in notes[0]
    assert rows[0]["shape_volume_um3"] is None
    assert [row["dna_intensity_mean"] for row in rows] == [row["dna_intensity_mean"] for row in known]
    assert table(rows).columns == table(known).columns


def test_a_plane_a_series_other_sizes_and_voxels_that_are_no_numbers_are_refused(two):
    image, labels = two
    with pytest.raises(InputInvalid, match=r"a stack \(z\) of one time point is measured"):
        solid_rows("a", Image(array=image.array[0, 0], axes="yx"), labels[0])
    with pytest.raises(InputInvalid, match="labels have shape"):
        solid_rows("a", image, labels[1:])
    broken = image.array.astype(np.float32)
    broken[0, 1, 2, 6] = np.nan
    with pytest.raises(InputInvalid, match="1 voxels of object 4 are NaN"):
        solid_rows("a", Image(array=broken, axes="czyx"), labels)
