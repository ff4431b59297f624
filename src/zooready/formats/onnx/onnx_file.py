"""ONNX: opset 17, IR 8, one file, the newest that ONNX Runtime 1.12 and 1.13 in Java load."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from zooready.errors import BundleInvalid, ConsumerFailed, ConsumerMissing, InputInvalid, OutputsDiffer
from zooready.formats import branches, trials, vmapped
from zooready.formats.branches import DataBranch
from zooready.formats.copies import evaluating
from zooready.formats.demands import Demands
from zooready.formats.forms import forms, spectral
from zooready.formats.installed import torch_version
from zooready.formats.onnx.downgrade import to_opset_17
from zooready.formats.onnx.graph import IR, OPSET, Names, check, cleaned, numbered
from zooready.formats.proof import largest_difference
from zooready.formats.starting import Device, Run
from zooready.formats.torchscript.tracing import record_apart
from zooready.formats.warned import brief, known_deprecations, silence, tracer_lines
from zooready.records import Array, Case, Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

EXPORTERS = ("legacy", "dynamo")
HALF = re.compile(r"\b(b?float16)\b")
ADVICE = re.compile(r"Please feel free|Support for this operator was added|: export it again")
OPERATOR = re.compile(r"\w+::\w+|no form in opset")  # how an exporter's error names what it cannot write


COMPLEX = "complex-valued"  # input of a step that the dynamo exporter has for real numbers only


def write(
    module: nn.Module,
    example: Tensor,
    path: Path,
    demands: Demands = Demands(),  # noqa: B008 - frozen
    *,
    input_name: str,
    input_axes: str,
    output_names: Sequence[str],
    output_axes: Sequence[str],
) -> Weights:
    """Write a module as one ONNX file of opset 17 and IR 8, compared with eager at several sizes; byte-identical when written again.

    First the legacy exporter, then the dynamo exporter with its graph rewritten to opset 17.

    Parameters
    ----------
    module
        (b, c, y, x) or (b, c, z, y, x) float32 -> a tensor or a tuple of tensors, of any size. Left as it was, mode included.
    example
        (1, c, y, x) or (1, c, z, y, x) float32, raw pixels.
    demands
        What may be recorded, and what the file must compute.
    input_axes, output_axes
        One letter an axis, e.g. ``"bcyx"`` and ``["bcyx", "bc"]``.

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
        input=input_name, input_axes=input_axes, outputs=tuple(output_names), output_axes=tuple(output_axes), fixed=dict(demands.fixed)
    )
    network = evaluating(module)
    image = example.detach().cpu().float()
    cases, skipped = trials.cases(network, image.numpy(), names.fixed)
    check(names, cases[0])
    faults: list[tuple[str, Exception]] = []
    ways = [("legacy", image), *(("legacy", other) for other in demands.others), ("dynamo", image)]
    for exporter, recorded in [way for way in ways if way[0] in EXPORTERS]:
        if recorded is not image and not isinstance(faults[-1][1], OutputsDiffer):
            continue  # that exporter cannot write it at all
        left_out: list[str] = []
        try:
            content, warned = _content(exporter, evaluating(module), recorded, names, cases)
            largest = largest_difference(
                cases, start(content), demands.allowed("onnx"), demands.labels, names.outputs, network=network, left_out=left_out
            )
            _keep(content, path)
        except DataBranch as fault:
            raise InputInvalid(f"{type(module).__name__} cannot be written: {fault}.") from None
        except Exception as error:  # exporters raise dozens of kinds, from ONNX errors to those of the network's own code
            faults.append((exporter, error))
            continue
        warned += tuple(f"{name}: the network's float32 is far from its float64" for name in left_out)
        details = {"torch": torch_version(), "exporter": exporter, "opset": OPSET, "ir": IR, "reproducible": True, "difference": largest}
        digest = hashlib.sha256(content).hexdigest()
        return Weights(format="onnx", path=path, sha256=digest, details={**details, "warnings": warned, "skipped": skipped})
    reasons = [f"{exporter} exporter: {_reason(fault)}" for exporter, fault in faults]
    reasons = list(dict.fromkeys(reasons))
    cure = f"Cure: {vmapped.CURE}." if vmapped.is_vmapped(network, image) else _cure([fault for _, fault in faults])
    raise InputInvalid(f"TorchScript only: {type(module).__name__} cannot be written as ONNX opset {OPSET}. {'. '.join(reasons)}. {cure}")


