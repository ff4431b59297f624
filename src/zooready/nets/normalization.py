"""Raw pixels to values of order one, image by image and channel by channel.

Each module has ``statistics(image) -> (offset, ..., scale)``, all (b, c, 1, 1) float32 (one more 1 for a volume), and
``forward(image) = (image - offset - ...) / scale``. Tiles of one image share the statistics of the whole. Any image without
NaN and infinity gives finite values: a constant one, a black one, a single pixel. These modules have no parameters and no buffers.
"""

import torch
from torch import nn

TIMES = 8.0  # that the scale may grow for the brightest object
ROW = 256  # values that are added in float32 before their sum is put aside


def normalised(image: torch.Tensor, statistics: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The image minus one offset after the other, divided by the scale, which is the last of the statistics; the image's shape."""
    *offsets, scale = statistics
    for offset in offsets:
        image = image - offset
    return image / scale


def mean(values: torch.Tensor) -> torch.Tensor:
    """(b, c, n) float32 -> (b, c, 1): the mean, off by less than 1e-5 of the largest value for any n.

    Sums are those of 256 values, of 256 such sums, and of the rest. ONNX Runtime adds what it is given one after the other in float32,
    and the sum of a whole image is soon so large that the digits of the next pixel are lost.
    """
    sums = values
    for _ in range(2):
        length = sums.shape[2]
        missing = (length + ROW - 1) // ROW * ROW - length
        sums = nn.functional.pad(sums, (0, missing)).reshape(sums.shape[0], sums.shape[1], -1, ROW).sum(3)
    return sums.sum(2, keepdim=True) / values.shape[2]


def brightest(image: torch.Tensor) -> torch.Tensor:
    """(b, c, ..., y, x) -> (b, c, 1): the largest mean of 3 x 3 pixels of a plane, of fewer at its rim; a hot pixel counts a ninth."""
    planes = image.reshape(image.shape[0], -1, image.shape[-2], image.shape[-1])
    means = nn.functional.avg_pool2d(planes, 3, 1, 1, count_include_pad=False)
    return means.reshape(image.shape[0], image.shape[1], -1).amax(2, keepdim=True)


def trailing(values: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """(b, c, 1) -> (b, c, 1, 1) for an image, (b, c, 1, 1, 1) for a volume."""
    for _ in range(image.dim() - 3):
        values = values.unsqueeze(-1)
    return values


def usable(scale: torch.Tensor) -> torch.Tensor:
    """The scale, with 1 in place of values too small to divide by."""
    return torch.where(scale > 1e-12, scale, torch.ones_like(scale))


class MeanStd(nn.Module):
    """Offsets: the mean, in two parts. Scale: standard deviation (of the image, not of a sample: one pixel has 0).

    One float32 cannot hold the mean of a camera image well enough: near 60000 its steps are 0.004, which is much where the standard
    deviation is 1. The first offset is the mean of every eighth pixel, at most 2.9 standard deviations away from the mean; the second
    is what is left. Sums are taken of these remainders, which are small.
    """

    def statistics(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(b, c, y, x) -> two offsets and the scale, (b, c, 1, 1) each."""
        pixels = image.flatten(2)
        first = pixels[:, :, :1]
        offset = first + mean(pixels[:, :, ::8] - first)
        pixels = pixels - offset
        remainder = mean(pixels)
        scale = mean((pixels - remainder) ** 2).sqrt()
        return trailing(offset, image), trailing(remainder, image), trailing(usable(scale), image)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(b, c, y, x) -> the same shape, mean 0 and standard deviation 1."""
        return normalised(image, self.statistics(image))


class FirstMeanStd(MeanStd):
    """:class:`MeanStd` of the first channel; the others are divided by a constant.

    Parameters
    ----------
    unit
        What the other channels are divided by, e.g. 10 for distances in micrometres.
    """

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.unit = unit

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"unit={self.unit}"

    def statistics(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(b, c, y, x) -> two offsets and the scale, (b, c, 1, 1) each; the offsets of the other channels are 0."""
        offset, remainder, scale = super().statistics(image[:, :1])
        zero = image[:, 1:]
        for axis in range(2, image.dim()):
            zero = zero.narrow(axis, 0, 1)
        zero = torch.zeros_like(zero)
        return torch.cat((offset, zero), 1), torch.cat((remainder, zero), 1), torch.cat((scale, zero + self.unit), 1)


class JointMeanStd(MeanStd):
    """:class:`MeanStd` of all channels together, so that they keep their brightness beside one another, and outputs may have any number."""

    def statistics(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(b, c, y, x) -> two offsets and the scale, (b, 1, 1, 1) each."""
        offset, remainder, scale = super().statistics(image.flatten(1, 2).unsqueeze(1))  # as one channel (b, 1, c * y, x)
        return offset, remainder, scale


class MinMax(nn.Module):
    """Offset: smallest value. Scale: largest − smallest."""

    def statistics(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, c, y, x) -> offset and scale, (b, c, 1, 1) each."""
        pixels = image.flatten(2)
        offset = pixels.amin(2, keepdim=True)
        return trailing(offset, image), trailing(usable(pixels.amax(2, keepdim=True) - offset), image)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(b, c, y, x) -> the same shape, 0..1."""
        return normalised(image, self.statistics(image))


class Percentiles(nn.Module):
    """Offset: percentile ``low``. Scale: percentile ``high`` − percentile ``low``, or the whole range where these are equal.

    Percentiles are values of the image itself (nearest rank, no interpolation), found by ``topk`` with k from the image's size,
    because ``quantile`` can neither be exported to ONNX nor take more than 16 million pixels.

    Parameters
    ----------
    low, high
        Percent, 0 <= low < high <= 100, to a thousandth.
    brightest
        What the largest mean of 3 x 3 pixels shall be at most afterwards, above 0; None for anything. Where objects cover less than
        ``high`` leaves out, as a few spots do in a large field, the percentiles are those of noise, and the scale follows from the
        brightest object instead. It becomes at most `TIMES` as large by that: a speck of dirt must not hide what is dim.
    """

    def __init__(self, low: float = 1.0, high: float = 99.0, brightest: float | None = None) -> None:
        super().__init__()
        if not 0 <= low < high <= 100:
            raise ValueError(f"low={low}, high={high}: use percentages with 0 <= low < high <= 100.")
        if brightest is not None and not brightest > 0:
            raise ValueError(f"brightest={brightest}: give a number above 0.")
        self.low, self.high, self.brightest = low, high, brightest

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"low={self.low}, high={self.high}" + ("" if self.brightest is None else f", brightest={self.brightest}")

    def statistics(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, c, y, x) -> offset and scale, (b, c, 1, 1) each."""
        pixels = image.flatten(2)
        offset = self.ranked(pixels, self.low, largest=False)
        span = self.ranked(pixels, 100 - self.high, largest=True) - offset
        whole = pixels.amax(2, keepdim=True) - offset
        scale = torch.where(span > 1e-12, span, whole)
        if self.brightest is not None:
            scale = torch.maximum(scale, torch.minimum(brightest(image - trailing(offset, image)) / self.brightest, TIMES * scale))
        return trailing(offset, image), trailing(usable(scale), image)

    def ranked(self, pixels: torch.Tensor, percent: float, largest: bool) -> torch.Tensor:
        """(b, c, n) -> (b, c, 1): the value that ``percent`` of the n pixels lie beyond, counted from one end."""
        k = pixels.shape[2] * min(round(percent * 1000), 99_999) // 100_000 + 1
        return torch.topk(pixels, k, dim=2, largest=largest)[0][:, :, -1:]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(b, c, y, x) -> the same shape, most values 0..1."""
        return normalised(image, self.statistics(image))
