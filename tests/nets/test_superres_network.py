import pytest
import torch

from zooready.nets.superres import BLOCKS, LEVELS, SLOPE, Discriminator, Generator

torch.set_num_threads(1)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def kernel(before, after):
    """Numbers of a 3x3 convolution."""
    return 9 * before * after + after


@pytest.mark.parametrize(("width", "parameters"), [(1, 7_010), (16, 1_764_545), (64, 28_208_897)])
def test_the_generator_has_the_parameters_of_its_description(width, parameters):
    widths = [1, *(width * 2**level for level in range(LEVELS))]
    down = sum(kernel(before, after) + 2 * kernel(after, after) for before, after in zip(widths, widths[1:], strict=False))
    up = sum(kernel(3 * after, after) + 2 * kernel(after, after) for after in widths[1:])
    assert count(Generator(width)) == down + kernel(widths[-1], 2 * widths[-1]) + up + kernel(width, 1) == parameters


@pytest.mark.parametrize(("width", "parameters"), [(1, 10_399), (8, 656_121), (64, 41_916_865)])
def test_the_discriminator_has_the_parameters_of_its_description(width, parameters):
    widths = [width * 2**block for block in range(BLOCKS + 1)]
    blocks = sum(kernel(before, before) + kernel(before, after) for before, after in zip(widths, widths[1:], strict=False))
    linear = widths[-1] ** 2 + 2 * widths[-1] + 1
    assert count(Discriminator(width)) == kernel(1, width) + blocks + linear == parameters


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_a_width_below_one_is_refused(network):
    with pytest.raises(ValueError, match=r"width=0: use 1 or more\."):
        network(0)


@pytest.mark.parametrize("size", [(16, 16), (32, 80)])
def test_the_generator_keeps_the_size_and_the_discriminator_gives_one_number(size):
    image = torch.randn(2, 1, *size)
    assert Generator(2)(image).shape == image.shape
    larger = torch.randn(2, 1, size[0] + 16, size[1] + 21)
    assert Discriminator(2)(larger).shape == (2, 1)


def test_a_block_down_adds_its_input_with_zeros_for_missing_channels():
    network = Generator(4)
    for block in network.down:
        for layer in block.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.zeros_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
    seen = []
    network.bottom.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.randn(1, 1, 32, 32)
    network(image)
    assert seen[0].shape == (1, 32, 2, 2)
    assert torch.allclose(seen[0][:, :1], torch.nn.functional.avg_pool2d(image, 16), atol=1e-6)
    assert not seen[0][:, 1:].any()


def test_every_activation_is_a_leaky_relu_of_the_published_slope():
    for network in (Generator(1), Discriminator(1)):
        slopes = [layer.negative_slope for layer in network.modules() if isinstance(layer, torch.nn.LeakyReLU)]
        assert set(slopes) == {SLOPE} == {0.1}
        convolutions = sum(isinstance(layer, torch.nn.Conv2d) for layer in network.modules())
        assert len(slopes) == {Generator: convolutions - 1, Discriminator: convolutions + 1}[type(network)]


def test_an_image_reaches_the_output_through_every_level():
    network, image = Generator(2), torch.randn(1, 1, 16, 16, requires_grad=True)
    network(image).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.down.parameters())
    assert image.grad.any()
