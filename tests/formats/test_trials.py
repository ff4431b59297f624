import numpy as np
import pytest
from torch import nn

from zooready.errors import InputInvalid
from zooready.formats import trials


@pytest.fixture
def example():
    return np.random.default_rng(0).random((1, 1, 20, 24), dtype=np.float32) * 100


def test_trial_images_are_odd_not_square_small_large_dark_and_two(example):
    named = dict(trials.images(example, {}))
    shapes = {name: one.shape for name, one in named.items()}
    assert shapes["larger"] == (1, 1, 37, 30)
    assert shapes["small and brighter"] == (1, 1, 37, 53)
    assert shapes["one pixel"] == (1, 1, 1, 1)
    assert shapes["two images"] == (2, 1, 53, 37)
    assert named["black"].max() == 0
    assert np.isclose(named["opposite"].mean() + example.mean(), example.max() + example.min())
    assert all(one.dtype == np.float32 and one.flags.c_contiguous for one in named.values())


def test_fixed_axes_keep_their_length(example):
    shapes = {one.shape for _, one in trials.images(example, {"b": 1, "y": 20, "x": 24})}
    assert shapes == {(1, 1, 20, 24)}


def test_volumes_have_trial_images_of_other_depth():
    volume = np.ones((1, 1, 5, 20, 24), np.float32)
    assert {one.shape[2] for _, one in trials.images(volume, {})} == {5, 7, 3, 1}


def test_images_that_the_network_cannot_take_are_named(example):
    class Wide(nn.Module):
        def forward(self, x):
            return nn.functional.pad(x, (5, 5, 0, 0), mode="reflect")[..., 5:-5] / (x.max() > 0)

    _, skipped = trials.cases(Wide(), example)
    assert skipped == ("black (1, 1, 37, 53): not finite", "one pixel (1, 1, 1, 1): RuntimeError")


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: x.no_such, r"the network fails on its example \(1, 1, 20, 24\) \(AttributeError"),
        (lambda x: x / 0, "not finite for its example"),
        (lambda x: {"a": x}, "the network returns dict, not a tensor or a tuple of tensors"),
    ],
)
def test_a_network_that_fails_on_its_example_is_refused(example, forward, message):
    class Failing(nn.Module):
        def forward(self, x):
            return forward(x)

    with pytest.raises(InputInvalid, match=message):
        trials.cases(Failing(), example)


def test_the_network_cannot_change_the_image(example):
    class InPlace(nn.Module):
        def forward(self, x):
            return x.mul_(2)

    before = example.copy()
    trials.cases(InPlace(), example)
    assert np.array_equal(example, before)
