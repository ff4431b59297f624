"""Copies of networks: what they share with the original, and what becomes of it."""

import types

import pytest
import torch
from torch import nn

from zooready.errors import InputInvalid
from zooready.formats.copies import copied, evaluating, untouched


class Hooked(nn.Module):
    """A hook that closes over the network, and keeps on it what it saw."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(1, 1, 1)
        self.seen = None

        def keep(part, inputs, output):
            self.seen = output

        self.inner.register_forward_hook(keep)

    def forward(self, x):
        self.inner(x)
        return self.seen * 2


def test_a_hook_that_closes_over_the_network_serves_the_copy():
    network = Hooked()
    twin = copied(network)
    with torch.no_grad():
        twin.inner.weight.fill_(3)
        twin.inner.bias.zero_()
        assert torch.equal(twin(torch.ones(1, 1, 2, 2)), torch.full((1, 1, 2, 2), 6.0))
    assert network.seen is None
    assert twin.seen is not None


@pytest.mark.parametrize("bound", [True, False], ids=["method", "closure"])
def test_a_forward_that_was_set_on_the_instance_serves_the_copy(bound):
    network = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return x * self.weight

    network.forward = types.MethodType(forward, network) if bound else lambda x: x * network.weight
    twin = copied(network)
    with torch.no_grad():
        twin.weight.fill_(5)
        assert float(twin(torch.ones(1, 1, 1, 1))) == 5


@pytest.mark.parametrize("wrap", [nn.utils.weight_norm, nn.utils.spectral_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_weights_that_are_computed_are_copied(wrap):
    network = wrap(nn.Conv2d(1, 2, 3))
    network(torch.rand(1, 1, 8, 8))  # leaves a weight that hangs on others
    image = torch.rand(1, 1, 9, 9)
    network.eval()
    twin = evaluating(network)
    with torch.no_grad():
        assert torch.allclose(twin(image), network(image), atol=1e-6)
        assert twin.weight is not network.weight


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.history = []

    def forward(self, x):
        self.count += 1
        self.history.append(1)
        self.last = x
        return x


def test_a_module_that_was_changed_after_all_is_put_back_and_named():
    network = Counting()
    history = network.history
    message = r"changed the module that you gave \(Counting, weights of shape \(\); it is again as it was"
    with pytest.raises(InputInvalid, match=message), untouched(network):
        network(torch.ones(1))
    assert float(network.count) == 0
    assert network.history is history
    assert history == []
    assert not hasattr(network, "last")
    with untouched(network):
        copied(network)(torch.ones(1))
