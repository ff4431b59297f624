"""Images of every kind of axes, every plane another one, and what the networks of toy.py make of each plane alone."""

import csv

import numpy as np
import tifffile
import toy

AXES = {"plane": "YX", "depth1": "TZCYX", "z": "ZYX", "t": "TYX", "tz": "TZYX"}
CHANNELS = {"CYX": (), "ZCYX": (2,), "TCYX": (3,), "TZCYX": (3, 2)}
SHAPES = {"plane": (), "depth1": (1, 1, 1), "z": (2,), "t": (3,), "tz": (3, 2)}


def planes_of(kind):
    """uint16 (…, 20, 30), every plane another one."""
    shape = (*SHAPES[kind], 20, 30)
    return (np.arange(np.prod(shape)).reshape(shape) * 7 % 397 + 100 * np.random.default_rng(0).integers(0, 3, shape)).astype(np.uint16)


def write(folder, kind, axes=""):
    resolution = (1 / toy.PIXEL_UM, 1 / toy.PIXEL_UM)
    metadata = {"unit": "um", "spacing": 0.8, "finterval": 2.5, "axes": axes or AXES[kind]}
    tifffile.imwrite(folder / f"{kind}.tif", planes_of(kind), imagej=True, resolution=resolution, metadata=metadata)
    return folder / f"{kind}.tif"


def expected(kind, name):
    """(… of the image, …): the output of each plane alone, by NumPy in PyTorch's hands (:func:`toy.outputs`)."""
    planes = planes_of(kind)
    flat = [toy.outputs(plane)[name][1] for plane in planes.reshape(-1, *planes.shape[-2:])]
    return np.stack(flat).reshape(*planes.shape[:-2], *flat[0].shape).squeeze()


def write_channels(folder):
    """Write images with two channels, and one with three; {axes: maps (…, 2, y, x) of every plane} of those with two."""
    wanted = {}
    for axes, shape in CHANNELS.items():
        pixels = np.random.default_rng(len(axes)).integers(0, 400, (*shape, 2, 20, 30)).astype(np.uint16)
        tifffile.imwrite(folder / f"{axes}.tif", pixels, imagej=True, metadata={"axes": axes})
        wanted[axes] = np.stack([pixels[..., 0, :, :] / 400, 1 - pixels[..., 1, :, :] / 400], axis=-3)
    tifffile.imwrite(folder / "three.tif", np.zeros((3, 20, 30), np.uint16), imagej=True, metadata={"axes": "CYX"})
    return wanted


def check_planes(out, kinds):
    """Labels, maps and scores of every plane, with the calibration of the image."""
    for kind in kinds:
        for name in ("labels", "maps"):
            with tifffile.TiffFile(out / f"{kind}_{name}.tif") as tiff:
                found, facts = tiff.asarray().squeeze(), tiff.imagej_metadata
                side = tiff.pages[0].tags["XResolution"].value
            np.testing.assert_allclose(found, expected(kind, name), atol=1e-6, err_msg=f"{kind} {name}")
            assert abs(side[1] / side[0] - toy.PIXEL_UM) < 1e-4 * toy.PIXEL_UM
            assert facts.get("slices", 1) == (2 if "z" in kind else 1)
            assert facts.get("frames", 1) == (3 if "t" in kind and kind != "depth1" else 1)
            assert not kind.endswith("z") or abs(facts["spacing"] - 0.8) < 1e-6
            assert not kind.startswith("t") or abs(facts["finterval"] - 2.5) < 1e-6
        with (out / f"{kind}_scores.csv").open() as file:
            rows = list(csv.DictReader(file))
        scores = np.array([float(row["score"]) for row in rows]).reshape(*SHAPES[kind], 3).squeeze()
        np.testing.assert_allclose(scores, expected(kind, "scores"), rtol=1e-3)
        if kind == "tz":
            assert [(row["slice"], row["frame"]) for row in rows[::3]] == [(str(z + 1), str(t + 1)) for t in range(3) for z in range(2)]
