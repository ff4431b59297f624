"""TorchScript, the format that Fiji's own PyTorch engine reads: recorded in a process of its own, written, and read safely."""

from zooready.formats.torchscript.torchscript_file import VARIANTS, Variant, load, start, write
from zooready.formats.torchscript.tracing import soon
from zooready.formats.torchscript.vocabulary import operators, unsafe, unsupported

__all__ = ["VARIANTS", "Variant", "load", "operators", "soon", "start", "unsafe", "unsupported", "write"]
