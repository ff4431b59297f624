"""What every program's rules look at in a description: all axes, all steps outside the network, values that make no sense."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from zooready.bundle.rdf import not_understood
from zooready.records import Bundle
from zooready.tensors import Axis, Operator, Tensor

Rule = Callable[[Bundle], Iterator[str]]


def axes(tensors: Sequence[Tensor]) -> Iterator[tuple[str, Axis]]:
    """(name of the tensor, axis) for each axis of format 0.5."""
    for tensor in tensors:
        yield from ((tensor.name, axis) for axis in tensor.details)


def all_axes(bundle: Bundle) -> Iterator[tuple[str, Axis]]:
    """The same of inputs and then outputs."""
    yield from axes((*bundle.inputs, *bundle.outputs))


def operators(bundle: Bundle) -> Iterator[Operator]:
    """Every pre- and postprocessing step."""
    for tensor in (*bundle.inputs, *bundle.outputs):
        yield from tensor.operators


def is_harmless(step: Operator) -> bool:
    """Whether the step leaves float32 pixels as they are."""
    return (step.name, step.kwargs.get("dtype")) == ("ensure_dtype", "float32")


def understood(bundle: Bundle) -> Iterator[str]:
    """Values that the format does not have, which programs cast without a look."""
    yield from not_understood(bundle)
