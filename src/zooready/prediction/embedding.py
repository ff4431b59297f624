"""What the last layer of a classifier sees: its learned description of an image, taken out of the bundle's ONNX graph.

In: an opened bundle that gives class scores. Out: scores, embedding and, where they follow from the graph exactly, class activation maps.
Any bundle with ONNX weights works; nothing of it runs but its graph, in ONNX Runtime, with one more output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.bundle.specs import known_kind
from zooready.consumers.onnx_rules import outside
from zooready.errors import BundleInvalid, InputInvalid
from zooready.formats.starting import Device, Run
from zooready.prediction.sessions import engine, explaining, graph_run
from zooready.records import Array, Bundle, Format
from zooready.tensors import KnownKind

LAYERS = ("Gemm", "MatMul", "Conv")  # what multiplies by weights
PASSING = ("Flatten", "Reshape", "Squeeze", "Identity", "Dropout")  # between the pooling and the last layer; values stay
POOLING = ("GlobalAveragePool", "ReduceMean")
SUMMING = ("Div", "ReduceSum")  # pooling as our own bundles write it: sums along one axis after the other, over their number
EXACT = 1e-3  # largest difference / range between a map's mean and what the layer computed
Judged = Callable[[Array], tuple[tuple[Array, ...], Array | None]]  # an input -> outputs, embedding (None where no rule asks for it)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a classifier computed for one input.

    ``outputs`` are the bundle's, in its order; ``embedding`` is (b, k) float32, a mean over places where the last layer works at each;
    ``maps`` is (b, classes, h, w), whose mean over h and w is the score before the bias and before softmax, None where the graph does not
    end in average pooling and one linear layer.
    """

    outputs: tuple[Array, ...]
    embedding: Array
    maps: Array | None


def load(bundle: Bundle, format: Format = "onnx", device: Device = "auto") -> Judged:
    """A bundle's network for many images, its runtime started once, that runs once for each input.

    A classifier that states a rule on what its last layer sees (``config.zooready.kind``) gives that as well; of other weights than ONNX
    it is computed with the ONNX beside them, and left out where there is none.

    Parameters
    ----------
    bundle, format, device
        As for :func:`engine`, whose errors are raised too.

    Raises
    ------
    InputInvalid, BundleInvalid
        As for :func:`watched`, if the bundle states a rule.
    """
    if known_kind(bundle) is None or "onnx" not in bundle.formats:
        return _unjudged(engine(bundle, format, device))
    if format == "onnx":
        both = watched(bundle, device, maps=False)
        return lambda image: ((seen := both(image)).outputs, seen.embedding)
    run, see = engine(bundle, format, device), watched(bundle, device, maps=False)
    return lambda image: (run(image), see(image).embedding)


def _unjudged(run: Run) -> Judged:
    return lambda image: (run(image), None)


def watched(bundle: Bundle, device: Device = "cpu", *, maps: bool = True) -> Callable[[Array], Seen]:
    """A function that runs a classifier and returns what its last layer with weights saw.

    Parameters
    ----------
    bundle, device
        As for :func:`engine`.
    maps
        Whether to look for class activation maps, whose tensors are large.

    Returns
    -------
    Callable
        (b, c, ..., y, x) float32 to :class:`Seen`. It raises ConsumerFailed when the network fails, InputInvalid when memory runs out.

    Raises
    ------
    InputInvalid
        The bundle gives no class scores, or holds no ONNX weights.
    BundleInvalid
        The weights do not load, lie in another file, give another number of outputs, or no layer with weights leads to the scores.
    """
    index = _scores(bundle)
    model = _model(bundle)
    graph = model.graph
    given = [output.name for output in graph.output]
    wanted = [name for name, _ in bundle.kinds]
    order = wanted if sorted(given) == sorted(wanted) else given
    if len(order) != len(wanted):
        promised = ", ".join(wanted)
        raise BundleInvalid(f"{bundle.path.name} promises outputs {promised}, and its onnx network gave {len(order)}. Export it again.")
    last = _last_layer(graph, order[index], bundle)
    pooled, linear = _pooled(graph, last) if maps else ("", None)
    taken = [last.input[0], *((pooled, last.output[0]) if pooled else ())]
    for name in taken:
        if name not in {output.name for output in graph.output}:
            graph.output.add().name = name
    try:
        started = graph_run(bundle, model.SerializeToString(), [*order, *taken], device)
    except InputInvalid as error:
        raise BundleInvalid(
            f"{bundle.path.name}: the ONNX weights do not load ({error.__cause__}). Export or download it again."
        ) from error
    run_all = explaining(started, bundle, "onnx", [*order, *taken])

    def run(image: Array) -> Seen:
        arrays = run_all(image)
        seen = arrays[len(order)]
        found = _maps(arrays[-2], arrays[-1], *linear) if linear else None
        return Seen(outputs=arrays[: len(order)], embedding=seen.mean(axis=tuple(range(2, seen.ndim))), maps=found)

    return run


