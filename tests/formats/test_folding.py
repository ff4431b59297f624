import pytest
import torch
from format_networks import make_image, settled
from torch import nn

from zooready.formats import fold


def norms(network):
    return [part for part in network.modules() if isinstance(part, (nn.BatchNorm2d, nn.BatchNorm3d))]


def test_every_batchnorm_of_the_unet_is_folded_and_values_stay(unet, example):
    folded = fold(unet, example)
    plain = type(unet)()
    plain.load_state_dict(unet.state_dict())
    with torch.no_grad():
        outputs = zip(plain.eval()(example), folded(example), strict=True)
    assert not norms(folded)
    assert all((a - b).abs().max() <= 1e-5 * (a.max() - a.min()) for a, b in outputs)


def test_the_callers_module_keeps_its_layers_and_mode(unet, example):
    unet.train()
    state = {name: value.clone() for name, value in unet.state_dict().items()}
    fold(unet, example)
    assert unet.training
    assert len(norms(unet)) == 3
    assert all(torch.equal(state[name], value) for name, value in unet.state_dict().items())


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [nn.Conv3d(1, 4, 3, groups=1), nn.BatchNorm3d(4)],
        lambda: [nn.ConvTranspose3d(1, 4, 2, stride=2), nn.BatchNorm3d(4, affine=False)],
    ],
    ids=["conv3d", "transpose3d"],
)
def test_volumes_are_folded(layers):
    network = settled_without_affine(nn.Sequential(*layers())).eval()
    volume = make_image(1, 1, 7, 9, 8)
    folded = fold(network, volume)
    assert not norms(folded)
    with torch.no_grad():
        assert torch.allclose(network(volume), folded(volume), rtol=1e-4, atol=1e-2)


def settled_without_affine(network):
    for part in norms(network):
        part.running_mean.normal_()
        part.running_var.uniform_(0.5, 2)
    return network


def test_a_part_is_folded_inside_a_network_that_fx_cannot_follow():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = settled(nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)))

        def forward(self, x):
            return self.part(x) if x.mean() > 0 else x

    assert not norms(fold(Outer(), make_image(1, 1, 9, 9)))


@pytest.mark.parametrize("case", ["shared", "hooked", "grouped transpose", "used twice", "activation between"])
def test_what_is_not_exact_is_left_alone(case):
    class Used(nn.Module):
        def __init__(self):
            super().__init__()
            groups = 2 if case == "grouped transpose" else 1
            self.conv = (nn.ConvTranspose2d if groups == 2 else nn.Conv2d)(2, 4, 1, groups=groups)
            self.norm = nn.BatchNorm2d(4)
            if case == "shared":
                self.again = self.conv
            if case == "hooked":
                self.conv.register_forward_hook(lambda *_: None)

        def forward(self, x):
            y = self.conv(x)
            if case == "activation between":
                return self.norm(y.relu())
            return self.norm(y) + (y if case == "used twice" else 0)

    assert norms(fold(settled(Used()), make_image(1, 2, 9, 9)))
