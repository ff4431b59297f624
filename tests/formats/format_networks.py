"""Small networks, each with one thing that breaks exporters."""

import torch
import torch.nn.functional as F
from torch import nn

from zooready.formats import onnx


class Block(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class TinyUNet(nn.Module):
    """Normalisation, padding, two levels, in-place ReLU, transposed convolution with BatchNorm, two outputs."""

    def __init__(self):
        super().__init__()
        self.down, self.deep, self.last = Block(1, 4), Block(4, 8), nn.Conv2d(8, 2, 1)
        self.up, self.norm = nn.ConvTranspose2d(8, 4, 2, stride=2), nn.BatchNorm2d(4)

    def forward(self, x):
        height, width = x.shape[-2:]
        x = (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True, unbiased=False) + 1e-3)
        down = self.down(F.pad(x, (0, -width % 2, 0, -height % 2), mode="replicate"))
        up = self.norm(self.up(self.deep(F.max_pool2d(down, 2))))
        maps = self.last(torch.cat([down, up], 1)).sigmoid()[..., :height, :width]
        return maps, maps.mean((2, 3))


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0) * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class OwnFunction(nn.Module):
    """Traces, but cannot be saved: an autograd.Function. It makes a tensor in a part that gets none, too."""

    def __init__(self):
        super().__init__()
        self.ramp = Ramp()

    def forward(self, x):
        return Twice.apply(x / 100) + self.ramp(5).mean()


class Ramp(nn.Module):
    def forward(self, length):
        return torch.arange(length) * 1.0


class Branching(nn.Module):
    """A branch that no ordinary image takes."""

    def forward(self, x):
        return x * 2 if x.mean() < -1e6 else x + 1


class BakedWidth(nn.Module):
    def forward(self, x):
        return x * torch.linspace(0, 1, int(x.shape[-1]))


class WidthDecides(nn.Module):
    def forward(self, x):
        return x * 2 if x.shape[-1] > 40 else x


class Spectral(nn.Module):
    def forward(self, x):
        return torch.fft.ifft2(torch.fft.fft2(x) * 0.5).real


class Modern(nn.Module):
    """What libtorch 2.0.0 lacks (rms_norm, attention with a scale), a Fourier transform, and a position made on the input's device."""

    def __init__(self):
        super().__init__()
        self.norm = nn.RMSNorm(1)

    def forward(self, x):
        tokens = self.norm(x.flatten(2).transpose(1, 2) / 100)
        tokens = F.scaled_dot_product_attention(tokens, tokens, tokens, scale=0.3)
        image = tokens.transpose(1, 2).reshape_as(x) + torch.fft.fft2(x).real / 1e4
        return image + torch.arange(x.shape[-1], device=x.device).to(x.dtype)


class Histogram(nn.Module):
    def forward(self, x):
        return x * torch.histc(x, 4).max()


class Rewritten(nn.Module):
    """Fourier transform (so that only dynamo takes it) beside the operators that changed between opsets 17 and 18."""

    def forward(self, x):
        x = torch.fft.ifft2(torch.fft.fft2(x)).real
        first, second = F.pad(x, (1, 2, 3, 4), mode="replicate").chunk(2, dim=1)
        means = x.amax((2, 3), keepdim=True) + x.mean((1, 2, 3), keepdim=True)
        return F.mish(first / 500), second.sum(1, keepdim=True) + means


class SizeBound(nn.Module):
    """Works at one size only."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(1, 1, 20, 24))

    def forward(self, x):
        return x * self.weight


def settled(network, seed=0):
    """Random weights, and statistics and scales in every BatchNorm, so that folding has something to fold."""
    torch.manual_seed(seed)
    for part in network.modules():
        if isinstance(part, (nn.BatchNorm2d, nn.BatchNorm3d)):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.5, 2)
            part.bias.data.normal_()
    return network


def make_image(*shape, seed=0):
    """Raw pixels, 0 to 1000."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 1000


def write_rewritten(path):
    """The ONNX file of ``Rewritten``."""
    return onnx.write(
        Rewritten(),
        make_image(1, 2, 16, 24),
        path,
        input_name="image",
        input_axes="bcyx",
        output_names=["first", "second"],
        output_axes=["bcyx", "bcyx"],
    )
