"""Bundles of a small classifier, made once, and an image for them."""

from dataclasses import replace

import numpy as np
import pytest
from networks import ABOUT
from patterns import Mapped, Patterns, cell, exported
from patterns import trained as train
from torch import nn

import zooready
from zooready.bundle.reading import opened
from zooready.records import Image


@pytest.fixture(scope="session")
def trained():
    """The classifier's weights, a state dict."""
    return train()


class Smooth(nn.Module):
    """Two 3x3 means, one that looks only to the left: 2 px each way, but none to the right."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(2))
        for layer in (self.first, self.second):
            nn.init.constant_(layer.weight, 1 / 6)
            layer.weight.data[..., 2] = 0

    def forward(self, image):
        return self.second(self.first(image))


@pytest.fixture(scope="session")
def bundles(trained, tmp_path_factory):
    """Zips: "maps", a classifier with maps of its own; "onnx", that alone and no maps; "frozen", TorchScript alone; "smooth", an image;
    "restoring", the same, which states the blur that it takes away.
    """
    folder = tmp_path_factory.mktemp("bundles")
    exported(Mapped, trained, folder / "maps.zip")
    exported(Patterns, trained, folder / "onnx.zip", formats=("onnx",))
    exported(Patterns, trained, folder / "frozen.zip", torchscript="channels_last", formats=("torchscript",))
    for name, about in (("smooth", ABOUT), ("restoring", replace(ABOUT, blur_px=(4.0, 16.0)))):
        zooready.export(Smooth(), cell(np.random.default_rng(0), "bars")[0], about, folder / f"{name}.zip", torchscript="plain")
    return {path.stem: path for path in folder.glob("*.zip")}


@pytest.fixture
def open_bundle(bundles, request):
    """Open one of the bundles by name until the test ends."""

    def opening(name, trust_code=False):
        block = opened(bundles[name], trust_code=trust_code)
        request.addfinalizer(lambda: block.__exit__(None, None, None))
        return block.__enter__()

    return opening


@pytest.fixture(scope="session")
def spots():
    """An image of a cell with spots at the left, and its mask."""
    image, mask = cell(np.random.default_rng(9), "spots", middle=(30, 14))
    image.flags.writeable = mask.flags.writeable = False
    return Image(array=image, axes="yx", pixel_size_um=0.3), mask
