"""ImageJ itself opens what we write, and we read what ImageJ saves, with axes, names, calibration and values."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from zooready.images.files import read_image, write_image
from zooready.java.engines import folder, libjvm
from zooready.records import Image

pytestmark = pytest.mark.java
WRITTEN = [
    ("yx", (5, 7)),
    ("yx", (1, 1)),
    ("cyx", (2, 5, 7)),
    ("cyx", (3, 5, 7)),
    ("zyx", (3, 5, 7)),
    ("tyx", (3, 5, 7)),
    ("tzcyx", (2, 3, 4, 5, 7)),
]
SIGNED = np.arange(-32768, 32768, 328, dtype=np.int16).reshape(4, 5, 10)
CHILD = """
import json, sys
from pathlib import Path
import jpype

jvm, jar, place = sys.argv[1:]
jpype.startJVM(jvm, "-Djava.awt.headless=true", classpath=[jar])
IJ, FileSaver = jpype.JClass("ij.IJ"), jpype.JClass("ij.io.FileSaver")
seen = {}
for path in sorted(Path(place).glob("*.tif")):
    image = IJ.openImage(str(path))
    stack, calibration = image.getStack(), image.getCalibration()
    planes = [stack.getProcessor(i + 1).convertToFloat().getPixels() for i in range(stack.getSize())]
    seen[path.stem] = {
        "ctz": [int(image.getNChannels()), int(image.getNFrames()), int(image.getNSlices())],
        "bits": int(image.getBitDepth()),
        "um": [float(calibration.pixelWidth), float(calibration.pixelHeight), float(calibration.pixelDepth), str(calibration.getUnit())],
        "unit of z": str(calibration.getZUnit()),
        "names": [str(stack.getSliceLabel(i + 1)) for i in range(int(image.getNChannels()))],
        "values": [[float(value) for value in plane] for plane in planes],
    }
Path(place, "seen.json").write_text(json.dumps(seen))
images = {
    "grey8": IJ.createImage("a", "8-bit ramp", 20, 10, 1),
    "grey16": IJ.createImage("a", "16-bit ramp", 20, 10, 1),
    "grey32": IJ.createImage("a", "32-bit ramp", 20, 10, 1),
    "colour": IJ.createImage("a", "RGB ramp", 20, 10, 4),
    "stack": IJ.createImage("a", "16-bit ramp", 20, 10, 5),
    "hyper": IJ.createHyperStack("a", 20, 10, 2, 3, 4, 16),
    "green": IJ.createImage("a", "8-bit ramp", 20, 10, 1),
    "inverted": IJ.createImage("a", "8-bit ramp", 20, 10, 1),
    "signed": IJ.openImage(str(Path(place, "signed.tif"))),
    "signed stack": IJ.openImage(str(Path(place, "signed stack.tif"))),
}
images["green"].setLut(jpype.JClass("ij.process.LUT").createLutFromColor(jpype.JClass("java.awt.Color").GREEN))
images["inverted"].getProcessor().invertLut()
for name, image in images.items():
    calibration = image.getCalibration()
    calibration.setUnit("nm" if name == "grey16" else "\\u00b5m")
    calibration.pixelWidth = calibration.pixelHeight = 200.0 if name == "grey16" else 0.2
    calibration.pixelDepth = 0.5
    saver = FileSaver(image)
    (saver.saveAsTiffStack if image.getStackSize() > 1 else saver.saveAsTiff)(str(Path(place, "saved " + name + ".tif")))
