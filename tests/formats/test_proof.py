"""A file is proven against the eager network case by case, or refused with the case that disagrees."""

import numpy as np
import pytest
import torch
from torch import nn

from zooready.errors import OutputsDiffer
from zooready.formats import trials
from zooready.formats.proof import largest_difference


class Plus(nn.Module):
    def forward(self, x):
        return x + 1


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
    with pytest.raises(OutputsDiffer, match="has 1 objects instead of 480 in plane 0"):
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
