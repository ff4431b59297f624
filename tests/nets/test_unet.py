"""The U-Net."""

import pytest
import torch

from zooready.nets.unet import UNet


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_the_shipped_size_has_its_number_of_parameters():
    assert sum(p.numel() for p in UNet(1, 2).parameters()) == 1_286_434


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_any_multiple_of_the_stride_keeps_its_size(levels):
    stride = 2 ** (levels - 1)
    network = UNet(3, 2, base=4, levels=levels).eval()
    for y, x in ((1, 1), (3, 5)):
        assert network(torch.rand(2, 3, y * stride, x * stride)).shape == (2, 2, y * stride, x * stride)


def test_levels_and_widest_change_the_size():
    sizes = {sum(p.numel() for p in UNet(1, 1, base=4, levels=n, widest=w).parameters()) for n, w in ((2, 99), (3, 99), (3, 8), (4, 8))}
    assert len(sizes) == 4


def test_sigmoid_ends_between_zero_and_one_and_none_does_not():
    image = 30 * torch.randn(1, 1, 16, 16)
    plain, squashed = UNet(1, 2, base=4, levels=2).eval(), UNet(1, 2, base=4, levels=2, final="sigmoid").eval()
    squashed.load_state_dict(plain.state_dict())
    assert torch.equal(squashed(image), torch.sigmoid(plain(image)))
    assert plain(image).min() < 0


def test_the_answer_is_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert UNet(1, 2, base=4, levels=2)(torch.rand(1, 1, 8, 8)).dtype == torch.float32


@pytest.mark.parametrize(("settings", "message"), [({"final": "softmax"}, "final='softmax' is not known"), ({"levels": 0}, "levels=0")])
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        UNet(1, 1, **settings)
