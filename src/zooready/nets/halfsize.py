r"""A U-Net that works at half of the image's size, and one thin layer before and after it at full size.

    x -- linear, squashed -- 2×2 means -- U-Net (nets.unet) -- twice the size -- join -- thin -- last -->
                     \------------------ thin ------------------------------------/

At half the size a U-Net reaches twice as far, to objects of a hundred pixels, for a quarter of the multiplications; the thin layers keep
outlines sharp, and objects of eight pixels apart.
"""

import torch
from torch import nn

from zooready.nets.unet import BATCH_NORM, CONVOLUTION, UNet, enlarging

KNEE, LOWEST, HIGHEST = 0.25, -2.0, 4.0


def squashed(image: torch.Tensor) -> torch.Tensor:
    """Values of order one, so that dim is seen beside bright: slope 5 at 0, 1 stays 1, and nothing exceeds 1.25; any shape."""
    return image * (1 + KNEE) / (KNEE + image.abs())


def thin(channels_in: int, channels_out: int, dimensions: int) -> nn.Sequential:
    """One convolution (3 px along every axis), batch normalisation, ReLU: the layer at full size."""
    convolution = CONVOLUTION[dimensions](channels_in, channels_out, 3, padding=1, bias=False)
    return nn.Sequential(convolution, BATCH_NORM[dimensions](channels_out), nn.ReLU())


class HalfSizeUNet(nn.Module):
    """(b, channels_in, y, x) -> (b, channels_out, y, x), float32, 0..1; y and x must be multiples of 2 ** levels.

    Parameters
    ----------
    channels_out
        Channels of the output.
    base
        Channels at full size, and of the U-Net within at half of the image's size.
    levels, widest
        Of the U-Net within: number of sizes, most channels.
    channels_in
        Channels of the image.
    dimensions
        2 for (b, c, y, x); 3 for (b, c, z, y, x), where only y and x are halved.
    """

    ENCODER = ("first", "within.down")

    def __init__(
        self, channels_out: int, base: int = 16, levels: int = 5, widest: int = 128, channels_in: int = 1, dimensions: int = 2
    ) -> None:
        super().__init__()
        self.first = thin(2 * channels_in, base, dimensions)
        self.halved = nn.AvgPool2d(2) if dimensions == 2 else nn.AvgPool3d((1, 2, 2))
        self.within = UNet(2 * channels_in, base, base=base, levels=levels, widest=widest, dimensions=dimensions)
        self.up = enlarging(base, base, dimensions)
        self.join = thin(2 * base, base, dimensions)
        self.last = CONVOLUTION[dimensions](base, channels_out, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """See the class."""
        both = torch.cat([image.clamp(LOWEST, HIGHEST), squashed(image)], 1)  # (b, 2 * channels_in, y, x)
        features = self.join(torch.cat([self.first(both), self.up(self.within(self.halved(both)))], 1))  # (b, base, y, x)
        if features.dtype in (torch.float16, torch.bfloat16):
            with torch.autocast(features.device.type, enabled=False):
                return torch.sigmoid(self.last(features.float()))
        return torch.sigmoid(self.last(features))
