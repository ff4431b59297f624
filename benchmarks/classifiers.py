"""What PLCNN's two paths are alone: a residual and a plain classifier, to measure it against.

    x -- stem -- 4 x (two residual blocks) -- mean -- linear --> logits        ResNet-like
    x -- 5 x (two or three convolutions, pooling) -- mean -- linear --> logits     VGG-like

Numbers of layers are those of ResNet-18 and VGG-16; widths and strides are parameters, and by default both have as many weights as PLCNN
has, within a tenth, and the same strides. He et al. 2016, doi:10.1109/CVPR.2016.90; Simonyan, Zisserman 2015, arXiv:1409.1556.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Classifier(nn.Module):
    """Features, their mean, and one linear layer: (b, channels_in, y, x) -> logits (b, classes), float32; any size from 1x1."""

    def __init__(self, features: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.last = nn.Linear(width, classes)
        self.apply(initialise)

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        seen = self.features(image).mean((2, 3))
        with torch.autocast(seen.device.type, enabled=False):
            logits: Tensor = self.last(seen.float())
        return logits


class ResNet(Classifier):
    """ResNet-like: a stem of stride 4, four stages of two residual blocks; ``strides`` are those of the last three stages."""

    def __init__(
        self,
        channels_in: int = 1,
        classes: int = 10,
        widths: tuple[int, int, int, int] = (32, 64, 96, 128),
        strides: tuple[int, int, int] = (2, 1, 1),
    ) -> None:
        stem = [nn.Conv2d(channels_in, widths[0], 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(), pooling(2)]
        blocks: list[nn.Module] = []
        for before, width, stride in zip((widths[0], *widths), widths, (1, *strides), strict=False):
            blocks += [Block(before, width, stride), Block(width, width, 1)]
        super().__init__(nn.Sequential(*stem, *blocks), widths[-1], classes)


class VGG(Classifier):
    """VGG-like: blocks of 2, 2, 3, 3 and 3 convolutions, each block with a pooling at its end; ``strides`` are those of the poolings.

    ``is_normalised`` puts batch normalisation after each convolution, which the published network has not.
    """

    def __init__(
        self,
        channels_in: int = 1,
        classes: int = 10,
        widths: tuple[int, int, int, int, int] = (16, 32, 80, 112, 160),
        strides: tuple[int, int, int, int, int] = (2, 2, 2, 1, 1),
        is_normalised: bool = False,
    ) -> None:
        layers: list[nn.Module] = []
        before = channels_in
        for width, depth, stride in zip(widths, (2, 2, 3, 3, 3), strides, strict=True):
            for _ in range(depth):
                layers += [nn.Conv2d(before, width, 3, padding=1), *([nn.BatchNorm2d(width)] if is_normalised else []), nn.ReLU()]
                before = width
            layers.append(pooling(stride))
        super().__init__(nn.Sequential(*layers), widths[-1], classes)


class Block(nn.Module):
    """Residual block of two 3x3 convolutions; a 1x1 convolution carries the input over where widths or sizes change."""

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, width, 3, stride=stride, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm, self.second_norm = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.carry: nn.Module = nn.Identity()
        if stride != 1 or channels_in != width:
            self.carry = nn.Sequential(nn.Conv2d(channels_in, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, image: Tensor) -> Tensor:
        """(b, channels_in, y, x) -> (b, width, y/stride, x/stride), sizes rounded up."""
        change = functional.relu(self.first_norm(self.first(image)))
        return functional.relu(self.carry(image) + self.second_norm(self.second(change)))


def pooling(stride: int) -> nn.Module:
    """Maximum over 3x3 px, size divided by the stride and rounded up."""
    return nn.MaxPool2d(3, stride=stride, padding=1)


def initialise(module: nn.Module) -> None:
    """He's normal weights and zero biases; the last layer begins near zero."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
