"""Fold BatchNorm into the convolution before it, where that is exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zooready.formats.copies import evaluating
from zooready.formats.trials import eager

if TYPE_CHECKING:
    from torch import Tensor, nn

EXACT = 1e-5  # largest difference / range on the example


def fold(module: nn.Module, example: Tensor) -> nn.Module:
    """A copy in eval mode whose convolutions contain the BatchNorm that follows them.

    The forward methods stay as they are: a folded BatchNorm becomes an identity. Pairs are found by `torch.fx`, in the whole
    network or, where that cannot be traced, in each part that can. Shared layers and grouped transposed convolutions are left alone.

    Parameters
    ----------
    example
        Input on which the copy must agree to 1e-5 of the range; otherwise the copy is returned unfolded.
    """
    import numpy as np

    plain, folded = evaluating(module), evaluating(module)
    for conv, norm in _pairs(folded):
        _absorb(conv, norm)
    for parent in list(folded.modules()):
        for name, child in list(parent.named_children()):
            if getattr(child, "absorbed", False):
                setattr(parent, name, _identity())
    image = example.detach().cpu().numpy()
    before, after = eager(plain, image), eager(folded, image)
    exact = all(np.abs(a - b).max() <= EXACT * (float(np.ptp(b)) or 1.0) for a, b in zip(after, before, strict=True))
    return folded if exact else plain


def _identity() -> nn.Module:
    """What stands where a BatchNorm was."""
    import torch

    return torch.nn.Identity().eval()


def _pairs(network: nn.Module) -> list[tuple[Any, Any]]:
    """Convolution and BatchNorm layers that directly follow each other, and are used nowhere else."""
    uses = Counter(id(part) for _, part in network.named_modules(remove_duplicate=False))
    return [(conv, norm) for conv, norm in _successive(network) if uses[id(conv)] == uses[id(norm)] == 1 and _is_foldable(conv, norm)]


def _successive(part: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Layers of which the second takes the first's output, which nothing else takes; from each part that `torch.fx` can follow."""
    import torch

    try:
        graph = torch.fx.Tracer().trace(part)
    except Exception:  # symbolic tracing runs the part's code on symbols, where anything may be raised
        for child in part.children():
            yield from _successive(child)
        return
    layers = dict(part.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    for node in graph.nodes:
        before = node.args[0] if node.args else None
        if node.op != "call_module" or not isinstance(before, torch.fx.Node) or before.op != "call_module":
            continue
        if len(before.users) == 1 and calls[node.target] == calls[before.target] == 1:
            yield layers[str(before.target)], layers[str(node.target)]


def _is_foldable(conv: Any, norm: Any) -> bool:
    """Whether the two are a plain convolution and a BatchNorm with statistics, without hooks and of the same width."""
    from torch import nn

    plain = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    is_conv = type(conv) in plain or (type(conv) in transposed and conv.groups == 1)
    is_norm = type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) and norm.running_mean is not None
    hooked = any(part._forward_pre_hooks or part._forward_hooks for part in (conv, norm))
    return is_conv and is_norm and not hooked and bool(conv.out_channels == norm.num_features)


def _absorb(conv: Any, norm: Any) -> None:
    """Put the BatchNorm's scale and shift into the convolution's weight and bias; computed in float64."""
    import torch

    scale = norm.running_var.double().add(norm.eps).rsqrt()
    shift = -norm.running_mean.double() * scale
    if norm.affine:
        scale = scale * norm.weight.double()
        shift = shift * norm.weight.double() + norm.bias.double()
    shape = [1] * conv.weight.ndim
    shape[1 if conv.transposed else 0] = -1  # transposed convolutions keep output channels second
    bias = torch.zeros_like(scale) if conv.bias is None else conv.bias.double()
    conv.weight = torch.nn.Parameter((conv.weight.double() * scale.reshape(shape)).float(), requires_grad=False)
    conv.bias = torch.nn.Parameter((bias * scale + shift).float(), requires_grad=False)
    norm.absorbed = True