def _reason(fault: Exception) -> str:
    """What an exporter met, without its advice, which is to take another opset or to write to PyTorch."""
    said = str(fault) if isinstance(fault, (InputInvalid, OutputsDiffer)) else brief(fault)
    return ADVICE.split(said)[0].rstrip(". ")


def _cure(faults: Sequence[Exception]) -> str:
    """What to change, by what was seen: operators are replaced where some are named, tolerances raised where numbers differ."""
    cures = []
    written = [_reason(fault) for fault in faults if not isinstance(fault, OutputsDiffer)]
    if any(HALF.search(reason) for reason in written):
        cures.append("leave out autocast, half() and bfloat16(), in which ONNX Runtime does not calculate")
    elif any(COMPLEX in reason for reason in written):
        cures.append(
            "do that step with the real and imaginary parts as two tensors, and join them by torch.complex (for exp(1j * phase): "
            "torch.complex(phase.cos(), phase.sin()); pad, fill and multiply .real and .imag)"
        )
    elif any(OPERATOR.search(reason) for reason in written):
        cures.append("replace the operators named")
    if any("static shape" in reason for reason in written) and not cures:
        cures.append("take sizes from x.shape without int() or NumPy")
    if any(isinstance(fault, OutputsDiffer) and " differs by " in str(fault) for fault in faults):
        cures += [
            "take sizes from x.shape without int() or NumPy if only other sizes differ",
            "allow onnx a larger tolerance if the difference is rounding that you accept",
        ]
    cures = cures or ["rewrite the step that fails"]
    return f"Cure: {', '.join(cures)}, or ship the bundle without ONNX."


def _content(exporter: str, network: nn.Module, image: Tensor, names: Names, cases: Sequence[Case]) -> tuple[bytes, tuple[str, ...]]:
    """The file's bytes by one exporter, and what it warned of, one short line each."""
    lines: list[str] = []
    with _quiet(lines):
        model = _legacy(network, image, names) if exporter == "legacy" else _dynamo(network, image, names)
    if exporter == "legacy" and branches.taken(network, image):
        with TemporaryDirectory() as folder:
            said = record_apart(network, image, variant="plain", route="branches", folder=Path(folder), static=names.static)
        lines += said.warnings
    return cleaned(model, names, cases), tuple(lines)


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
        opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    except Exception as error:  # protobuf raises its own kinds, StopIteration means no standard operators
        raise InputInvalid(f"{path.name} is no ONNX model ({brief(error)}): export it again.") from None
    external = any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)
    return {"opset": int(opset), "ir": int(model.ir_version), "external": external}


