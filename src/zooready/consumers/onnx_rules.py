"""What an ONNX file must be, to load in the ONNX Runtimes that JDLL has (1.11 to 1.13): opset 17, IR 8, one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from zooready.errors import BundleInvalid
from zooready.processes import on_time
from zooready.records import Bundle

OPSET = 17
NEWEST = 100  # no opset of ONNX is so high for decades
IR = 8


def opset(path: Path) -> Iterator[str]:
    """The newest operator set of ONNX Runtime 1.12."""
    held = _opset(_graph(path))
    if held > OPSET:
        yield (
            f"{path.name} has opset {held}, and Fiji's ONNX Runtime 1.12 and 1.13 load up to {OPSET}: export with opset_version={OPSET}."
        )


def stated_opset(bundle: Bundle) -> Iterator[str]:
    """JDLL chooses its ONNX Runtime by what the description says, not by the file; nothing of a file that cannot be read."""
    path, entry = bundle.formats["onnx"], bundle.weights.get("onnx")
    try:
        held = _opset(_graph(path))
    except BundleInvalid:
        return
    if not 1 <= held <= NEWEST:
        yield f"{path.name} has opset {held}, which ONNX has not: it is damaged or was changed by hand. Export it again."
    elif entry is not None and entry.version != held:
        yield f"rdf.yaml says opset_version {entry.version!r} and {path.name} has opset {held}: write {held} there."


def ir(path: Path) -> Iterator[str]:
    """The newest file format of ONNX Runtime 1.13."""
    version = _graph(path).ir_version
    if version > IR:
        yield f"{path.name} has IR {version}, and Fiji's ONNX Runtime 1.12 and 1.13 load up to {IR}: export with IR {IR}."


def true_ir(path: Path) -> Iterator[str]:
    """A file format that cannot hold what the file holds; ONNX Runtime loads it all the same, other readers of ONNX do not."""
    model = _graph(path)
    inputs = {entry.name for entry in model.graph.input}
    why = ""
    if model.ir_version < 3 and model.opset_import:
        why = "names its operators' version, which began with IR 3"
    elif model.ir_version == 3 and any(tensor.name not in inputs for tensor in model.graph.initializer):
        why = "has weights that are no inputs, which began with IR 4"
    if why:
        yield f"{path.name} says that it has IR {model.ir_version}, and {why}: it was changed by hand. Write {IR} there, or export again."


def outside(path: Path) -> list[str]:
    """Names of the files in which an ONNX file keeps tensors.

    Raises
    ------
    BundleInvalid
        This is no ONNX file.
    """
    from onnx import TensorProto

    stored = (tensor for tensor in _tensors(_graph(path)) if tensor.data_location == TensorProto.EXTERNAL)
    return sorted({item.value for tensor in stored for item in tensor.external_data if item.key == "location"})


def one_file(path: Path) -> Iterator[str]:
    """Tensors kept in other files: not loaded in Java, and never hashed."""
    if names := outside(path):
        yield (
            f"{path.name} keeps tensors outside itself ({', '.join(names[:3])}), which Java does not load and no hash covers: "
            "save it as one file (onnx.save_model with save_as_external_data=False)."
        )


def onnx_objections(path: Path, rules: Sequence[Callable[[Path], Iterator[str]]] = (opset, ir, true_ir, one_file)) -> Iterator[str]:
    """What the rules say of a file; of one that cannot be read, only that."""
    try:
        for rule in rules:
            yield from rule(path)
    except BundleInvalid as error:
        yield str(error)


def _opset(graph: Any) -> int:
    """The operator set of ONNX itself that a model uses."""
    return max((int(entry.version) for entry in graph.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _graph(path: Path) -> Any:
    """The model without its external data.

    Raises
    ------
    BundleInvalid
        This is no ONNX file.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        if not path.stat().st_size:
            raise ValueError("0 bytes")
        on_time()
        return onnx.load_model(path, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise BundleInvalid(f"{path.name} is no readable ONNX file ({error}): it is cut off or damaged. Export it again.") from None


def _tensors(model: Any) -> Iterator[Any]:
    """Every stored tensor, those of nodes, subgraphs and functions, sparse ones and those for training among them."""
    for graph in (model.graph, *(graph for info in model.training_info for graph in (info.initialization, info.algorithm))):
        yield from _graph_tensors(graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        on_time()
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)
