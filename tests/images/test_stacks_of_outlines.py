"""Label stacks as outlines and back: to the voxel, under the same numbers, in ImageJ's regions and in QuPath's objects."""

import json
import zipfile

import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi, roiread, roiwrite

from zooready.data import read_folder
from zooready.errors import InputInvalid
from zooready.families import segmentation, segmentation3d
from zooready.images.files import write_image
from zooready.images.geojson import read_geojson, write_geojson
from zooready.images.rois import read_rois, write_rois
from zooready.records import Image

FORMS = [(write_rois, read_rois, "a.zip"), (write_geojson, read_geojson, "a.geojson")]
SQUARE = [[2, 1], [8, 1], [8, 7], [2, 7]]  # x, y of the corners


def awkward():
    """A ball, a shell with a hole, an object in two pieces that touch at a corner, a voxel in the last corner, one that skips a plane."""
    z, y, x = np.mgrid[:7, :40, :50]
    stack = np.zeros((7, 40, 50), np.uint16)
    distance = np.sqrt((3 * (z - 3)) ** 2 + (y - 12) ** 2 + (x - 12) ** 2)
    stack[distance < 10] = 3
    stack[2:5, 20:34, 20:40], stack[3, 24:30, 25:35] = 4, 0
    stack[3, 26, 28] = 5  # in the hole
    stack[1, 2:5, 30:33], stack[1, 5:7, 33:36] = 70, 70
    stack[6, 39, 49] = 1200
    stack[0, 36:38, 3:9], stack[2, 36:38, 3:9] = 8, 8
    return stack


@pytest.mark.parametrize(("write", "read", "name"), FORMS)
def test_a_label_stack_comes_back_to_the_voxel_with_its_numbers(tmp_path, write, read, name):
    for stack in (awkward(), segmentation3d.sample_labels()):
        write(stack, tmp_path / "new" / name)
        np.testing.assert_array_equal(read(tmp_path / "new" / name, stack.shape), stack)


@pytest.mark.parametrize(("write", "read", "name"), FORMS)
def test_noise_comes_back_too(tmp_path, write, read, name):
    """Every form that pixels can have: pieces, holes, corners that touch."""
    stack = np.random.default_rng(0).integers(0, 4, (3, 20, 21))
    write(stack, tmp_path / name)
    np.testing.assert_array_equal(read(tmp_path / name, stack.shape), stack)


def test_a_region_has_its_plane_and_says_its_object_and_an_object_without_holes_is_traced(tmp_path):
    assert write_rois(awkward(), tmp_path / "a.zip") == 5 + 3 + 1 + 1 + 1 + 2 + 2
    regions = {region.name: region for region in roiread(tmp_path / "a.zip")}
    assert [name for name in regions if name.startswith("0004")] == ["0004-z003", "0004-z004", "0004-z005"]
    assert all(region.position == int(name[-3:]) and not region.z_position for name, region in regions.items())
    assert regions["0004-z003"].roitype == ROI_TYPE.TRACED
    assert regions["0004-z003"].integer_coordinates.tolist() == [[0, 0], [20, 0], [20, 14], [0, 14]]
    assert [getattr(regions["0004-z003"], side) for side in ("left", "top", "right", "bottom")] == [20, 20, 40, 34]
    assert regions["0004-z004"].composite
    write_rois(awkward(), tmp_path / "b.zip", has_channels=True)
    assert [(region.position, region.z_position) for region in roiread(tmp_path / "b.zip")][-1] == (0, 7)
    np.testing.assert_array_equal(read_rois(tmp_path / "b.zip", (7, 40, 50)), awkward())


def test_regions_of_a_plane_are_called_by_their_numbers(tmp_path):
    plane = awkward()[3]
    assert write_rois(plane, tmp_path / "a.zip") == 3
    assert [(region.name, region.position) for region in roiread(tmp_path / "a.zip")] == [("0003", 0), ("0004", 0), ("0005", 0)]
    found = read_rois(tmp_path / "a.zip", plane.shape)  # in their order, as all regions of a plane
    np.testing.assert_array_equal(found, np.select([plane == 3, plane == 4, plane == 5], [1, 2, 3], 0))


