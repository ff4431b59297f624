"""Networks whose right answer is known by arithmetic: one with every kind of output, one of two channels, one of stacks."""

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


class Some(Toy):
    """The toy with some of its outputs."""

    def __init__(self, names: tuple[str, ...]):
        super().__init__()
        self.places = [NAMES.index(name) for name in names]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        every = super().forward(image)
        return tuple(every[place] for place in self.places)


class Pair(nn.Module):
    """(b, 2, y, x) to maps (b, 2, y, x), each of its own channel."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([image[:, :1] / 400, 1 - image[:, 1:] / 400], 1)


class Deep(nn.Module):
    """(b, 1, z, y, x) to the difference (b, 1, z, y, x) to the mean of all planes."""

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        return stack - stack.mean(dim=2, keepdim=True)


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


def write(path, names=NAMES):
    """The toy's bundle with some of its outputs."""
    grey = ("grey",)
    every = {
        "labels": TensorSpec(name="labels", axes="bcyx", channels=("bands",), kind="labels"),
        "maps": TensorSpec(name="maps", axes="bcyx", channels=("bright", "dark")),
        "scores": TensorSpec(name="scores", axes="bc", channels=("highest", "middle", "lowest"), kind="scores"),
        "stack": TensorSpec(name="stack", axes="bczyx", channels=grey, sizes={"z": 3}),
    }
    image = Image(array=make_image(), axes="yx", pixel_size_um=PIXEL_UM)
    taken = TensorSpec(name="image", axes="bcyx", channels=grey)
    return _exported(Some(names), image, path, taken, tuple(every[name] for name in names))


def write_pair(path):
    """The bundle of two channels."""
    image = Image(array=np.stack([make_image(), make_image()[::-1]]), axes="cyx", pixel_size_um=PIXEL_UM)
    taken = TensorSpec(name="image", axes="bcyx", channels=("first", "second"), limits={"second": (-5.0, 400.0)})
    return _exported(Pair(), image, path, taken, (TensorSpec(name="maps", axes="bcyx", channels=("bright", "dark")),))


def write_deep(path):
    """The bundle of stacks."""
    image = Image(array=np.stack([make_image(), make_image()[::-1]]), axes="zyx", pixel_size_um=PIXEL_UM, z_um=0.8)
    taken = TensorSpec(name="stack", axes="bczyx", channels=("grey",))
    return _exported(Deep(), image, path, taken, (TensorSpec(name="difference", axes="bczyx", channels=("grey",)),))


def _exported(network, image, path, taken, given):
    """A bundle with TorchScript only."""
    about = About(name="Toy bands", description="Every kind of output.", authors=({"name": "a"},), license="MIT", pixel_size_um=(0.2, 0.4))
    zooready.export(network, image, about, path, formats=("torchscript",), torchscript="plain", input=taken, outputs=given)
    return path
