"""The published generator, and the small network that encodes an image once for any number of planes."""

import pytest
import torch
from torch.nn import functional

from zooready.nets.deepz import AsStack, Generator, Refocus, Stack, analysis, synthesis
from zooready.nets.wrapping import FijiSafe

DESIGN = {"widths": (8, 12), "encoder": (1, 1), "decoder": (1, 1)}
PUBLISHED = {  # (channels out, channels in) of the convolutions of a block
    "down": [(25, 2), (48, 25), (72, 48), (96, 72), (144, 96), (192, 144), (288, 192), (384, 288),
             (576, 384), (768, 576), (1152, 768), (1536, 1152)],
    "up": [(72, 96), (48, 72), (144, 192), (96, 144), (288, 384), (192, 288), (576, 768), (384, 576), (1152, 1536), (768, 1152)],
}  # fmt: skip


def lively(network):
    """The network with a last layer that is not zero, as after training."""
    torch.nn.init.normal_(network.last.weight, std=0.1)
    return network.eval()


def test_at_width_48_it_is_the_published_generator():
    with torch.device("meta"):
        generator = Generator(48)
    assert sum(tensor.numel() for tensor in generator.parameters()) == 77_802_908
    for arm, shapes in PUBLISHED.items():
        weights = [layer.weight for block in getattr(generator, arm) for layer in (block.first, block.second)]
        assert [tuple(weight.shape[:2]) for weight in weights] == shapes
    assert all(layer.kernel_size == (3, 3) for layer in generator.modules() if hasattr(layer, "kernel_size"))


def test_a_block_of_the_generator_adds_its_input_after_the_second_relu():
    generator = Generator(4)
    image = torch.randn(1, 2, 32, 64)
    block = generator.down[0]
    inner = functional.relu(block.second(functional.relu(block.first(image))))
    assert torch.equal(block(image)[:, :2], inner[:, :2] + image)
    assert torch.equal(block(image)[:, 2:], inner[:, 2:])
    larger = torch.randn(1, 8, 32, 64)
    up = generator.up[0]
    assert torch.equal(up(larger), functional.relu(up.second(functional.relu(up.first(larger)))) + larger[:, :4])


def test_the_generator_takes_multiples_of_32_and_a_width_of_two_or_more():
    assert Generator(2)(torch.randn(2, 2, 64, 32)).shape == (2, 1, 64, 32)
    with pytest.raises(ValueError, match="width=1: use 2 or more"):
        Generator(1)


def test_a_stack_has_the_planes_that_single_distances_give():
    torch.manual_seed(0)
    single, distances = lively(Refocus(**DESIGN)), (-0.5, 0.0, 0.3)
    stack = Stack(distances, **DESIGN).eval()
    stack.load_state_dict(single.state_dict())
    image = torch.randn(2, 1, 16, 24)
    with torch.no_grad():
        planes = stack(image)
        for plane, distance in enumerate(distances):
            expected = single(torch.cat((image, torch.full_like(image, distance)), 1))
            torch.testing.assert_close(planes[:, plane : plane + 1], expected, rtol=0, atol=1e-5)
    assert not torch.allclose(planes[:, 0], planes[:, 2], atol=1e-3), "the sign of the distance changes nothing"
    assert AsStack()(planes).shape == (2, 1, 3, 16, 24)


def test_a_distance_acts_where_it_stands():
    torch.manual_seed(0)
    network = lively(Refocus(**DESIGN))
    image = torch.randn(1, 1, 16, 256)
    level = torch.cat((image, torch.full_like(image, 0.2)), 1)
    other = level.clone()
    other[:, 1, :, 128:] = -0.4
    with torch.no_grad():
        difference = (network(level) - network(other)).abs()[0, 0]
    assert difference[:, :64].max() < 1e-6
    assert difference[:, 192:].max() > 1e-3


def test_a_distance_beyond_the_furthest_counts_as_the_furthest():
    torch.manual_seed(0)
    network = lively(Refocus(**DESIGN, furthest=0.5))
    image = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        inside, at_end, beyond, behind = (network(torch.cat((image, torch.full_like(image, um)), 1)) for um in (0.4, 0.5, 3276.4, -3276.4))
        opposite = network(torch.cat((image, torch.full_like(image, -0.5)), 1))
        freely = lively(Refocus(**DESIGN))
        freely.load_state_dict(network.state_dict())
        assert torch.equal(freely(torch.cat((image, torch.full_like(image, 0.4)), 1)), inside)
    assert torch.equal(at_end, beyond)
    assert torch.equal(opposite, behind)
    assert not torch.equal(at_end, inside)


def test_an_untrained_network_gives_the_image_back():
    image = torch.randn(1, 2, 16, 16)
    assert torch.equal(Refocus(**DESIGN)(image), image[:, :1])


def test_of_two_planes_an_untrained_network_gives_the_nearer_one_back_and_a_trained_one_sees_both():
    torch.manual_seed(0)
    image = torch.randn(2, 2, 16, 24)
    stack = Stack((-0.2, 0.0, 0.2), **DESIGN, recorded=2)
    with torch.no_grad():
        assert torch.equal(stack(image), image[:, [0, 1, 1]])
        other = image.clone()
        other[:, 1] += 1
        assert not torch.allclose(lively(stack)(image)[:, 0], stack(other)[:, 0], atol=1e-3), "the farther plane changes nothing"
        single = Refocus(**DESIGN, recorded=2).eval()
        single.load_state_dict(stack.state_dict())
        plane = single(torch.cat((image, torch.full_like(image[:, :1], -0.2)), 1))
        torch.testing.assert_close(stack(image)[:, :1], plane, rtol=0, atol=1e-5)


def test_bands_lose_nothing():
    image = torch.randn(2, 1, 8, 12)
    torch.testing.assert_close(synthesis(analysis(image)), image)


def test_an_output_of_fewer_channels_has_the_intensities_of_the_first():
    class Twice(torch.nn.Module):
        def statistics(self, image):
            return torch.tensor([5.0, 0.0]).reshape(1, 2, 1, 1), torch.tensor([2.0, 10.0]).reshape(1, 2, 1, 1)

    class First(torch.nn.Module):
        def forward(self, image):
            return image[:, :1]

    image = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(FijiSafe(First(), Twice(), restores=True)(image), image[:, :1])
