"""Outlines in COCO's format: the pixels of polygons and run lengths, classes, and what is no outline."""

import importlib.util
import json

import numpy as np
import pytest

from zooready.cli import main
from zooready.data import examine_folder, read_folder
from zooready.data.folder import contents
from zooready.errors import InputInvalid
from zooready.families import FAMILIES, for_folder
from zooready.images.coco import coco_file, labels_of, read_coco
from zooready.images.files import write_image
from zooready.records import Image, Pair

SHAPE = (40, 50)
SQUARE, CELL = [[3, 2, 9, 2, 9, 7, 3, 7]], [[20, 10, 30, 10, 30, 20, 20, 20], [35, 30, 40, 30, 40, 35, 35, 35]]


def annotated(folder, *objects, image="a.png", size=SHAPE, categories=("cell", "spot"), name="annotations.json"):
    """A file of annotations of one image; ``objects`` are (category, segmentation)."""
    content = {
        "images": [{"id": 7, "file_name": f"somewhere/{image}", "height": size[0], "width": size[1]}],
        "categories": [{"id": number, "name": category} for number, category in enumerate(categories, 1)],
        "annotations": [
            {"id": number, "image_id": 7, "category_id": 1 + categories.index(category), "segmentation": segmentation, "iscrowd": 0}
            for number, (category, segmentation) in enumerate(objects, 1)
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder / name


def test_polygons_are_objects_and_several_of_one_object_belong_together(tmp_path):
    labels = labels_of(annotated(tmp_path, ("spot", SQUARE), ("cell", CELL)), "a.png", SHAPE)
    expected = np.zeros(SHAPE, int)
    expected[2:7, 3:9] = 1
    expected[10:20, 20:30], expected[30:35, 35:40] = 2, 2
    np.testing.assert_array_equal(labels, expected)


def test_classes_are_separate_label_images_in_the_order_asked_for(tmp_path):
    path = annotated(tmp_path, ("spot", SQUARE), ("cell", CELL), ("spot", [[0, 30, 5, 30, 5, 40, 0, 40]]))
    spots, cells = labels_of(path, "a.png", SHAPE, ("spot", "cell"))
    assert (spots[4, 5], spots[35, 2], cells[15, 25]) == (1, 2, 1)
    assert not (spots[cells > 0]).any()
    assert read_coco(path).classes == ("cell", "spot")


def test_run_lengths_go_down_the_columns_and_crowds_are_left_out(tmp_path):
    mask = np.zeros(SHAPE, bool)
    mask[5:9, 0:2], mask[0, 0] = True, True
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = [0, *np.diff([0, *ends, flat.size]).tolist()]  # the first pixel belongs to the object
    path = annotated(tmp_path, ("cell", {"counts": counts, "size": list(SHAPE)}))
    np.testing.assert_array_equal(labels_of(path, "a.png", SHAPE) > 0, mask)
    content = json.loads(path.read_text())
    content["annotations"][0]["iscrowd"] = 1
    (tmp_path / "crowd.json").write_text(json.dumps(content))
    assert not labels_of(tmp_path / "crowd.json", "a.png", SHAPE).any()


def test_packed_run_lengths_need_the_tools_or_are_read(tmp_path):
    path = annotated(tmp_path, ("cell", {"counts": "0", "size": list(SHAPE)}))
    if importlib.util.find_spec("pycocotools"):
        assert labels_of(path, "a.png", SHAPE).shape == SHAPE
    else:
        with pytest.raises(InputInvalid, match=r"object 1 of a\.png .* is packed as COCO.s tools do: pip install pycocotools"):
            labels_of(path, "a.png", SHAPE)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "has no outline .* a box alone does not say where it is"),
        ([[1, 2, 3, 4]], "no polygon of three corners"),
        ({"counts": [5], "size": list(SHAPE)}, "run lengths that do not fill the image"),
        ({"counts": [2000], "size": [50, 40]}, "run lengths of"),
    ],
)
def test_what_is_no_outline_is_refused(segmentation, message, tmp_path):
    with pytest.raises(InputInvalid, match=message):
        labels_of(annotated(tmp_path, ("cell", segmentation)), "a.png", SHAPE)


