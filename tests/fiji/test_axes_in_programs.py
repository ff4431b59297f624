"""DeepImageJ and pyimagej themselves: stacks, time series, channels and signed pixels, as test_axes_in_fiji.py has them of a stand-in."""

import numpy as np
import pytest
import tifffile
import toy
from scenes import AXES, CHANNELS, check_planes, expected, planes_of, write, write_channels

from zooready.bundle.reading import opened
from zooready.commands.install import install
from zooready.consumers import pyimagej
from zooready.consumers.deepimagej import fiji

pytestmark = pytest.mark.fiji
SHOWN = (np.arange(600).reshape(20, 30) - 100).astype(np.int16)


@pytest.fixture
def ran(deepimagej_here, tmp_path):
    """Run the macro of a bundle on files in DeepImageJ: what it returned of each; results are in ``out``."""

    def run(bundle, paths):
        home, folder = tmp_path / "Fiji.app", tmp_path / "place"
        for made in (home / "jars", home / "plugins", folder):
            made.mkdir(parents=True, exist_ok=True)
        macro = install(bundle, fiji=home).macro
        return fiji.run_macro(macro, [f"{path}|{tmp_path / 'out'}" for path in paths], folder, limit_s=900, memory_mb=8192)

    return run


def test_every_plane_of_every_kind_of_image_is_what_it_is_alone(ran, tmp_path):
    bundle = toy.write(tmp_path / "planes.zip", ("labels", "maps", "scores"))
    assert ran(bundle, [write(tmp_path, kind) for kind in AXES]) == ["OK"] * len(AXES)
    check_planes(tmp_path / "out", AXES)


def test_channels_stay_together_in_every_plane(ran, tmp_path):
    wanted = write_channels(tmp_path)
    answers = ran(toy.write_pair(tmp_path / "pair.zip"), [tmp_path / f"{name}.tif" for name in (*CHANNELS, "three")])
    assert answers == [*["OK"] * len(CHANNELS), "[aborted]"]
    for axes in CHANNELS:
        np.testing.assert_allclose(tifffile.imread(tmp_path / "out" / f"{axes}_maps.tif"), wanted[axes], atol=1e-6)


def test_a_stack_made_of_a_plane_comes_for_every_time_point_and_not_for_every_plane(ran, tmp_path):
    bundle = toy.write(tmp_path / "stack.zip", ("stack",))
    assert ran(bundle, [write(tmp_path, kind) for kind in ("plane", "t", "z", "tz")]) == ["OK", "OK", "[aborted]", "[aborted]"]
    for kind in ("plane", "t"):
        np.testing.assert_allclose(tifffile.imread(tmp_path / "out" / f"{kind}_stack.tif"), expected(kind, "stack"), atol=1e-4)


def test_a_network_of_stacks_takes_stacks_alone_and_each_time_point_as_one(ran, tmp_path):
    paths = [write(tmp_path, kind) for kind in ("z", "tz", "t", "plane", "depth1")]
    assert ran(toy.write_deep(tmp_path / "deep.zip"), paths) == ["OK", "OK", *["[aborted]"] * 3]
    for kind in ("z", "tz"):
        stacks = planes_of(kind).astype(np.float32)
        found = tifffile.imread(tmp_path / "out" / f"{kind}_difference.tif")
        np.testing.assert_allclose(found, stacks - stacks.mean(axis=-3, keepdims=True), atol=1e-3)


def write_signed(folder):
    """Signed 16 bits as others write them, as ImageJ does (32768 more, with a function that takes it off), and as a stack."""
    tifffile.imwrite(folder / "signed.tif", SHOWN)
    told = "ImageJ=1.54p\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=Gray Value\n"
    stored = (SHOWN.astype(np.int32) + 32768).astype(np.uint16)
    tifffile.imwrite(folder / "of-imagej.tif", stored, description=told, metadata=None)
    tifffile.imwrite(folder / "stack.tif", np.stack([SHOWN, SHOWN - 50]), photometric="minisblack")
    return {"signed": SHOWN, "of-imagej": SHOWN, "stack": np.stack([SHOWN, SHOWN - 50])}


def test_signed_pixels_have_the_values_that_imagej_shows(ran, tmp_path):
    images = write_signed(tmp_path)
    answers = ran(toy.write(tmp_path / "planes.zip", ("maps",)), [tmp_path / f"{name}.tif" for name in images])
    assert answers == ["OK"] * len(images)
    for name, shown in images.items():
        found = tifffile.imread(tmp_path / "out" / f"{name}_maps.tif")
        np.testing.assert_allclose(found, np.stack([shown / 400, 1 - shown / 400], axis=-3), atol=1e-6)


def test_pyimagej_hands_over_signed_pixels_with_the_values_that_imagej_shows(pyimagej_here, tmp_path):
    images = write_signed(tmp_path)
    with opened(toy.write(tmp_path / "planes.zip", ("maps",))) as bundle:
        outputs = pyimagej.run(bundle, "torchscript", [tmp_path / f"{name}.tif" for name in ("signed", "of-imagej")])
    for name, (maps,) in zip(("signed", "of-imagej"), outputs, strict=True):
        np.testing.assert_allclose(maps[0], np.stack([images[name] / 400, 1 - images[name] / 400]), atol=1e-6)
