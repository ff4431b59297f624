"""One file per weight format: write() and load(). In comes a network that takes raw pixels of any size, out come proven files.

May import: nothing
"""

from types import ModuleType

from zooready.formats import onnx, state_dict, torchscript
from zooready.formats.torchscript import VARIANTS, unsafe, unsupported
from zooready.formats.torchscript.folding import fold
from zooready.formats.torchscript.operators import operators
from zooready.records import Format

FORMATS: dict[Format, ModuleType] = {"state_dict": state_dict, "torchscript": torchscript, "onnx": onnx}

__all__ = ["FORMATS", "VARIANTS", "fold", "onnx", "operators", "state_dict", "torchscript", "unsafe", "unsupported"]
