"""Networks that draw random numbers are refused by name, also where two runs agree by luck or by a seed of their own."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from zooready.errors import InputInvalid
from zooready.exporting.probing import measure, prepared


class Drawing(nn.Module):
    """Gives what a function makes of the image."""

    def __init__(self, made):
        super().__init__()
        self.made = made
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, image):
        return self.made(self, image)


def seeded_noise(network, image):
    return image + torch.randn(image.shape, generator=torch.Generator().manual_seed(0))


def seeded_order(network, image):
    return image[:, :, torch.randperm(image.shape[2], generator=torch.Generator().manual_seed(0))]


DRAWS = {
    "one run in a million is another": (lambda network, image: image + (torch.rand(()) < 1e-6), "torch.rand"),
    "hardly ever a normal one": (lambda network, image: image * (1 + (torch.empty(()).normal_() > 5)), "torch.normal"),
    "a seed of its own": (seeded_noise, "torch.randn"),
    "an order by a seed of its own": (seeded_order, "torch.randperm"),
    "Python's": (lambda network, image: image * (1 + (random.random() < 1e-9)), "random.random"),
    "NumPy's": (lambda network, image: image * (1 + (np.random.random_sample() < 1e-9)), "numpy.random"),  # noqa: NPY002
}


def measured(made):
    return measure(prepared(Drawing(made)), torch.from_numpy(np.random.default_rng(0).random((1, 1, 40, 44), np.float32)))


@pytest.mark.parametrize("name", DRAWS)
def test_what_is_drawn_is_named(name):
    made, drawn = DRAWS[name]
    torch.manual_seed(0)
    with pytest.raises(InputInvalid, match=rf"draws random numbers in eval mode \({drawn}\).* into a buffer"):
        measured(made)


def test_what_is_drawn_without_effect_is_no_fault():
    assert measured(lambda network, image: image + network.gain * torch.randn_like(image)).stride == 1
