"""A network with every kind of output, whose right answer is known by arithmetic: labels are hundreds of grey values."""

import numpy as np
import torch
from torch import nn

import zooready
from zooready.records import About, Image
from zooready.tensors import TensorSpec

NAMES = ("labels", "maps", "scores", "stack")
PIXEL_UM = 0.3


class Toy(nn.Module):
    """(b, 1, y, x) to labels (b, 1, y, x), maps (b, 2, y, x), scores (b, 3) and a stack (b, 1, 3, y, x)."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        scores = torch.stack([image.amax(dim=(1, 2, 3)), image.mean(dim=(1, 2, 3)), image.amin(dim=(1, 2, 3))], 1)
        stack = torch.stack([image, image * 2, image * 3], 2)
        return torch.floor(image / 100), torch.cat([image / 400, 1 - image / 400], 1), scores, stack


def make_image():
    """(60, 80) uint16 with the labels 1, 2 and 3."""
    image = np.zeros((60, 80), np.uint16)
    image[5:20, 5:30], image[30:50, 40:70], image[10:25, 50:60] = 120, 230, 310
    return image


def outputs(image):
    """What the network makes of (y, x), by the names of the outputs, as DeepImageJ writes them."""
    with torch.no_grad():
        labels, maps, scores, stack = Toy()(torch.from_numpy(image.astype(np.float32))[None, None])
    shown = {"labels": ("YX", labels[0, 0]), "maps": ("CYX", maps[0]), "scores": ("CYX", scores[0][:, None, None])}
    shown["stack"] = ("ZYX", stack[0, 0])
    return {name: (axes, array.numpy()) for name, (axes, array) in shown.items()}


def write(path):
    """The bundle, TorchScript only."""
    grey = ("grey",)
    zooready.export(
        Toy(),
        Image(array=make_image(), axes="yx", pixel_size_um=PIXEL_UM),
        About(name="Toy bands", description="Every kind of output.", authors=({"name": "a"},), license="MIT", pixel_size_um=(0.2, 0.4)),
        path,
        formats=("torchscript",),
        torchscript="plain",
        input=TensorSpec(name="image", axes="bcyx", channels=grey),
        outputs=(
            TensorSpec(name="labels", axes="bcyx", channels=("bands",), kind="labels"),
            TensorSpec(name="maps", axes="bcyx", channels=("bright", "dark")),
            TensorSpec(name="scores", axes="bc", channels=("highest", "middle", "lowest"), kind="scores"),
            TensorSpec(name="stack", axes="bczyx", channels=grey, sizes={"z": 3}),
        ),
    )
    return path
