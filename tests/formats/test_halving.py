"""Large weights of an ONNX file as float16, and nothing else of it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zooready.errors import InputInvalid
from zooready.formats.onnx import halved, start

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(1, 64, 8, 9)).astype(np.float32)


def model(large, shift=None):
    """Three convolutions, of which the last has few weights, and a constant that is added."""
    arrays = {
        "large": large,
        "faint": np.full((64, 64, 1, 1), 1e-9, np.float32),  # below what float16 holds
        "small": RNG.normal(size=(2, 64, 1, 1)).astype(np.float32),
        "shift": np.full((1, 64, 8, 9), 0.1, np.float32) if shift is None else shift,
    }
    nodes = [
        helper.make_node("Conv", ["image", "large"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "faint"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Add", ["c", "shift"], ["d"]),
        helper.make_node("Conv", ["d", "small"], ["output"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("image", "output")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [numpy_helper.from_array(array, name) for name, array in arrays.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def types(content):
    kinds = onnx.TensorProto.DataType
    return {tensor.name: kinds.Name(tensor.data_type) for tensor in onnx.load_model_from_string(content).graph.initializer}


def test_only_large_weights_that_float16_holds_are_rounded():
    weights = RNG.normal(size=(64, 64, 3, 3)).astype(np.float32)
    whole = model(weights)
    content, count = halved(whole)
    assert types(content) == {"large_float16": "FLOAT16", "faint": "FLOAT", "small": "FLOAT", "shift": "FLOAT"}
    assert count == weights.size
    assert len(whole) - len(content) > 1.9 * weights.size
    assert halved(whole)[0] == content
    rounded = model(weights.astype(np.float16).astype(np.float32))
    by_hand, given, exact = (start(one)(IMAGE)[0] for one in (_with_small_of(rounded, whole), content, whole))
    assert given.dtype == np.float32
    assert np.array_equal(given, by_hand)
    assert 0 < np.abs(given - exact).max() < 1e-2 * np.ptp(exact)


def _with_small_of(content, other):
    """The model with the random small weights of another."""
    changed, donor = (onnx.load_model_from_string(one) for one in (content, other))
    changed.graph.initializer[2].CopyFrom(donor.graph.initializer[2])
    return changed.SerializeToString()


@pytest.mark.parametrize("large", [np.full((64, 64, 3, 3), 1e5, np.float32), np.ones((63, 64, 1, 1), np.float32)])
def test_weights_that_are_too_large_or_too_few_stay(large):
    with pytest.raises(InputInvalid, match="no layer has 4096 weights that float16 holds to 0.0005 of the largest: use the file with"):
        halved(model(large))
