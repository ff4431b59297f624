"""ONNX operators of opset 18 written as opset 17; what has no such form is refused by name.

Source of the differences: the operators' own schemas (`onnx.defs`) at both opsets. An operator whose schema did not change is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zooready.errors import InputInvalid

FROM, TO = 18, 17
REDUCTIONS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
)


class _NoForm(Exception):
    """A node has no form in opset 17; the message says which and why."""


@dataclass(frozen=True)
class _Scope:
    """What is known where a node stands: constant tensors by name, ranks by name, and unused names."""

    constants: Mapping[str, Any]
    ranks: Mapping[str, int]
    fresh: Callable[[str], str]


def to_opset_17(model: Any) -> Any:
    """Rewrite an ``onnx.ModelProto`` of opset 18 to opset 17 and IR 8.

    Raises
    ------
    InputInvalid
        Operators without a form in opset 17, all named; or another opset than 18.
    """
    import onnx
    import onnx.inliner

    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets.get("", opsets.get("ai.onnx")) != FROM:
        raise InputInvalid(f"the exporter wrote opset {opsets}, not {FROM}.")
    model = onnx.inliner.inline_local_functions(model) if model.functions else onnx.ModelProto.FromString(model.SerializeToString())
    foreign = {
        f"{node.domain}::{node.op_type}" for graph in _graphs(model.graph) for node in graph.node if node.domain not in ("", "ai.onnx")
    }
    if foreign:
        raise InputInvalid(f"no form in opset {TO}: {', '.join(sorted(foreign))}.")
    inferred = onnx.shape_inference.infer_shapes(model)
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in _values(inferred.graph)}
    taken = {name for graph in _graphs(model.graph) for node in graph.node for name in node.output}
    counter = iter(range(len(taken) * 16 + 1000))

    def fresh(stem: str) -> str:
        return next(name for name in (f"{stem}_17_{number}" for number in counter) if name not in taken)

    refused: list[str] = []
    for graph in _graphs(model.graph):
        scope = _Scope({**_constants(model.graph), **_constants(graph)}, ranks, fresh)
        _rewrite(graph, scope, refused)
    if refused:
        raise InputInvalid(f"no form in opset {TO}: {', '.join(sorted(set(refused)))}.")
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", TO))
    model.ir_version = 8
    return model


def _graphs(graph: Any) -> Iterator[Any]:
    """The graph and all graphs inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _values(graph: Any) -> Iterator[Any]:
    """Everything in a graph that has a known type with a shape."""
    for part in _graphs(graph):
        yield from (v for v in [*part.input, *part.output, *part.value_info] if v.type.tensor_type.HasField("shape"))


def _constants(graph: Any) -> dict[str, Any]:
    """Constant arrays of a graph by name."""
    from onnx import numpy_helper

    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return constants


def _rewrite(graph: Any, scope: _Scope, refused: list[str]) -> None:
    """Replace the nodes of one graph; add to ``refused`` what cannot be replaced."""
    nodes: list[Any] = []
    for node in graph.node:
        try:
            nodes += [node] if _is_unchanged(node) else _rewritten(node, scope)
        except _NoForm as fault:
            refused.append(str(fault))
    kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def _is_unchanged(node: Any) -> bool:
    """Whether the operator has the same schema in both opsets."""
    import onnx

    try:
        return bool(onnx.defs.get_schema(node.op_type, TO).since_version == onnx.defs.get_schema(node.op_type, FROM).since_version)
    except onnx.defs.SchemaError:
        return False


def _rewritten(node: Any, scope: _Scope) -> list[Any]:
    """The nodes of opset 17 that stand for one of opset 18."""
    if node.op_type in REDUCTIONS:
        return [_reduction(node, scope)]
    rewrite = {"Pad": _pad, "Split": _split, "Resize": _resize, "ScatterElements": _scatter, "ScatterND": _scatter, "Mish": _mish}
    if node.op_type not in rewrite:
        raise _NoForm(node.op_type)
    return rewrite[node.op_type](node, scope)


