"""Weights of an ONNX file as float16: half the size, while every engine still computes in float32.

Each weight is followed by a Cast to float32, so that no operator sees another type than before, and engines that have no float16
arithmetic run the file. Only what layers multiply by is rounded: biases, constants of a normalisation, coordinates and whatever else is
computed with stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zooready.errors import InputInvalid
from zooready.records import Array

WEIGHTS = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (0, 1), "MatMul": (0, 1)}  # operators, and which of their inputs may be weights
LEAST = 4096  # values of a weight; smaller ones save nothing
STEP = 2.0**-11  # of a weight's largest value: what rounding to float16 changes at most, unless values are too large or too small for it


def halved(content: bytes) -> tuple[bytes, int]:
    """An ONNX file with its large weights as float16.

    Returns
    -------
    content
        The file; byte-identical when made again.
    count
        How many values are float16 now.

    Raises
    ------
    InputInvalid
        No weight is large enough, or fits into float16.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_model_from_string(content)
    graph, casts, count = model.graph, [], 0
    weights = {node.input[place] for node in graph.node for place in WEIGHTS.get(node.op_type, ()) if place < len(node.input)}
    for tensor in graph.initializer:
        if tensor.name not in weights or tensor.data_type != TensorProto.FLOAT:
            continue
        exact = numpy_helper.to_array(tensor)
        rounded = _rounded(exact)
        if rounded is None:
            continue
        name, stored = tensor.name, f"{tensor.name}_float16"
        tensor.CopyFrom(numpy_helper.from_array(rounded, stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
        count += exact.size
    if not casts:
        raise InputInvalid(
            f"no layer has {LEAST} weights that float16 holds to {STEP:.1g} of the largest: use the file with float32 weights."
        )
    nodes = [*casts, *(type(node).FromString(node.SerializeToString()) for node in graph.node)]
    del graph.node[:]
    graph.node.extend(nodes)
    return _bytes(model), count


def _rounded(exact: Array) -> Array | None:
    """A weight as float16; None if it is small, or if that would change it by more than the last digit of float16."""
    if exact.size < LEAST:
        return None
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float16)
    off = np.abs(rounded.astype(np.float32) - exact).max()
    return rounded if off <= STEP * np.abs(exact).max() else None


def _bytes(model: Any) -> bytes:
    content: bytes = model.SerializeToString(deterministic=True)
    return content
