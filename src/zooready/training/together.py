"""Several processes that train one network together: each computes a part of every batch, and all take the same step.

torchrun or SLURM starts them, or Lightning itself on one machine. The batch of a recipe is that of all processes together, so that the
weights are those of one process, but for rounding. Normalisation over the batch counts the whole of it, too, on every device, which
PyTorch's own does on GPUs only.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zooready.errors import InputInvalid
from zooready.records import Recipe


def counted(devices: int | None, nodes: int | None) -> tuple[int, int]:
    """Processes on each machine, and machines: those that were asked for, else those that torchrun started, else one.

    Raises
    ------
    InputInvalid
        A number below 1.
    """
    for name, value in (("devices", devices), ("nodes", nodes)):
        if value is not None and value < 1:
            raise InputInvalid(f"{name}={value}: give a whole number from 1.")
    local, every = (int(os.environ.get(name, "1")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    return devices or local, nodes or max(1, every // local)


def is_first() -> bool:
    """Whether this process is the only one, or the one that writes files and prints."""
    return not getattr(rank_zero_only, "rank", 0)


def demand_divisible(recipe: Recipe, processes: int) -> None:
    """Raise InputInvalid for a training that cannot be shared by so many processes."""
    if processes == 1:
        return
    if recipe.adversary is not None:
        raise InputInvalid(f"{processes} processes: a training against an adversary runs in one. Leave devices and nodes out.")
    if recipe.batch % processes:
        raise InputInvalid(
            f"batch={recipe.batch} for {processes} processes: it is the number of pairs per step of all of them together, "
            f"so give a multiple of {processes}."
        )


class _Summed(torch.autograd.Function):
    """The sum of a tensor over all processes; so is that of the gradients."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class JointBatchNorm(_BatchNorm):
    """Batch normalisation over the batches of all processes; as :class:`torch.nn.BatchNorm2d`, whose parameters it takes over."""

    def __init__(self, own: _BatchNorm) -> None:
        super().__init__(own.num_features, own.eps, own.momentum, own.affine, own.track_running_stats)
        self.weight, self.bias = own.weight, own.bias
        self.running_mean, self.running_var, self.num_batches_tracked = own.running_mean, own.running_var, own.num_batches_tracked

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of axes."""

    def forward(self, input: Tensor) -> Tensor:
        """(b, c, ...) of this process, normalised; statistics are float32."""
        if not (self.training and distributed.is_initialized()):
            return super().forward(input)
        values = input.float()
        axes = [axis for axis in range(values.ndim) if axis != 1]
        shape = [1, -1] + [1] * (values.ndim - 2)
        count = values.numel() // values.shape[1] * distributed.get_world_size()
        mean = _Summed.apply(values.sum(axes)) / count
        centred = values - mean.view(shape)
        variance = _Summed.apply(centred.square().sum(axes)) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
            share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * (count / max(1, count - 1)), share)
        result: Tensor = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(input.dtype)


def joined(network: nn.Module) -> nn.Module:
    """The same network, whose batch normalisations count the batches of all processes."""
    for name, child in network.named_children():
        setattr(network, name, JointBatchNorm(child) if isinstance(child, _BatchNorm) else joined(child))
    return network
