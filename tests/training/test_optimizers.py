"""Muon against PyTorch's own optimisers, and its steps on kernels of every shape."""

import numpy as np
import pytest
import torch

from zooready.records import Recipe
from zooready.training.optimizers import OPTIMIZERS, Muon, is_hidden, optimizer_of, orthogonal


def gradients(shape, count=6):
    torch.manual_seed(3)
    return [torch.randn(shape) * torch.linspace(0.1, 3, shape[-1]) for _ in range(count)]


def moved(optimizer, weights, steps):
    for gradient in steps:
        weights.grad = gradient.reshape(weights.shape).clone()
        optimizer.step()
    return weights.detach()


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(16, 8, 3, 3), (32, 8, 1, 1), (8, 9, 3, 3, 3)])
def test_a_hidden_kernel_moves_as_a_matrix_does_in_pytorch(shape, decay):
    start = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    ours, matrix = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.flatten(1).clone())
    gradient_steps = gradients((shape[0], start[0].numel()))
    ours_moved = moved(Muon([ours], lr=0.02, weight_decay=decay), ours, gradient_steps)
    theirs = torch.optim.Muon([matrix], lr=0.02, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    expected = moved(theirs, matrix, gradient_steps).reshape(shape)
    way = (expected - start).norm()
    assert (ours_moved - expected).norm() < 0.02 * way, "PyTorch turns in bfloat16, so it is no nearer than that"
    assert way > 0.1


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(32,), (32, 1, 3, 3), (4, 32, 3, 3), (16, 16)])
def test_all_else_moves_as_in_pytorchs_adamw(shape, decay):
    start = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    ours, same = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    gradient_steps = gradients(shape)
    ours_moved = moved(Muon([ours], lr=0.02, weight_decay=decay), ours, gradient_steps)
    expected = moved(torch.optim.AdamW([same], lr=0.02, weight_decay=decay), same, gradient_steps)
    np.testing.assert_allclose(ours_moved, expected, rtol=1e-5, atol=1e-6)


def test_hidden_are_kernels_with_channels_on_both_sides():
    assert is_hidden(torch.zeros(32, 8, 3, 3))
    assert not is_hidden(torch.zeros(32, 4, 3, 3))
    assert not is_hidden(torch.zeros(4, 32, 3, 3))
    assert not is_hidden(torch.zeros(32, 32))


@pytest.mark.parametrize("shape", [(8, 72), (72, 8), (20, 20)])
def test_orthogonal_makes_singular_values_near_one(shape):
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(2))))
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3


def test_orthogonal_of_nothing_is_nothing():
    assert not orthogonal(torch.zeros(8, 16)).any()


def test_memory_order_and_lost_gradients_change_nothing():
    start = torch.randn((16, 8, 3, 3), generator=torch.Generator().manual_seed(1))
    plain, last = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone().to(memory_format=torch.channels_last))
    idle = torch.nn.Parameter(torch.ones(3))
    gradient_steps = gradients((16, 72))
    ours_moved = moved(Muon([plain], lr=0.02), plain, gradient_steps)
    np.testing.assert_allclose(moved(Muon([last, idle], lr=0.02), last, gradient_steps), ours_moved, atol=1e-5)
    assert bool((idle == 1).all())


def test_a_closure_is_called_with_gradients_and_its_loss_comes_back():
    weights = torch.nn.Parameter(torch.ones(2))
    optimizer = Muon([weights], lr=0.1)

    def closure():
        loss = weights.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2
    np.testing.assert_allclose(weights.detach(), 0.9, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_recipe_names_its_optimizer_rate_and_decay(name):
    optimizer = optimizer_of(
        [torch.nn.Parameter(torch.zeros(8, 8, 3, 3))], Recipe(steps=1, batch=1, optimizer=name, learning_rate=0.03, weight_decay=0.2)
    )
    assert type(optimizer) is OPTIMIZERS[name]
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]) == (0.03, 0.2)