def sees_cuda() -> bool:
    """Whether the installed ONNX Runtime was built for CUDA."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def load(source: Path | bytes, device: Device = "cpu") -> Any:
    """An ONNX Runtime session of a file, or of a model in memory; CUDA calculates in full precision.

    Raises
    ------
    InputInvalid
        ONNX Runtime refuses the file.
    ConsumerMissing
        CUDA was asked for and is not here.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and need not be printed too
    options.enable_mem_pattern = False  # which keeps a block of memory for each size of image that it has seen
    providers: list[Any] = ["CPUExecutionProvider"]
    has_cuda = sees_cuda()
    if device == "cuda" and not has_cuda:
        raise ConsumerMissing("ONNX Runtime sees no CUDA device here: pip install onnxruntime-gpu, or choose the device cpu.")
    if device != "cpu" and has_cuda:
        providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"}))
    try:
        session = onnxruntime.InferenceSession(source, options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions have no common base but Exception
        name = source.name if isinstance(source, Path) else "the model"
        raise InputInvalid(f"ONNX Runtime refuses {name} ({brief(error)}): export it again.") from error
    if device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        raise ConsumerMissing("ONNX Runtime found no usable CUDA libraries: install those of its version, or choose the device cpu.")
    return session


def start(
    source: Path | bytes,
    device: Device = "cpu",
    *,
    outputs: Sequence[str] = (),
    limit_s: float | None = None,
    constants: Mapping[str, Array] = MappingProxyType({}),
) -> Run:
    """A function that runs an ONNX file, or a model in memory.

    Parameters
    ----------
    device
        ``auto`` is a CUDA device if ONNX Runtime sees one, else the CPU.
    outputs
        Names of all outputs in the order wanted; the graph's own order if empty, or if the graph has others.
    limit_s
        How long one image may take, s; without end if None.
    constants
        Inputs beside the image that are always the same, by name.

    Raises
    ------
    InputInvalid
        ONNX Runtime refuses the file.
    BundleInvalid
        It takes several inputs.
    ConsumerMissing
        CUDA was asked for and is not here.
    """
    session = load(source, device)
    inputs = [entry.name for entry in session.get_inputs() if entry.name not in constants]
    if len(inputs) != 1:
        raise BundleInvalid(f"the ONNX graph takes {len(inputs)} inputs {inputs}: export it with one.")
    held = [output.name for output in session.get_outputs()]
    order = list(outputs) if set(outputs) == set(held) else held

    def run(image: Array) -> tuple[Array, ...]:
        import onnxruntime

        if limit_s is None:
            return tuple(session.run(order, {inputs[0]: image, **constants}))
        options = onnxruntime.RunOptions()
        timer = threading.Timer(limit_s, setattr, (options, "terminate", True))  # looked at between two operators
        timer.daemon = True
        timer.start()
        try:
            return tuple(session.run(order, {inputs[0]: image, **constants}, options))
        except Exception:
            if options.terminate:
                raise ConsumerFailed(f"stopped after {limit_s:g} s") from None
            raise
        finally:
            timer.cancel()

    return run


@contextlib.contextmanager
def _quiet(lines: list[str]) -> Iterator[None]:
    """Collect the exporters' warnings as short lines, and keep them from printing."""
    import torch

    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always")
        with known_deprecations(), silence():
            yield
    lines += tracer_lines(caught)


def _legacy(network: nn.Module, example: Tensor, names: Names) -> Any:
    """The legacy exporter's model, which is opset 17 and IR 8 by itself."""
    import onnx
    import torch

    axes = {names.input: names.free(names.input_axes)}
    axes |= {name: names.free(letters) for name, letters in zip(names.outputs, names.output_axes, strict=True)}
    has_scripts = any(isinstance(part, torch.jit.ScriptModule) for part in network.modules())
    stream: Any = io.BytesIO()  # documented as accepted, not annotated
    with forms(onnx=True):
        if has_scripts:  # which the exporter's own tracer does not follow
            network = torch.jit.trace(network, (example.clone(),), check_trace=False)
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
    model = onnx.load_model_from_string(stream.getvalue())
    return numbered(model) if has_scripts else model


def _dynamo(network: nn.Module, example: Tensor, names: Names) -> Any:
    """The dynamo exporter's model, rewritten to opset 17."""
    import torch

    dynamic = torch.export.Dim.DYNAMIC  # AUTO bakes sizes without a word
    free = names.free(names.input_axes)
    pair = torch.cat([example, example.flip(-1)]) if 0 in free else example  # a batch of 1 would be written down as the only one
    with spectral():
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


def _keep(content: bytes, path: Path) -> None:
    """Write the file, read it back, check it, and only then give it its name."""
    import onnx

    with TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / "weights.onnx"
        draft.write_bytes(content)
        onnx.checker.check_model(str(draft))
        written = facts(draft)
        if written != {"opset": OPSET, "ir": IR, "external": False}:
            raise InputInvalid(f"the file came out as {written}, not opset {OPSET}, IR {IR} in one file.")
        draft.replace(path)
