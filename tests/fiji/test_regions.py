"""The loop through ImageJ: labels become outlines there, somebody corrects them, and they are read back as masks."""

import zipfile

import numpy as np
import pytest
import tifffile

from zooready.consumers.deepimagej import fiji
from zooready.data import read_folder
from zooready.images.rois import read_rois, write_rois
from zooready.records import Pair

pytestmark = pytest.mark.java
OVERLAY = """
setBatchMode(true);
parts = split(getArgument(), "|");
open(parts[0]);
told = runMacro("MACRO", "overlay");
for (i = 0; i < Overlay.size; i++) {
    Overlay.activateSelection(i);
    saveAs("Selection", parts[1] + NAME + ".roi");
}
return told;
""".replace("MACRO", str(fiji.macros() / "labels_to_rois.ijm"))
KEEP = OVERLAY.replace("NAME", "IJ.pad(i, 4)")
STACK = OVERLAY.replace("NAME", 'Roi.getName + "-" + (i + 1)')  # the manager adds such numbers to equal names
DRAW = """
setBatchMode(true);
names = newArray("rectangle", "oval", "round", "polygon", "freehand", "fine");
for (i = 0; i < names.length; i++) {
    newImage(names[i], "8-bit black", 60, 50, 1);
    if (i == 0) makeRectangle(3, 5, 17, 9);
    if (i == 1) makeOval(4, 6, 31, 20);
    if (i == 2) makeOval(10, 10, 12, 12);
    if (i == 3) makePolygon(5, 5, 40, 9, 52, 44, 20, 30);
    if (i == 4) makeSelection("freehand", newArray(8, 30, 55, 33, 12), newArray(40, 3, 22, 47, 44));
    if (i == 5) makeSelection("polygon", newArray(8.3, 30.2, 50.7), newArray(40.1, 3.6, 31.2));
    saveAs("Selection", getArgument() + names[i] + ".roi");
    setColor(255);
    fill();
    run("Select None");
    saveAs("Tiff", getArgument() + names[i] + ".tif");
    close();
}
return "" + names.length;
"""
FILL = """
setBatchMode(true);
parts = split(getArgument(), "|"); // folder of regions, target, planes, channels
newImage("filled", "16-bit black", 50, 40, parts[2] * parts[3]);
if (parts[3] > 1)
    run("Stack to Hyperstack...", "order=xyczt(default) channels=" + parts[3] + " slices=" + parts[2] + " frames=1 display=Grayscale");
names = getFileList(parts[0]);
for (i = 0; i < names.length; i++) {
    open(parts[0] + names[i]);
    Roi.getPosition(c, z, t);
    if (parts[3] > 1)
        Stack.setPosition(1, z, 1);
    else
        setSlice(maxOf(c, maxOf(z, t)));
    changeValues(0, 0, parseInt(substring(names[i], 0, 4)));
}
run("Select None");
saveAs("Tiff", parts[1]);
return "" + names.length;
"""


@pytest.fixture
def labels():
    image = np.zeros((40, 50), np.uint16)
    image[2:12, 2:12] = 1
    image[5:9, 5:9] = 2  # in a hole of 1
    image[20:30, 40:] = 3  # at the rim
    image[30:, 45:] = 4  # in the corner, touching 3
    image[15, 5] = image[16, 6] = image[17, 5] = 5  # corner to corner
    image[33:36, 0:20] = 6
    image[38, 10:30] = 6  # in two pieces
    image[0, 0] = 7
    return image


def zipped(folder, target):
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.glob("*.roi")):
            archive.write(path, path.name)


def test_labels_come_back_pixel_for_pixel_as_masks_of_a_folder(macro, labels, tmp_path):
    data, outlines = tmp_path / "data", tmp_path / "outlines"
    for folder in (data / "images", data / "masks", outlines):
        folder.mkdir(parents=True)
    tifffile.imwrite(tmp_path / "labels.tif", labels, imagej=True)
    tifffile.imwrite(data / "images" / "a.tif", np.random.default_rng(0).poisson(100 + 50 * (labels > 0)).astype(np.uint16))
    assert macro(KEEP, f"{tmp_path / 'labels.tif'}|{outlines}/") == ["7"]
    zipped(outlines, data / "masks" / "a.zip")
    np.testing.assert_array_equal(read_rois(data / "masks" / "a.zip", labels.shape), labels)
    folder = read_folder(data, lambda image, mask, side: Pair(input=image, target=mask[None], pixel_size_um=side, truth=mask))
    np.testing.assert_array_equal(folder.pairs[0].truth, labels)


def test_every_kind_of_region_covers_the_pixels_that_imagej_fills(macro, tmp_path):
    assert macro(DRAW, f"{tmp_path}/") == ["6"]
    for path in sorted(tmp_path.glob("*.roi")):
        filled = tifffile.imread(path.with_suffix(".tif")) > 0
        ours = read_rois(path, filled.shape) > 0
        different = int((filled != ours).sum())
        assert filled.sum() > 50
        assert different <= (0 if path.stem == "rectangle" else 0.02 * filled.sum()), path.stem  # ImageJ rounds slanted lines


@pytest.mark.parametrize("channels", [1, 2])
def test_regions_of_a_stack_fill_the_same_voxels_in_imagej(macro, labels, tmp_path, channels):
    stack = np.stack([labels, np.roll(labels, 3, 1), np.zeros_like(labels), labels])
    count = write_rois(stack, tmp_path / "a.zip", has_channels=channels > 1)
    (tmp_path / "regions").mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "regions")
    assert macro(FILL, f"{tmp_path}/regions/|{tmp_path}/filled.tif|4|{channels}") == [str(count)]
    filled = tifffile.imread(tmp_path / "filled.tif")
    np.testing.assert_array_equal(filled if channels == 1 else filled[:, 0], stack)


def test_a_label_stack_comes_back_from_the_macro_with_its_numbers(macro, labels, tmp_path):
    stack = np.stack([labels, np.roll(labels, 3, 1), np.zeros_like(labels), 9 * (labels == 1)]).astype(np.uint16)
    (tmp_path / "outlines").mkdir()
    tifffile.imwrite(tmp_path / "labels.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    assert int(macro(STACK, f"{tmp_path / 'labels.tif'}|{tmp_path / 'outlines'}/")[0]) == 7 + 7 + 1
    zipped(tmp_path / "outlines", tmp_path / "a.zip")
    np.testing.assert_array_equal(read_rois(tmp_path / "a.zip", stack.shape), stack)
