"""The network of somebody else's bundle as a PyTorch module. Only a child process calls this: all of it may be a stranger's code."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zooready.bundle.builders import builder_of
from zooready.errors import InputInvalid
from zooready.formats import state_dict, torchscript
from zooready.formats.warned import brief
from zooready.records import Bundle, Format

if TYPE_CHECKING:
    from onnx import ModelProto


class Stored(nn.Module):
    """TorchScript from a file, which a process can be sent by its path, since it cannot be pickled."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.script = torchscript.load(Path(path)).eval()

    def forward(self, *inputs: Tensor) -> Any:
        """Whatever the script returns."""
        return self.script(*inputs)

    def __reduce__(self) -> tuple[type[Stored], tuple[str]]:
        return type(self), (self.path,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Stored:
        twin = type(self).__new__(type(self))
        nn.Module.__init__(twin)
        twin.path, twin.script = self.path, copy.deepcopy(self.script, memo)
        twin.training = self.training
        return twin


def network_of(bundle: Bundle, format: Format) -> nn.Module:
    """The network, on the CPU, in eval mode.

    Raises
    ------
    InputInvalid
        These weights do not become a PyTorch module.
    BundleInvalid
        A state dict without the code of its network.
    """
    path = bundle.formats[format]
    if format == "torchscript":
        if operators := torchscript.unsafe(path):
            raise InputInvalid(f"its TorchScript does more than compute ({operators}), and is not run.")
        return Stored(str(path))
    if format == "state_dict":
        builder = builder_of(bundle)
        if builder is None:
            raise InputInvalid("its state dict names no architecture that lies inside.")
        try:
            return state_dict.network(path, builder)
        except Exception as error:  # somebody's code may fail in any way
            raise InputInvalid(f"its architecture does not build the network here ({brief(error)}): install what it imports.") from None
    return _of_onnx(path)


def _of_onnx(path: Path) -> nn.Module:
    try:
        import onnx2torch
    except ImportError:
        raise InputInvalid("onnx2torch is not installed, which turns ONNX into PyTorch: pip install 'zooready[adopt]'.") from None
    import onnx

    model: ModelProto = onnx.load(path)
    try:
        network: nn.Module = onnx2torch.convert(model)
    except Exception as error:  # the converter raises whatever its parts raise, mostly for a node that it does not know
        raise InputInvalid(f"its ONNX file does not become a PyTorch network ({brief(error)}).") from None
    with torch.no_grad():
        return network.eval()
