"""A bundle as functions of an image: one that computes, and one that PyTorch can differentiate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zooready import prediction
from zooready.errors import BundleInvalid, InputInvalid
from zooready.prediction.whole import margins
from zooready.records import FORMATS, Array, Bundle, Format, as_float32

if TYPE_CHECKING:
    from torch import Tensor

Run = Callable[[Array], tuple[Array, ...]]


@dataclass(frozen=True, kw_only=True)
class Network:
    """What a bundle computes for (b, c, ..., y, x) float32 of any size: outputs in its order, at the input's y and x.

    ``run`` computes with ``format``. ``differentiable`` does the same with tensors and autograd, or is None, and ``why`` says why.
    """

    run: Run
    format: Format
    differentiable: Callable[[Tensor], tuple[Tensor, ...]] | None
    why: str = ""


def network_of(bundle: Bundle) -> Network:
    """A bundle's network: computed with ONNX where it has it, differentiated with TorchScript, else with a state dict that is trusted.

    Raises
    ------
    InputInvalid
        All it has is a state dict that is not trusted.
    BundleInvalid
        Its weights do not load.
    """
    preferred: tuple[Format, ...] = ("onnx", "torchscript", "state_dict")
    format = next(format for format in preferred if format in bundle.formats)
    compute = prediction.engine(bundle, format, "cpu")

    def run(image: Array) -> tuple[Array, ...]:
        padded = np.pad(image, margins(image.shape, bundle), mode="edge")
        return tuple(_cropped(output, image.shape) for output in compute(as_float32(padded)))

    differentiable, why = _differentiable(bundle)
    return Network(run=run, format=format, differentiable=differentiable, why=why)


def _differentiable(bundle: Bundle) -> tuple[Callable[[Tensor], tuple[Tensor, ...]] | None, str]:
    """The function, or None and the reason."""
    formats = [format for format in FORMATS if format in bundle.formats and format != "onnx"]
    if not formats:
        return None, f"{bundle.path.name} holds onnx alone, which has no gradients: export it with TorchScript"
    module: Any = None
    faults = []
    for format in ("torchscript", "state_dict"):
        if format in formats and module is None:
            try:
                module = prediction.network(bundle, format)
            except (BundleInvalid, InputInvalid) as error:
                faults.append(str(error).rstrip("."))
    if module is None:
        return None, "; ".join(faults)
    for weight in module.parameters():
        weight.requires_grad_(False)
    return _padded(module, bundle), ""


def _padded(module: Any, bundle: Bundle) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The module with padded input and cropped outputs, so that gradients belong to the image's own pixels."""
    from torch.nn import functional

    def run(image: Tensor) -> tuple[Tensor, ...]:
        added = margins(tuple(image.shape), bundle)
        outputs = module(functional.pad(image, _backwards(added, image.ndim), mode="replicate"))
        return tuple(_cropped(output, image.shape) for output in (outputs if isinstance(outputs, (tuple, list)) else (outputs,)))

    return run


def _backwards(added: list[tuple[int, int]], dimensions: int) -> list[int]:
    """Margins of the axes in space in PyTorch's order: the last axis first."""
    return [amount for axis in reversed(range(2, dimensions)) for amount in added[axis]]


def _cropped(output: Any, shape: tuple[int, ...]) -> Any:
    """An output without the margin on the right and below; scores have no axes to crop."""
    return output[..., : shape[-2], : shape[-1]] if output.ndim >= 4 else output
