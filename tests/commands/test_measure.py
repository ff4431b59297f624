"""Measuring as a person does: images and labels in, a table out, from bundles and the command line."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from zooready.cli import main
from zooready.commands.listing import paired
from zooready.commands.measure import measure
from zooready.errors import BundleInvalid, InputInvalid
from zooready.images.files import write_image
from zooready.images.geojson import read_geojson
from zooready.images.rois import read_rois, write_rois
from zooready.records import Image


@pytest.fixture
def files(three, tmp_path):
    """Two images with labels, cells.tif and more.tif, in a folder."""
    image, labels = three
    for name, shift in (("cells", 0), ("more", 7)):
        write_image(Image(array=np.roll(image.array, shift, 0), axes="yx", pixel_size_um=0.25), tmp_path / f"{name}.tif")
        write_image(Image(array=np.roll(labels, shift, 0), axes="yx"), tmp_path / f"{name}-labels.tif")
    return tmp_path


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_from_the_command_line_has_a_row_for_each_object_of_each_image(bundles, files, capsys):
    images, labels = ([str(files / f"{name}{end}.tif") for name in ("cells", "more")] for end in ("", "-labels"))
    assert main(["measure", str(bundles["patterns"]), *images, "--labels", *labels, "--out", str(files / "table.csv"), "--crop", "48"]) == 0
    rows = read(files / "table.csv")
    assert [(row["image"], row["label"]) for row in rows] == [(f"{name}.tif", str(n)) for name in ("cells", "more") for n in (2, 5, 9)]
    assert [row["class"] for row in rows][:3] == ["spots", "bars", "smooth"]
    assert "6 objects" in capsys.readouterr().out


def test_arrays_are_measured_as_files_are_and_nothing_is_written_unasked(bundles, three, files):
    image, labels = three
    table = measure(bundles["patterns"], [image], labels=[labels])
    written = measure(bundles["patterns"], [files / "cells.tif"], files / "table.csv", labels=[files / "cells-labels.tif"])
    assert table.column("image") == ["image_000"] * 3
    assert table.matrix("embedding_", "intensity_", "adjacency_") == pytest.approx(written.matrix("embedding_", "intensity_", "adjacency_"))
    assert not (files / "image_000").exists()


def test_a_plain_stack_of_channels_is_measured_once_its_axes_are_named(bundles, three, files):
    image, labels = three
    tifffile.imwrite(files / "plain.tif", np.stack([image.array * 0, image.array]), photometric="minisblack", metadata=None)
    given = [str(bundles["patterns"]), str(files / "plain.tif"), "--labels", str(files / "cells-labels.tif"), "--channel", "2"]
    assert main(["measure", *given, "--axes", "cyx", "--out", str(files / "plain.csv")]) == 0
    alone, turned = (
        measure(bundles["patterns"], [array], labels=[labels], axes=axes) for array, axes in ((image.array, None), (image.array.T, "xy"))
    )
    assert [float(row["score_spots"]) for row in read(files / "plain.csv")] == pytest.approx(alone.column("score_spots"))
    assert turned.column("score_spots") == alone.column("score_spots")


def test_objects_are_found_by_a_segmentation_bundle(bundles, three):
    image, _ = three
    table = measure(bundles["patterns"], [image], segment=bundles["bright"])
    assert table.column("shape_area_px2") == [int((image.array > 300).sum())]


def test_the_segmentation_takes_its_own_channel(bundles, three):
    image, _ = three
    both = Image(array=np.stack([image.array, np.flip(image.array) // 2]), axes="cyx", pixel_size_um=0.25)
    first, second = (
        measure(bundles["patterns"], [both], segment=bundles["bright"], channel=1, segment_channel=number) for number in (1, 2)
    )
    assert first.column("shape_area_px2") == [int((both.array[0] > 300).sum())]
    assert second.column("shape_area_px2") == [int((both.array[1] > 300).sum())]


def test_a_bundle_that_finds_objects_measures_them_itself(bundles, files, capsys):
    arguments = ["measure", str(bundles["bright"]), str(files / "cells.tif"), str(files / "more.tif"), "-o", str(files / "t.csv")]
    assert main([*arguments, "--outlines", str(files / "drawn"), "--geojson", str(files / "qupath"), "--rois", str(files / "imagej")]) == 0
    rows = read(files / "t.csv")
    image = tifffile.imread(files / "cells.tif")
    assert [row["image"] for row in rows] == ["cells.tif", "more.tif"]
    assert int(float(rows[0]["shape_area_px2"])) == int((image > 300).sum())
    assert float(rows[0]["intensity_mean"]) == pytest.approx(image[image > 300].mean(), rel=1e-6)
    assert float(rows[0]["pixel_size_um"]) == 0.25
    printed = capsys.readouterr().out
    assert "cells.tif: 1 object\n" in printed
    assert "2 objects" in printed
    assert PIL.Image.open(files / "drawn" / "more.png").size == image.shape[::-1]
    np.testing.assert_array_equal(read_geojson(files / "qupath" / "cells.geojson", image.shape), image > 300)
    np.testing.assert_array_equal(read_rois(files / "imagej" / "cells.zip", image.shape), image > 300)
    (feature,) = json.loads((files / "qupath" / "cells.geojson").read_text())["features"]
    assert feature["properties"]["measurements"]["shape_area_um2"] == pytest.approx(float(rows[0]["shape_area_um2"]))


def test_a_stated_pixel_size_counts_in_the_table_and_a_diameter_needs_something_that_finds_objects(bundles, three):
    image, labels = three
    table = measure(bundles["bright"], [image], pixel_size=0.5)
    assert table.column("shape_area_um2") == [area * 0.25 for area in table.column("shape_area_px2")]
    with pytest.raises(InputInvalid, match="a diameter of 30 px is for finding objects, and here nothing finds them"):
        measure(bundles["patterns"], [image], labels=[labels], diameter=30)


def test_labels_beside_a_bundle_that_finds_objects_are_refused(bundles, three):
    image, labels = three
    with pytest.raises(InputInvalid, match="bright.zip finds objects itself: give no labels and no other segmentation"):
        measure(bundles["bright"], [image], labels=[labels])


def test_outlines_that_are_left_from_before_are_named_where_nothing_is_found_now(bundles, three, tmp_path):
    image, dark = three[0], np.full((20, 20), 9, np.uint16)
    measure(bundles["bright"], [image], geojson=tmp_path, rois=tmp_path)
    notes = measure(bundles["bright"], [dark], geojson=tmp_path, rois=tmp_path, outlines=tmp_path).notes
    assert [note for note in notes if "is from before" in note] == [
        f"image_000: {tmp_path / name} is from before, and now no object was found: delete it if it is not wanted."
        for name in ("image_000.geojson", "image_000.zip")
    ]


def test_regions_that_somebody_corrected_are_kept(bundles, three, tmp_path):
    image, path = three[0], tmp_path / "image_000.zip"
    measure(bundles["bright"], [image], rois=tmp_path)
    assert not any("was kept" in note for note in measure(bundles["bright"], [image], rois=tmp_path).notes)  # the same once more
    corrected = np.zeros((20, 20), int)
    corrected[3:6, 4:9] = 1
    path.unlink()
    write_rois(corrected, path)
    content = path.read_bytes()
    table = measure(bundles["bright"], [image], rois=tmp_path)
    assert len(table.rows) == 1
    assert path.read_bytes() == content
    assert f"image_000: {path} holds other regions than were found now, corrected ones perhaps, and was kept" in "".join(table.notes)


def test_an_image_in_which_nothing_is_found_has_no_row_and_a_note(bundles, three, tmp_path):
    image, _ = three
    dark = np.full((20, 20), 9, np.uint16)
    table = measure(bundles["patterns"], [dark, image], segment=bundles["bright"])
    assert len(table.rows) == 1
    assert "image_000: no object was found." in table.notes
    alone = measure(bundles["bright"], [dark], tmp_path / "t.csv")
    assert (alone.rows, alone.notes[-1]) == ((), "image_000: no object was found.")
    assert alone.columns == measure(bundles["bright"], [image]).columns
    assert (tmp_path / "t.csv").read_text() == f"{','.join(alone.columns)}\n"
    assert measure(bundles["patterns"], [dark], segment=bundles["bright"]).columns == table.columns


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": [np.ones((4, 4))] * 2}, "2 label images for 1 image"),
        ({"labels": [np.ones((4, 4))], "segment": "x.zip"}, "labels and a segmentation were both given"),
        ({"labels": [np.ones((4, 4))]}, r"image_000: the labels have shape \(4, 4\)"),
        ({"labels": [np.ones((2, 100, 160))]}, "a mask or label image has axes 'cyx'"),
    ],
    ids=["count", "both", "size", "channels"],
)
def test_labels_that_do_not_match_are_refused(bundles, three, options, words):
    with pytest.raises(InputInvalid, match=words):
        measure(bundles["patterns"], [three[0]], **options)


def test_label_images_are_paired_by_name_however_folders_sort_them(bundles, files):
    (files / "images").mkdir()
    (files / "labels").mkdir()
    for source, name in (("cells", "img1"), ("more", "img10")):  # "img10_labels" comes before "img1_labels"
        (files / "images" / f"{name}.tif").write_bytes((files / f"{source}.tif").read_bytes())
        (files / "labels" / f"{name}_labels.tif").write_bytes((files / f"{source}-labels.tif").read_bytes())
    together = measure(bundles["patterns"], [files / "images"], labels=[files / "labels"])
    each = [measure(bundles["patterns"], [files / f"{name}.tif"], labels=[files / f"{name}-labels.tif"]) for name in ("cells", "more")]
    assert together.column("image") == ["img1.tif"] * 3 + ["img10.tif"] * 3
    assert together.column("intensity_mean") == [value for table in each for value in table.column("intensity_mean")]
    assert together.column("centroid_y_px") == [value for table in each for value in table.column("centroid_y_px")]


@pytest.mark.parametrize(
    ("images", "labels", "paired_as"),
    [
        ("a b", "b_labels a_labels", "a_labels b_labels"),
        ("a a_b", "a_b-mask a-mask", "a-mask a_b-mask"),
        ("a b", "second first", "second first"),
        ("dapi gfp", "dapi_labels dapi_labels_copy", "dapi_labels dapi_labels_copy"),
        ("monday/a tuesday/a", "one/a two/a", "one/a two/a"),
        ("a b c", "a_labels x c_labels", "a_labels x c_labels"),
        ("a b c", "b_labels c_labels d_labels", None),
        ("caf\u00e9 b", "b cafe\u0301", "cafe\u0301 b"),
    ],
)
def test_names_tell_which_label_image_belongs_to_which_image(images, labels, paired_as):
    given = [[Path(f"{name}.tif") for name in names.split()] for names in (images, labels)]
    if paired_as is None:
        with pytest.raises(InputInvalid, match=r"b\.tif would be measured with c_labels\.tif, and b_labels\.tif seems to be its own"):
            paired(*given)
    else:
        assert [path.stem if "/" not in paired_as else path.with_suffix("").as_posix() for path in paired(*given)] == paired_as.split()


def test_one_image_given_twice_is_refused(bundles, files):
    with pytest.raises(InputInvalid, match=r"cells.tif is given more than once: name each image once"):
        measure(bundles["patterns"], [files / "cells.tif", files / "cells.tif"])


def test_images_of_one_name_are_told_apart_by_their_folders(bundles, files, capsys):
    for day in ("monday", "tuesday"):
        (files / day).mkdir()
        (files / day / "cells.tif").write_bytes((files / "cells.tif").read_bytes())
    wanted = [str(files / "monday"), str(files / "tuesday"), str(files / "more.tif"), "-o", str(files / "t.csv")]
    assert main(["measure", str(bundles["bright"]), *wanted, "--geojson", str(files / "drawn")]) == 0
    assert [row["image"] for row in read(files / "t.csv")] == ["monday/cells.tif", "tuesday/cells.tif", "more.tif"]
    assert sorted(path.name for path in (files / "drawn").iterdir()) == ["monday_cells.geojson", "more.geojson", "tuesday_cells.geojson"]
    assert "tuesday/cells.tif: 1 object\n" in capsys.readouterr().out


def test_an_image_that_cannot_be_used_does_not_cost_the_rows_of_the_others(bundles, files, capsys):
    (files / "broken.tif").write_bytes((files / "cells.tif").read_bytes()[:200])
    write_image(Image(array=np.stack([tifffile.imread(files / "cells.tif")] * 2), axes="tyx"), files / "series.tif")
    wanted = [str(files / f"{name}.tif") for name in ("broken", "cells", "series", "more")]
    assert main(["measure", str(bundles["bright"]), *wanted, "-o", str(files / "t.csv")]) == 2
    assert [row["image"] for row in read(files / "t.csv")] == ["cells.tif", "more.tif"]
    printed = capsys.readouterr().out
    assert "broken.tif is damaged or cut off" in printed
    assert "series.tif: 'labels' of bright.zip has axes 'tyx' for this image" in printed
    assert "cells.tif: 1 object\n" in printed


def test_an_image_without_objects_is_counted_as_such_beside_one_that_cannot_be_used(bundles, files, capsys):
    dark = files / "dark.tif"
    write_image(Image(array=np.full((20, 20), 9, np.uint16), axes="yx"), dark)
    assert main(["measure", str(bundles["bright"]), str(files / "none.tif"), str(dark), "-o", str(files / "t.csv")]) == 2
    printed = capsys.readouterr().out
    assert "none.tif: no image" in printed
    assert "dark.tif: 0 objects" in printed
    assert (files / "t.csv").read_text().startswith("image,label,pixel_size_um,centroid_y_px")
    with pytest.raises(InputInvalid, match="none.tif: no image"):
        measure(bundles["bright"], [files / "none.tif"], files / "none.csv")
    assert not (files / "none.csv").exists()


def test_images_of_different_channels_share_a_table(bundles, three):
    image, labels = three
    both = Image(array=np.stack([image.array, image.array]), axes="cyx", channels=("dna", "actin"))
    table = measure(bundles["bright"], [image, both], channel=1)
    assert table.column("intensity_mean")[1] is table.column("dna_intensity_mean")[0] is None
    assert table.column("dna_intensity_mean")[1] == pytest.approx(table.column("intensity_mean")[0])


def test_an_image_in_which_objects_cannot_be_found_is_named_with_the_cure(bundles, three):
    series = Image(array=np.stack([three[0].array] * 2), axes="tyx")
    words = r"'labels' of bright.zip has axes 'tyx' for this image, .* as an image of its own"
    (fault,) = measure(bundles["bright"], [three[0], series]).faults.items()
    assert fault[0] == "image_001"
    assert re.search(words, str(fault[1]))
    assert "image_001 is left out" in measure(bundles["bright"], [three[0], series])._repr_html_()
    with pytest.raises(InputInvalid, match=f"image_000: {words}"):
        measure(bundles["bright"], [series])


def test_planes_that_are_numbered_one_by_one_are_not_measured_as_a_stack(bundles, three):
    image = np.stack([three[0].array] * 3)
    with pytest.raises(InputInvalid, match="has axes 'zyx' for this image, and one plane or one stack is measured at a time"):
        measure(bundles["bright"], [Image(array=image, axes="zyx")])


def test_a_segmentation_without_labels_is_refused(bundles, three):
    with pytest.raises(BundleInvalid, match=r"patterns.zip gives scores \(scores\) and no labels"):
        measure(bundles["patterns"], [three[0]], segment=bundles["patterns"])
