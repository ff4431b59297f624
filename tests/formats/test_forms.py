"""Forms of operations that traces or ONNX lack: the numbers of PyTorch's own, here and in a file, at sizes that were not recorded."""

import numpy as np
import pytest
import torch
from format_networks import make_image
from torch import nn
from torch.nn import functional

from zooready.formats import forms, onnx, torchscript, trials

SIZES = ((1, 1), (2, 5), (7, 13), (37, 53), (64, 64))
TURNED = torch.tensor([[[0.9, 0.1, 0.0], [-0.1, 0.8, 0.1]]])
LEVELS = torch.tensor([0.1, 0.9])
HERE = {  # of an image (b, c, y, x), compared in PyTorch
    **{f"mean {to}": lambda x, to=to: functional.adaptive_avg_pool2d(x, to) for to in (2, 3, (3, 4), (None, 2))},
    **{f"largest {to}": lambda x, to=to: functional.adaptive_max_pool2d(x, to) for to in (2, 3, (3, 4))},
    "mean of lines": lambda x: functional.adaptive_avg_pool1d(x[0], 4),
    "mean of volumes": lambda x: functional.adaptive_avg_pool3d(x[None], 2),
    "area": lambda x: functional.interpolate(x, size=(3, 4), mode="area"),
    "area by a factor": lambda x: functional.interpolate(functional.pad(x, (3, 3, 3, 3)), scale_factor=(0.4, 0.6), mode="area"),
    **{
        f"{mode} {is_aligned}": lambda x, mode=mode, is_aligned=is_aligned: functional.interpolate(
            x, size=(x.shape[2] // 2 + 1, 2 * x.shape[3]), mode=mode, align_corners=is_aligned, antialias=True
        )
        for mode in ("bilinear", "bicubic")
        for is_aligned in (False, True)
    },
    "antialias by a factor": lambda x: functional.interpolate(
        functional.pad(x, (3,) * 4), scale_factor=0.3, mode="bilinear", antialias=True
    ),
    "antialias by a factor anew": lambda x: functional.interpolate(
        functional.pad(x, (3,) * 4), scale_factor=0.3, mode="bilinear", antialias=True, recompute_scale_factor=True
    ),
    **{
        f"quantile {dim} {kept} {kind}": lambda x, dim=dim, kept=kept, kind=kind: torch.quantile(x, LEVELS, dim, kept, interpolation=kind)
        for dim in (None, 1, -1)
        for kept in (False, True)
        for kind in ("linear", "lower", "higher", "nearest", "midpoint")
    },
    "one quantile": lambda x: x.quantile(0.3, dim=1, keepdim=True),
    "median of all": lambda x: x.median(),
    "median": lambda x: torch.stack([*torch.median(x, 1, keepdim=True)]),
    "kthvalue": lambda x: torch.stack([*x.flatten(1).kthvalue(x[0].numel() // 2 + 1)]),
    "linspace": lambda x: torch.linspace(-1, 3, x.shape[3]),
    "whole numbers": lambda x: torch.linspace(0, 100, x.shape[3], dtype=torch.int64),
    "logspace": lambda x: torch.logspace(-1, 1, x.shape[3], 2.0),
    "affine_grid": lambda x: functional.affine_grid(TURNED, [1, *x.shape[1:]], align_corners=False),
    "affine_grid, corners": lambda x: functional.affine_grid(TURNED, [1, *x.shape[1:]], align_corners=True),
    "affine_grid of volumes": lambda x: functional.affine_grid(torch.eye(4)[None, :3] * 0.9, [1, 1, 3, *x.shape[2:]], align_corners=False),
    "fold": lambda x: functional.fold(functional.unfold(x, 3, padding=1), x.shape[2:], 3, padding=1),
    "fold with a rest": lambda x: functional.fold(functional.unfold(x, (3, 1), 2, (2, 1), 2), x.shape[2:], (3, 1), 2, (2, 1), 2),
    "unpooling": lambda x: functional.max_unpool2d(*padded_pool(x), 2, output_size=x.shape),
    "unpooling to any size": lambda x: functional.max_unpool2d(*padded_pool(functional.pad(x, (0, x.shape[3], 0, x.shape[2]))), 2),
    **{f"mean over {dim}": lambda x, dim=dim: torch.mean(x, dim) for dim in (None, (2, 3), (-1, 1), [0, 1, 2, 3], 3)},
    "mean by name": lambda x: x.mean(axis=(1, 2), keepdim=True),
    "mean of a row": lambda x: x.flatten(1).mean(1),
    "mean of one": lambda x: functional.adaptive_avg_pool2d(x, 1),
    "mean of one volume": lambda x: functional.adaptive_avg_pool3d(x[None], (1, 1, 1)),
    "sum": lambda x: x.sum() + x.sum((2, 3), keepdim=True) + x.flatten(2).sum(2)[..., None, None],
    "sum of whole numbers": lambda x: (x > 0).sum((2, 3)),
    "sum as another type": lambda x: x.sum((2, 3), dtype=torch.float64),
    "variance": lambda x: torch.var(x, (1, 2), unbiased=False) + x.var(False),
    "variance by its correction": lambda x: x.var((1, 2, 3), correction=0, keepdim=True),
    "variance of a sample": lambda x: functional.pad(x, (1, 1)).var(),
    "deviation": lambda x: functional.pad(x, (1, 1)).std((2, 3), True, True),
    "instance norm": lambda x: functional.instance_norm(functional.pad(x, (1, 1)), weight=torch.arange(3.0), bias=torch.ones(3)),
    "instance norm that was learned": lambda x: functional.instance_norm(x, torch.ones(3), torch.ones(3), use_input_stats=False),
    "group norm": lambda x: functional.group_norm(x.repeat(1, 2, 1, 2), 3, torch.arange(6.0), torch.ones(6)),
    "group norm of volumes": lambda x: functional.group_norm(x.repeat(1, 2, 1, 2)[..., None], 2),
    "einsum": lambda x: torch.einsum("b...c,b...d->bcd", x.movedim(1, -1), x.movedim(1, -1)),
    "einsum of a list": lambda x: torch.einsum("...i, ...i", [x, x[:1]]),
}


def padded_pool(x):
    """Values and places; one pixel is its own."""
    return functional.max_pool2d(x, 2, return_indices=True) if min(x.shape[2:]) > 1 else (x, torch.zeros_like(x).long())


@pytest.mark.parametrize("name", HERE)
def test_a_form_gives_the_numbers_of_the_operation(name):
    for size in SIZES:
        x = make_image(2, 3, *size, seed=3)
        expected = HERE[name](x)
        with forms.forms(onnx=True):
            result = HERE[name](x)
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        assert torch.allclose(result.double(), expected.double(), rtol=1e-5, atol=1e-5 * float(x.abs().max())), size


class Step(nn.Module):
    """A function as a network: what it gives is brought to the image's size."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return functional.interpolate(self.function(x), size=x.shape[2:])


def per_image(values):
    return values[:, None, None, None]


FILES = {
    "linspace": lambda x: x + torch.linspace(-1, 1, x.shape[2])[:, None] * torch.linspace(0, 2, x.shape[3]),
    "mean": lambda x: functional.adaptive_avg_pool2d(x, (x.shape[2] // 3 + 1, 5)),
    "largest": nn.AdaptiveMaxPool2d((2, 3)),
    "area": lambda x: functional.interpolate(x, size=((x.shape[2] + 1) // 2, (x.shape[3] + 1) // 2), mode="area"),
    "antialias": lambda x: functional.interpolate(x, size=((x.shape[2] + 1) // 2, (x.shape[3] + 1) // 2), mode="bicubic", antialias=True),
    "quantile": lambda x: x - per_image(x.flatten(1).quantile(LEVELS, dim=1).sum(0)),
    "median": lambda x: x - per_image(x.flatten(1).median(1).values),
    "kthvalue": lambda x: x - per_image(x.flatten(1).kthvalue(1)[0]),
    "affine_grid": lambda x: functional.grid_sample(
        x, functional.affine_grid(TURNED.expand(x.shape[0], 2, 3), x.size(), align_corners=True), align_corners=True
    ),
    "fold": lambda x: functional.fold(functional.unfold(x, 3, padding=1) ** 2, x.shape[2:], 3, padding=1),
    "einsum": lambda x: x * torch.einsum("b...c,b...d->bcd", x.movedim(1, -1), x.movedim(1, -1)).mean((1, 2))[:, None, None, None],
}


@pytest.mark.parametrize("name", FILES)
def test_an_onnx_file_gives_the_numbers_of_the_operation(name, tmp_path):
    network = Step(FILES[name]).eval()
    names = {"input_name": "image", "input_axes": "bcyx", "output_names": ["out"], "output_axes": ["bcyx"]}
    written = onnx.write(network, make_image(1, 2, 45, 62), tmp_path / "weights.onnx", **names)
    assert written.details["exporter"] == "legacy"
    run = onnx.start(written.path)
    for shape in ((1, 2, 1, 1), (3, 2, 1, 7), (2, 2, 37, 53), (1, 2, 101, 257)):
        image = make_image(*shape, seed=5).numpy()
        (expected,), (result,) = trials.eager(network, image), run(image)
        assert result.shape == expected.shape
        assert np.abs(result - expected).max() <= 1e-4 * (np.ptp(expected) or 1)


SPREAD, OFFSET = 10.0, 1000.0
WHOLE = {  # of an image whose values are far from 0 and close together; PyTorch itself is off by 1e-5 of the spread
    "mean": lambda x: (x - x.mean((2, 3), keepdim=True)) / SPREAD,
    "mean of a row": lambda x: (x - x.flatten(2).mean(2)[..., None, None]) / SPREAD,
    "pooled": lambda x: (x - functional.adaptive_avg_pool2d(x, 1)) / SPREAD,
    "sum": lambda x: x / x.sum((1, 2, 3), keepdim=True) * x.shape[2] * x.shape[3],
    "deviation": lambda x: x / functional.pad(x, (1, 1), value=OFFSET).std((2, 3), keepdim=True) / 300,
    "instance norm": nn.InstanceNorm2d(1),
    "group norm": nn.GroupNorm(1, 1),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_sum_over_a_large_image_is_as_good_in_onnx(name, tmp_path):
    """ONNX Runtime's own instance norm is 0.05 off here, and 2 at 4096 x 4096."""
    names = {"input_name": "image", "input_axes": "bcyx", "output_names": ["out"], "output_axes": ["bcyx"]}
    network = Step(WHOLE[name]).eval()
    written = onnx.write(network, OFFSET + SPREAD * torch.rand(1, 1, 45, 62), tmp_path / "weights.onnx", **names)
    image = OFFSET + SPREAD * torch.rand(1, 1, 1000, 1100, generator=torch.Generator().manual_seed(1))
    (result,) = onnx.start(written.path)(image.numpy())
    assert np.abs(result - network.double()(image.double()).detach().numpy()).max() < 2e-4


class SegNet(nn.Module):
    """Pixels put back where the pooling found them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.unpool = nn.Conv2d(1, 1, 3, padding=1), nn.MaxUnpool2d(2)

    def forward(self, x):
        pooled, places = functional.max_pool2d(x, 2, return_indices=True)
        return self.unpool(self.inner(pooled), places, output_size=x.size())


def test_a_trace_puts_pixels_back_at_every_size(tmp_path, here):
    network = SegNet().eval()
    written = torchscript.write(network, make_image(1, 1, 45, 62), tmp_path / "weights.pt")
    assert written.details["exporter"] == "trace"
    run = torchscript.start(written.path)
    for shape in ((2, 1, 37, 53), (1, 1, 16, 16)):
        image = make_image(*shape, seed=5).numpy()
        assert np.array_equal(run(image)[0], trials.eager(network, image)[0])
    assert torchscript.unsupported(written.path) == ()


def test_a_network_that_no_form_helps_fails_with_its_own_reason(example):
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        forms.traced(Broken(), example)
