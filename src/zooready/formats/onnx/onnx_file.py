"""ONNX: opset 17, IR 8, one file, the newest that ONNX Runtime 1.12 and 1.13 in Java load."""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from zooready.errors import InputInvalid, OutputsDiffer
from zooready.formats import trials
from zooready.formats.copies import evaluating
from zooready.formats.onnx.downgrade import to_opset_17
from zooready.formats.onnx.graph import IR, OPSET, Names, check, cleaned
from zooready.formats.torchscript.tracing import DataBranch, record_apart
from zooready.formats.versions import torch_version
from zooready.formats.warned import brief, known_deprecations, silence, tracer_lines
from zooready.records import TOLERANCE, Array, Case, Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

EXPORTERS = ("legacy", "dynamo")


def write(
    module: nn.Module,
    example: Tensor,
    path: Path,
    *,
    input_name: str,
    input_axes: str,
    output_names: Sequence[str],
    output_axes: Sequence[str],
    fixed: Mapping[str, int] | None = None,
    labels: Collection[int] = (),
) -> Weights:
    """Write a module as one ONNX file of opset 17 and IR 8, compared with eager at several sizes; byte-identical when written again.

    First the legacy exporter, then the dynamo exporter with its graph rewritten to opset 17.

    Parameters
    ----------
    module
        (b, c, y, x) or (b, c, z, y, x) float32 -> a tensor or a tuple of tensors, of any size. Left as it was, mode included.
    example
        (1, c, y, x) or (1, c, z, y, x) float32, raw pixels.
    input_axes, output_axes
        One letter an axis, e.g. ``"bcyx"`` and ``["bcyx", "bc"]``.
    fixed
        Axes that take one length only, e.g. ``{"z": 7}``; ``b``, ``z``, ``y``, ``x`` are free otherwise.
    labels
        Numbers of the outputs that are label images, compared by objects.

    Returns
    -------
    Weights
        details: ``torch``, ``exporter`` (legacy or dynamo), ``opset``, ``ir``, ``reproducible``, ``difference`` (largest
        difference / range), ``warnings``, ``skipped`` (trial images that the network itself cannot take).

    Raises
    ------
    InputInvalid
        "TorchScript only": no exporter gives a file that agrees; or the names and axes do not fit the outputs.
    """
    names = Names(
        input=input_name, input_axes=input_axes, outputs=tuple(output_names), output_axes=tuple(output_axes), fixed=dict(fixed or {})
    )
    network = evaluating(module)
    image = example.detach().cpu().float()
    cases, skipped = trials.cases(network, image.numpy(), names.fixed)
    check(names, cases[0])
    faults = []
    for exporter in EXPORTERS:
        try:
            content, details = _attempt(exporter, network, image, names, cases, labels)
            _place(content, path)
        except DataBranch as fault:
            raise InputInvalid(f"{type(module).__name__} cannot be written: {fault}.") from None
        except (InputInvalid, OutputsDiffer) as fault:
            faults.append(f"{exporter} exporter: {fault}")
            continue
        except Exception as error:  # exporters raise dozens of kinds, from ONNX errors to those of the network's own code
            faults.append(f"{exporter} exporter: {brief(error)}")
            continue
        digest = hashlib.sha256(content).hexdigest()
        return Weights(format="onnx", path=path, sha256=digest, details={**details, "skipped": skipped})
    raise InputInvalid(
        f"TorchScript only: {type(module).__name__} cannot be written as ONNX opset {OPSET}. {'. '.join(faults)}. "
        "Replace the operators named, or ship the bundle without ONNX."
    )


