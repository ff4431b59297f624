"""Rows of a table against eager PyTorch and plain NumPy; columns that stay the same; what is refused."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from patterns import CLASSES, Patterns, standard

from zooready.bundle.rdf import read
from zooready.errors import BundleInvalid, InputInvalid
from zooready.measurement import Measurer, save, table
from zooready.measurement.features import measurements
from zooready.records import Image


def measured(bundle, image, labels, **options):
    rows, notes = Measurer.of(bundle, **options).rows("cells.tif", image, labels)
    return table(rows, notes)


def eager(weights, piece):
    network = Patterns()
    network.load_state_dict(weights)
    with torch.no_grad():
        seen = network.features(standard(piece[None, None])).mean((2, 3))
        return seen[0].numpy(), torch.softmax(network.last(seen), 1)[0].numpy()


def test_embedding_and_scores_are_those_of_the_network_for_the_piece(open_bundle, three, weights):
    image, labels = three
    measurements_table = measured(open_bundle("patterns"), image, labels, crop_px=32)
    y, x = np.nonzero(labels == 5)
    top, left = (y.min() + y.max() + 1 - 32) // 2, (x.min() + x.max() + 1 - 32) // 2
    seen, scores = eager(weights, image.array[top : top + 32, left : left + 32])
    assert measurements_table.matrix("embedding_")[1] == pytest.approx(seen, abs=1e-4)
    assert measurements_table.matrix("score_")[1] == pytest.approx(scores, abs=1e-4)
    assert measurements_table.column("class") == [CLASSES[index] for index in measurements_table.matrix("score_").argmax(1)]
    assert measurements_table.column("class")[1] == "bars"


def test_classical_measurements_are_those_of_the_object_in_the_image(open_bundle, three):
    image, labels = three
    measurements_table = measured(open_bundle("patterns"), image, labels)
    truth = measurements(image.array, labels == 2)
    assert {name: measurements_table.column(name)[0] for name in truth} == pytest.approx(truth)


def test_every_row_says_where_its_object_lies_in_pixels_and_micrometres(open_bundle, three):
    image, labels = three
    measurements_table = measured(open_bundle("patterns"), image, labels)
    assert measurements_table.column("label") == [2, 5, 9]
    assert measurements_table.column("image") == ["cells.tif"] * 3
    for index, number in enumerate((2, 5, 9)):
        y, x = np.nonzero(labels == number)
        assert measurements_table.column("centroid_y_px")[index] == pytest.approx(y.mean())
        assert measurements_table.column("centroid_x_um")[index] == pytest.approx(x.mean() * 0.25)
        assert measurements_table.column("shape_area_px2")[index] == y.size
        assert measurements_table.column("shape_area_um2")[index] == pytest.approx(y.size / 16)
    assert measurements_table.column("touches_edge") == [0, 0, 1]


def test_without_a_pixel_size_the_columns_are_the_same_and_micrometres_unknown(open_bundle, three):
    image, labels = three
    known, unknown = (measured(open_bundle("patterns"), version, labels) for version in (image, replace(image, pixel_size_um=None)))
    assert known.columns == unknown.columns
    assert {name for name in unknown.columns if None in unknown.column(name)} == {
        "pixel_size_um",
        *(name for name in unknown.columns if name.endswith(("_um", "_um2"))),
    }
    assert "does not say its pixel size" in unknown.notes[0]
    (note,) = measured(open_bundle("patterns"), replace(image, pixel_size_um=3.0), labels).notes
    assert re.search("cells.tif: .*pixels of 3 µm.*rescale the image in Fiji", note)
    assert not known.notes


def test_numbers_that_float32_does_not_hold_are_told(open_bundle, three):
    image, labels = three
    large = image.array.astype(np.int64) + 2**24 + 1
    (note,) = measured(open_bundle("patterns"), replace(image, array=large), labels).notes
    assert re.match(r"cells.tif: \d+ of \d+ pixels are whole numbers above 16,777,216 that float32 does not hold", note)


def test_without_labels_the_whole_image_is_one_object_at_its_own_size(open_bundle, three, weights):
    image, _ = three
    measurements_table = measured(open_bundle("patterns"), image, None, crop_px=32)
    assert len(measurements_table.rows) == 1
    seen, _ = eager(weights, image.array)
    assert measurements_table.matrix("embedding_")[0] == pytest.approx(seen, abs=1e-4)
    assert measurements_table.column("shape_area_px2") == [16000]


def test_the_background_changes_what_the_network_sees_and_no_classical_measurement(open_bundle, three):
    image, labels = three
    kept, zero, lowest = (measured(open_bundle("patterns"), image, labels, background=how) for how in ("keep", "zero", "lowest"))
    for first, second in ((kept, zero), (kept, lowest), (zero, lowest)):
        assert not np.allclose(first.matrix("embedding_"), second.matrix("embedding_"), atol=1e-3)
        assert (first.matrix("intensity_", "shape_", "haralick") == second.matrix("intensity_", "shape_", "haralick")).all()


def stating(bundle, **facts):
    """The bundle with other facts in config.zooready, read again."""
    description = yaml.safe_load((bundle.folder / "rdf.yaml").read_text(encoding="utf-8"))
    description["config"]["zooready"] |= facts
    return replace(read(description, path=bundle.path, folder=bundle.folder, formats=bundle.formats), cases=bundle.cases)


def test_the_piece_is_what_is_asked_for_else_what_the_bundle_states_else_the_object(open_bundle, three):
    bundle = open_bundle("patterns")
    assert Measurer.of(bundle).size is None
    assert Measurer.of(stating(bundle, crop_px=40)).size == (40, 40)
    assert Measurer.of(stating(bundle, crop_px=40), crop_px=24).size == (24, 24)
    object_sized, small, large = (measured(bundle, *three, **how).matrix("embedding_") for how in ({}, {"crop_px": 24}, {"crop_px": 40}))
    assert not np.allclose(object_sized, small, atol=1e-3)
    assert not np.allclose(small, large, atol=1e-3)


def test_a_network_of_one_size_gets_that_size_and_no_other(open_bundle, three):
    bundle = open_bundle("patterns")
    details = tuple(replace(axis, size=32, minimum=None, step=None) if axis.letter in "yx" else axis for axis in bundle.inputs[0].details)
    fixed = replace(bundle, inputs=(replace(bundle.inputs[0], details=details),), cases=())
    assert Measurer.of(fixed).size == Measurer.of(fixed, crop_px=32).size == (32, 32)
    with pytest.raises(InputInvalid, match=r"takes only crops of \{'y': 32, 'x': 32\} px: give a crop of that size"):
        Measurer.of(fixed, crop_px=40)


def test_pieces_grow_to_a_size_that_the_network_takes(open_bundle, three, weights):
    bundle = open_bundle("patterns")
    details = tuple(replace(axis, minimum=16, step=16) if axis.letter in "yx" else axis for axis in bundle.inputs[0].details)
    picky = replace(bundle, inputs=(replace(bundle.inputs[0], details=details),), cases=bundle.cases[:1])
    measurements_table = measured(picky, *three, crop_px=30)
    y, x = np.nonzero(three[1] == 5)
    top, left = (y.min() + y.max() + 1 - 30) // 2, (x.min() + x.max() + 1 - 30) // 2
    seen, _ = eager(weights, np.pad(three[0].array[top : top + 30, left : left + 30], ((0, 2), (0, 2)), mode="edge"))
    assert measurements_table.matrix("embedding_")[1] == pytest.approx(seen, abs=1e-4)


def test_objects_that_are_larger_than_the_piece_are_noted(open_bundle, three):
    (note,) = measured(open_bundle("patterns"), *three, crop_px=12).notes
    assert note == "cells.tif: 3 objects cut to the 12 x 12 px that the network is given."


def test_several_channels_are_measured_by_name_and_the_shape_once(open_bundle, three):
    image, labels = three
    both = Image(array=np.stack([image.array, image.array // 2]), axes="cyx", pixel_size_um=0.25, channels=("dna", "protein"))
    measurements_table = measured(open_bundle("two"), both, labels)
    first, second = measurements_table.column("dna_intensity_mean"), measurements_table.column("protein_intensity_mean")
    assert second == pytest.approx([half / 2 for half in first], rel=0.01)
    assert sum(name.endswith("shape_area_px2") for name in measurements_table.columns) == 1
    assert {"dna_parts_away_max_px", "protein_parts_away_max_um"} <= set(measurements_table.columns)
    with pytest.raises(InputInvalid, match="image has 1 channel and the network takes 2 channels"):
        measured(open_bundle("two"), image, labels)


def test_one_channel_of_several_is_taken_by_name(open_bundle, three):
    image, labels = three
    both = Image(array=np.stack([0 * image.array, image.array]), axes="cyx", pixel_size_um=0.25, channels=("red", "green"))
    rows, _ = Measurer.of(open_bundle("patterns")).rows("cells.tif", both, labels, channel="green")
    assert table(rows).rows == measured(open_bundle("patterns"), image, labels).rows


def test_stacks_are_refused(open_bundle, three):
    stack = Image(array=np.stack([three[0].array] * 2), axes="zyx")
    with pytest.raises(InputInvalid, match=r"cells.tif has several planes \(axes 'zyx'\), and only one can be measured"):
        measured(open_bundle("patterns"), stack, None)


def test_values_that_no_network_can_use_are_refused(open_bundle, three):
    image, labels = three
    with pytest.raises(InputInvalid, match="the result would be of no use"):
        measured(open_bundle("patterns"), replace(image, array=image.array * 1e20), labels)


@pytest.mark.parametrize(("numbers", "said"), [((7, 7, 7), "number 7"), ((1, 2, 1), None), ((1, 2, 3), None)])
def test_a_mask_whose_pieces_count_as_one_object_is_told(open_bundle, three, numbers, said):
    image, labels = three
    renumbered = np.zeros_like(labels)
    for old, new in zip((2, 5, 9), numbers, strict=True):
        renumbered[labels == old] = new
    _, notes = Measurer.of(open_bundle("patterns")).rows("cells.tif", image, renumbered)
    told = [note for note in notes if "separate pieces" in note]
    assert (len(told) == 1 and f"cells.tif: the labels hold the {said} in 3 separate pieces" in told[0]) if said else not told


def test_a_bundle_without_scores_is_refused(open_bundle):
    with pytest.raises(InputInvalid, match=r"bright.zip gives labels \(labels\) and no class scores"):
        Measurer.of(open_bundle("bright"))


@pytest.mark.parametrize("side", [0, -3, "large"])
def test_a_piece_of_no_size_is_refused(open_bundle, side):
    with pytest.raises(BundleInvalid, match=f"crop_px is {side!r}, which is not a size: write the side of a crop"):
        Measurer.of(stating(open_bundle("patterns"), crop_px=side))


def test_a_piece_of_no_size_is_refused_of_whoever_asks(open_bundle):
    with pytest.raises(InputInvalid, match="crop_px=0 is not a size: give 1 or more"):
        Measurer.of(open_bundle("patterns"), crop_px=0)


def test_scores_of_another_number_than_promised_are_refused(open_bundle, three):
    bundle = open_bundle("patterns")
    wrong = replace(bundle, outputs=(replace(bundle.outputs[0], channels=("a", "b")),))
    with pytest.raises(BundleInvalid, match=r"declares 2 classes and returned 3"):
        measured(wrong, *three)


# The table


def test_a_csv_holds_the_numbers_with_seven_digits_and_nothing_for_the_unknown(tmp_path):
    written = table(
        [{"image": "a,b.tif", "label": 3, "mean_um": None, "mean": 1 / 3}, {"image": "c.tif", "label": 4, "mean_um": None, "mean": 2.0}]
    )
    save(written, tmp_path / "new" / "table.csv")
    with (tmp_path / "new" / "table.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["image", "label", "mean_um", "mean"],
            ["a,b.tif", "3", "", "0.3333333"],
            ["c.tif", "4", "", "2"],
        ]


def test_columns_are_found_by_name_and_by_their_beginnings():
    written = table([{"a_1": 1.0, "b": 2.0, "a_2": 3.0}])
    assert written.column("b") == [2.0]
    assert (written.matrix("a_") == [[1.0, 3.0]]).all()
    with pytest.raises(InputInvalid, match="no column 'c': it has a_1, b, a_2"):
        written.column("c")


def test_another_ending_than_csv_is_refused(tmp_path):
    with pytest.raises(InputInvalid, match=r"table.xlsx': the table is a CSV file: use a name that ends in .csv"):
        save(table([{"a": 1}]), tmp_path / "table.xlsx")
