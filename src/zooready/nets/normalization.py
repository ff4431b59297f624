"""Raw pixels to values of order one, image by image and channel by channel.

Each module has ``statistics(image) -> (offset, scale)``, both (b, c, 1, 1) float32 (one more 1 for a volume), and
``forward(image) = (image - offset) / scale``. Tiles of one image share the statistics of the whole. Any image without
NaN and infinity gives finite values: a constant one, a black one, a single pixel. These modules have no parameters and no buffers.
"""

import torch
from torch import nn


def trailing(values: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """(b, c, 1) -> (b, c, 1, 1) for an image, (b, c, 1, 1, 1) for a volume."""
    for _ in range(image.dim() - 3):
        values = values.unsqueeze(-1)
    return values


def usable(scale: torch.Tensor) -> torch.Tensor:
    """The scale, with 1 in place of values too small to divide by."""
    return torch.where(scale > 1e-12, scale, torch.ones_like(scale))


class MeanStd(nn.Module):
    """Offset: mean. Scale: standard deviation (of the image, not of a sample: one pixel has 0)."""

    def statistics(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, c, y, x) -> offset and scale, (b, c, 1, 1) each."""
        pixels = image.flatten(2)
        offset = pixels.mean(2, keepdim=True)
        scale = ((pixels - offset) ** 2).mean(2, keepdim=True).sqrt()
        return trailing(offset, image), trailing(usable(scale), image)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(b, c, y, x) -> the same shape, mean 0 and standard deviation 1."""
        offset, scale = self.statistics(image)
        return (image - offset) / scale


class MinMax(nn.Module):
    """Offset: smallest value. Scale: largest − smallest."""

    def statistics(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, c, y, x) -> offset and scale, (b, c, 1, 1) each."""
        pixels = image.flatten(2)
        offset = pixels.amin(2, keepdim=True)
        return trailing(offset, image), trailing(usable(pixels.amax(2, keepdim=True) - offset), image)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(b, c, y, x) -> the same shape, 0..1."""
        offset, scale = self.statistics(image)
        return (image - offset) / scale


class Percentiles(nn.Module):
    """Offset: percentile ``low``. Scale: percentile ``high`` − percentile ``low``, or the whole range where these are equal.

    Percentiles are values of the image itself (nearest rank, no interpolation), found by ``topk`` with k from the image's size,
    because ``quantile`` can neither be exported to ONNX nor take more than 16 million pixels.

    Parameters
    ----------
    low, high
        Percent, 0 <= low < high <= 100, to a thousandth.
    """

    def __init__(self, low: float = 1.0, high: float = 99.0) -> None:
        super().__init__()
        if not 0 <= low < high <= 100:
            raise ValueError(f"low={low}, high={high}: use percentages with 0 <= low < high <= 100.")
        self.low, self.high = low, high

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"low={self.low}, high={self.high}"

    def statistics(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, c, y, x) -> offset and scale, (b, c, 1, 1) each."""
        pixels = image.flatten(2)
        offset = self.ranked(pixels, self.low, largest=False)
        span = self.ranked(pixels, 100 - self.high, largest=True) - offset
        whole = pixels.amax(2, keepdim=True) - offset
        return trailing(offset, image), trailing(usable(torch.where(span > 1e-12, span, whole)), image)

    def ranked(self, pixels: torch.Tensor, percent: float, largest: bool) -> torch.Tensor:
        """(b, c, n) -> (b, c, 1): the value that ``percent`` of the n pixels lie beyond, counted from one end."""
        k = pixels.shape[2] * min(round(percent * 1000), 99_999) // 100_000 + 1
        return torch.topk(pixels, k, dim=2, largest=largest)[0][:, :, -1:]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(b, c, y, x) -> the same shape, most values 0..1."""
        offset, scale = self.statistics(image)
        return (image - offset) / scale
