r"""Cross-modality super-resolution: the published generator, a residual U-Net, and the discriminator that it was trained against.

    x -- block 1 ------------------------------- block 5 -- last -->      down: three convolutions, added to their input
           \ mean 2x2 -- block 2 ----------- block 4 -- up /              up: twice the size (bilinear), joined, three convolutions
                           \ mean -- bottom -- up /

Every convolution is 3x3 and followed by a leaky ReLU of slope 0.1; the sum of a block has no activation of its own, and the input is
given zeros for the channels that it lacks. The paper states neither the channels of each level nor which of a block's three
convolutions widens; here channels double from level to level, and the first convolution of a block widens.

Wang et al., Nature Methods 16, 103 (2019), doi:10.1038/s41592-018-0239-0
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 4  # blocks down and blocks up
BLOCKS = 5  # of the discriminator
SLOPE = 0.1  # of leaky ReLU


class Generator(nn.Module):
    """The published generator at any width: an image (b, 1, y, x) -> the sharper one, same shape; y and x must be multiples of 16.

    Parameters
    ----------
    width
        Channels at full size, at least 1; every level below has twice as many.

    Raises
    ------
    ValueError
        A width below 1.
    """

    ENCODER = ("down", "bottom")

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width={width}: use 1 or more.")
        widths = [width * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(three(before, after) for before, after in zip([1, *widths[:-1]], widths, strict=True))
        self.bottom = convolution(widths[-1], 2 * widths[-1])
        self.up = nn.ModuleList(three(3 * after, after) for after in widths)  # from below twice, from the side once as many
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """See the class. The last layer stays in float32 under autocast."""
        skips: list[Tensor] = []
        features = image
        for block in self.down:
            added = block(features)
            missing = added.shape[1] - features.shape[1]
            skips.append(added + functional.pad(features, (0, 0, 0, 0, 0, missing)))
            features = functional.avg_pool2d(skips[-1], 2)
        features = self.bottom(features)  # (b, 16 width, y/16, x/16)
        for block in reversed(self.up):
            larger = functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
            features = block(torch.cat((skips.pop(), larger), 1))
        if features.dtype != image.dtype:
            with torch.autocast(image.device.type, enabled=False):
                return self.last(features.float())  # type: ignore[no-any-return]
        return self.last(features)  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """The published discriminator at any width: an image (b, 1, y, x) -> (b, 1), the logit of "taken by the sharper microscope".

    One convolution, five blocks of two, whose second halves the size, the mean over y and x, and two linear layers. The published
    sigmoid is left to the loss, which is exact for logits of any size. y and x must be 32 or more.

    Parameters
    ----------
    width
        Channels of the first convolution, at least 1; every block doubles them.

    Raises
    ------
    ValueError
        A width below 1.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width={width}: use 1 or more.")
        widths = [width * 2**block for block in range(BLOCKS + 1)]
        self.first = convolution(1, width)
        pairs = zip(widths, widths[1:], strict=False)
        self.blocks = nn.Sequential(*(nn.Sequential(convolution(before, before), convolution(before, after, 2)) for before, after in pairs))
        self.decide = nn.Sequential(nn.Linear(widths[-1], widths[-1]), nn.LeakyReLU(SLOPE), nn.Linear(widths[-1], 1))

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        logit: Tensor = self.decide(self.blocks(self.first(image)).mean((2, 3)))
        return logit


def convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution and a leaky ReLU."""
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.LeakyReLU(SLOPE, inplace=True))


def three(before: int, after: int) -> nn.Sequential:
    """Three convolutions, of which the first changes the number of channels."""
    return nn.Sequential(convolution(before, after), convolution(after, after), convolution(after, after))
