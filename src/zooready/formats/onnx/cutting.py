"""Parts of an ONNX graph as graphs of their own, so that a tensor in the middle comes in from outside; the file stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any


def cut(model: Any, inputs: Sequence[str], outputs: Sequence[str], *, alone: bool = False) -> bytes:
    """The part of a graph that computes some of its tensors, given others.

    Parameters
    ----------
    model
        As onnx loads it.
    inputs
        Names of float32 tensors that come from outside instead of being computed; the graph's own inputs need not be named.
    outputs
        Names of the float32 tensors wanted.
    alone
        Whether ``inputs`` must suffice.

    Returns
    -------
    bytes
        A model without the nodes and weights that are not needed; its inputs are the graph's own that are, and then ``inputs``.

    Raises
    ------
    ValueError
        One of ``inputs`` does not lead to an output, or others are needed where they must suffice.
    """
    from onnx import TensorProto, helper

    graph, wanted, nodes = model.graph, set(outputs), []
    for node in reversed(graph.node):  # in ONNX every node comes after those that it needs
        if not wanted.isdisjoint(set(node.output) - set(inputs)):
            nodes.append(node)
            wanted.update(_taken(node))
    if unused := [name for name in inputs if name not in wanted]:
        raise ValueError(f"{', '.join(unused)} lead to none of {', '.join(outputs)}")
    if alone and any(value.name in wanted for value in graph.input):
        raise ValueError(f"{', '.join(outputs)} need more than {', '.join(inputs)}")
    known = {value.name: value for value in (*graph.output, *graph.input)}
    part = helper.make_graph(
        nodes[::-1],
        graph.name,
        [value for value in graph.input if value.name in wanted]
        + [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs],
        [known.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [tensor for tensor in graph.initializer if tensor.name in wanted and tensor.name not in inputs],
    )
    whole = helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
    content: bytes = whole.SerializeToString()
    return content


def _taken(node: Any) -> Iterator[str]:
    """Names of the tensors that a node needs, those that the graphs inside it take from around it among them."""
    yield from node.input
    for attribute in node.attribute:
        for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            for other in inner.node:
                yield from _taken(other)


def normalising(model: Any) -> tuple[str, ...]:
    """Names of the tensors that are subtracted from the image, one after the other, and of the one that it is then divided by.

    They come from the image as a whole. Empty for a graph that does not begin so.
    """
    graph = model.graph
    value, names = graph.input[0].name, []
    while True:
        steps = [node for node in graph.node if node.op_type in ("Sub", "Div") and node.input[0] == value]
        if len(steps) != 1:
            return ()
        names.append(steps[0].input[1])
        value = steps[0].output[0]
        if steps[0].op_type == "Div":
            return tuple(names) if _are_computed(graph.node, names) else ()


def _are_computed(nodes: Iterable[Any], names: Sequence[str]) -> bool:
    return set(names) <= {name for node in nodes for name in node.output}