def test_objects_outside_the_image_are_counted_and_refused(tmp_path):
    """Before, they vanished without a word, and their numbers were left out."""
    beside = ("spot", [[60, 2, 70, 2, 70, 9]])
    path = annotated(tmp_path, ("cell", SQUARE), beside, ("spot", [*SQUARE, *beside[1]]))
    with pytest.raises(InputInvalid, match="1 of 3 objects of a.png in annotations.json lie outside the image, which has 50x40 px: they"):
        labels_of(path, "a.png", SHAPE)
    assert labels_of(path, "a.png", SHAPE, ("cell",)).sum() == 30  # what is not asked for may lie anywhere


def test_another_size_another_image_and_a_damaged_file_are_refused(tmp_path):
    path = annotated(tmp_path, ("cell", SQUARE), size=(30, 50))
    with pytest.raises(InputInvalid, match=r"a\.png has 50x40 px, and 50x30 in annotations\.json"):
        labels_of(path, "a.png", SHAPE)
    with pytest.raises(InputInvalid, match=r"does not name b\.png"):
        labels_of(path, "b.png", SHAPE)
    (tmp_path / "broken.json").write_text('{"images": [], "annotations": [], "categories": [{"id": 1}]}')
    with pytest.raises(InputInvalid, match=r"broken\.json cannot be read as COCO annotations"):
        read_coco(tmp_path / "broken.json")
    with pytest.raises(InputInvalid, match=r"several files of COCO annotations \(annotations\.json, broken\.json\)"):
        coco_file(tmp_path)


def stored(path, image):
    """A file of an image (y, x), and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(Image(array=image.astype(np.uint8), axes="yx"), path)


def pair_of(image, labels, pixel_size_um):
    return Pair(input=image, target=image, pixel_size_um=pixel_size_um, truth=labels)


@pytest.mark.parametrize("place", ["images", "."])
def test_a_folder_of_images_with_annotations_is_read(place, tmp_path):
    annotated(tmp_path, ("cell", SQUARE), ("spot", CELL), name="result.json")
    (tmp_path / "settings.json").write_text("{}")  # other files of that ending do not count
    stored(tmp_path / place / "a.tif", np.random.default_rng(0).integers(0, 99, SHAPE))
    (tmp_path / "result.json").write_text((tmp_path / "result.json").read_text().replace("a.png", "a.tif"))
    assert contents(tmp_path) == (("cell", "spot"), ("channel_1",))
    (pair,) = read_folder(tmp_path, pair_of).pairs
    assert np.unique(pair.truth).tolist() == [0, 1, 2]
    (pair,) = read_folder(tmp_path, pair_of, classes=("cell", "spot")).pairs
    assert pair.truth.shape == (2, *SHAPE)
    record = for_folder(FAMILIES["segmentation"], tmp_path)
    assert record.outputs[0].channels == ("foreground", "distance", "cell", "spot")


def test_an_image_without_annotations_is_named(tmp_path):
    annotated(tmp_path, ("cell", SQUARE), image="a.tif")
    for name in ("a.tif", "b.tif"):
        stored(tmp_path / "images" / name, np.zeros(SHAPE))
    found = examine_folder(tmp_path, pair_of)
    assert found.names == ("a",)
    assert any(
        "images/b.tif has no partner in annotations.json (if it shows no object, list it there without annotations)" in fault
        for fault in found.faults
    )


def test_the_command_examines_such_a_folder(tmp_path, capsys):
    annotated(tmp_path, ("cell", SQUARE), ("spot", CELL), image="a.tif")
    stored(tmp_path / "images" / "a.tif", np.random.default_rng(0).integers(0, 99, SHAPE))
    assert main(["data", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "annotations.json: 3 objects" in said
    assert "for segmentation" in said
