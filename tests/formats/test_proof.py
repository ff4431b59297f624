"""A file is proven against the eager network case by case, or refused with the case that disagrees."""

import numpy as np
import pytest
import torch
from torch import nn

from zooready.errors import OutputsDiffer
from zooready.formats import trials
from zooready.formats.proof import largest_difference
from zooready.formats.rounding import unsteadiness
from zooready.images.agreement import ranges_of


class Plus(nn.Module):
    def forward(self, x):
        return x + 1


class Normalised(nn.Module):
    """Instance normalisation behind a convolution, twice, as in nnU-Net: exact noughts of a black image in PyTorch, and nowhere else."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        first, second, last = (nn.Conv2d(a, b, 3, padding=1) for a, b in ((1, 8), (8, 8), (8, 1)))
        self.parts = nn.Sequential(first, nn.InstanceNorm2d(8), nn.LeakyReLU(), second, nn.InstanceNorm2d(8), nn.LeakyReLU(), last)

    def forward(self, x):
        return self.parts(x)


@pytest.fixture
def example():
    return np.random.default_rng(0).random((1, 1, 20, 24), dtype=np.float32) * 100


def test_difference_is_the_largest_over_the_range(example):
    cases, skipped = trials.cases(Plus(), example)
    spread = float(np.ptp(example))
    assert skipped == ()
    assert largest_difference(cases, lambda image: [image + 1.5], 0.1) == pytest.approx(0.5 / spread, rel=1e-4)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda image: [image + 2], r"'output 0' of case 'example' \(1, 1, 20, 24\) differs by 0.01 of its range at .*, tolerance 0.001"),
        (lambda image: [image + 1 + np.float32(9 * (len(image) == 2))], r"'output 0' of case 'two images' \(2, 1, 53, 37\) differs"),
        (lambda image: [image + np.float32(np.nan)], "'output 0' of case 'example' .* has 480 of 480 values that are NaN or infinite"),
        (lambda image: [image[..., 1:]], r"has shape \(1, 1, 20, 23\) instead of \(1, 1, 20, 24\)"),
        (lambda image: [image, image], r"2 outputs of case 'example' \(1, 1, 20, 24\) instead of 1"),
        (lambda image: 1 / 0, r"case 'example' \(1, 1, 20, 24\) fails \(ZeroDivisionError: division by zero\)"),
    ],
)
def test_disagreement_is_told_with_the_image(example, run, message):
    cases, _ = trials.cases(Plus(), example)
    with pytest.raises(OutputsDiffer, match=message):
        largest_difference(cases, run, 1e-3)


def test_label_images_may_be_numbered_differently_but_not_lose_objects(example):
    class Labels(nn.Module):
        def forward(self, x):
            return torch.arange(1, x.numel() + 1, dtype=x.dtype).reshape(x.shape)

    cases, _ = trials.cases(Labels(), example)
    assert largest_difference(cases, lambda image: [np.arange(image.size, 0, -1, np.float32).reshape(image.shape)], 1e-5, labels=[0]) == 0
    with pytest.raises(OutputsDiffer, match="has 1 object instead of 480 in plane 0"):
        largest_difference(cases, lambda image: [np.ones_like(image)], 1e-5, labels=[0])


def test_labels_that_are_permuted_pixel_by_pixel_are_refused(example):
    class Labels(nn.Module):
        def forward(self, x):
            rows, columns = torch.arange(x.shape[-2]) // 2, torch.arange(x.shape[-1]) // 2
            return (1 + rows[:, None] * ((x.shape[-1] + 1) // 2) + columns).expand(x.shape).to(x.dtype) * 1

    cases, _ = trials.cases(Labels(), example)

    def scrambled(image):
        (expected,) = trials.eager(Labels(), image)
        return [np.random.default_rng(0).permutation(expected.ravel()).reshape(expected.shape)]

    assert largest_difference(cases, lambda image: trials.eager(Labels(), image), 1e-5, labels=[0]) == 0
    with pytest.raises(OutputsDiffer, match="'output 0' of case 'example' .* of its objects' pixels in common with the expected ones"):
        largest_difference(cases, scrambled, 1e-5, labels=[0])


def test_an_output_is_called_by_its_name(example):
    cases, _ = trials.cases(Plus(), example)
    with pytest.raises(OutputsDiffer, match="'restored' of case 'example'"):
        largest_difference(cases, lambda image: [image], 1e-5, names=["restored"])


def test_a_flat_image_whose_rounding_the_network_blows_up_proves_nothing_and_others_do(example):
    network = Normalised().eval()
    cases, _ = trials.cases(network, example)
    ranges = ranges_of(cases[0])
    found = {case.name: unsteadiness(network, case, ranges) for case in cases}
    assert found["black"] > 1e-4
    assert found["example"] < 1e-5

    def run(image):  # a program that rounds in another way, here by one part in ten million of the first layer
        with torch.no_grad():
            parts = network.parts
            before = parts[:1](torch.from_numpy(image))
            noise = torch.randn(before.shape, generator=torch.Generator().manual_seed(0))
            return [parts[1:](before * (1 + 1e-7 * noise)).numpy()]

    left_out = []
    assert largest_difference(cases, run, 1e-4, network=network, left_out=left_out) < 1e-4
    assert left_out == ["black"]
    with pytest.raises(OutputsDiffer, match="case 'black'"):
        largest_difference(cases, run, 1e-4)
    with pytest.raises(OutputsDiffer, match="case 'example'"):
        largest_difference(cases, lambda image: [run(image)[0] + 1], 1e-4, network=network, left_out=[])


def test_a_steady_network_is_compared_on_flat_images_too(example):
    cases, _ = trials.cases(Plus(), example)
    assert max(unsteadiness(Plus(), case, ranges_of(cases[0])) for case in cases) < 1e-6
