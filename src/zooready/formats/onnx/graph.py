"""An ONNX graph's names and axes, and the graph without what does not belong into a file that is given away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zooready.errors import InputInvalid, amount
from zooready.formats.installed import torch_version
from zooready.records import Case

OPSET, IR = 17, 8
LARGEST = 2**31 - 2**20  # bytes of a protobuf message, which a single file is


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names and axes of the graph's input and outputs, and the axes of one length."""

    input: str
    input_axes: str
    outputs: tuple[str, ...]
    output_axes: tuple[str, ...]
    fixed: Mapping[str, int] = field(default_factory=dict)

    @property
    def static(self) -> tuple[int, ...]:
        """Positions of the input's axes of one length."""
        return tuple(n for n, axis in enumerate(self.input_axes) if axis in self.fixed)

    def free(self, axes: str) -> dict[int, str]:
        """Position and letter of the axes that take any length."""
        return {n: a for n, a in enumerate(axes) if a in self.input_axes and a in "bzyx" and a not in self.fixed}


def check(names: Names, case: Case) -> None:
    """Raise InputInvalid unless there is a name and as many letters as dimensions for each output."""
    shapes = [output.shape for output in case.outputs]
    if len(names.outputs) != len(shapes) or len(names.output_axes) != len(shapes):
        raise InputInvalid(
            f"output_names {names.outputs}, output_axes {names.output_axes}: the network returns {amount(len(shapes), 'output')}."
        )
    wrong = [
        (name, axes, shape) for name, axes, shape in zip(names.outputs, names.output_axes, shapes, strict=True) if len(axes) != len(shape)
    ]
    if wrong or len(names.input_axes) != case.input.ndim:
        raise InputInvalid(f"axes {names.input_axes!r} for input {case.input.shape}, {wrong}: give one letter an axis.")


def cleaned(model: Any, names: Names, cases: Sequence[Case]) -> bytes:
    """Bytes of the model with our names of axes and without texts that hold paths, line numbers or the builder's versions."""
    model.ir_version = IR
    model.producer_name, model.producer_version, model.doc_string = "pytorch", torch_version(), ""
    del model.metadata_props[:]
    _strip(model.graph)
    del model.graph.value_info[:]
    _dimensions(model.graph.input[0], names.input_axes, names, [case.input.shape for case in cases])
    for number, (value, axes) in enumerate(zip(model.graph.output, names.output_axes, strict=True)):
        _dimensions(value, axes, names, [case.outputs[number].shape for case in cases])
    content: bytes = model.SerializeToString(deterministic=True)
    if len(content) > LARGEST:
        raise InputInvalid(f"{len(content)} bytes are more than one ONNX file can hold: ship the bundle without ONNX.")
    return content


def numbered(model: Any) -> Any:
    """The model with numbers for the names of its inner values: names from scripted parts are others when a script is made again."""
    graph = model.graph
    _number(graph, {name: name for name in ("", *(one.name for one in (*graph.input, *graph.output, *graph.initializer)))})
    return model


def _number(graph: Any, known: dict[str, str]) -> None:
    """Rename what the nodes of a graph, and of the graphs inside them, hand on; ``known`` maps old names to new ones."""
    for node in graph.node:
        node.name = ""
        node.input[:] = [known.get(name, name) for name in node.input]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _number(attribute.g, known)
        for name in node.output:
            known.setdefault(name, f"value_{len(known)}")
        node.output[:] = [known[name] for name in node.output]
    for value in graph.output:
        value.name = known.get(value.name, value.name)


def _strip(graph: Any) -> None:
    """Remove doc strings and metadata from a graph and from the graphs inside its nodes."""
    graph.doc_string = ""
    things = [graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info]
    for thing in things:
        thing.doc_string = ""
        if hasattr(thing, "metadata_props"):
            del thing.metadata_props[:]
    for node in graph.node:
        for attribute in node.attribute:
            attribute.doc_string = ""
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                _strip(inner)


def _dimensions(value: Any, axes: str, names: Names, shapes: Sequence[tuple[int, ...]]) -> None:
    """Write an input's or output's shape: free axes by letter, others by length; a length that varies otherwise stays unnamed."""
    free = names.free(axes)
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for number, letter in enumerate(axes):
        dimension = shape.dim.add()
        lengths = {shape[number] for shape in shapes}
        if number in free:
            dimension.dim_param = letter
        elif len(lengths) == 1:
            dimension.dim_value = lengths.pop()
