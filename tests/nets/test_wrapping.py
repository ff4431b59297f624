"""Padding, cropping and restoring around any network."""

import pytest
import torch
from torch import nn

from zooready.nets.normalization import MeanStd
from zooready.nets.wrapping import FijiSafe, flat


class Halving(nn.Module):
    """Works at multiples of 4 only; two outputs, one of them without y and x."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 4, 4, stride=4)
        self.up = nn.ConvTranspose2d(4, 2, 4, stride=4)

    def forward(self, image):
        deep = self.down(image)
        return {"image": self.up(deep), "nothing": None, "scores": deep.amax((2, 3))}


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 1, 33, 40), (1, 1, 7, 9), (1, 1, 3, 50)])
def test_any_size_gives_outputs_of_the_images_size(shape):
    safe = FijiSafe(Halving(), stride=4, minimum=8, axes=("bcyx", "bc")).eval()
    image, scores = safe(torch.rand(shape))
    assert image.shape == (shape[0], 2, *shape[2:])
    assert scores.shape == (shape[0], 4)


def test_where_no_padding_is_needed_the_network_itself_answers():
    inner = Halving().eval()
    image = torch.rand(1, 1, 16, 24)
    wrapped = FijiSafe(inner, stride=4, minimum=8, axes=("bcyx", "bc"))
    assert all(torch.equal(a, b) for a, b in zip(wrapped(image), flat(inner(image)), strict=True))


def test_padding_repeats_the_last_pixel_right_and_below():
    seen = []

    class Looking(nn.Module):
        def forward(self, image):
            seen.append(image)
            return image

    FijiSafe(Looking(), stride=4, minimum=8)(torch.tensor([[[[1.0, 2.0, 3.0]]]]))
    assert seen[0].shape == (1, 1, 8, 8)
    assert seen[0][0, 0, 5].tolist() == [1, 2, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize(("size", "stride", "minimum", "missing"), [(1, 16, 32, 31), (33, 16, 32, 15), (32, 16, 32, 0), (5, 1, 3, 0)])
def test_missing_pixels_fill_the_stride_and_the_minimum(size, stride, minimum, missing):
    assert FijiSafe(nn.Identity(), stride=stride, minimum=minimum).missing(size) == missing


def test_restoring_undoes_the_normalisation():
    image = torch.rand(2, 1, 9, 11) * 900 + 100
    restored = FijiSafe(nn.Identity(), MeanStd(), restores=True)(image)
    assert torch.allclose(restored, image, rtol=1e-5)
    assert not torch.allclose(FijiSafe(nn.Identity(), MeanStd())(image), image)


def test_only_the_kept_outputs_come_out_in_the_order_asked_for():
    everything = FijiSafe(Halving(), stride=4, minimum=4, axes=("bcyx", "bc")).eval()
    chosen = FijiSafe(everything.network, stride=4, minimum=4, axes=("bcyx", "bc"), keep=(1,)).eval()
    image = torch.rand(1, 1, 8, 8)
    assert torch.equal(chosen(image), everything(image)[1])


def test_integers_become_float32_and_a_missing_channel_axis_is_added():
    class Classes(nn.Module):
        def forward(self, image):
            return torch.cat([image, 1 - image], 1).argmax(1)

    labels = FijiSafe(Classes(), axes=("byx",))(torch.rand(1, 1, 5, 6))
    assert labels.shape == (1, 1, 5, 6)
    assert labels.dtype == torch.float32


def test_the_wrapper_adds_nothing_to_the_state_dict():
    names = set(FijiSafe(Halving(), MeanStd()).state_dict())
    assert names == {f"network.{name}" for name in Halving().state_dict()}


def test_what_is_no_tensor_is_named():
    with pytest.raises(TypeError, match="returned str, which is no tensor"):
        flat("text")


def test_stacks_are_padded_along_z_too():
    inner = nn.Sequential(nn.Conv3d(1, 2, 2, stride=2), nn.ConvTranspose3d(2, 1, 2, stride=2))
    assert FijiSafe(inner, stride=2, axes=("bczyx",))(torch.rand(1, 1, 3, 5, 7)).shape == (1, 1, 3, 5, 7)