def _attributes(node: Any) -> dict[str, Any]:
    """Attributes of a node as Python values."""
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _reduction(node: Any, scope: _Scope) -> Any:
    """Axes as an attribute, as they were until opset 17."""
    from onnx import helper

    attributes = _attributes(node)
    noop = attributes.pop("noop_with_empty_axes", 0)
    axes = node.input[1] if len(node.input) > 1 else ""
    if axes and axes not in scope.constants:
        raise _NoForm(f"{node.op_type} over axes known only when it runs")
    wanted = [int(axis) for axis in scope.constants[axes].reshape(-1)] if axes else []
    if noop and not wanted and node.op_type not in ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"):
        raise _NoForm(f"{node.op_type} of each element")
    if noop and not wanted:
        return helper.make_node("Identity", [node.input[0]], list(node.output), name=node.name)
    if wanted:
        attributes["axes"] = wanted
    return helper.make_node(node.op_type, [node.input[0]], list(node.output), name=node.name, **attributes)


def _pad(node: Any, scope: _Scope) -> list[Any]:
    """Amounts for every axis: those of the axes named are picked out of the given ones, all others are zero."""
    import numpy as np
    from onnx import helper, numpy_helper

    if len(node.input) < 4 or not node.input[3]:
        return [node]
    if node.input[3] not in scope.constants or node.input[0] not in scope.ranks:
        raise _NoForm("Pad of axes known only when it runs")
    rank = scope.ranks[node.input[0]]
    axes = [int(axis) % rank for axis in scope.constants[node.input[3]].reshape(-1)]
    order = [axes.index(n) + side * len(axes) if n in axes else 2 * len(axes) for side in (0, 1) for n in range(rank)]
    zero, picked, extended, amounts = (scope.fresh("pad") for _ in range(4))
    constants = {zero: np.zeros(1, np.int64), picked: np.array(order, np.int64)}
    nodes = [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array)) for name, array in constants.items()]
    nodes.append(helper.make_node("Concat", [node.input[1], zero], [extended], axis=0))
    nodes.append(helper.make_node("Gather", [extended, picked], [amounts], axis=0))
    value = [node.input[2]] if node.input[2] else []
    return [*nodes, helper.make_node("Pad", [node.input[0], amounts, *value], list(node.output), name=node.name, **_attributes(node))]


def _split(node: Any, scope: _Scope) -> list[Any]:
    """Without ``num_outputs``: opset 17 takes equal parts from the number of outputs, and raises where they are not equal."""
    from onnx import helper

    attributes = _attributes(node)
    attributes.pop("num_outputs", None)
    return [helper.make_node("Split", list(node.input), list(node.output), name=node.name, **attributes)]


def _resize(node: Any, scope: _Scope) -> list[Any]:
    """Without the attributes of opset 18, where they are at their defaults."""
    from onnx import helper

    attributes = _attributes(node)
    if attributes.pop("antialias", 0):
        raise _NoForm("Resize with antialias")
    if attributes.pop("keep_aspect_ratio_policy", b"stretch") != b"stretch" or "axes" in attributes:
        raise _NoForm("Resize by axes or aspect ratio")
    return [helper.make_node("Resize", list(node.input), list(node.output), name=node.name, **attributes)]


def _scatter(node: Any, scope: _Scope) -> list[Any]:
    """Opset 17 adds and multiplies; minimum and maximum came later."""
    reduction = _attributes(node).get("reduction", b"none")
    if reduction not in (b"none", b"add", b"mul"):
        raise _NoForm(f"{node.op_type} with reduction {reduction.decode()}")
    return [node]


def _mish(node: Any, scope: _Scope) -> list[Any]:
    """X · tanh(softplus(x))."""
    from onnx import helper

    soft, bent = scope.fresh("mish"), scope.fresh("mish")
    return [
        helper.make_node("Softplus", [node.input[0]], [soft]),
        helper.make_node("Tanh", [soft], [bent]),
        helper.make_node("Mul", [node.input[0], bent], list(node.output), name=node.name),
    ]
