"""Small networks as strangers write them: each breaks, or could break, one thing in an export."""

from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from zooready import About, Part
from zooready.records import Image


def conv(inside, outside, side=3):
    return nn.Conv2d(inside, outside, side, padding=side // 2)


class SmallUNet(nn.Module):
    """Two levels, so multiples of 4; BatchNorm with statistics that matter."""

    def __init__(self, channels=1, classes=2, width=4):
        super().__init__()
        self.first = nn.Sequential(conv(channels, width), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Sequential(conv(width, 2 * width), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.third = nn.Sequential(conv(2 * width, 2 * width), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.up = nn.ConvTranspose2d(2 * width, 2 * width, 2, stride=2)
        self.join = nn.Sequential(conv(4 * width, width), nn.BatchNorm2d(width), nn.ReLU())
        self.top = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.last = nn.Conv2d(2 * width, classes, 1)

    def forward(self, x):
        a = self.first(x)
        b = self.second(functional.max_pool2d(a, 2))
        c = self.up(self.third(functional.max_pool2d(b, 2)))
        d = self.top(self.join(torch.cat([b, c], 1)))
        return torch.sigmoid(self.last(torch.cat([a, d], 1)))


class Several(nn.Module):
    """A dict with a list and a None inside."""

    def __init__(self):
        super().__init__()
        self.inner = conv(1, 3)

    def forward(self, x):
        deep = self.inner(x)
        return OrderedDict(image=deep, aux=[None, deep[:, :1] * 2], loss=None)


class BakedSize(nn.Module):
    """The size becomes a Python number, which a trace writes down."""

    def __init__(self):
        super().__init__()
        self.inner = conv(1, 2)

    def forward(self, x):
        y, x_ = int(x.shape[2]), int(x.shape[3])
        ramp = torch.linspace(0, 1, x_).expand(y, x_)
        return self.inner(x) * (1 + ramp[None, None]) / float(y)


class Branch(nn.Module):
    """Another path for bright images."""

    def __init__(self):
        super().__init__()
        self.dark, self.bright = conv(1, 1), conv(1, 1)

    def forward(self, x):
        if x.mean() > 1000:
            return self.bright(x)
        return self.dark(x)


class Random(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5)


class Complex(nn.Module):
    def forward(self, x):
        return torch.fft.fft2(x)


class Fourier(nn.Module):
    """A low pass by FFT: TorchScript has it, ONNX opset 17 hardly."""

    def forward(self, x):
        spectrum = torch.fft.rfft2(x)
        return torch.fft.irfft2(spectrum / (1 + spectrum.abs()), s=x.shape[-2:])


class TwoInputs(nn.Module):
    def forward(self, x, reference):
        return x - reference


class Doubling(nn.Module):
    def forward(self, x):
        return functional.interpolate(x, scale_factor=2)


class Attention(nn.Module):
    """Every pixel sees every pixel."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(1, 2, 1) for _ in range(3))

    def forward(self, x):
        q, k, v = (part(x / 1000).flatten(2).transpose(1, 2) for part in (self.query, self.key, self.value))
        seen = functional.scaled_dot_product_attention(q, k, v)
        return seen.transpose(1, 2).unflatten(2, x.shape[2:])


class Instance(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(conv(1, 4), nn.InstanceNorm2d(4, affine=True), nn.ReLU(), conv(4, 1))

    def forward(self, x):
        return self.layers(x)


class Group(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(conv(1, 4), nn.GroupNorm(2, 4), nn.ReLU(), conv(4, 1))

    def forward(self, x):
        return self.layers(x)


class Volume(nn.Module):
    """One level in three dimensions."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.BatchNorm3d(2), nn.ReLU())
        self.second = nn.Sequential(nn.Conv3d(2, 2, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose3d(2, 2, 2, stride=2)
        self.last = nn.Conv3d(4, 1, 1)

    def forward(self, x):
        a = self.first(x)
        return self.last(torch.cat([a, self.up(self.second(functional.max_pool3d(a, 2)))], 1))


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.last = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Linear(4, 3)

    def forward(self, x):
        return self.last(functional.relu(self.inner(x)).mean((2, 3)))


class Classes(nn.Module):
    """Integers without a channel axis."""

    def __init__(self):
        super().__init__()
        self.inner = conv(1, 3)

    def forward(self, x):
        return self.inner(x).argmax(1)


class InPlace(nn.Module):
    """Changes its own input."""

    def __init__(self):
        super().__init__()
        self.inner = conv(1, 1)

    def forward(self, x):
        x.div_(1000).clamp_(0, 2)
        return self.inner(x) + x


class RootMeanSquare(nn.Module):
    """An operator that PyTorch 2.0.0 has not."""

    def __init__(self):
        super().__init__()
        self.inner = conv(1, 4)
        self.norm = nn.RMSNorm(4)

    def forward(self, x):
        return self.norm(self.inner(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Counting(nn.Module):
    """An int64 buffer, and one layer used twice."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(conv(1, 1), nn.ReLU())
        self.again = self.inner
        self.register_buffer("shift", torch.tensor([3], dtype=torch.int64))

    def forward(self, x):
        return self.again(self.inner(x)) + self.shift


class Planes(nn.Module):
    """A stack of three planes from one image."""

    def __init__(self):
        super().__init__()
        self.inner = conv(1, 3)

    def forward(self, x):
        return self.inner(x).unsqueeze(1)


def seeded(kind, *arguments, **keywords):
    """The network with weights, and running statistics of BatchNorm, that are the same in every process."""
    torch.manual_seed(5)
    network = kind(*arguments, **keywords)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 1.5)
    return network


def cells(*shape, top=4000):
    """An image as a camera gives it, uint16: round spots on uneven ground, noise; the same every time."""
    rng = np.random.default_rng(11)
    *_, height, width = shape
    y, x = np.mgrid[:height, :width]
    ground = 200 + 100 * x / width
    for _ in range(max(3, height * width // 900)):
        cy, cx, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(3, 8)
        ground = ground + rng.uniform(0.2, 1) * top * np.exp(-((((y - cy) ** 2 + (x - cx) ** 2) / radius**2) ** 2))
    return rng.poisson(np.broadcast_to(ground, shape)).astype(np.uint16)


ABOUT = About(
    name="Nuclei (test)",
    description="Finds bright spots.",
    authors=({"name": "Ada Author", "affiliation": "Institute"},),
    license="BSD-3-Clause",
    cite=(("A paper", "10.5281/zenodo.1234567"),),
    tags=("nuclei", "fluorescence"),
    pixel_size_um=(0.2, 0.5),
)
UNET = Part(path="zooready.nets.unet.UNet", kwargs={"channels_in": 1, "channels_out": 2, "base": 4, "levels": 3, "final": "sigmoid"})


def unet_bundle(out, torchscript):
    """The bundle of a small U-Net with all that an export can be told."""
    from zooready import export

    return export(
        seeded(UNET.build),
        Image(array=cells(150, 180), axes="yx", pixel_size_um=0.325),
        ABOUT,
        out,
        architecture=UNET,
        normalization="percentiles",
        torchscript=torchscript,
        provenance={
            "seed": 5,
            "data_sha256": "0" * 64,
            "metrics": {"f1": np.float64(0.875)},
            "training": "None.",
            "versions": {"torch": "1"},
        },
    )
