"""What export says of an example or a network that it cannot take: the cure fits the cause, and is true."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from networks import ABOUT, cells
from torch import nn

import zooready
from zooready.errors import InputInvalid
from zooready.exporting import causes, probing


class OfDict(nn.Module):
    """Takes a batch as data loaders give it."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, batch):
        return {"out": self.convolution(batch["image"]) * batch.get("weight", 1.0)}


class ByName(nn.Module):
    def forward(self, *, image):
        return image


class WithGain(nn.Module):
    def forward(self, image, *, gain):
        return image * gain


@dataclass
class Pair:
    """Two tensors that no recording knows."""

    first: torch.Tensor
    second: torch.Tensor
    name: str = "pair"


class Returning(nn.Module):
    """Gives what a function makes of the image."""

    def __init__(self, made):
        super().__init__()
        self.made = made

    def forward(self, x):
        return self.made(x)


def convolution(kind, channels):
    return nn.Sequential(kind(channels, 1, 3, padding=1), nn.Softsign())


CASES = {
    "dict": (OfDict, (40, 52), r"takes no tensor but a dict, which it asks for 'image', 'weight'.*network\(\{'image': x, 'weight': x\}\)"),
    "(z, y, x)": (
        lambda: convolution(nn.Conv3d, 1),
        (6, 30, 31),
        r"one volume without a batch.*\(z, y, x\) is example\[None, None\]",
    ),
    "(b, z, y, x)": (lambda: convolution(nn.Conv3d, 1), (1, 6, 30, 31), r"without a batch.*give \(b, c, z, y, x\)"),
    "(y, x, c)": (
        lambda: convolution(nn.Conv2d, 3),
        (30, 31, 3),
        r"has that length: put it first, numpy.moveaxis\(example, -1, 0\)",
    ),
    "colour": (lambda: convolution(nn.Conv2d, 1), (30, 31, 3), r"a colour image \(y, x, c\): give one of its colours, example\[..., 0\]"),
    "planes": (
        lambda: convolution(nn.Conv2d, 1),
        (6, 30, 31),
        r"counts as 6: give .*of a stack \(z, y, x\) one plane, example\[0\]",
    ),
    "volume": (lambda: convolution(nn.Conv2d, 1), (1, 1, 6, 30, 31), r"convolutions are of planes: give one plane, \(c, y, x\)"),
    "by name": (ByName, (30, 31), r"takes its image by name only: .* returns self.network\(image=x\)"),
    "a value by name": (WithGain, (30, 31), r"needs gain besides the image, .* returns self.network\(x, gain=…\)"),
    "dataclass": (
        lambda: Returning(lambda x: Pair(x, x + 1)),
        (30, 31),
        r"returns Pair, which is no tensor: .* returns \[y.first, y.second\] of y = self.network\(x\)",
    ),
    "generator": (
        lambda: Returning(lambda x: (x * n for n in (1, 2))),
        (30, 31),
        r"returns generator, which is no tensor: .* returns tuple\(self.network\(x\)\)",
    ),
    "a number beside": (lambda: Returning(lambda x: {"a": x, "b": 3}), (30, 31), r"returns int among its outputs, .*: return tensors"),
    "lazy": (lambda: nn.LazyConv2d(1, 3, padding=1), (30, 31), r"has lazy layers.*run it once on an example"),
    "two channels": (
        lambda: convolution(nn.Conv2d, 2),
        (30, 31),
        r"takes 2 channels, and the first axis .* counts as 1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cure_fits_the_cause(name, tmp_path):
    kind, shape, message = CASES[name]
    with pytest.raises(InputInvalid, match=message):
        zooready.export(kind(), np.random.default_rng(0).random(shape), ABOUT, tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())


LINES = "network(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (x.shape[0], -1)).transpose(1, 2)"


def test_convolutions_of_lines_are_told_how_to_run_on_rows():
    assert LINES in causes.LINES
    with pytest.raises(InputInvalid, match=r"Its convolutions are of lines: to run it on each row"):
        probing.measure(probing.prepared(nn.Conv1d(1, 2, 3, padding=1)), torch.rand(1, 1, 30, 31))


class Cast(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype
        self.convolution = nn.Conv2d(1, 1, 1).to(dtype)

    def forward(self, x):
        return self.convolution(x.to(self.dtype)).float()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half, torch.double])
def test_a_cast_to_another_precision_is_named(dtype):
    with pytest.raises(InputInvalid, match=r"brings its weights to float32, .*: leave out casts such as \.half\(\)"):
        probing.measure(probing.prepared(Cast(dtype)), torch.rand(1, 1, 30, 31))


def test_weights_that_keep_only_what_is_not_zero_are_measured():
    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mixing", torch.eye(4).to_sparse())

        def forward(self, x):
            return torch.sparse.mm(self.mixing, x.reshape(4, -1)).reshape(x.shape)

    assert probing.measure(probing.prepared(Sparse()), torch.rand(1, 4, 30, 31)).channels == (4,)


@pytest.mark.parametrize(
    ("network", "cure"),
    [
        (ByName(), lambda network, x: network(image=x)),
        (WithGain(), lambda network, x: network(x, gain=2.0)),
        (nn.Conv1d(1, 2, 3, padding=1), lambda network, x: eval(LINES)),
        (Returning(lambda x: Pair(x, x + 1)), lambda network, x: [(y := network(x)).first, y.second]),
        (Returning(lambda x: (x * n for n in (1, 2))), lambda network, x: tuple(network(x))),
    ],
)
def test_the_cures_by_a_module_around_are_true(network, cure):
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            return cure(self.network, x)

    assert probing.measure(probing.prepared(Around()), torch.rand(1, 1, 30, 31)).stride == 1


@pytest.mark.parametrize(
    ("channels", "kind", "given"),
    [
        (1, nn.Conv3d, np.ones((6, 30, 31), np.float32)[None, None]),
        (3, nn.Conv2d, np.moveaxis(np.ones((30, 31, 3), np.float32), -1, 0)[None]),
    ],
)
def test_the_cures_are_true(channels, kind, given):
    measured = probing.measure(probing.prepared(convolution(kind, channels)), torch.from_numpy(given.copy()))
    assert measured.stride == 1


def test_a_network_prepared_for_quantisation_is_named_and_its_cure_is_true():
    from torch.ao import quantization

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = convolution(nn.Conv2d, 1).train()
        plain.qconfig = quantization.get_default_qat_qconfig("fbgemm")
        prepared = quantization.prepare_qat(plain)
        prepared(torch.rand(2, 1, 16, 16))
    example = torch.from_numpy(cells(40, 52))[None, None].float()
    with pytest.raises(InputInvalid, match=r"was prepared for quantisation: .*activation_post_process.* before prepare_qat"):
        probing.measure(probing.prepared(prepared), example)
    cured = convolution(nn.Conv2d, 1)
    cured.load_state_dict(prepared.state_dict(), strict=False)
    assert torch.equal(cured[0].weight, prepared[0].weight)
    assert probing.measure(probing.prepared(cured), example).stride == 1


@pytest.mark.parametrize("kind", ["convert", "dynamic"])
def test_a_network_that_was_quantised_is_named_with_the_cure(kind):
    from torch.ao import quantization

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Linear(31, 31)).eval()
        assert probing.measure(probing.prepared(plain), torch.rand(1, 1, 31, 31)).fixed
        if kind == "convert":
            network = nn.Sequential(quantization.QuantStub(), plain, quantization.DeQuantStub()).eval()
            network.qconfig = quantization.get_default_qconfig("fbgemm")
            network = quantization.prepare(network)
            network(torch.rand(1, 1, 31, 31))
            network = quantization.convert(network)
        else:
            network = quantization.quantize_dynamic(plain, {nn.Linear})
    with pytest.raises(InputInvalid, match=r"Sequential was quantised \(.*in whole numbers\).*before convert or quantize_dynamic"):
        probing.prepared(network)


def test_state_that_is_no_tensor_is_no_fault():
    class WithVersion(nn.Conv2d):
        def get_extra_state(self):
            return {"version": 3}

        def set_extra_state(self, state):
            assert state == {"version": 3}

    assert probing.measure(probing.prepared(WithVersion(1, 1, 3, padding=1)), torch.rand(1, 1, 30, 31)).stride == 1
