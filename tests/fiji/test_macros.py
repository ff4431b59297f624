"""The macros of export/fiji that need no DeepImageJ, in plain ImageJ without a screen."""

import csv

import numpy as np
import pytest
import tifffile

from zooready.consumers.deepimagej import fiji

pytestmark = pytest.mark.java
FOLDER = fiji.macros()
LABELS = np.zeros((9, 12), np.float32)
LABELS[1:4, 1:5] = 1
LABELS[5:8, 6:11] = 3  # 2 is not there
LABELS[1, 9] = 4
LABELS[3, 9] = 4  # in two pieces


def call(name, argument=""):
    return f'told = runMacro("{FOLDER / name}", "{argument}");\n'


def seen(macro, code, *paths):
    """What a macro finds after the labels of each file were shown."""
    opened = "setBatchMode(true);\nopen(getArgument());\n"
    return macro(opened + call("labels_to_rois.ijm", "overlay") + code + "return told + text;", *map(str, paths))


def test_each_label_becomes_one_outline_whatever_its_pieces(macro, tmp_path):
    for dtype in (np.uint8, np.uint16, np.float32):
        tifffile.imwrite(tmp_path / f"{np.dtype(dtype).name}.tif", LABELS.astype(dtype), imagej=True)
    code = """
text = "";
for (i = 0; i < Overlay.size; i++) {
    Overlay.activateSelection(i);
    getStatistics(area, mean);
    text = text + " " + Roi.getName + ":" + area + "x" + mean;
}
close();
"""
    outlines = seen(macro, code, *sorted(tmp_path.glob("*.tif")))
    assert outlines == ["3 0001:12x1 0003:15x3 0004:2x4"] * 3


def test_outlines_hold_every_pixel_of_a_label_and_no_other(macro, tmp_path):
    labels = np.zeros((40, 50), np.float32)
    labels[2:12, 2:12] = 1
    labels[5:9, 5:9] = 2  # in a hole of 1
    labels[20:30, 40:] = 3  # at the rim
    labels[30:, 45:] = 4  # in the corner, touching 3
    labels[15, 5] = labels[16, 6] = labels[17, 5] = 5  # corner to corner
    labels[33:36, 0:20] = 6
    labels[38, 10:30] = 6  # in two pieces
    labels[0, 0] = 7
    labels[35, 10] = 300  # cut out of 6, and not of 8 bits
    tifffile.imwrite(tmp_path / "float.tif", labels, imagej=True)
    tifffile.imwrite(tmp_path / "short.tif", labels.astype(np.uint16), imagej=True)
    tifffile.imwrite(tmp_path / "huge.tif", np.where(labels == 300, 70000, labels), imagej=True)  # stays 32-bit
    tifffile.imwrite(tmp_path / "byte.tif", np.where(labels == 300, 30, labels).astype(np.uint8), imagej=True)
    code = """
text = "";
for (i = 0; i < Overlay.size; i++) {
    Overlay.activateSelection(i);
    getStatistics(area, mean, min, max);
    text = text + " " + parseInt(Roi.getName) + ":" + area + ":" + min + ":" + max;
}
close();
"""
    files = {"float": 300, "short": 300, "huge": 70000, "byte": 30}
    for told, last in zip(seen(macro, code, *(tmp_path / f"{name}.tif" for name in files)), files.values(), strict=True):
        areas = {label: int((labels == (label if label < 8 else 300)).sum()) for label in (*range(1, 8), last)}
        assert told == f"8 {' '.join(f'{label}:{area}:{label}:{label}' for label, area in areas.items())}"


def test_outlines_take_time_by_pixels_and_not_by_pixels_times_labels(macro, tmp_path):
    """Sixteen times the labels in the same image take less than eight times as long; the whole image for each label took sixteen."""
    side = 640
    for cells in (10, 40):
        y, x = np.indices((side, side)) * cells // side
        tifffile.imwrite(tmp_path / f"{cells}.tif", (1 + y * cells + x).astype(np.uint16), imagej=True)
    code = f"""
setBatchMode(true);
open(getArgument());
started = getTime();
told = runMacro("{FOLDER / "labels_to_rois.ijm"}", "overlay");
took = getTime() - started;
close();
return told + " " + took;
"""
    few, many = (told.split() for told in macro(code, str(tmp_path / "10.tif"), str(tmp_path / "40.tif")))
    assert (few[0], many[0]) == ("100", "1600")
    assert float(many[1]) < 8 * float(few[1])


