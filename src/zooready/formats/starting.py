"""Where a network runs, and a PyTorch network as a function of arrays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

from zooready.errors import ConsumerMissing
from zooready.formats.copies import tensors
from zooready.records import Array

if TYPE_CHECKING:
    from torch import nn

Device = Literal["auto", "cpu", "cuda"]
Run = Callable[[Array], tuple[Array, ...]]  # (b, c, ...) float32 -> an array for each output


def torch_device(device: Device) -> str:
    """The device for PyTorch: ``auto`` is a CUDA device if there is one, else the CPU.

    Raises
    ------
    ConsumerMissing
        CUDA was asked for and is not here.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ConsumerMissing("PyTorch sees no CUDA device here: check nvidia-smi, or choose the device cpu.")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def torch_run(network: nn.Module, device: Device = "cpu") -> Run:
    """A function that runs a network, moved to the device, on a copy of an image, without gradients and in full precision.

    Raises
    ------
    ConsumerMissing
        CUDA was asked for and is not here.

    The function raises InputInvalid when the network returns something else than tensors.
    """
    import torch

    chosen = torch_device(device)
    placed = network.to(chosen)

    def run(image: Array) -> tuple[Array, ...]:
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if chosen == "cuda" else nullcontext()
        with torch.no_grad(), exact:
            outputs = tensors(placed(torch.from_numpy(image.copy()).to(chosen)))
        return tuple(output.detach().cpu().numpy() for output in outputs)

    return run
