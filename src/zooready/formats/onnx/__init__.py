"""ONNX: opset 17, IR 8, one file, the newest that ONNX Runtime 1.12 and 1.13 in Java load."""

from zooready.formats.onnx.cutting import cut, normalising
from zooready.formats.onnx.halving import halved
from zooready.formats.onnx.onnx_file import facts, load, sees_cuda, start, write

__all__ = ["cut", "facts", "halved", "load", "normalising", "sees_cuda", "start", "write"]
