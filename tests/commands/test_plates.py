"""Plates of wells from OME-Zarr to OME-Zarr and to tables, through predict and measure."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
import zarr
from networks import ABOUT
from plates import FIELDS, WELLS, spots, write_plate
from torch import nn

import zooready
from zooready import TensorSpec
from zooready.cli import main
from zooready.commands.measure import measure
from zooready.commands.predict import predict_files
from zooready.errors import InputInvalid
from zooready.images.files import read_image
from zooready.images.plates import field_of, fields_of

COUNTS = {(well, field): 3 + 4 * WELLS.index(well) + int(field) for well in WELLS for field in FIELDS}


class Numbered(nn.Module):
    """Each square of 10 px that holds a spot gets a number, in the order of the squares."""

    def forward(self, image):
        cells = nn.functional.max_pool2d(image, 10)
        is_there = (cells > 300).float()
        numbers = torch.cumsum(is_there.flatten(1), 1).reshape(is_there.shape) * is_there
        return nn.functional.interpolate(numbers, scale_factor=10.0, mode="nearest") * (image > 300).float()


@pytest.fixture(scope="module")
def numbering(tmp_path_factory):
    """A bundle whose labels are right by arithmetic."""
    path = tmp_path_factory.mktemp("numbering") / "numbering.zip"
    labels = TensorSpec(name="labels", axes="bcyx", channels=("objects",), kind="labels")
    zooready.export(Numbered(), spots(5, np.random.default_rng(0)), ABOUT, path, outputs=(labels,), torchscript="plain", formats=("onnx",))
    return path


def image_of(well, field):
    return spots(COUNTS[well, field], np.random.default_rng(COUNTS[well, field]))


@pytest.fixture(params=["0.4", "0.5"])
def plate(request, tmp_path):
    return write_plate(tmp_path / "screen.ome.zarr", image_of, version=request.param)


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_fields_of_a_plate_are_its_images_in_its_order(plate):
    fields = fields_of(plate)
    assert [(field.well, field.name) for field in fields] == [(well.replace("/", ""), field) for well in WELLS for field in FIELDS]
    assert [field_of(field.path) for field in fields] == list(fields)
    np.testing.assert_array_equal(read_image(fields[5].path).array, image_of("B/1", "1"))
    assert fields_of(fields[0].path) == () == fields_of(plate / "A")
    assert field_of(plate) is field_of(plate / "A" / "1") is None


def test_predict_makes_a_plate_of_labels_and_a_table_with_a_row_for_each_field(numbering, plate, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(numbering), str(plate), "-o", str(out)]) == 0, capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["screen_fields.csv", "screen_labels.ome.zarr"]
    counts = {(row["well"], row["field"]): int(row["labels_objects"]) for row in read(out / "screen_fields.csv")}
    assert counts == {(well.replace("/", ""), field): count for (well, field), count in COUNTS.items()}
    labels = out / "screen_labels.ome.zarr"
    assert [field.inside for field in fields_of(labels)] == [field.inside for field in fields_of(plate)]
    for field in fields_of(labels):
        found = read_image(field.path)
        assert found.array.max() == COUNTS["/".join(field.inside[:2]), field.name]
        assert found.pixel_size_um == pytest.approx(0.3)
    stated = zarr.open_group(labels, mode="r").attrs["plate"]
    assert [row["name"] for row in stated["rows"]] == ["A", "B"]
    assert [(well["path"], well["rowIndex"], well["columnIndex"]) for well in stated["wells"]][2] == ("B/1", 1, 0)
    assert (stated["field_count"], stated["version"]) == (2, "0.4")
    assert "screen_labels.ome.zarr" in capsys.readouterr().out.replace("\n", "")


def test_measure_names_the_well_of_each_object(numbering, plate, tmp_path, capsys):
    assert main(["measure", str(numbering), str(plate), "-o", str(tmp_path / "t.csv")]) == 0, capsys.readouterr().out
    rows = read(tmp_path / "t.csv")
    assert len(rows) == sum(COUNTS.values())
    assert list(rows[0])[:4] == ["image", "well", "field", "label"]
    for (well, field), count in COUNTS.items():
        own = [row for row in rows if (row["well"], row["field"]) == (well.replace("/", ""), field)]
        assert len(own) == count
        assert {row["image"] for row in own} == {f"screen.ome.zarr/{well}/{field}"}
        assert {float(row["shape_area_px2"]) for row in own} == {36.0}
    assert f"screen.ome.zarr/B/2/1: {COUNTS['B/2', '1']} objects" in capsys.readouterr().out


def test_a_plate_of_labels_serves_the_plate_that_it_was_made_of(numbering, plate, bundles, tmp_path):
    list(predict_files(numbering, [plate], tmp_path / "out"))
    table = measure(bundles["patterns"], [plate], labels=[tmp_path / "out" / "screen_labels.ome.zarr"])
    assert len(table.rows) == sum(COUNTS.values())
    assert table.column("well")[:3] == ["A1"] * 3


def test_a_run_that_was_stopped_goes_on_with_the_fields_that_are_left(numbering, plate, tmp_path):
    out = tmp_path / "out"
    for number, _ in enumerate(predict_files(numbering, [plate], out)):
        if number == 2:
            break
    assert not (out / "screen_labels.ome.zarr" / ".zattrs").exists()  # no plate, as long as fields are missing
    assert not (out / "screen_fields.csv").exists()
    fields_of(plate)[0].path.joinpath("0").rename(tmp_path / "kept")
    shutil.copytree(fields_of(plate)[7].path / "0", fields_of(plate)[0].path / "0")  # another image now
    results = list(predict_files(numbering, [plate], out))
    assert [bool(result.images) for _, result, _ in results] == [True, False, False, True, True, True, True, True, False]
    assert "was done by a run that was stopped." in results[1][1].notes
    assert sorted(path.name for path in out.iterdir()) == ["screen_fields.csv", "screen_labels.ome.zarr"]
    counts = [int(row["labels_objects"]) for row in read(out / "screen_fields.csv")]
    assert counts == [COUNTS["B/2", "1"], *list(COUNTS.values())[1:]]
    again = list(predict_files(numbering, [plate], out))
    assert all(result.images for _, result, _ in again[:-1])  # what is whole is made anew


def test_a_field_that_cannot_be_read_is_named_and_left_out_and_run_next_time(numbering, plate, tmp_path, capsys):
    missing = fields_of(plate)[3].path
    missing.rename(tmp_path / "away")
    out = tmp_path / "out"
    assert main(["predict", str(numbering), str(plate), "-o", str(out)]) == 2
    assert f"no image {missing}" in capsys.readouterr().out.replace("\n", "")
    assert len(fields_of(out / "screen_labels.ome.zarr")) == len(read(out / "screen_fields.csv")) == 7
    (tmp_path / "away").rename(missing)
    results = list(predict_files(numbering, [plate], out))
    assert [bool(result.images) for _, result, _ in results] == [False, False, False, True, False, False, False, False, False]
    assert len(fields_of(out / "screen_labels.ome.zarr")) == len(read(out / "screen_fields.csv")) == 8


def test_other_settings_are_another_run(numbering, plate, tmp_path):
    out = tmp_path / "out"
    for _ in predict_files(numbering, [plate], out):
        break
    results = list(predict_files(numbering, [plate], out, channel=1))
    assert all(result.images for _, result, _ in results[:-1])


def test_scores_of_a_plate_are_one_table(bundles, plate, tmp_path):
    list(predict_files(bundles["patterns"], [plate], tmp_path / "out"))
    rows = read(tmp_path / "out" / "screen_fields.csv")
    assert [(row["well"], row["field"]) for row in rows][:3] == [("A1", "0"), ("A1", "1"), ("A2", "0")]
    (alone,) = predict_files(bundles["patterns"], [fields_of(plate)[2].path], tmp_path / "alone")
    assert alone[2] == (tmp_path / "alone" / "screen_A2_0_scores.csv",)
    assert read(alone[2][0])[0] == {name: value for name, value in rows[2].items() if name not in ("well", "field")}


def test_a_plate_that_names_folders_outside_itself_is_refused(plate):
    for mark, keys in (("zarr.json", ("attributes", "ome")), (".zattrs", ())):
        if (plate / mark).exists():
            stated = json.loads((plate / mark).read_text())
            inside = stated
            for key in keys:
                inside = inside[key]
            inside["plate"]["wells"][0]["path"] = "../elsewhere"
            (plate / mark).write_text(json.dumps(stated))
    with pytest.raises(InputInvalid, match=r"is a plate that does not say what its wells hold .*\.\./elsewhere"):
        fields_of(plate)


def test_results_are_not_written_over_the_plate(numbering, tmp_path):
    write_plate(tmp_path / "a.ome.zarr", image_of)
    write_plate(tmp_path / "a_labels.ome.zarr", image_of)
    with pytest.raises(InputInvalid, match=r"a_labels.ome.zarr would be overwritten by a result"):
        list(predict_files(numbering, [tmp_path / "a.ome.zarr", tmp_path / "a_labels.ome.zarr"], tmp_path))