def test_a_stack_is_outlined_plane_by_plane(macro, tmp_path):
    stack = np.stack([LABELS, np.zeros_like(LABELS), LABELS.T[:9].repeat(2, axis=1)[:, :12]])
    tifffile.imwrite(tmp_path / "labels.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    code = """
text = " ";
for (i = 0; i < Overlay.size; i++) {
    Overlay.activateSelection(i);
    text = text + getSliceNumber();
}
"""
    (told,) = seen(macro, code, tmp_path / "labels.tif")
    assert told.split()[1] == "1" * 3 + "3" * (len(np.unique(stack[2])) - 1)


@pytest.mark.parametrize(("side", "bits"), [(15, 8), (20, 16)])
def test_colours_are_distinct_on_black_and_pixels_stay_labels(macro, tmp_path, side, bits):
    labels = np.arange(side * side, dtype=np.float32).reshape(side, side)
    tifffile.imwrite(tmp_path / "labels.tif", labels, imagej=True)
    out = tmp_path / "shown.tif"
    code = f"""
saveAs("Tiff", "{out}");
getLut(r, g, b);
text = "";
for (i = 0; i < 256; i++)
    text = text + " " + r[i] + "," + g[i] + "," + b[i];
"""
    (told,) = seen(macro, code, tmp_path / "labels.tif")
    count, *colours = told.split()
    assert int(count) == side * side - 1
    shown = tifffile.imread(out)
    assert shown.dtype.itemsize * 8 == bits
    assert (shown == labels).all()
    table = np.array([[int(value) for value in colour.split(",")] for colour in colours])
    assert (table[0] == 0).all()
    assert len({tuple(colour) for colour in table[1:]}) > 240
    assert table[1:].max(axis=1).min() > 150
    assert np.abs(np.diff(table[1:], axis=0)).sum(axis=1).min() > 60
    if bits == 8:
        with tifffile.TiffFile(out) as tiff:
            assert (table == tiff.pages[0].colormap.T >> 8).all()


def test_scores_become_a_table_and_the_best_is_told(macro, tmp_path):
    scores = np.array([0.25, 0.5, 0.125], np.float32)
    for name, dims, shape in (("row", "YX", (1, 3)), ("pixel", "CYX", (3, 1, 1))):
        tifffile.imwrite(tmp_path / f"{name}.tif", scores.reshape(shape)[..., None], imagej=True, metadata={"axes": dims + "S"})
    code = f"""
setBatchMode(true);
open("{tmp_path}/" + getArgument() + ".tif");
return runMacro("{FOLDER / "scores_to_table.ijm"}", "round cell,spindle,dead|{tmp_path}/" + getArgument() + ".csv");
"""
    assert macro(code, "row", "pixel") == ["spindle", "spindle"]
    for name in ("row", "pixel"):
        with (tmp_path / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [(row["class"], float(row["score"])) for row in rows] == [("round cell", 0.25), ("spindle", 0.5), ("dead", 0.125)]


SIZES = [
    ("um", 0.3, 0.3, ""),
    ("micron", 0.6, 0.6, ""),
    ("\u00b5m", 0.3, 0.3, ""),
    ("nm", 300, 300, ""),
    ("mm", 0.0003, 0.0003, ""),
    ("um", 1.2, 1.2, "are 1.2000 um, but the network was trained for 0.2 to 0.6 um"),
    ("nm", 100, 100, "are 0.1000 um, but the network was trained for 0.2 to 0.6 um"),
    ("um", 0.3, 0.5, "are not square (0.3 x 0.5 um)"),
    ("pixel", 1, 1, "has no pixel size in micrometres (unit: pixel"),
    ("inch", 0.01, 0.01, "has no pixel size in micrometres (unit: inch"),
]


def test_the_pixel_size_is_compared_in_micrometres(macro):
    code = """
setBatchMode(true);
newImage("a", "8-bit black", 5, 4, 1);
parts = split(getArgument(), "|");
setVoxelSize(parseFloat(parts[1]), parseFloat(parts[2]), 1, parts[0]);
"""
    code += call("check_pixel_size.ijm", "0.2|0.6") + "close();\nreturn told;"
    answers = macro(code, *(f"{unit}|{width}|{height}" for unit, width, height, _ in SIZES))
    for answer, (unit, width, height, expected) in zip(answers, SIZES, strict=True):
        assert (expected in answer) if expected else (answer == ""), (unit, width, height, answer)


PLANES = [
    ("um", "um", 0.5, ""),
    ("um", "nm", 500, ""),
    ("pixel", "um", 0.5, ""),
    ("um", "nm", 0.5, "are 0.0005 um apart, but the network was trained for 0.5 um"),
    ("um", "pixel", 0.5, "has no distance of planes in micrometres"),
]


def test_the_distance_of_planes_is_compared_in_micrometres_of_its_own_unit(macro):
    code = """
setBatchMode(true);
newImage("a", "8-bit black", 5, 4, 3);
parts = split(getArgument(), "|");
setVoxelSize(0.3, 0.3, parseFloat(parts[2]), parts[0]);
Stack.setZUnit(parts[1]);
"""
    code += call("check_pixel_size.ijm", "0|0|0.5") + "close();\nreturn told;"
    answers = macro(code, *(f"{unit}|{along_z}|{depth}" for unit, along_z, depth, _ in PLANES))
    for answer, (unit, along_z, depth, expected) in zip(answers, PLANES, strict=True):
        assert (expected in answer) if expected else (answer == ""), (unit, along_z, depth, answer)


def test_every_macro_refuses_what_it_cannot_take(macro, tmp_path):
    tifffile.imwrite(tmp_path / "colour.tif", np.zeros((5, 4, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(tmp_path / "scores.tif", np.zeros((1, 3), np.float32), imagej=True)
    tifffile.imwrite(tmp_path / "negative.tif", -LABELS, imagej=True)
    code = f"""
setBatchMode(true);
parts = split(getArgument(), "|");
if (parts[1] != "nothing")
    open("{tmp_path}/" + parts[1]);
return runMacro("{FOLDER}/" + parts[0], parts[2] + "|{tmp_path}/out.csv");
"""
    asked = ["labels_to_rois.ijm|nothing|overlay", "labels_to_rois.ijm|colour.tif|overlay", "labels_to_rois.ijm|negative.tif|overlay"]
    asked += ["scores_to_table.ijm|nothing|a,b,c", "scores_to_table.ijm|scores.tif|a,b"]
    assert macro(code, *asked) == ["[aborted]"] * 5
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["run_bundle.ijm", "scores_to_table.ijm"])
def test_amounts_are_in_words(macro, name):
    _, start, rest = (FOLDER / name).read_text(encoding="utf-8").partition("function amount(")
    body = start + rest[: rest.index("\n}\n") + 3]
    (found,) = macro(body + 'text = "" + amount(1, "plane") + ", " + amount(0, "plane") + ", " + amount(12, "name");\nreturn text;')
    assert found == "1 plane, 0 planes, 12 names"