def strangers(embedding: Array, known: KnownKind, bundle: Bundle) -> NDArray[np.bool_]:
    """Which images are of another kind than the classifier knows.

    Parameters
    ----------
    embedding
        (b, n), of :class:`Seen`.
    known, bundle
        What tells them apart, and the bundle that states it.

    Returns
    -------
    (b,) bool

    Raises
    ------
    BundleInvalid
        The bundle's last layer is given another number of values.
    """
    if embedding.shape[1] != len(known.weights):
        raise BundleInvalid(
            f"{bundle.path.name} states {len(known.weights)} weights that tell images of another kind, and its last layer is given "
            f"{embedding.shape[1]} values. Export it again."
        )
    return np.asarray(embedding.astype(np.float64) @ np.array(known.weights) + known.bias > 0)


def _scores(bundle: Bundle) -> int:
    """Index of the first output that holds class scores."""
    for index, (_, kind) in enumerate(bundle.kinds):
        if kind == "scores":
            return index
    held = ", ".join(f"{name} ({kind})" for name, kind in bundle.kinds)
    raise InputInvalid(f"{bundle.path.name} gives {held} and no class scores: take the bundle of a classifier.")


def _model(bundle: Bundle) -> Any:
    """The bundle's ONNX graph, in memory."""
    from onnx import load as load_model

    if "onnx" not in bundle.formats:
        held = ", ".join(bundle.formats)
        raise InputInvalid(f"{bundle.path.name} holds {held} and no ONNX, in whose graph the last layer is found: export it with ONNX.")
    try:
        model = load_model(bundle.formats["onnx"], load_external_data=False)
    except Exception as error:  # protobuf raises its own, without a common class
        raise BundleInvalid(
            f"{bundle.path.name}: the ONNX weights do not load ({type(error).__name__}). Export or download it again."
        ) from error
    if outside(bundle.formats["onnx"]):
        raise BundleInvalid(f"{bundle.path.name}: its ONNX graph keeps weights in another file: export it as one file.")
    return model


def _last_layer(graph: Any, scores: str, bundle: Bundle) -> Any:
    """The last node on the way to the scores that multiplies what it is given by constant weights."""
    fixed = _constants(graph)
    needed = {scores}
    for node in reversed(graph.node):  # in ONNX every node comes after those that it needs
        if needed.isdisjoint(node.output):
            continue
        if node.op_type in LAYERS and node.input[0] not in fixed and node.input[1] in fixed:
            return node
        needed.update(node.input)
    raise BundleInvalid(f"{bundle.path.name}: no layer with weights leads to '{scores}', so there is no embedding: take another bundle.")


def _constants(graph: Any) -> set[str]:
    """Names of the tensors that no image changes: weights, and what is computed from them alone."""
    fixed = {tensor.name for tensor in graph.initializer} | {""}
    for node in graph.node:
        if fixed.issuperset(node.input) and not node.op_type.startswith("Random"):
            fixed.update(node.output)
    return fixed


def _pooled(graph: Any, layer: Any) -> tuple[str, tuple[Array, Array] | None]:
    """What is average-pooled before a linear layer, and the layer's weights (classes, k) and bias; ("", None) if built otherwise."""
    from onnx import numpy_helper

    makers = {name: node for node in graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    node = makers.get(layer.input[0])
    while node is not None and node.op_type in PASSING:
        node = makers.get(node.input[0])
    if layer.op_type == "Conv" or not set(layer.input[1:]) <= set(stored) or node is None or node.op_type not in (*POOLING, *SUMMING):
        return "", None
    while node.op_type in SUMMING and (before := makers.get(node.input[0])) is not None and before.op_type in SUMMING:
        node = before
    weights, *bias = (numpy_helper.to_array(stored[name]) for name in layer.input[1:])
    turned = any(attribute.name == "transB" and attribute.i for attribute in layer.attribute)
    return node.input[0], (weights if turned else weights.T, bias[0] if bias else np.zeros(1, np.float32))


def _maps(pooled: Array, computed: Array, weights: Array, bias: Array) -> Array | None:
    """Class activation maps (b, classes, h, w) of what was pooled (b, k, h, w), if their means and the bias are what the layer computed."""
    if pooled.ndim != 4 or pooled.shape[1] != weights.shape[-1]:
        return None
    maps: Array = np.einsum("ck,bkyx->bcyx", weights, pooled).astype(np.float32)
    means = maps.mean((2, 3)) + bias
    if means.shape != computed.shape or np.abs(means - computed).max() > EXACT * (float(np.ptp(computed)) or 1.0):
        return None
    return maps
