"""Inputs and eager outputs that travel in a bundle."""

import numpy as np
import pytest
import torch
from torch import nn

from zooready.errors import InputInvalid
from zooready.exporting import cases

IMAGE = np.arange(1 * 1 * 300 * 90, dtype=np.float32).reshape(1, 1, 300, 90) + 1


def test_an_image_gives_the_test_pair_and_odd_batched_tiny_and_black_ones():
    found = cases.cases(nn.ReLU(), IMAGE, {})
    assert {case.name: case.input.shape for case in found} == {
        "test": (1, 1, 128, 90),
        "odd": (1, 1, 70, 97),
        "batch": (2, 1, 33, 40),
        "pixel": (1, 1, 1, 1),
        "black": (1, 1, 32, 32),
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
    assert [case.name for case in found] == ["test", "odd", "batch", "black"]
    assert {case.input.shape[2:] for case in found} == {tuple(fixed.values())}


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
