"""m-rBCR: image deconvolution at three resolutions by one small network (residual Beylkin-Coifman-Rokhlin).

    x, x[::2, ::2], x[::4, ::4]  -- K^T: pointwise stacks, fused from coarse to fine -->  y, y2, y4
    y4 -- B: directional convolutions, residual dense blocks -->  restored at 1/4, then 1/2, then 1

Deconvolution is written as ``(K^T K + eps I)^-1 K^T``; the first half represents ``K^T``, the second the inverse. The topology and
its 236,630 parameters are those of the authors' released checkpoint, whose "Conv1D" layers convolve along the width only.
Li, Kudryashev, Yakimovich, ECCV 2024, doi:10.1007/978-3-031-73226-3_22
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Kernel = Literal["released", "alternating", "isotropic"]
KERNELS: dict[str, tuple[tuple[int, int], ...]] = {  # (y, x) of the six directional convolutions of a block
    "released": ((1, 5),) * 6,
    "alternating": ((1, 5), (5, 1)) * 3,
    "isotropic": ((3, 3),) * 6,
}
WIDTH = 32  # channels of the pointwise stacks and directional convolutions
GROWTH = 4  # channels that a residual dense block adds
RESIDUAL_DENSE = 4  # residual dense blocks in a row
DEEP = WIDTH + GROWTH * RESIDUAL_DENSE  # channels at the end of a block


class RBCR(nn.Module):
    """Restores an image at full, half and quarter resolution.

    ``forward`` returns the finest image only, ``scales`` all three; both behave the same in training and evaluation.

    Parameters
    ----------
    kernel
        Shape of the convolutions before the dense blocks. ``"released"``: 1x5, along the width only; ``"alternating"``:
        1x5 and 5x1 in turn, 13x13 px in all, as many parameters; ``"isotropic"``: 3x3, 13x13 px in all, 310,486 parameters.

    Raises
    ------
    ValueError
        An unknown kernel.
    """

    def __init__(self, kernel: Kernel = "alternating") -> None:
        super().__init__()
        if kernel not in KERNELS:
            raise ValueError(f"kernel={kernel!r} is not known. Use one of {sorted(KERNELS)}.")
        shapes = KERNELS[kernel]
        self.stacks = nn.ModuleList(PointwiseStack() for _ in range(3))
        self.fuse_adjoint = Fusion(2 * WIDTH, WIDTH)
        self.adjoint = nn.ModuleList(nn.Conv2d(channels, 1, 1) for channels in (2 * WIDTH, 2 * WIDTH, WIDTH))
        self.blocks = nn.ModuleList(InverseBlock(channels, shapes) for channels in (DEEP, DEEP, 1))
        self.fuse_inverse = Fusion(DEEP + 1, DEEP)
        self.last = nn.ModuleList(nn.Conv2d(DEEP, 1, 9, padding=4) for _ in range(3))
        self.apply(initialise)

    def forward(self, image: Tensor) -> Tensor:
        """The restored image, (b, 1, y, x) float32; y and x multiples of 4, values of about zero mean and unit standard deviation."""
        return self.scales(image)[0]

    def scales(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The restored images (b, 1, y, x), (b, 1, y/2, x/2), (b, 1, y/4, x/4), for a loss over all three."""
        features, features_2, features_4 = (stack(image[:, :, ::step, ::step]) for stack, step in zip(self.stacks, (1, 2, 4), strict=True))
        up_2, up_4 = enlarged(features_2, 2), enlarged(features_4, 4)  # (b, 32, y, x) each
        fused = self.fuse_adjoint(features, up_2)
        fused_2 = functional.avg_pool2d(self.fuse_adjoint(up_2, up_4), 2)  # bilinear resize by one half, exactly
        y = self.adjoint[0](torch.cat((features, fused), 1))  # (b, 1, y, x)
        y_2 = self.adjoint[1](torch.cat((features_2, fused_2), 1))
        y_4 = self.adjoint[2](features_4)
        z_4 = self.blocks[2](y_4)  # (b, 48, y/4, x/4)
        z_2 = self.blocks[1](self.fuse_inverse(y_2, enlarged(z_4, 2)))
        z = self.blocks[0](self.fuse_inverse(y, enlarged(z_2, 2)))
        return self.last[0](z + y), self.last[1](z_2 + y_2), self.last[2](z_4 + y_4)


class PointwiseStack(nn.Sequential):
    """Twelve 1x1 convolutions with ReLU: 1 -> 32 channels."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for index in range(12):
            layers += [nn.Conv2d(WIDTH if index else 1, WIDTH, 1), nn.ReLU()]
        super().__init__(*layers)


class Fusion(nn.Module):
    """Two resolutions become one: concatenate, 1x1 with ReLU, 3x3 linear."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels_in, channels, 1)
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Fuse (b, c, y, x) and (b, d, y, x), where c + d = channels_in, into (b, channels, y, x)."""
        fused: Tensor = self.smooth(functional.relu(self.mix(torch.cat((fine, coarse), 1))))
        return fused


class ResidualDense(nn.Module):
    """Three pairs of 3x3 convolutions, each of the input and all earlier outputs; returns four new channels and the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = [channels + GROWTH * index for index in range(3)]
        self.first = nn.ModuleList(nn.Conv2d(width, GROWTH, 3, padding=1) for width in widths)
        self.second = nn.ModuleList(nn.Conv2d(GROWTH, GROWTH, 3, padding=1) for _ in widths)
        self.mix = nn.Conv2d(channels + 3 * GROWTH, GROWTH, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Turn (b, c, y, x) into (b, 4 + c, y, x)."""
        features = image
        for first, second in zip(self.first, self.second, strict=True):
            features = torch.cat((features, second(functional.relu(first(features)))), 1)
        return torch.cat((self.mix(features), image), 1)


class InverseBlock(nn.Sequential):
    """Six directional convolutions with ReLU to 32 channels, then four residual dense blocks to 48."""

    def __init__(self, channels: int, shapes: tuple[tuple[int, int], ...]) -> None:
        layers: list[nn.Module] = []
        for index, (high, wide) in enumerate(shapes):
            layers += [nn.Conv2d(WIDTH if index else channels, WIDTH, (high, wide), padding=(high // 2, wide // 2)), nn.ReLU()]
        super().__init__(*layers, *(ResidualDense(WIDTH + GROWTH * index) for index in range(RESIDUAL_DENSE)))


def enlarged(image: Tensor, factor: int) -> Tensor:
    """Bilinear resize with half-pixel centres by a whole factor, so that tracing records no fixed size."""
    return functional.interpolate(image, scale_factor=float(factor), mode="bilinear", align_corners=False)


def initialise(module: nn.Module) -> None:
    """He's normal weights and zero biases: signals keep their variance through the twelve pointwise layers."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
