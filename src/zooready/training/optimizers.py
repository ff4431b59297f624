"""Optimisers by the names that recipes use: parameters and a recipe in, an optimiser out.

Muon replaces the step of a hidden convolution by the nearest orthogonal matrix, so that all directions of its kernel learn at the same
speed; the step is as long as AdamW's at the same learning rate. PyTorch's Muon accepts only matrices, hence this one; a test compares
the two.

Jordan et al. (2024), https://kellerjordan.github.io/posts/muon: the method and the polynomial
Liu et al. (2025), arXiv:2502.16982: the factor 0.2 sqrt(largest side) that makes learning rates those of AdamW
Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101: AdamW
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from zooready.records import Recipe

MOMENTUM = 0.95  # of Muon
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of AdamW
POLYNOMIAL, ITERATIONS = (3.4445, -4.7750, 2.0315), 5  # after so many iterations singular values of any size lie between about 0.7 and 1.2
LEAST_CHANNELS = 8  # in and out, of a kernel that Muon treats as a matrix; layers at the image's channels are left to AdamW


class Muon(torch.optim.Optimizer):
    """Muon for kernels (channels out, channels in, ...) between hidden layers, AdamW for all else.

    Parameters
    ----------
    parameters
        Parameters of the network.
    lr
        Learning rate of both rules.
    weight_decay
        Decoupled weight decay of both rules, per unit of learning rate.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; ``closure``, if given, computes the loss and its gradients first, and the loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is not None:
                    weights.mul_(1 - group["lr"] * group["weight_decay"])
                    step = orthogonal_step if is_hidden(weights) else adam_step
                    weights.sub_(group["lr"] * step(weights.grad, self.state[weights]))
        return loss


def is_hidden(weights: Tensor) -> bool:
    """Whether these weights are a convolution kernel with enough input and output channels for Muon."""
    return weights.dim() >= 4 and min(weights.shape[:2]) >= LEAST_CHANNELS


def orthogonal_step(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Muon's step at learning rate 1: Nesterov momentum made orthogonal; shaped like the gradient."""
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
    matrix = orthogonal(gradient.lerp(momentum, MOMENTUM).flatten(1))
    step: Tensor = 0.2 * max(matrix.shape) ** 0.5 * matrix
    return step.reshape(gradient.shape)


def orthogonal(matrix: Tensor) -> Tensor:
    """(rows, columns) float32 -> same shape: about the nearest matrix with singular values 1, by Newton-Schulz iteration; 0 stays 0."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    linear, cubic, quintic = POLYNOMIAL
    result: Tensor = matrix / matrix.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = result @ result.T
        result = linear * result + (cubic * gram + quintic * gram @ gram) @ result
    return result


def adam_step(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Adam's step at learning rate 1; shaped like the gradient."""
    if not state:
        state["steps"] = torch.zeros(())
        state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
    steps = float(state["steps"].add_(1))
    mean: Tensor = state["mean"].lerp_(gradient, 1 - BETAS[0]) / (1 - BETAS[0] ** steps)
    square = state["square"].lerp_(gradient.square(), 1 - BETAS[1]) / (1 - BETAS[1] ** steps)
    step: Tensor = mean / (square.sqrt() + EPSILON)
    return step


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"AdamW": torch.optim.AdamW, "Muon": Muon}


def optimizer_of(parameters: Iterable[Tensor], recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser for these parameters."""
    return OPTIMIZERS[recipe.optimizer](parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
