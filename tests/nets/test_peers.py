import pytest
import torch
from peers import Care, DnCNN, MimoUNet, Rcan, resized

torch.set_num_threads(1)
TINY = {
    Care: {"base": 2},
    DnCNN: {"layers": 4, "width": 4},
    Rcan: {"width": 8, "groups": 2, "blocks": 1},
    MimoUNet: {"base": 4, "blocks": 1},
}


def parameters(network):
    return sum(weights.numel() for weights in network.parameters())


@pytest.mark.parametrize(
    ("network", "expected"),
    [(Care, 470_977), (DnCNN, 556_097), (Rcan, 266_177), (MimoUNet, 6_801_889)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_sizes_are_those_that_the_tables_state(network, expected):
    assert parameters(network()) == expected


def test_dncnn_has_the_published_size_but_for_the_bias_and_scales_of_its_normalisation():
    assert parameters(DnCNN()) - 65 == 556_032  # the benchmark code of the authors of m-rBCR; 65 biases of the first and last layer


@pytest.mark.parametrize("network", TINY, ids=lambda value: value.__name__)
def test_any_multiple_of_four_works_and_every_parameter_learns(network):
    torch.manual_seed(0)
    built = network(**TINY[network])
    image = torch.randn(2, 1, 12, 20)
    output = built(image)
    assert output.shape == image.shape
    (output - torch.randn_like(output)).square().sum().backward()
    if network is not MimoUNet:
        assert all(weights.grad is not None for weights in built.parameters())


@pytest.mark.parametrize(
    ("network", "setting"), [(n, s) for n, settings in TINY.items() for s in settings], ids=lambda value: getattr(value, "__name__", value)
)
def test_every_setting_changes_the_network(network, setting):
    grown = {**TINY[network], setting: 2 * TINY[network][setting]}
    assert parameters(network(**grown)) > parameters(network(**TINY[network]))


def test_mimo_gives_three_scales_of_which_forward_is_the_finest():
    built = MimoUNet(**TINY[MimoUNet]).eval()
    image = torch.randn(1, 1, 16, 24)
    with torch.no_grad():
        scales = built.scales(image)
        assert torch.equal(built(image), scales[0])
    assert [tuple(scale.shape[2:]) for scale in scales] == [(16, 24), (8, 12), (4, 6)]


def test_resizing_by_halvings_goes_both_ways():
    features = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert torch.equal(resized(features, 0), features)
    assert torch.equal(resized(features, -1), features[..., ::2, ::2])
    assert torch.equal(resized(resized(features, 2), -2), features)
