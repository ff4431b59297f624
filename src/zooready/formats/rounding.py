"""Images on which a network's own float32 is far from its float64, so that no two programs need agree there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zooready.formats.copies import copied, tensors
from zooready.images.agreement import Range, value_fault
from zooready.records import Case, as_float32

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn


def noise(network: nn.Module, case: Case, ranges: Sequence[Range]) -> float | None:
    """Largest difference / range between a network's float32 outputs and its float64 ones; None where it does not run in float64.

    Instance normalisation of a black image, for one, divides what rounding left by what rounding left.
    """
    import torch

    twin = copied(network).double()
    try:
        with torch.no_grad():
            outputs = [as_float32(output.numpy()) for output in tensors(twin(torch.from_numpy(case.input.astype(np.float64))))]
        return max(value_fault(*one, np.inf)[0] for one in zip(case.outputs, outputs, ranges, strict=True))
    except Exception:  # some networks insist on float32 inside
        return None