def _attempt(
    exporter: str, network: nn.Module, image: Tensor, names: Names, cases: Sequence[Case], labels: Collection[int]
) -> tuple[bytes, dict[str, Any]]:
    """The file's bytes by one exporter, compared with eager, and the details."""
    heard: list[str] = []
    with _quiet(heard):
        model = _legacy(network, image, names) if exporter == "legacy" else _dynamo(network, image, names)
    if exporter == "legacy" and heard:
        with TemporaryDirectory() as folder:
            record_apart(network, image, variant="plain", route="branches", folder=Path(folder), heard=tuple(heard), static=names.static)
    content = cleaned(model, names, cases)
    largest = trials.difference(cases, _session(content), TOLERANCE["onnx"], labels)
    said = {"torch": torch_version(), "exporter": exporter, "opset": OPSET, "ir": IR, "reproducible": True, "difference": largest}
    return content, {**said, "warnings": tuple(heard)}


def facts(path: Path) -> dict[str, Any]:
    """Opset and IR version of an ONNX file, and whether it keeps weights in other files; the graph is not run.

    Raises
    ------
    InputInvalid
        The file is no ONNX model.
    """
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
        opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    except Exception as error:  # protobuf raises its own kinds, StopIteration means no standard operators
        raise InputInvalid(f"{path.name} is no ONNX model ({brief(error)}): export it again.") from None
    external = any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)
    return {"opset": int(opset), "ir": int(model.ir_version), "external": external}


def load(path: Path) -> Any:
    """An ONNX Runtime session on the CPU.

    Raises
    ------
    InputInvalid
        ONNX Runtime refuses the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and need not be printed too
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base but Exception
        raise InputInvalid(f"ONNX Runtime refuses {path.name} ({brief(error)}): export it again.") from None


@contextlib.contextmanager
def _quiet(heard: list[str]) -> Iterator[None]:
    """Collect the exporters' warnings as short lines, and keep them from printing."""
    import torch

    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always")
        with known_deprecations(), silence():
            yield
    heard += tracer_lines(caught)


def _legacy(network: nn.Module, example: Tensor, names: Names) -> Any:
    """The legacy exporter's model, which is opset 17 and IR 8 by itself."""
    import onnx
    import torch

    axes = {names.input: names.free(names.input_axes)}
    axes |= {name: names.free(letters) for name, letters in zip(names.outputs, names.output_axes, strict=True)}
    stream: Any = io.BytesIO()  # documented as accepted, not annotated
    torch.onnx.export(
        network,
        (example.clone(),),
        stream,
        dynamo=False,
        opset_version=OPSET,
        input_names=[names.input],
        output_names=list(names.outputs),
        dynamic_axes=axes,
    )
    return onnx.load_model_from_string(stream.getvalue())


def _dynamo(network: nn.Module, example: Tensor, names: Names) -> Any:
    """The dynamo exporter's model, rewritten to opset 17."""
    import torch

    dynamic = torch.export.Dim.DYNAMIC  # AUTO bakes sizes without a word
    free = names.free(names.input_axes)
    pair = torch.cat([example, example.flip(-1)]) if 0 in free else example  # a batch of 1 would be written down as the only one
    program = torch.onnx.export(
        network,
        (pair,),
        dynamo=True,
        opset_version=18,
        input_names=[names.input],
        output_names=list(names.outputs),
        dynamic_shapes=(dict.fromkeys(free, dynamic),),
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise InputInvalid("the exporter returned nothing.")
    return to_opset_17(program.model_proto)


def _session(content: bytes) -> Callable[[Array], Sequence[Array]]:
    """A function that runs the model on an image."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and need not be printed too
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(image: Array) -> Sequence[Array]:
        return list(session.run(None, {name: image}))

    return run


def _place(content: bytes, path: Path) -> None:
    """Write the file, read it back, check it, and only then give it its name."""
    import onnx

    with TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / "weights.onnx"
        draft.write_bytes(content)
        onnx.checker.check_model(str(draft))
        found = facts(draft)
        if found != {"opset": OPSET, "ir": IR, "external": False}:
            raise InputInvalid(f"the file came out as {found}, not opset {OPSET}, IR {IR} in one file.")
        draft.replace(path)
