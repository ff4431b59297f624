"""Losses that families combine: tensors to one number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def dice(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 − Dice overlap of probabilities with a 0/1 target, both (b, y, x) float32, over the whole batch; 0..1, and 0 if both are empty."""
    overlap = 2 * (probability * target).sum() + 1
    return 1 - overlap / (probability.sum() + target.sum() + 1)


def cross_entropy(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy of probabilities with a 0/1 target of the same shape; at most 100 per pixel."""
    from torch.nn import functional

    return functional.binary_cross_entropy(probability, target)
