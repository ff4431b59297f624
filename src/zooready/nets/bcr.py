r"""BCR: deconvolution in the wavelet (nonstandard) form of Beylkin, Coifman and Rokhlin, at one to three resolutions.

    image -- Haar --> 4 bands -- lift --> v1, d1 -- Haar --> v2, d2 -- Haar --> v3, d3     analysis: each halves the size
                                              |        bands(v2, d2)    bands(v3, d3)        per level: short convolutions,
                                              |              |                |              because operators are banded there
    restored <-- Haar^-1 -- 4 bands <-- inverse(v1 + v^, d1) <-- Haar^-1 -- ... <-- Haar^-1  synthesis, from coarse to fine

Deconvolution is written as ``(K^T K + eps I)^-1 K^T``: the coarser levels represent ``K^T``, a chain of convolutions on the finest
bands the inverse. All work is done at half the image's size or less; the four bands lose nothing. The published form has locally
connected layers; here they are convolutions, because blur is the same everywhere, so any size works. With more than one resolution the
restored coarse image is an input of the next finer one. Wavelets are fixed (Haar); their channels are learned.

Fan, Orozco Bohorquez, Ying, J. Comput. Phys. 384, 1 (2019), doi:10.1016/j.jcp.2019.02.002
Li, Kudryashev, Yakimovich, ECCV 2024, doi:10.1007/978-3-031-73226-3_22
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}


class BCR(nn.Module):
    """Restores an image or a stack; y and x must be multiples of ``2 ** (levels + resolutions - 1)``, z is free.

    ``forward`` returns the finest image only, ``scales`` all of them; both behave the same in training and evaluation.

    Parameters
    ----------
    width
        Channels of a band; convolutions work on the four bands of a level, so on four times as many.
    levels
        Wavelet levels, at least 1; the first has half the image's size.
    depth
        Residual pairs of 3x3 convolutions in the block of each level but the first; one number for all, or one for each, from fine to
        coarse.
    inverse
        Residual pairs of 3x3 convolutions on the first level, after the coarser ones were added to it.
    resolutions
        1: the image alone; 2: also at half, 3: also at a quarter of its size, from coarse to fine.
    dimensions
        2 for (b, 1, y, x); 3 for (b, 1, z, y, x), where convolutions span three planes and wavelets halve only y and x, because
        planes are further apart than pixels.

    Raises
    ------
    ValueError
        A number below 1, more than three resolutions, dimensions other than 2 and 3, or depths that are not one for each level.
    """

    def __init__(
        self,
        width: int = 8,
        levels: int = 3,
        depth: int | tuple[int, ...] = 3,
        inverse: int = 8,
        resolutions: int = 1,
        dimensions: int = 2,
    ) -> None:
        super().__init__()
        depths = (depth,) * (levels - 1) if isinstance(depth, int) else tuple(depth)
        numbers = {"width": width, "levels": levels, "inverse": inverse, "resolutions": resolutions}
        for name, value in (*numbers.items(), *(("depth", number) for number in depths)):
            if value < 1 or (name == "resolutions" and value > 3):
                raise ValueError(f"{name}={value}: use {'1, 2 or 3' if name == 'resolutions' else '1 or more'}.")
        if len(depths) != levels - 1:
            raise ValueError(f"depth={depth}: give one number, or one for each of the {levels - 1} levels after the first.")
        if dimensions not in CONVOLUTION:
            raise ValueError(f"dimensions={dimensions}: use 2 or 3.")
        stages = [Stage(1 if index == resolutions - 1 else 2, width, depths, inverse, dimensions) for index in range(resolutions)]
        self.stages = nn.ModuleList(stages)  # from fine to coarse

    def forward(self, image: Tensor) -> Tensor:
        """The restored image, shaped like the input, float32, of about zero mean and unit standard deviation."""
        return self.scales(image)[0]

    def scales(self, image: Tensor) -> tuple[Tensor, ...]:
        """The restored images, each half as large as the one before, for a loss over all of them."""
        restored: list[Tensor] = []
        for level in reversed(range(len(self.stages))):
            view = image[..., :: 2**level, :: 2**level]  # subsampled as in the published network and in the loss
            if restored:
                restored.insert(0, self.stages[level](view, torch.cat((view, enlarged(restored[0])), 1)))
            else:
                restored.insert(0, self.stages[level](view, view))
        return tuple(restored)


class Stage(nn.Module):
    """One resolution: the image's bands, lifted to channels; coarser levels; convolutions on the finest bands; the image added back."""

    def __init__(self, channels_in: int, width: int, depths: tuple[int, ...], inverse: int, dimensions: int) -> None:
        super().__init__()
        convolution, channels = CONVOLUTION[dimensions], 4 * width
        self.lift = convolution(4 * channels_in, channels, 3, padding=1)
        self.bands = nn.ModuleList(pairs(channels, depth, dimensions) for depth in depths)
        self.join = convolution(channels, channels, 3, padding=1)
        self.inverse = pairs(channels, inverse, dimensions)
        self.last = convolution(channels, 4, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor, seen: Tensor) -> Tensor:
        """The image (b, 1, ...) and the input of the stage (b, channels_in, ...) -> the restored image (b, 1, ...)."""
        levels = [self.lift(analysis(seen))]
        for _ in self.bands:
            levels.append(analysis(coarse_of(levels[-1])))
        levels[1:] = [block(bands) for block, bands in zip(self.bands, levels[1:], strict=True)]
        bands = levels.pop()
        for finer in reversed(levels):
            width = finer.shape[1] // 4
            bands = torch.cat((finer[:, :width] + synthesis(bands), finer[:, width:]), 1)
        features = self.inverse(self.join(bands))
        if features.dtype != image.dtype:
            with torch.autocast(image.device.type, enabled=False):
                return torch.add(image, synthesis(self.last(features.float())))
        return torch.add(image, synthesis(self.last(features)))


