"""One file or folder per weight format: ``write()``, ``start(path, device)`` and ``load()``.

In comes a network that takes raw pixels of any size, out come proven files, and functions that run them: an image (b, c, ...) float32 to a
tuple of arrays. A state dict is started with the ``builder`` of its network.

May import: processes, images
"""

from types import ModuleType

from zooready.formats import onnx, state_dict, torchscript
from zooready.formats.torchscript import VARIANTS, operators, unsafe, unsupported
from zooready.formats.torchscript.folding import fold
from zooready.records import Format

FORMATS: dict[Format, ModuleType] = {"state_dict": state_dict, "torchscript": torchscript, "onnx": onnx}

__all__ = ["FORMATS", "VARIANTS", "fold", "onnx", "operators", "state_dict", "torchscript", "unsafe", "unsupported"]
