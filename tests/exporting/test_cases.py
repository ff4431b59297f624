"""Inputs and eager outputs that travel in a bundle."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from zooready.errors import InputInvalid, OutputsDiffer
from zooready.exporting import cases
from zooready.formats import onnx
from zooready.formats.proof import largest_difference
from zooready.nets.normalization import MeanStd
from zooready.nets.wrapping import FijiSafe

IMAGE = np.arange(1 * 1 * 300 * 90, dtype=np.float32).reshape(1, 1, 300, 90) + 1


def test_an_image_gives_the_test_pair_and_odd_batched_tiny_black_and_offset_ones():
    found = cases.cases(nn.ReLU(), IMAGE, {})
    assert {case.name: case.input.shape for case in found} == {
        "test": (1, 1, 128, 90),
        "odd": (1, 1, 70, 97),
        "batch": (2, 1, 33, 40),
        "pixel": (1, 1, 1, 1),
        "black": (1, 1, 32, 32),
        "offset": (1, 1, 71, 97),
    }
    assert found[0].name == "test"
    assert np.array_equal(found[0].input, IMAGE[:, :, 86:214])
    assert not found[4].input.any()
    assert all(np.array_equal(case.outputs[0], case.input) for case in found)


def test_the_images_of_a_batch_differ():
    batch = next(case.input for case in cases.cases(nn.ReLU(), IMAGE, {}) if case.name == "batch")
    assert not np.array_equal(batch[0], batch[1])


def test_stacks_have_cases_too():
    found = cases.cases(nn.ReLU(), np.ones((1, 2, 6, 20, 30), np.float32), {})
    assert {case.name: case.input.shape for case in found} == {
        "test": (1, 2, 6, 20, 30),
        "odd": (1, 2, 5, 21, 34),
        "batch": (2, 2, 4, 17, 16),
        "pixel": (1, 2, 1, 1, 1),
        "black": (1, 2, 4, 16, 16),
    }


@pytest.mark.parametrize("fixed", [{"y": 64, "x": 48}, {"y": 320, "x": 128}])
def test_a_network_of_one_size_gets_that_size_always(fixed):
    found = cases.cases(nn.ReLU(), IMAGE, fixed)
    assert [case.name for case in found] == ["test", "odd", "batch", "black", "offset"]
    assert {case.input.shape[2:] for case in found} == {tuple(fixed.values())}


class Normalised(nn.Module):
    """(image - mean) / standard deviation as most people write it, in one sum over the image."""

    def forward(self, image):
        change = image - image.mean((2, 3), keepdim=True)
        return change / (change.pow(2).mean((2, 3), keepdim=True).sqrt() + 1e-6)


class Power(nn.Module):
    """Grows so fast that float32's rounding at 6000 counts is large beside the outputs for the example's counts."""

    def forward(self, image):
        return (image / 1000).pow(2.5).exp()


@pytest.mark.parametrize(("size", "expected"), [((1, 1, 300, 90), (1, 1, 71, 97)), ((1, 1, 6, 30, 40), (1, 1, 3, 37, 61))])
def test_the_offset_image_has_the_spread_and_offset_of_a_camera(size, expected):
    example = np.random.default_rng(0).gamma(2.0, 300.0, size).round().astype(np.float32)
    case = cases.cases(FijiSafe(nn.Identity(), MeanStd(), axes=(("bcyx", "bczyx")[len(size) - 4],)).eval(), example, {})[-1]
    assert (case.name, case.input.shape) == ("offset", expected)
    assert np.array_equal(case.input, case.input.astype(np.uint16))
    assert 60000 < case.input.mean() < 60006
    assert case.input.std() == pytest.approx(20, rel=0.05)
    exact = case.input.astype(np.float64)
    np.testing.assert_allclose(case.outputs[0], (exact - exact.mean()) / exact.std(), atol=1e-5)


def test_a_network_whose_own_float32_is_not_exact_gets_a_smaller_offset():
    """At 60000 counts the float32 nearest to the mean is up to 0.002 counts off, 1e-4 standard deviations."""
    case = cases.cases(Normalised(), np.random.default_rng(0).gamma(2.0, 300.0, (1, 1, 90, 80)).round(), {})[-1]
    assert case.name == "offset"
    assert 20000 < case.input.mean() < 31000
    exact = case.input.astype(np.float64)
    np.testing.assert_allclose(case.outputs[0], (exact - exact.mean()) / exact.std(), atol=2e-5)


@pytest.mark.parametrize(
    ("network", "example"),
    [
        pytest.param(nn.ReLU(), IMAGE / 1e5, id="it takes other values than counts"),
        pytest.param(nn.ReLU(), IMAGE % 256, id="it takes 8 bits"),
        pytest.param(Power(), IMAGE % 1000, id="its outputs at an offset are far beyond those of its images"),
    ],
)
def test_other_networks_have_no_offset_image(network, example):
    assert [case.name for case in cases.cases(network, example, {})] == ["test", "odd", "batch", "pixel", "black"]


def test_the_offset_image_catches_a_sum_that_loses_digits(tmp_path):
    """ONNX Runtime adds a whole image in float32. The other cases cannot show that, and this one does."""
    network = Normalised()
    known = cases.cases(network, np.random.default_rng(0).gamma(2.0, 300.0, (1, 1, 90, 80)).round(), {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.rand(1, 1, 20, 30),), tmp_path / "n.onnx", dynamo=False, opset_version=17, input_names=["image"],
            dynamic_axes={"image": {0: "b", 2: "y", 3: "x"}},
        )  # fmt: skip
    run = onnx.start(tmp_path / "n.onnx")
    assert largest_difference(known[:-1], run, 1e-4) < 1e-4
    with pytest.raises(OutputsDiffer, match=r"of case 'offset' \(1, 1, 71, 97\) differs by"):
        largest_difference(known, run, 1e-4)


def test_the_network_cannot_change_a_stored_input():
    class InPlace(nn.Module):
        def forward(self, x):
            return x.mul_(2)

    case = cases.evaluated(InPlace(), "test", IMAGE)
    assert np.array_equal(case.input, IMAGE)
    assert np.array_equal(case.outputs[0], 2 * IMAGE)


def test_several_outputs_come_in_order_as_float32():
    class Two(nn.Module):
        def forward(self, x):
            return x.double(), {"sum": x.sum((2, 3)).long()}

    first, second = cases.evaluated(Two(), "test", IMAGE).outputs
    assert first.dtype == second.dtype == np.float32
    assert second.shape == (1, 1)


def test_an_output_that_is_zero_is_refused():
    with pytest.raises(InputInvalid, match=r"output 0 of the network is nowhere larger than 1e-05 .*\(the specification demands 0\.0001\)"):
        cases.cases(nn.Hardtanh(0, 1e-5), IMAGE, {})


def test_an_output_that_is_not_finite_is_refused_by_the_images_name():
    class Log(nn.Module):
        def forward(self, x):
            return torch.log(x)

    with pytest.raises(InputInvalid, match=r"not finite for the image 'black' \(1, 1, 32, 32\), values 0 to 0: 1024 of 1024 .*Guard its"):
        cases.cases(Log(), IMAGE, {})


def test_a_network_that_fails_at_a_size_is_told_with_the_size():
    with pytest.raises(InputInvalid, match=r"fails on the image 'pixel' \(1, 1, 1, 1\) \(RuntimeError: .*though it took others: make it"):
        cases.cases(nn.Conv2d(1, 1, 3), IMAGE, {})


def test_the_middle_is_the_middle():
    assert cases.middle(np.arange(10), (4,)).tolist() == [3, 4, 5, 6]
    assert cases.middle(np.zeros((3, 9, 8)), (5, 8)).shape == (3, 5, 8)
