"""Images on which a network's own float32 is far from its float64, so that no two programs need agree there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zooready.formats.copies import copied, tensors
from zooready.images.agreement import Range, value_fault
from zooready.records import Array, Case, as_float32

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

ROUNDING = 2.0**-24  # of a value, by which float32 may be off after each step


def noise(network: nn.Module, case: Case, ranges: Sequence[Range]) -> float | None:
    """Largest difference / range between a network's float32 outputs and its float64 ones; None where it does not run in float64.

    Instance normalisation of a black image, for one, divides what rounding left by what rounding left.
    """
    try:
        outputs = _in_float64(copied(network).double(), case)
        return max(value_fault(*one, np.inf)[0] for one in zip(case.outputs, outputs, ranges, strict=True))
    except Exception:  # some networks insist on float32 inside
        return None


def unsteadiness(network: nn.Module, case: Case, ranges: Sequence[Range]) -> float:
    """:func:`noise`, and of a flat image what rounding after each module does to the float64 outputs if that is more.

    On a black image one program may round all pixels alike, so that instance normalisation leaves exact noughts; another program does not,
    and each such layer makes what is left 300 times larger.
    """
    import torch

    generator = torch.Generator().manual_seed(0)

    def rounded(module: nn.Module, inputs: object, output: object) -> object:
        if not isinstance(output, torch.Tensor) or not output.is_floating_point():
            return None
        return output * (1 + ROUNDING * torch.randn(output.shape, generator=generator, dtype=output.dtype))

    largest = noise(network, case, ranges) or 0.0
    if np.ptp(case.input):
        return largest
    exact, shaken = copied(network).double(), copied(network).double()
    try:
        for module in shaken.modules():
            if not any(module.children()):
                module.register_forward_hook(rounded)
        pairs = zip(_in_float64(exact, case), _in_float64(shaken, case), ranges, strict=True)
        return max(largest, *(value_fault(*one, np.inf)[0] for one in pairs))
    except Exception:  # scripted modules take no hooks
        return largest


def _in_float64(twin: nn.Module, case: Case) -> list[Array]:
    import torch

    with torch.no_grad():
        outputs: list[Tensor] = list(tensors(twin(torch.from_numpy(case.input.astype(np.float64)))))
    return [as_float32(output.numpy()) for output in outputs]
