"""The macro of an installed bundle: in plain ImageJ with the files that DeepImageJ would write, and with DeepImageJ itself."""

import csv
import re

import numpy as np
import pytest
import stand_in
import tifffile
import toy

from zooready.commands.install import install
from zooready.comparison import compare
from zooready.consumers.deepimagej import fiji
from zooready.images.files import read_image

STATE = """
text = told;
for (i = 1; i <= nImages; i++) {
    selectImage(i);
    getDimensions(w, h, c, s, f);
    getPixelSize(unit, side, height);
    text = text + "\\n" + getTitle + "|" + bitDepth + "|c" + c + " s" + s + "|" + side + " " + unit;
    text = text + "|" + getInfo("slice.label") + "|" + Overlay.size;
}
return text;
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return toy.write(tmp_path_factory.mktemp("toy") / "toy.zip")


@pytest.fixture
def made(bundle, tmp_path, monkeypatch):
    """The bundle in the folders of a Fiji without DeepImageJ."""
    monkeypatch.delenv("ZOOREADY_FIJI", raising=False)
    for name in ("jars", "plugins"):
        (tmp_path / "Fiji.app" / name).mkdir(parents=True)
    return install(bundle, fiji=tmp_path / "Fiji.app")


def make_image(path, array=None, **calibration):
    array = toy.make_image() if array is None else array
    tifffile.imwrite(path, array, imagej=True, resolution=(1 / toy.PIXEL_UM, 1 / toy.PIXEL_UM), metadata={"unit": "um"})
    return path


def check_files(out, stem):
    """Every kind of output as a person wants it."""
    with tifffile.TiffFile(out / f"{stem}_labels-outlined.tif") as tiff:
        assert (tiff.asarray() == toy.make_image() // 100).all()
        assert len(tiff.imagej_metadata["Overlays"]) == 3
        assert tiff.pages[0].tags["XResolution"].value[0] / tiff.pages[0].tags["XResolution"].value[1] == pytest.approx(1 / 0.3, rel=1e-4)
    with (out / f"{stem}_scores.csv").open() as file:
        rows = {row["class"]: float(row["score"]) for row in csv.DictReader(file)}
    assert rows == pytest.approx({"highest": 310, "middle": toy.make_image().mean(), "lowest": 0}, rel=1e-3)


@pytest.mark.java
@pytest.mark.parametrize("ending", [".tif", ".ome.TIF"])
def test_files_become_outlined_labels_and_tables(macro, made, tmp_path, ending):
    stand_in.put_into(made.macro, toy.NAMES)
    path = make_image(tmp_path / f"my cells{ending}")
    assert macro(f'return runMacro("{made.macro}", "{path}|{tmp_path / "out"}");') == ["OK"]
    check_files(tmp_path / "out", "my_cells")


@pytest.mark.java
def test_objects_of_another_width_are_seen_scaled_and_come_back_at_the_images_size(macro, made, tmp_path):
    stand_in.put_into(made.macro, toy.NAMES)
    made.macro.write_text(made.macro.read_text().replace('var DIAMETERS = ""', 'var DIAMETERS = "10|40"'))
    path = make_image(tmp_path / "cells.tif")
    factors = {"10": 2, "0": 1, "40": 0.5}
    arguments = [f"{path}|{tmp_path / f'out{diameter}'}|{diameter}" for diameter in (*factors, "9000")]
    assert macro(f'return runMacro("{made.macro}", getArgument());', *arguments) == ["OK", "OK", "OK", "[aborted]"]
    for diameter, factor in factors.items():
        out = tmp_path / f"out{diameter}"
        labels = tifffile.imread(out / "cells_labels.tif")
        assert labels.shape == toy.make_image().shape
        assert (labels == np.rint(labels)).all()
        assert (labels == toy.make_image() // 100).mean() > (0.99 if factor == 1 else 0.85)
        assert tifffile.imread(out / "cells_maps.tif").shape[-2:] == toy.make_image().shape


@pytest.mark.java
@pytest.mark.parametrize(
    ("range_um", "finer", "factor"), [("0.1|0.1", "true", 3), ("0.1|0.1", "false", 1), ("0.6|0.6", "true", 1), ("0.2|0.4", "true", 1)]
)
def test_an_image_of_other_pixels_is_scaled_and_what_is_restored_stays_finer(macro, made, tmp_path, range_um, finer, factor):
    stand_in.put_into(made.macro, toy.NAMES)
    text = re.sub(r'var RANGE = ".*?"', f'var RANGE = "{range_um}"', made.macro.read_text())
    made.macro.write_text(re.sub(r"var FINER = \w+", f"var FINER = {finer}", text))
    image = toy.make_image()
    path = make_image(tmp_path / "cells.tif", image)
    assert macro(f'return runMacro("{made.macro}", "{path}|{tmp_path / "out"}|auto");') == ["OK"]
    assert tifffile.imread(tmp_path / "out" / "cells_labels.tif").shape == image.shape
    with tifffile.TiffFile(tmp_path / "out" / "cells_maps.tif") as tiff:
        bright, (count, per) = tiff.asarray()[0], tiff.pages[0].tags["XResolution"].value
    assert bright.shape == tuple(factor * side for side in image.shape)
    assert per / count == pytest.approx(toy.PIXEL_UM / factor, rel=1e-4)
    middle = bright.reshape(image.shape[0], factor, image.shape[1], factor).mean((1, 3))
    assert np.abs(middle - image / 400).mean() < 0.03 * np.ptp(image / 400)


@pytest.mark.java
def test_an_image_whose_blur_is_told_is_seen_with_one_that_the_network_takes_away(macro, made, tmp_path):
    stand_in.put_into(made.macro, toy.NAMES)
    path = make_image(tmp_path / "cells.tif")
    told = f'return runMacro("{made.macro}", getArgument());'
    assert macro(told, f"{path}|{tmp_path / 'none'}|1.4|520") == ["[aborted]"]
    text = re.sub(r'var BLUR = ".*?"', 'var BLUR = "4|16|3|6|12|9"', made.macro.read_text())
    made.macro.write_text(re.sub(r"var FINER = \w+", "var FINER = true", text))
    side = toy.PIXEL_UM
    blurs = {"sharp": 2.0, "fits": 8.0, "wide": 18.0}
    arguments = [f"{path}|{tmp_path / name}|0.5|{round(1000 * 0.5 * side * blur)}" for name, blur in blurs.items()]
    assert macro(told, *arguments, f"{path}|{tmp_path / 'wrong'}|14|520") == ["OK", "OK", "OK", "[aborted]"]
    height, width = toy.make_image().shape
    maps = {name: tifffile.imread(tmp_path / name / "cells_maps.tif") for name in blurs}
    assert {found.shape[-2:] for found in maps.values()} == {(height, width)}  # its own pixels are fine enough for what was restored
    assert not np.array_equal(maps["sharp"], maps["fits"])  # it was seen three times as large
    bright = maps["wide"][0]
    assert 0.001 < np.abs(bright - toy.make_image() / 400).mean() < 0.1  # it was seen half as large


@pytest.mark.java
def test_on_a_screen_every_output_opens_with_calibration_and_names(macro, made, tmp_path):
    stand_in.put_into(made.macro, toy.NAMES)
    made.macro.write_text(made.macro.read_text().replace('"labels_to_rois.ijm", ""', '"labels_to_rois.ijm", "overlay"'))  # no ROI Manager
    (told,) = macro(f'setBatchMode(true);\ntold = runMacro("{made.macro}", "");\n{STATE}')
    assert told.replace("microns", "um").split("\n") == [
        "OK",
        "sample-image.tif|16|c1 s1|0.3 um||0",
        "sample-image.tif labels|8|c1 s1|0.3 um|bands|3",
        "sample-image.tif maps|32|c2 s1|0.3 um|bright|0",
        "sample-image.tif stack|32|c1 s3|0.3 um||0",
    ]


@pytest.mark.java
@pytest.mark.parametrize(("unit", "per_pixel", "distance"), [("um", 1 / 0.3, 0.5), ("nm", 1 / 300, 0.5), ("pixel", 1, 0.5)])
def test_planes_that_are_made_have_their_distance_with_and_without_a_pixel_size(macro, made, tmp_path, unit, per_pixel, distance):
    stand_in.put_into(made.macro, toy.NAMES)
    made.macro.write_text(re.sub(r"var MADE = [\d.]+", f"var MADE = {distance}", made.macro.read_text()))
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, toy.make_image(), imagej=True, resolution=(per_pixel, per_pixel), metadata={"unit": unit})
    assert macro(f'return runMacro("{made.macro}", "{path}|{tmp_path / "out"}");') == ["OK"]
    stack = read_image(tmp_path / "out" / "cells_stack.tif")
    assert stack.z_um == pytest.approx(distance)
    assert stack.pixel_size_um == (None if unit == "pixel" else pytest.approx(0.3, rel=1e-3))


@pytest.mark.java
def test_planes_keep_a_unit_of_their_own(macro, made, tmp_path):
    stand_in.put_into(made.macro, toy.NAMES)
    made.macro.write_text(made.macro.read_text().replace("var STACKS = true", "var STACKS = false"))
    planes, facts = np.stack([toy.make_image()] * 2), {"axes": "ZYX", "unit": "pixel", "zunit": "um", "spacing": 0.5}
    tifffile.imwrite(tmp_path / "cells.tif", planes, imagej=True, metadata=facts)
    macro(f'return runMacro("{made.macro}", "{tmp_path / "cells.tif"}|{tmp_path / "out"}");')
    labels = read_image(tmp_path / "out" / "cells_labels.tif")
    assert (labels.axes, labels.pixel_size_um, labels.z_um) == ("zyx", None, pytest.approx(0.5))


@pytest.mark.java
def test_what_does_not_fit_or_did_not_run_ends_the_macro(macro, made, tmp_path, tmp_path_factory):
    stand_in.put_into(made.macro, ("labels", "maps"))
    made.macro.write_text(made.macro.read_text().replace("LIMIT = 50331648", "LIMIT = 9000"))
    files = {
        "good": toy.make_image(),  # of which scores and stack are not written
        "large": np.zeros((100, 100), np.uint8),
        "line": np.zeros((1, 10), np.uint8),
    }
    paths = [make_image(tmp_path / f"{name}.tif", array) for name, array in files.items()]
    tifffile.imwrite(tmp_path / "two.tif", np.zeros((2, 10, 10), np.uint8), imagej=True, metadata={"axes": "CYX"})
    arguments = [f"{path}|{tmp_path / 'out'}" for path in (*paths, tmp_path / "two.tif")]
    assert macro(f'return runMacro("{made.macro}", getArgument());', *arguments) == ["[aborted]"] * 4
    assert not list((tmp_path / "out").glob("good_labels-outlined.tif"))
    log = max(tmp_path_factory.getbasetemp().glob("imagej*/log.txt"), key=lambda path: path.stat().st_mtime).read_text()
    assert "takes 1 channel, but this image has 2" in log


@pytest.mark.fiji
def test_deepimagej_runs_every_kind_of_output(bundle, deepimagej_here, tmp_path):
    (one,) = compare(bundle, consumers=["deepimagej"]).verdicts
    assert (one.status, one.level, one.difference) == ("passed", "ran", pytest.approx(0, abs=1e-6))
    folder = tmp_path / "place"
    folder.mkdir()
    home = tmp_path / "Fiji.app"
    for name in ("jars", "plugins"):
        (home / name).mkdir(parents=True)
    path = make_image(tmp_path / "my cells.tif")
    answers = fiji.run_macro(install(bundle, fiji=home).macro, [f"{path}|{tmp_path / 'out'}"], folder, limit_s=200, memory_mb=8192)
    assert answers == ["OK"]
    check_files(tmp_path / "out", "my_cells")


@pytest.mark.fiji
def test_pyimagej_takes_every_kind_of_output(bundle, pyimagej_here):
    (one,) = compare(bundle, consumers=["pyimagej"]).verdicts
    assert (one.status, one.level, one.difference) == ("passed", "ran", pytest.approx(0, abs=1e-6))


@pytest.fixture
def checking(tmp_path, monkeypatch):
    """The installed macro of a bundle of two channels, which says what its check of the image says, and runs nothing."""
    monkeypatch.delenv("ZOOREADY_FIJI", raising=False)
    for name in ("jars", "plugins"):
        (tmp_path / "Fiji.app" / name).mkdir(parents=True)
    made = install(toy.write_pair(tmp_path / "pair.zip"), fiji=tmp_path / "Fiji.app")
    made.macro.write_text(made.macro.read_text().replace("argument = getArgument();", "told = check();\nreturn told;", 1))
    return made.macro


@pytest.mark.java
def test_values_that_the_network_was_not_trained_for_are_told(macro, checking, tmp_path):
    pair = np.stack([toy.make_image(), toy.make_image()[::-1]])
    series = np.stack([pair, pair]).astype(np.float32)
    series[1, 1, 4, 5], series[0, 0, 0, 0] = 32764, 60000
    for number, array in enumerate((pair, series)):
        facts = {"axes": ("CYX", "TCYX")[number], "unit": "um"}
        tifffile.imwrite(tmp_path / f"{number}.tif", array, imagej=True, resolution=(1 / 0.3, 1 / 0.3), metadata=facts)
        (told,) = macro(f'open("{tmp_path / f"{number}.tif"}");\nmakeRectangle(0, 0, 2, 2);\nreturn "" + runMacro("{checking}", "");')
        wanted = "Channel 2 (second) has values from 0 to 32764, but the network was trained for -5 to 400: where it lies beyond"
        assert told.startswith(wanted) if number else told == ""


@pytest.mark.java
def test_channels_called_like_others_of_the_network_are_refused(macro, checking, tmp_path):
    """DeepImageJ takes channels by their order, and ``predict`` by their names: the macro gave a stack upside down without a word."""
    facts = {"axes": "CYX", "unit": "um", "Labels": ["Second", "first"]}
    array = np.stack([toy.make_image(), toy.make_image()[::-1]])
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, resolution=(1 / 0.3, 1 / 0.3), metadata=facts)
    code = f'open("{tmp_path / "a.tif"}");\n%sreturn "" + runMacro("{checking}", "");'
    assert macro(code % "") == ["[aborted]"]
    assert macro(code % 'Property.setSliceLabel("first", 1);\nProperty.setSliceLabel("second", 2);\n') == [""]
