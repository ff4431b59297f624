"""Networks that restore images and that m-rBCR is measured beside: all (b, 1, y, x) -> (b, 1, y, x), float32.

Each follows its paper's drawing, for one channel, and adds the image to its answer (all but U-Net learn the difference only).

- CARE: Weigert et al., Nature Methods 15, 1090 (2018), doi:10.1038/s41592-018-0216-7: a small U-Net.
- DnCNN: Zhang et al., IEEE TIP 26, 3142 (2017), doi:10.1109/TIP.2017.2662206: 17 layers at full size.
- RCAN: Zhang et al., ECCV 2018, doi:10.1007/978-3-030-01234-2_18: residual groups with channel attention; here a small one.
- MIMO-U-Net: Cho et al., ICCV 2021, doi:10.1109/ICCV48922.2021.00460: three resolutions in, three out.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """A padded convolution."""
    return nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2)


class Care(nn.Module):
    """U-Net of three sizes with 32, 64 and 128 channels, no normalisation; y and x multiples of 4."""

    def __init__(self, base: int = 32) -> None:
        super().__init__()
        widths = (base, 2 * base, 4 * base)
        self.down = nn.ModuleList(pair(a, b) for a, b in zip((1, *widths), widths, strict=False))
        self.join = nn.ModuleList(pair(a + b, a) for a, b in zip(widths, widths[1:], strict=False))
        self.last = conv(base, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """See the module."""
        bridges: list[Tensor] = []
        features = image
        for level, block in enumerate(self.down):
            features = block(functional.max_pool2d(features, 2) if level else features)
            bridges.append(features)
        bridges.pop()
        for join in reversed(self.join):
            features = join(torch.cat((functional.interpolate(features, scale_factor=2.0, mode="nearest"), bridges.pop()), 1))
        restored: Tensor = image + self.last(features)
        return restored


def pair(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with ReLU."""
    return nn.Sequential(conv(channels_in, channels_out), nn.ReLU(), conv(channels_out, channels_out), nn.ReLU())


class DnCNN(nn.Module):
    """Seventeen 3x3 convolutions of 64 channels at full size, batch normalisation in all but the first and the last; any size."""

    def __init__(self, layers: int = 17, width: int = 64) -> None:
        super().__init__()
        middle = [
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()) for _ in range(layers - 2)
        ]
        self.body = nn.Sequential(conv(1, width), nn.ReLU(), *middle, conv(width, 1))

    def forward(self, image: Tensor) -> Tensor:
        """See the module."""
        restored: Tensor = image + self.body(image)
        return restored


class Rcan(nn.Module):
    """Residual groups of residual blocks with channel attention, at full size; every output sees the whole image; any size."""

    def __init__(self, width: int = 32, groups: int = 3, blocks: int = 4) -> None:
        super().__init__()
        self.first = conv(1, width)
        self.groups = nn.ModuleList(
            nn.Sequential(*(AttentiveBlock(width) for _ in range(blocks)), conv(width, width)) for _ in range(groups)
        )
        self.mix = conv(width, width)
        self.last = conv(width, 1)

    def forward(self, image: Tensor) -> Tensor:
        """See the module."""
        first = self.first(image)
        features = first
        for group in self.groups:
            features = features + group(features)
        restored: Tensor = image + self.last(first + self.mix(features))
        return restored


