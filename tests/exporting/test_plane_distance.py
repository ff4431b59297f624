import numpy as np
import pytest
import torch

import zooready
from zooready.bundle.reading import opened
from zooready.records import Image
from zooready.tensors import TensorSpec


class Mean(torch.nn.Module):
    def forward(self, x):
        return (x + x.flip(2)) / 2


@pytest.mark.parametrize(("pixels", "stated"), [({"pixel_size_um": (0.2, 0.4)}, 0.8), ({}, None)])
def test_a_bundle_for_any_pixel_size_is_for_any_distance_of_planes(pixels, stated, tmp_path):
    image = Image(array=np.random.default_rng(0).random((4, 12, 16), np.float32), axes="zyx", pixel_size_um=0.3, z_um=0.8)
    about = zooready.About(name="Mean of planes", description="A mean.", authors=({"name": "a"},), license="MIT", **pixels)
    taken, given = (TensorSpec(name=name, axes="bczyx", channels=("grey",)) for name in ("stack", "mean"))
    path = tmp_path / "mean.zip"
    zooready.export(Mean(), image, about, path, formats=("onnx",), input=taken, outputs=(given,))
    with opened(path) as bundle:
        assert bundle.plane_distance_um == stated
