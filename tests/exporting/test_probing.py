"""What is measured on networks whose truth is known, and what is refused."""

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from zooready.errors import InputInvalid
from zooready.exporting import compiled
from zooready.exporting.probing import measure, prepared

EXAMPLE = torch.rand(1, 1, 50, 61, generator=torch.Generator().manual_seed(3))


class UNet(nn.Module):
    """Two levels: multiples of 4, no smaller than 4."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 4, stride=4)

    def forward(self, image):
        fine = self.first(image)
        return torch.cat([fine, self.up(self.second(functional.max_pool2d(fine, 4)))], 1)


class Normed(nn.Module):
    def forward(self, image):
        return functional.instance_norm(image)


class BakedSize(nn.Module):
    def forward(self, image):
        return image * torch.linspace(0, 1, int(image.shape[-1]))


class Branching(nn.Module):
    def forward(self, image):
        return image * 2 if image.mean() > 0 else image - 1


class Sized(nn.Module):
    """A Python ``if`` on the size: right at the traced size, wrong at others."""

    def forward(self, image):
        return image * 2 if image.shape[-1] < 70 else image * 3


class Growing(nn.Module):
    def forward(self, image):
        return functional.interpolate(image, scale_factor=2)


class Stacking(nn.Module):
    def forward(self, image):
        return torch.stack([image, image * 2, image * 3], 2)


class Two(nn.Module):
    def forward(self, image, other):
        return image + other


class Noisy(nn.Module):
    def forward(self, image):
        return image + torch.rand_like(image)


class Complex(nn.Module):
    def forward(self, image):
        return torch.fft.fft2(image)


class InPlace(nn.Module):
    def forward(self, image):
        return image.mul_(2)


@pytest.mark.parametrize(
    ("network", "stride", "minimum", "halo", "outputs"),
    [
        (nn.Conv2d(1, 3, 7, padding=3), 1, 1, 3, ("bcyx",)),
        (nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 5, padding=2)), 1, 1, 3, ("bcyx",)),
        (UNet(), 4, 4, 8, ("bcyx",)),
        (Normed(), 1, 2, None, ("bcyx",)),
        (nn.Sequential(nn.Conv2d(1, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 1, 3, None, ("bc",)),
        (Stacking(), 1, 1, 0, ("bczyx",)),
        (InPlace(), 1, 1, 0, ("bcyx",)),
    ],
    ids=["conv", "two-convs", "unet", "instance-norm", "classifier", "stack-from-a-plane", "in-place"],
)
def test_stride_smallest_size_halo_and_axes_are_measured(network, stride, minimum, halo, outputs):
    found = measure(prepared(network), EXAMPLE)
    assert (found.stride, found.minimum, found.halo, found.outputs) == (stride, minimum, halo, outputs)


def test_the_halo_of_a_strided_network_is_that_of_its_worst_phase():
    def reach(phase):
        image = torch.zeros(1, 1, 8, 64)
        image[..., 32 + phase] = float("nan")
        with torch.no_grad():
            hit = torch.isnan(UNet()(image)).any(1).any(1)[0].nonzero().flatten()
        return max(int(hit[-1]) - 32 - phase, 32 + phase - int(hit[0]))

    assert measure(prepared(UNet()), EXAMPLE).halo == max(reach(phase) for phase in range(4))


def test_a_branch_on_the_size_is_padded_beyond():
    found = measure(prepared(Sized()), EXAMPLE)
    assert found.stride >= 70


def test_a_size_frozen_by_tracing_is_found():
    found = measure(prepared(BakedSize()), EXAMPLE)
    assert found.stride == 0
    assert found.fixed == {"y": 50, "x": 61}
    assert found.eager_stride == 1
    assert "its trace is wrong at other sizes" in found.notes[0]


def test_a_branch_on_pixel_values_is_found():
    found = measure(prepared(Branching()), EXAMPLE)
    assert (found.stride, found.fixed) == (0, {})
    assert "a Python 'if' on pixel values" in found.notes[0]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Growing(), "turns \\(50, 61\\) px into \\(100, 122\\) px"),
        (nn.Conv2d(1, 1, 3), "turns \\(50, 61\\) px into \\(48, 59\\) px"),
        (Noisy(), "two runs of the network on one image differ"),
        (Complex(), "an output is complex"),
        (nn.Conv2d(3, 1, 3), "failed on the example \\(1, 1, 50, 61\\)"),
    ],
    ids=["grows", "shrinks", "random", "complex", "channels"],
)
def test_what_no_bundle_can_hold_is_refused_with_the_reason(network, message):
    with pytest.raises(InputInvalid, match=message):
        measure(prepared(network), EXAMPLE)


def test_two_inputs_are_refused_with_the_cure():
    with pytest.raises(InputInvalid, match="takes 2 inputs \\(image, other\\).*stack them as channels"):
        prepared(Two())


def test_what_is_no_module_is_named():
    with pytest.raises(InputInvalid, match="got function where a network was expected"):
        prepared(lambda image: image)


def test_a_module_that_cannot_be_copied_is_refused(tmp_path):
    network = nn.Conv2d(1, 1, 1)
    with (tmp_path / "log").open("w") as network.log, pytest.raises(InputInvalid, match="Conv2d cannot be copied"):
        prepared(network)


def test_the_callers_module_keeps_mode_and_wrapping():
    network = nn.DataParallel(nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1))).train()
    inner = prepared(network)
    assert network.training
    assert not inner.training
    assert isinstance(inner, nn.Sequential)
    assert inner[0] is not network.module[0]


def test_an_example_that_is_no_multiple_of_the_stride_is_enlarged():
    class Strict(nn.Module):
        def forward(self, image):
            if image.shape[-1] % 8 or image.shape[-2] % 8:
                raise ValueError("multiples of 8, please")
            return image

    assert measure(prepared(Strict()), EXAMPLE).stride == 8


def test_the_halo_of_a_network_that_insists_on_float32_is_measured_too():
    class Insisting(nn.Conv2d):
        def forward(self, image):
            return super().forward(image.float())

    assert measure(prepared(Insisting(1, 1, 5, padding=2)), EXAMPLE).halo == 2


def test_what_a_forward_method_compiles_runs_as_it_was_written(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)  # as it is before anything was compiled
    before = torch.compile
    with compiled.as_written():
        for made in (torch.compile(len), torch.compile(backend="none")(len), torch.compile(model=len, fullgraph=True)):
            assert made is len
        assert "torch._dynamo" not in sys.modules
    assert torch.compile is before


def test_a_compiled_part_is_measured_as_it_was_written():
    network = nn.Sequential(torch.compile(nn.Conv2d(1, 2, 3, padding=1)), nn.Conv2d(2, 1, 3, padding=1))
    copy = prepared(network)
    assert list(copy.state_dict()) == list(network.state_dict())
    assert copy[0].kernel_size == (3, 3)
    assert measure(copy, EXAMPLE).halo == 2
    assert torch.equal(copy(EXAMPLE), prepared(nn.Sequential(network[0]._orig_mod, network[1]))(EXAMPLE))
