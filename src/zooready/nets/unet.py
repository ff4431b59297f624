r"""U-Net: convolutions at successively halved sizes and back, with a skip connection at each size.

    x -- block --------------------- join -- block -- last -->
          \ pool -- block --- join -- block -- up /
                    \ ...  up /

Ronneberger et al., MICCAI 2015, doi:10.1007/978-3-319-24574-4_28; here with padded convolutions and batch normalisation.
"""

import torch
from torch import nn

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def enlarging(channels_in: int, channels_out: int, dimensions: int) -> nn.Module:
    """Transposed convolution to twice the size of y and x, never of z: planes are few, and far apart."""
    if dimensions == 2:
        return nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2)
    return nn.ConvTranspose3d(channels_in, channels_out, (1, 2, 2), stride=(1, 2, 2))


class UNetBlock(nn.Sequential):
    """Twice convolution (3 px along every axis), batch normalisation, ReLU: (b, channels_in, ..., y, x) -> (b, channels_out, ..., y, x)."""

    def __init__(self, channels_in: int, channels_out: int, dimensions: int = 2) -> None:
        convolution, batch_norm = CONVOLUTION[dimensions], BATCH_NORM[dimensions]
        super().__init__(
            convolution(channels_in, channels_out, 3, padding=1, bias=False),
            batch_norm(channels_out),
            nn.ReLU(),
            convolution(channels_out, channels_out, 3, padding=1, bias=False),
            batch_norm(channels_out),
            nn.ReLU(),
        )


class UNet(nn.Module):
    """(b, channels_in, y, x) -> (b, channels_out, y, x), float32; y and x must be multiples of 2 ** (levels - 1).

    Parameters
    ----------
    channels_in, channels_out
        Channels of the image and of the output.
    base
        Channels at full size; multiples of 16 train fastest in bfloat16.
    levels
        Number of sizes, at least 1.
    widest
        Each halving doubles the channels, up to this number. Base 16, five levels and 128 make 1.3 million parameters.
    final
        Final activation: "none" (any value) or "sigmoid" (0..1). The last layer stays in float32 under autocast.
    dimensions
        2 for (b, c, y, x); 3 for (b, c, z, y, x), where z is free, since only y and x are halved.
    """

    ENCODER = ("down",)

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        base: int = 16,
        levels: int = 5,
        widest: int = 128,
        final: str = "none",
        dimensions: int = 2,
    ) -> None:
        super().__init__()
        if final not in ("none", "sigmoid"):
            raise ValueError(f"final={final!r} is not known. Use 'none' or 'sigmoid'.")
        if levels < 1:
            raise ValueError(f"levels={levels}: a U-Net has at least one size. Use 1 or more.")
        if dimensions not in CONVOLUTION:
            raise ValueError(f"dimensions={dimensions}: use 2 or 3.")
        widths = [min(base * 2**level, widest) for level in range(levels)]
        self.down = nn.ModuleList(UNetBlock(a, b, dimensions) for a, b in zip([channels_in, *widths], widths, strict=False))
        self.up = nn.ModuleList(enlarging(b, a, dimensions) for a, b in zip(widths, widths[1:], strict=False))
        self.join = nn.ModuleList(UNetBlock(2 * width, width, dimensions) for width in widths[:-1])
        self.pool = nn.MaxPool2d(2) if dimensions == 2 else nn.MaxPool3d((1, 2, 2))
        self.last = CONVOLUTION[dimensions](base, channels_out, 1)
        self.final = final

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """See the class."""
        bridges: list[torch.Tensor] = []
        features = image
        for level, block in enumerate(self.down):
            features = block(self.pool(features) if level else features)  # (b, widths[level], y/2^level, x/2^level)
            bridges.append(features)
        bridges.pop()
        for up, join in zip(reversed(self.up), reversed(self.join), strict=True):
            features = join(torch.cat([bridges.pop(), up(features)], 1))
        if features.dtype in (torch.float16, torch.bfloat16):
            with torch.autocast(features.device.type, enabled=False):
                return self.finish(features.float())
        return self.finish(features)

    def finish(self, features: torch.Tensor) -> torch.Tensor:
        """The last layer: (b, base, y, x) -> (b, channels_out, y, x)."""
        output = self.last(features)
        return torch.sigmoid(output) if self.final == "sigmoid" else output