"""


def name(axes, shape, dtype):
    return f"Größe {axes} {'x'.join(map(str, shape))} {dtype}"


@pytest.fixture(scope="module")
def visited(tmp_path_factory, engines):
    """A folder of images that we wrote, what ImageJ said of them, and images that ImageJ saved."""
    images_folder = tmp_path_factory.mktemp("imagej")
    for axes, shape in WRITTEN:
        for dtype in ("uint8", "uint16", "float32"):
            array = np.arange(np.prod(shape)).reshape(shape).astype(dtype) * (0.25 if dtype == "float32" else 1)
            channels = tuple("abcd")[: shape[axes.index("c")]] if "c" in axes else ()
            image = Image(array=array.astype(dtype), axes=axes, pixel_size_um=0.1083, z_um=0.3, channels=channels)
            write_image(image, images_folder / (name(axes, shape, dtype) + ".tif"))
    write_image(Image(array=np.zeros((3, 5, 7), np.uint8), axes="zyx", z_um=0.5), images_folder / "only planes.tif")
    tifffile.imwrite(images_folder / "signed.tif", SIGNED[0])
    tifffile.imwrite(images_folder / "signed stack.tif", SIGNED, photometric="minisblack")
    (jar,) = (folder() / "jars").glob("ij-*.jar")
    command = [sys.executable, "-c", CHILD, str(libjvm()), str(jar), str(images_folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return images_folder, json.loads((images_folder / "seen.json").read_text())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("axes", "shape"), WRITTEN)
def test_imagej_sees_what_was_written(visited, axes, shape, dtype):
    images_folder, seen = visited
    opened = seen[name(axes, shape, dtype)]
    length = dict(zip(axes, shape, strict=True))
    assert opened["ctz"] == [length.get("c", 1), length.get("t", 1), length.get("z", 1)]
    assert opened["bits"] == {"uint8": 8, "uint16": 16, "float32": 32}[dtype]
    assert opened["um"] == [pytest.approx(0.1083), pytest.approx(0.1083), 0.3, "micron"]
    assert "c" not in axes or opened["names"] == list("abcd")[: length["c"]]
    written = read_image(images_folder / (name(axes, shape, dtype) + ".tif")).array
    assert np.array_equal(np.ravel(opened["values"]), written.ravel())


def test_imagej_sees_a_distance_of_planes_without_a_pixel_size(visited):
    opened = visited[1]["only planes"]
    assert (opened["um"], opened["unit of z"]) == ([1.0, 1.0, 0.5, "pixel"], "micron")


@pytest.mark.parametrize(
    ("saved", "axes", "shape", "dtype"),
    [
        ("grey8", "yx", (10, 20), "uint8"),
        ("grey16", "yx", (10, 20), "uint16"),
        ("grey32", "yx", (10, 20), "float32"),
        ("colour", "zcyx", (4, 3, 10, 20), "uint8"),
        ("stack", "zyx", (5, 10, 20), "uint16"),
        ("hyper", "tzcyx", (4, 3, 2, 10, 20), "uint16"),
        ("green", "yx", (10, 20), "uint8"),
        ("inverted", "yx", (10, 20), "uint8"),
    ],
)
def test_what_imagej_saves_is_read(visited, saved, axes, shape, dtype):
    images_folder: Path = visited[0]
    image = read_image(images_folder / f"saved {saved}.tif")
    assert (image.axes, image.array.shape, image.array.dtype) == (axes, shape, dtype)
    assert image.pixel_size_um == pytest.approx(0.2)
    assert image.z_um == (pytest.approx(0.5) if "z" in axes else None)
    if dtype == "uint8":
        assert image.array.reshape(-1, 10, 20)[0, 0, :3].tolist() == [0, 12, 25]


@pytest.mark.parametrize(("saved", "expected"), [("signed", SIGNED[0]), ("signed stack", SIGNED)])
def test_signed_images_that_imagej_saves_with_32768_added_are_read_as_it_shows_them(visited, saved, expected):
    with tifffile.TiffFile(visited[0] / f"saved {saved}.tif") as tiff:
        assert tiff.pages[0].dtype == np.uint16
    image = read_image(visited[0] / f"saved {saved}.tif")
    assert image.array.dtype == np.int16
    assert np.array_equal(image.array, expected)
    assert image.pixel_size_um == pytest.approx(0.2)