def test_the_same_labels_give_the_same_bytes(tmp_path):
    for name in ("a.zip", "b.zip"):
        write_rois(awkward(), tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def region(name, plane, shift=0, **place):
    return ImagejRoi.frompoints(np.array(SQUARE) + [shift, 0], name=name, **({"position": plane - 1} if plane else {}), **place)


def test_names_that_the_manager_made_unique_still_say_their_object(tmp_path):
    """ImageJ's own macro calls the regions of object 7 the same in all planes, and the manager adds -1 and so on."""
    roiwrite(tmp_path / "a.zip", [region("0007", 1), region("0007-1", 2, 6), region("12-z003", 3), region("7-2", 4)])
    labels = read_rois(tmp_path / "a.zip", (4, 10, 20))
    assert [sorted(np.unique(plane)) for plane in labels] == [[0, 7], [0, 7], [0, 12], [0, 7]]


def test_what_somebody_drew_goes_with_the_object_above_or_below_and_else_is_a_new_one(tmp_path):
    drawn = [
        region("0005-z001", 1),
        region("0002-0003-0004", 2, 1),  # as ImageJ calls what is drawn: plane, y, x
        region("0003-0003-0005", 3, 2),
        region("0003-0003-0015", 3, 10),
        region("0004-0003-0015", 4, 10),
        region("0001-0003-0015", 1, 10),  # no neighbour in plane 2
    ]
    roiwrite(tmp_path / "a.zip", drawn)
    labels = read_rois(tmp_path / "a.zip", (4, 10, 20))
    assert [sorted(np.unique(plane)) for plane in labels] == [[0, 5, 7], [0, 5], [0, 5, 6], [0, 6]]


def test_half_of_an_outline_is_not_enough(tmp_path):
    roiwrite(tmp_path / "a.zip", [region("0005-z001", 1), region("drawn", 2, 3)])
    assert sorted(np.unique(read_rois(tmp_path / "a.zip", (2, 10, 20)))) == [0, 5, 6]


def test_an_outline_between_two_objects_is_named(tmp_path):
    roiwrite(tmp_path / "a.zip", [region("0005-z001", 1), region("drawn", 2), region("0006-z003", 3)])
    with pytest.raises(InputInvalid, match="region 'drawn' of a.zip lies above or below objects 5 and 6, .* rename it to the number"):
        read_rois(tmp_path / "a.zip", (3, 10, 20))


@pytest.mark.parametrize(("plane", "where"), [(0, "in all planes at once"), (4, "in plane 4 of 3")])
def test_a_region_without_a_plane_of_the_stack_is_named_with_the_cure(tmp_path, plane, where):
    roiwrite(tmp_path / "a.zip", [region("0001", 1), region("0002", plane)])
    with pytest.raises(InputInvalid, match=f"region '0002' of a.zip lies {where}, and each outline .* press Update, or delete it"):
        read_rois(tmp_path / "a.zip", (3, 10, 20))


def test_regions_outside_and_points_in_stacks_are_refused(tmp_path):
    roiwrite(tmp_path / "a.zip", [region("0001", 1), region("0002", 1, 40)])
    with pytest.raises(InputInvalid, match="1 of 2 regions of a.zip lie outside the image, which has 20x10 px"):
        read_rois(tmp_path / "a.zip", (3, 10, 20))
    point = region("0001", 1)
    point.roitype = ROI_TYPE.POINT
    roiwrite(tmp_path / "b.zip", [point])
    with pytest.raises(InputInvalid, match="is a point, which encloses nothing: outline objects"):
        read_rois(tmp_path / "b.zip", (3, 10, 20))


def test_qupath_is_told_the_plane_of_an_outline_and_a_plane_that_is_not_there_is_refused(tmp_path):
    write_geojson(awkward(), tmp_path / "a.geojson", {8: {"volume": 24.0}})
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    own = [feature for feature in features if feature["properties"]["name"] == "8"]
    assert [feature["geometry"].get("plane") for feature in own] == [None, {"c": -1, "z": 2, "t": 0}]
    assert [feature["properties"]["measurements"] for feature in own] == [{"volume": 24.0}] * 2
    with pytest.raises(InputInvalid, match="a.geojson has outlines in plane 7 of an image that has 6: they were drawn on another image"):
        read_geojson(tmp_path / "a.geojson", (6, 40, 50))


def test_a_folder_of_stacks_may_have_regions_as_masks(tmp_path):
    (tmp_path / "images").mkdir()
    write_image(Image(array=awkward() * 20, axes="zyx"), tmp_path / "images" / "a.tif")
    write_rois(awkward(), tmp_path / "masks" / "a.zip")
    folder = read_folder(tmp_path, segmentation.pair_of, is_stack=True)
    np.testing.assert_array_equal(np.unique(awkward(), return_inverse=True)[1].reshape(awkward().shape), folder.pairs[0].truth)


def test_a_region_file_that_is_damaged_is_named_for_stacks_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("0001.roi", b"Iout" + bytes(8))
    with pytest.raises(InputInvalid, match="a.zip cannot be read as regions of ImageJ"):
        read_rois(tmp_path / "a.zip", (3, 10, 20))