class AttentiveBlock(nn.Module):
    """Two convolutions whose channels are weighed by what the whole image holds, added to the input."""

    def __init__(self, width: int, squeeze: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))
        self.weigh = nn.Sequential(nn.Conv2d(width, width // squeeze, 1), nn.ReLU(), nn.Conv2d(width // squeeze, width, 1), nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        """(b, width, y, x) -> the same shape."""
        found = self.body(features)
        weighed: Tensor = features + found * self.weigh(found.mean((2, 3), keepdim=True))
        return weighed


class MimoUNet(nn.Module):
    """One U-shaped network that takes the image at three sizes and restores it at three; y and x multiples of 4.

    ``forward`` gives the finest image, ``scales`` all three. Base 32 with 8 residual blocks a level has about 6.8 million parameters.
    """

    def __init__(self, base: int = 32, blocks: int = 8) -> None:
        super().__init__()
        widths = (base, 2 * base, 4 * base)
        self.first = nn.Sequential(conv(1, base), nn.ReLU())
        self.shrink = nn.ModuleList(nn.Sequential(conv(a, b, stride=2), nn.ReLU()) for a, b in zip(widths, widths[1:], strict=False))
        self.encode = nn.ModuleList(residuals(width, blocks) for width in widths)
        self.shallow = nn.ModuleList(Shallow(width) for width in widths[1:])
        self.attend = nn.ModuleList(conv(width, width) for width in widths[1:])
        self.fuse = nn.ModuleList(nn.Sequential(conv(sum(widths), width, 1), nn.ReLU(), conv(width, width)) for width in widths[:-1])
        self.grow = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(b, a, 4, stride=2, padding=1), nn.ReLU()) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.join = nn.ModuleList(nn.Sequential(conv(2 * width, width, 1), nn.ReLU()) for width in widths[:-1])
        self.decode = nn.ModuleList(residuals(width, blocks) for width in widths)
        self.last = nn.ModuleList(conv(width, 1) for width in widths)

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        return self.scales(image)[0]

    def scales(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The restored images (b, 1, y, x), (b, 1, y/2, x/2), (b, 1, y/4, x/4)."""
        images = [image, image[:, :, ::2, ::2], image[:, :, ::4, ::4]]
        features = self.encode[0](self.first(image))
        encoded = [features]
        for level in (1, 2):
            shallow = self.shallow[level - 1](images[level])
            features = self.shrink[level - 1](features)
            features = self.encode[level](features + self.attend[level - 1](features * shallow))
            encoded.append(features)
        fused = [
            fuse(torch.cat([resized(one, source - target) for source, one in enumerate(encoded)], 1))
            for target, fuse in enumerate(self.fuse)
        ]
        restored: list[Tensor] = []
        features = encoded[2]
        for level in (2, 1, 0):
            if level < 2:
                features = self.join[level](torch.cat((self.grow[level](features), fused[level]), 1))
            features = self.decode[level](features)
            restored.insert(0, images[level] + self.last[level](features))
        return restored[0], restored[1], restored[2]


class Residual(nn.Module):
    """Two 3x3 convolutions added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))

    def forward(self, features: Tensor) -> Tensor:
        """(b, width, y, x) -> the same shape."""
        added: Tensor = features + self.body(features)
        return added


def residuals(width: int, blocks: int) -> nn.Sequential:
    """Residual blocks in a row."""
    return nn.Sequential(*(Residual(width) for _ in range(blocks)))


class Shallow(nn.Module):
    """Features of a smaller image: four convolutions, then mixed with the image itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        quarter, half = width // 4, width // 2
        layers = (conv(1, quarter), conv(quarter, half, 1), conv(half, half), conv(half, width - 1, 1))
        self.body = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
        self.mix = conv(width, width, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(b, 1, y, x) -> (b, width, y, x)."""
        mixed: Tensor = self.mix(torch.cat((image, self.body(image)), 1))
        return mixed


def resized(features: Tensor, halvings: int) -> Tensor:
    """Features enlarged by ``2 ** halvings``, or made smaller if it is negative; nearest neighbour."""
    if halvings < 0:
        return features[:, :, :: 2**-halvings, :: 2**-halvings]
    return functional.interpolate(features, scale_factor=float(2**halvings), mode="nearest") if halvings else features


class UnrolledLucy(nn.Module):
    """Richardson-Lucy iterations with a Gaussian blur of learnt width, each followed by one small correction that all of them share.

    After RLN (Li et al., Nature Methods 19, 1427 (2022), doi:10.1038/s41592-022-01652-7) in spirit, not in its layers. The image's
    smallest value is taken for its background; any size.
    """

    def __init__(self, iterations: int = 10, width: int = 16, sigma_px: float = 4.1, reach_px: int = 14) -> None:
        super().__init__()
        self.iterations, self.reach = iterations, reach_px
        self.sigma = nn.Parameter(torch.tensor(sigma_px))
        self.floor = nn.Parameter(torch.tensor(0.1))
        self.correct = nn.Sequential(conv(2, width), nn.ReLU(), conv(width, width), nn.ReLU(), conv(width, 1))
        last = self.correct[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def blur(self, image: Tensor) -> Tensor:
        """Along y, then along x; beyond the rim the image goes on as at the rim."""
        offset = torch.arange(-self.reach, self.reach + 1, device=image.device, dtype=image.dtype)
        kernel = torch.exp(-0.5 * (offset / self.sigma) ** 2)
        kernel = kernel / kernel.sum()
        padded = functional.pad(image, (self.reach,) * 4, mode="replicate")
        blurred: Tensor = functional.conv2d(functional.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None, :])
        return blurred

    def forward(self, image: Tensor) -> Tensor:
        """See the module."""
        least = image.amin((2, 3), keepdim=True) - self.floor.abs() - 1e-3
        light = image - least
        estimate = light
        for _ in range(self.iterations):
            estimate = estimate * self.blur(light / self.blur(estimate).clamp(min=1e-3))
            change = self.correct(torch.cat((estimate, light), 1).log1p())
            estimate = estimate * change.clamp(-1.0, 1.0).exp()
        return estimate + least
