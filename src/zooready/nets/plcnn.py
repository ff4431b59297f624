r"""PLCNN: a network of two cross-connected paths that classifies a protein's compartment and maps the evidence for it.

    x -- stem ------- residual -- join -- residual -- join -- residual -- join -- residual --.
    x -- plain ------ plain ----/    \-- plain ----/    \-- plain ----/    \-- plain -------- join -- linear --> maps, logits
    x -- features ----------------------------------------------------------------------------/

The topology is that of the paper's figure: a residual path (ResNet-like), a plain one (VGG-like), each concatenation feeding both, and a
block of features straight from the image to the last concatenation. What the paper does not state is chosen here: widths (a
parameter), kernels of 3x3 (the stem 5x5, the convolutions after a concatenation 1x1), ReLU after each addition, maximum pooling over
3x3, strides (4 before the first concatenation, then 2, 1, 1, so that maps are not too coarse), features by three strided
convolutions, global average pooling before the one linear layer.
Tahir, Anwar, Mian, Muzaffar, Neural Computing and Applications (2021), doi:10.1007/s00521-021-06715-y
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

STEM = 4  # stride before the first concatenation
ADDED = 256  # values of a map that are added in float32 before their sum is put aside


class PLCNN(nn.Module):
    """(b, channels_in, y, x) -> logits (b, classes) and class activation maps (b, classes, y, x), float32; any size from 1x1.

    At every size a logit is exactly the mean of its map plus the bias of the linear layer: the maps show what the decision is based on.
    In training, maps stay at their coarse size.

    Parameters
    ----------
    channels_in, classes
        Channels of the image, and number of classes.
    widths
        Channels of each path: in the plain path's first block, at the first concatenation, and in the three stages after it.
    features
        Channels of the block that leads directly to the last concatenation.
    strides
        Strides of the three stages after the first concatenation, 1 or 2 each.

    Raises
    ------
    ValueError
        Not five widths, or not three strides of 1 or 2.
    """

    ENCODER = ("stem", "plain", "residual", "stages", "features")  # all before the classes

    def __init__(
        self,
        channels_in: int = 1,
        classes: int = 10,
        widths: tuple[int, int, int, int, int] = (16, 32, 48, 64, 80),
        features: int = 32,
        strides: tuple[int, int, int] = (2, 1, 1),
    ) -> None:
        super().__init__()
        if len(widths) != 5 or len(strides) != 3 or not set(strides) <= {1, 2}:
            raise ValueError(f"widths={tuple(widths)}, strides={tuple(strides)}: give five widths and three strides, each stride 1 or 2.")
        first, second, *deep = widths
        self.stem = Stem(channels_in, second)
        self.plain = nn.Sequential(Plain(channels_in, first, 2, 2), Plain(first, second, 2, 2))
        self.residual = nn.Sequential(Residual(second), Residual(second))
        self.stages = nn.ModuleList(Stage(2 * a, b, stride) for a, b, stride in zip(widths[1:], deep, strides, strict=False))
        self.features = Features(channels_in, features, strides)
        self.last = nn.Linear(2 * deep[-1] + features, classes)
        self.stride = STEM * strides[0] * strides[1] * strides[2]
        self.apply(initialise)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        features = self.seen(image)
        with torch.autocast(features.device.type, enabled=False):
            coarse = functional.conv2d(features.float(), self.last.weight[:, :, None, None])
            if self.training:  # the loss asks for logits only, and the maps at the image's size take a quarter of a step
                return average_enlarged(coarse, self.stride, image) + self.last.bias, coarse
            maps = enlarged(coarse, self.stride, image)
            return average(maps) + self.last.bias, maps

    def embedding(self, image: Tensor) -> Tensor:
        """The input of the linear layer: (b, channels_in, y, x) -> (b, 2 * widths[-1] + features)."""
        return average(enlarged(self.seen(image).float(), self.stride, image))

    def seen(self, image: Tensor) -> Tensor:
        """The last concatenation, (b, 2 * widths[-1] + features, y / stride, x / stride), sizes rounded up."""
        joined = torch.cat((self.residual(self.stem(image)), self.plain(image)), 1)
        for stage in self.stages:
            joined = stage(joined)
        return torch.cat((joined, self.features(image)), 1)


class Scores(nn.Module):
    """Logits to scores that sum to 1, (b, classes); maps pass unchanged.

    Parameters
    ----------
    temperature
        Above 0; a larger one makes scores more alike. It does not change which class has the highest score.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: it must be above 0.")
        self.temperature = temperature

    def forward(self, logits: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        return torch.softmax(logits / self.temperature, 1), maps


class Stem(nn.Sequential):
    """5x5 convolution of stride 2, batch normalisation, ReLU, pooling: (b, channels_in, y, x) -> (b, width, y/4, x/4)."""

    def __init__(self, channels_in: int, width: int) -> None:
        super().__init__(nn.Conv2d(channels_in, width, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(width), nn.ReLU(), pooling(2))


class Plain(nn.Sequential):
    """3x3 convolutions with ReLU, then pooling: (b, channels_in, y, x) -> (b, width, y/stride, x/stride)."""

    def __init__(self, channels_in: int, width: int, depth: int, stride: int) -> None:
        layers: list[nn.Module] = []
        for index in range(depth):
            layers += [nn.Conv2d(width if index else channels_in, width, 3, padding=1), nn.ReLU()]
        super().__init__(*layers, pooling(stride))


class Residual(nn.Module):
    """Twice 3x3 convolution and batch normalisation, a ReLU between them, the input added, ReLU: (b, width, y, x), unchanged shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.first_norm, self.second_norm = (nn.BatchNorm2d(width) for _ in range(2))

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        change = functional.relu(self.first_norm(self.first(image)))
        return functional.relu(image + self.second_norm(self.second(change)))


class Stage(nn.Module):
    """Both paths between two concatenations: (b, channels_in, y, x) -> (b, 2 * width, y/stride, x/stride).

    Residual: block, convolution with stride and batch normalisation, block. Plain: three convolutions, pooling.
    """

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels_in, width, 1),
            nn.ReLU(),
            Residual(width),
            nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            Residual(width),
        )
        self.plain = nn.Sequential(nn.Conv2d(channels_in, width, 1), nn.ReLU(), Plain(width, width, 3, stride))

    def forward(self, joined: Tensor) -> Tensor:
        """See the class."""
        return torch.cat((self.residual(joined), self.plain(joined)), 1)


class Features(nn.Sequential):
    """Strided 3x3 convolutions with ReLU from the image to the size of the last concatenation."""

    def __init__(self, channels_in: int, width: int, strides: tuple[int, int, int]) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels_in, width, 5, stride=STEM, padding=2), nn.ReLU()]
        for stride in strides:
            layers += [nn.Conv2d(width, width, 3, stride=stride, padding=1), nn.ReLU()]
        super().__init__(*layers)


def pooling(stride: int) -> nn.Module:
    """Maximum over 3x3 px, size divided by the stride and rounded up, as 3x3 convolutions with padding do."""
    return nn.MaxPool2d(3, stride=stride, padding=1)


def average(maps: Tensor) -> Tensor:
    """(b, c, y, x) -> (b, c): the mean of each map, 256 values at a time, since ONNX Runtime loses digits in the sum of a large map."""
    sums = maps.flatten(2)
    for _ in range(2):
        length = sums.shape[2]
        missing = (length + ADDED - 1) // ADDED * ADDED - length
        sums = functional.pad(sums, (0, missing)).reshape(sums.shape[0], sums.shape[1], -1, ADDED).sum(3)
    return sums.sum(2) / (maps.shape[2] * maps.shape[3])


def enlarged(coarse: Tensor, stride: int, image: Tensor) -> Tensor:
    """Values (b, c, y/stride, x/stride) at the image's size (b, c, y, x), bilinear; value i belongs to pixel i * stride.

    Padded convolutions and poolings of 3x3 place it there. Beyond the last value, it is repeated.
    """
    height, width = coarse.shape[2:]
    padded = functional.pad(coarse, (0, 1, 0, 1), mode="replicate")
    large = functional.interpolate(padded, size=(height * stride + 1, width * stride + 1), mode="bilinear", align_corners=True)
    return large[:, :, : image.shape[2], : image.shape[3]]


def average_enlarged(coarse: Tensor, stride: int, image: Tensor) -> Tensor:
    """``average(enlarged(coarse, stride, image))`` without the large maps: (b, c, y/stride, x/stride) -> (b, c)."""
    for length, size in zip(coarse.shape[2:], image.shape[2:], strict=True):
        unit = functional.pad(torch.eye(length, device=coarse.device)[None], (0, 1), mode="replicate")
        shares = functional.interpolate(unit, size=length * stride + 1, mode="linear", align_corners=True)[0, :, :size].mean(1)
        coarse = torch.tensordot(coarse, shares, ([2], [0]))
    return coarse


def initialise(module: nn.Module) -> None:
    """He's normal weights and zero biases, since the plain path has no normalisation; the last layer begins near zero."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