class Pair(nn.Module):
    """Two convolutions, 3 px wide along every axis, added to their input: (b, channels, ...) -> the same shape."""

    def __init__(self, channels: int, dimensions: int) -> None:
        super().__init__()
        self.first = CONVOLUTION[dimensions](channels, channels, 3, padding=1)
        self.second = CONVOLUTION[dimensions](channels, channels, 3, padding=1)
        nn.init.normal_(self.second.weight, std=0.01)

    def forward(self, features: Tensor) -> Tensor:
        """See the class. Works in place on intermediate results, because allocating memory for large images costs time."""
        added: Tensor = self.second(functional.relu_(self.first(features))).add_(features)
        return added


def pairs(channels: int, count: int, dimensions: int) -> nn.Sequential:
    """Residual pairs in a row."""
    return nn.Sequential(*(Pair(channels, dimensions) for _ in range(count)))


def coarse_of(bands: Tensor) -> Tensor:
    """The coarse band of each channel: (b, 4c, ...) -> (b, c, ...)."""
    return bands[:, : bands.shape[1] // 4]


def analysis(image: Tensor) -> Tensor:
    """Haar transform over y and x: (b, c, ..., y, x) -> (b, 4c, ..., y/2, x/2), the coarse band of every channel first, then details."""
    top, bottom = image[..., ::2, :], image[..., 1::2, :]
    total, change = top + bottom, top - bottom
    left, right = total[..., ::2], total[..., 1::2]
    left_change, right_change = change[..., ::2], change[..., 1::2]
    return torch.cat((left + right, left - right, left_change + right_change, left_change - right_change), 1) * 0.5


def synthesis(bands: Tensor) -> Tensor:
    """The inverse of :func:`analysis`: (b, 4c, ..., y, x) -> (b, c, ..., 2y, 2x)."""
    coarse, across, down, diagonal = torch.chunk(bands * 0.5, 4, 1)
    total, change, other_total, other_change = coarse + across, down + diagonal, coarse - across, down - diagonal
    top = torch.stack((total + change, other_total + other_change), -1).flatten(-2)  # (b, c, ..., y, 2x)
    bottom = torch.stack((total - change, other_total - other_change), -1).flatten(-2)
    return torch.stack((top, bottom), -2).flatten(-3, -2)


def enlarged(image: Tensor) -> Tensor:
    """Twice as many pixels along y and x, linear between their middles."""
    if image.dim() == 5:
        return functional.interpolate(image, scale_factor=(1.0, 2.0, 2.0), mode="trilinear", align_corners=False)
    return functional.interpolate(image, scale_factor=2.0, mode="bilinear", align_corners=False)
