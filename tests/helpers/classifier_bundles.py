"""A small classifier and a segmentation, exported once, and an image of three cells."""

import numpy as np
import pytest
import torch
from networks import ABOUT
from patterns import SCORES, Patterns, cell, exported, trained
from torch import nn

import zooready
from zooready import TensorSpec
from zooready.bundle.reading import opened
from zooready.records import Image


class Bright(nn.Module):
    """1 where an image is brighter than 300, a label image of one object."""

    def forward(self, image):
        return (image > 300).float()


class TwoChannels(Patterns):
    def forward(self, image):
        return super().forward(image[:, :1] - image[:, 1:])


@pytest.fixture(scope="session")
def weights():
    return trained()


@pytest.fixture(scope="session")
def bundles(weights, tmp_path_factory):
    """Zips: "patterns", a classifier; "two", one of two channels; "bright", a segmentation. ONNX alone."""
    folder = tmp_path_factory.mktemp("bundles")
    onnx = {"torchscript": "plain", "formats": ("onnx",)}
    exported(Patterns, weights, folder / "patterns.zip", formats=("onnx",))
    image = cell(np.random.default_rng(0), "bars")[0]
    torch.manual_seed(0)
    channels = TensorSpec(name="image", axes="bcyx", channels=("dna", "protein"))
    zooready.export(TwoChannels(), np.stack([image, image // 2]), ABOUT, folder / "two.zip", input=channels, outputs=(SCORES,), **onnx)
    labels = TensorSpec(name="labels", axes="bcyx", channels=("objects",), kind="labels")
    zooready.export(Bright(), image, ABOUT, folder / "bright.zip", outputs=(labels,), **onnx)
    return {path.stem: path for path in folder.glob("*.zip")}


@pytest.fixture
def open_bundle(bundles, request):
    """Open one of the bundles by name until the test ends."""

    def opening(name):
        block = opened(bundles[name])
        request.addfinalizer(lambda: block.__exit__(None, None, None))
        return block.__enter__()

    return opening


@pytest.fixture
def three():
    """An image (100, 160) of three cells and its labels 2, 5, 9, the last at the right edge."""
    rng = np.random.default_rng(1)
    image, labels = rng.poisson(200, (100, 160)).astype(np.uint16), np.zeros((100, 160), np.uint16)
    for number, pattern, top, left in ((2, "spots", 4, 3), (5, "bars", 44, 50), (9, "smooth", 20, 120)):
        pixels, mask = cell(rng, pattern, middle=(24, 24))
        width = min(48, 160 - left)
        window = (slice(top, top + 48), slice(left, left + width))
        image[window][mask[:, :width]] = pixels[:, :width][mask[:, :width]]
        labels[window][mask[:, :width]] = number
    labels[40:46, 154:160] = 9
    return Image(array=image, axes="yx", pixel_size_um=0.25), labels
