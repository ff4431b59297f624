"""Explanations of an image output against closed forms: how far a pixel sees, what noise does to it, what turning does."""

import numpy as np
import pytest
import torch
from torch import nn

from zooready.explanation import effective_field, noise_of, noise_sensitivity, uncertainty


def mean_of(side):
    layer = nn.Conv2d(1, 1, side, padding=side // 2, bias=False)
    nn.init.constant_(layer.weight, 1 / side**2)
    return layer


def as_run(network):
    def run(image):
        with torch.no_grad():
            return network(torch.from_numpy(image)).numpy()

    return run


@pytest.fixture
def image():
    return np.random.default_rng(2).poisson(300, (1, 1, 40, 33)).astype(np.float32)


@pytest.mark.parametrize("side", [1, 5, 11])
def test_a_mean_over_a_square_sees_that_square_evenly(image, side):
    values, facts = effective_field(mean_of(side), image)
    square = np.zeros((40, 33))
    half = side // 2
    square[20 - half : 21 + half, 16 - half : 17 + half] = 1
    assert values == pytest.approx(square, abs=1e-5)
    assert facts["reach_px"] == half


def test_the_radius_holds_nine_tenths_of_the_gradient(image):
    y, x = np.mgrid[-20:21, -20:21]
    layer = nn.Conv2d(1, 1, 41, padding=20, bias=False)
    layer.weight.data[0, 0] = torch.from_numpy(np.exp(-(y**2 + x**2) / (2 * 4.0**2)))
    _, facts = effective_field(layer, np.zeros((1, 1, 81, 81), np.float32))
    assert facts["radius_90_px"] == pytest.approx(4.0 * np.sqrt(2 * np.log(10)), abs=0.5)  # of a Gaussian in the plane


def test_channels_do_not_cancel_in_a_softmax(image):
    class Two(nn.Module):
        def forward(self, given):
            return torch.softmax(torch.cat([given, -given], 1) / 1000, 1)

    values, _ = effective_field(Two(), image)
    assert values[20, 16] == 1
    assert (values > 0).sum() == 1


def test_an_output_that_ignores_the_image_sees_nothing(image):
    values, facts = effective_field(lambda given: 0 * given, image)
    assert (values == 0).all()
    assert facts == {"radius_90_px": 0.0, "reach_px": 0}


def test_noise_of_a_camera_is_found_where_it_is_dark_and_where_it_is_bright():
    y, x = np.mgrid[:256, :256]
    light = 100 + 900 * np.exp(-((y - 128) ** 2 + (x - 128) ** 2) / (2 * 60.0**2))
    image = 2.0 * np.random.default_rng(4).poisson(light) + np.random.default_rng(5).normal(0, 6, light.shape)
    truth = np.sqrt(4.0 * light + 36)
    noise = noise_of(image)
    assert noise == pytest.approx(truth, rel=0.2)
    assert noise.mean() == pytest.approx(truth.mean(), rel=0.04)


def test_noise_is_estimated_plane_by_plane_and_a_smooth_plane_has_none():
    y, x = np.mgrid[:64, :64]
    planes = np.stack([3.0 * y + 2 * x, np.random.default_rng(1).normal(50, 4, (64, 64))])
    noise = noise_of(planes[None])
    assert noise.shape == (1, 2, 64, 64)
    assert noise[0, 0].max() < 0.1
    assert noise[0, 1].mean() == pytest.approx(4, rel=0.1)


def test_a_mean_over_nine_pixels_leaves_a_third_of_the_noise(image):
    values, facts = noise_sensitivity(as_run(mean_of(3)), image, np.random.default_rng(0), repeats=200)
    assert values.shape == (1, 40, 33)
    assert facts["noise_of_image"] == pytest.approx(np.sqrt(300), rel=0.1)
    assert values[0, 2:-2, 2:-2].mean() == pytest.approx(facts["noise_of_image"] / 3, rel=0.03)
    assert facts["mean"] == pytest.approx(values.mean(), rel=1e-5)
    assert facts["largest"] == pytest.approx(values.max(), rel=1e-5)
    assert facts["repeats"] == 200


def test_noise_is_that_of_the_seed(image):
    first, again, other = (noise_sensitivity(as_run(mean_of(3)), image, np.random.default_rng(seed))[0] for seed in (0, 0, 1))
    assert (first == again).all()
    assert not np.allclose(first, other)


def test_a_network_that_knows_no_direction_is_certain(image):
    values, facts = uncertainty(as_run(mean_of(5)), image)
    assert values.shape == (1, 40, 33)
    assert values.max() < 1e-3
    assert facts["views"] == 8


def test_a_network_that_shifts_is_uncertain_by_the_spread_of_what_it_takes(image):
    """Turned back, a shift to the right takes each of the four neighbours twice."""

    def shift(given):
        return np.roll(given, 1, axis=-1)

    values, _ = uncertainty(shift, image)
    around = np.stack([np.roll(image[0, 0], step, axis) for axis in (0, 1) for step in (1, -1)])
    assert values[0] == pytest.approx(around.std(0), rel=1e-4)


def test_without_quarter_turns_the_size_is_kept(image):
    def fixed(given):
        assert given.shape == image.shape
        return np.roll(given, 1, axis=-1)

    values, facts = uncertainty(fixed, image, quarter_turns=False)
    around = np.stack([np.roll(image[0, 0], step, 1) for step in (1, -1)])
    assert values[0] == pytest.approx(around.std(0), rel=1e-4)
    assert facts["views"] == 4
