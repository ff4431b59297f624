"""Tiles begin only where a network makes of them what it makes of the whole image; networks to which places matter are not cut."""

import warnings
import zipfile

import numpy as np
import pytest
import torch
import yaml
from networks import ABOUT, SmallUNet, Volume, cells, seeded
from torch import nn
from torch.nn import functional

import zooready
from zooready.bundle.found import measured_px
from zooready.exporting.probing import measure, prepared
from zooready.prediction import tiled, whole


class PadsInside(nn.Module):
    """A U-Net of one level that pads to 4 and crops, as MONAI's and many others do: it takes every size."""

    def __init__(self):
        super().__init__()
        self.first, self.inner, self.last = (nn.Conv2d(c, k, 3, padding=1) for c, k in ((1, 4), (4, 4), (8, 1)))

    def forward(self, image):
        y, x = image.shape[2:]
        fine = self.first(functional.pad(image / 1000, (0, -x % 4, 0, -y % 4), mode="replicate")).relu()
        coarse = functional.interpolate(self.inner(functional.max_pool2d(fine, 4)).relu(), scale_factor=4.0)
        return self.last(torch.cat((fine, coarse), 1))[..., :y, :x]


class Stretches(PadsInside):
    """The same without padding: its inner level is resized to the image, whose last square is cut off."""

    def forward(self, image):
        fine = self.first(image / 1000).relu()
        coarse = self.inner(functional.max_pool2d(fine, 4, ceil_mode=True)).relu()
        return self.last(torch.cat((fine, functional.interpolate(coarse, fine.shape[2:])), 1))


class Windows(nn.Module):
    """The mean of windows of 7 px, as transformers cut them."""

    def forward(self, image):
        y, x = image.shape[2:]
        padded = functional.pad(image, (0, -x % 7, 0, -y % 7), mode="replicate")
        return image - functional.interpolate(functional.avg_pool2d(padded, 7), scale_factor=7.0)[..., :y, :x]


class Coordinates(nn.Module):
    """Each pixel knows where it is."""

    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, image):
        y, x = ((torch.ones_like(image).cumsum(axis) - 1) / image.shape[axis] for axis in (2, 3))
        return self.last(torch.cat((image / 1000, y, x), 1))


class Wraps(nn.Module):
    """The first pixels see the last ones."""

    def forward(self, image):
        return image + image.roll(3, -1)


STEPS = {  # network: where tiles may begin, px; None where nowhere but at the image's own
    "dense": (lambda: nn.Conv2d(1, 2, 3, padding=1), 1),
    "strided": (SmallUNet, 4),
    "pads inside": (PadsInside, 4),
    "windows": (Windows, 7),
    "coordinates": (Coordinates, None),
    "stretched to the image": (Stretches, None),
    "wraps around": (Wraps, None),
}


@pytest.mark.parametrize("name", STEPS)
def test_tiles_may_begin_where_the_network_gives_what_the_whole_gives(name):
    make, step = STEPS[name]
    measured = measure(prepared(seeded(make)), torch.from_numpy(np.float32(cells(60, 70)))[None, None])
    assert (measured.tile_step or None, measured.halo is None) == (step, step is None)
    assert any("depend on where in the image" in note for note in measured.notes) == (step is None)


def test_stacks_are_cut_in_y_and_x_alone():
    stack = torch.from_numpy(np.float32(np.stack([cells(24, 28)] * 6)))[None, None]
    assert measure(prepared(seeded(Volume)), stack).tile_step == 2


@pytest.mark.parametrize("make", [PadsInside, Coordinates])
def test_a_large_image_gives_what_the_network_gives(make, tmp_path, monkeypatch):
    module = seeded(make)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = zooready.export(module, cells(60, 70), ABOUT, tmp_path / "x.zip", torchscript="plain", formats=("onnx",))
    with zipfile.ZipFile(made.path) as archive:
        facts = yaml.safe_load(archive.read("rdf.yaml"))["config"]["zooready"]["measured"]
        assert ("begin at multiples of 4 px" in archive.read("README.md").decode()) == (make is PadsInside)
    assert (facts.get("tile_step"), facts["halo"] == "whole image") == ((4, False) if make is PadsInside else (None, True))
    monkeypatch.setattr(whole, "AREA", 1)
    monkeypatch.setattr(tiled, "SIDE", 61)
    image = cells(150, 171)
    result = zooready.predict(made.path, image)
    with torch.no_grad():
        expected = prepared(module)(torch.from_numpy(np.float32(image))[None, None])[0, 0].numpy()
    (output,) = result.images.values()
    assert np.abs(output.array - expected).max() <= 1e-4 * np.ptp(expected)


def test_what_a_bundle_says_of_its_steps_is_read_together():
    assert measured_px({"stride": 4, "tile_step": 28}, "stride", "strides", "tile_step") == 28
    assert measured_px({"stride": 4, "strides": [4, 6]}, "stride", "strides", "tile_step") == 12
    assert measured_px({"stride": 4, "tile_step": "all"}, "stride", "strides", "tile_step") is None
    assert measured_px({"tile_step": 4}, "stride", "strides", "tile_step") is None
