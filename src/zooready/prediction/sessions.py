"""The runtimes that compute a bundle: in this process for one that is trusted, a stranger's ONNX and TorchScript in a child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from zooready.bundle.builders import builder_of
from zooready.bundle.unpacking import safe_name
from zooready.consumers import onnx_rules
from zooready.consumers.sandbox import Session
from zooready.errors import BundleInvalid, ConsumerFailed, ConsumerMissing, InputInvalid
from zooready.formats import FORMATS, onnx, state_dict, torchscript
from zooready.formats.starting import Device, Run, torch_device
from zooready.formats.warned import brief
from zooready.processes import within
from zooready.records import Array, Bundle, Format

if TYPE_CHECKING:
    from torch import nn

SECONDS = 3600.0  # for one image, where nothing else is asked for
NO_ROOM = ("out of memory", "bad_alloc", "failed to allocate", "can't allocate", "cannot allocate")


def engine(bundle: Bundle, format: Format = "onnx", device: Device = "auto") -> Run:
    """A function that runs the bundle's network.

    Parameters
    ----------
    bundle
        An opened bundle; what is returned works while it is open.
    format
        The weights to take.
    device
        ``auto`` is a CUDA device if the runtime sees one, else the CPU.

    Returns
    -------
    Callable
        (b, c, ..., y, x) float32 to one array per output, in the bundle's order.

    Raises
    ------
    InputInvalid
        The bundle has no such weights, or they are code that is not trusted.
    BundleInvalid
        TorchScript with operators that a network does not need, ONNX with tensors in a file outside the bundle, or weights that their
        runtime cannot load.
    ConsumerMissing
        CUDA was asked for and is not here.

    The function raises ConsumerFailed when the network fails, InputInvalid when memory runs out.
    """
    if format not in bundle.formats:
        raise InputInvalid(f"{bundle.path.name} has no {format} weights: use format {' or '.join(map(repr, bundle.formats))}.")
    if device not in get_args(Device):
        raise InputInvalid(f"device={device!r} is not known: use {' or '.join(map(repr, get_args(Device)))}.")
    with within(bundle.time_limit_s, _late(bundle, format)):
        _demand_trust(bundle, format)
    options: dict[str, Any] = {}
    if format == "onnx":
        options["outputs"] = [name for name, _ in bundle.kinds]
    if not bundle.trusted:
        return explaining(apart(bundle, format, device, **options), bundle, format)
    if format == "onnx":
        options["limit_s"] = bundle.time_limit_s or SECONDS
    if format == "state_dict":
        options["builder"] = _builder(bundle)
    try:
        run = FORMATS[format].start(bundle.formats[format], device, **options)
    except (ConsumerMissing, BundleInvalid):
        raise
    except Exception as error:  # each runtime has its own errors for files that it cannot load
        raise BundleInvalid(
            f"{bundle.path.name}: the {format} weights do not load ({brief(error)}). Export or download it again."
        ) from error
    return explaining(run, bundle, format)


def apart(bundle: Bundle, format: Format, device: Device = "cpu", *, kind: str = "", **more: Any) -> Session:
    """A stranger's weights in a child process, already loaded there: a graph can fill any memory, and listed operators crash as well.

    Parameters
    ----------
    bundle, format, device
        As for :func:`engine`.
    kind
        What the child does with the file, one of ``sandbox_worker.LOADERS``; runs it if empty.
    **more
        What else the job says; ``path`` replaces the bundle's file.

    Raises
    ------
    BundleInvalid
        The weights do not load, or ONNX keeps tensors in a file outside the bundle.
    ConsumerMissing
        CUDA was asked for and is not here.
    """
    if format == "onnx":
        with within(bundle.time_limit_s, _late(bundle, format)):
            _demand_inside(bundle)
    job = {"kind": kind or format, "path": str(bundle.formats[format]), "device": _device(format, device), **more}
    session = Session(job, who=f"the {format} network of {bundle.path.name}", seconds=bundle.time_limit_s or SECONDS)
    try:
        session.load()
    except ConsumerFailed as error:
        raise BundleInvalid(f"{bundle.path.name}: the {format} weights do not load ({error}). Export or download it again.") from None
    return session


def graph_run(
    bundle: Bundle, content: bytes, outputs: Sequence[str], device: Device = "cpu", constants: Mapping[str, Array] | None = None
) -> Run:
    """A function that runs a changed graph of the bundle's, in this process if it is trusted, else in a child.

    Parameters
    ----------
    content
        The graph as an ONNX file.
    outputs
        Names of its outputs in the order wanted.
    constants
        What its inputs are given beside the image, by their names.

    Raises
    ------
    InputInvalid, BundleInvalid, ConsumerMissing
        As :func:`engine`.
    """
    constants = constants or {}
    if bundle.trusted:
        return onnx.start(content, device, outputs=outputs, limit_s=bundle.time_limit_s or SECONDS, constants=constants)
    with NamedTemporaryFile(dir=bundle.folder, suffix=".onnx", delete=False) as file:
        file.write(content)
    for number, value in enumerate(constants.values()):
        np.save(f"{file.name}.{number}.npy", value)
    return apart(bundle, "onnx", device, path=file.name, outputs=list(outputs), constants=list(constants))


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A changed graph of a bundle's, as :func:`graph_run` takes it; it can be sent to another machine and started there."""

    bundle: Bundle
    content: bytes
    outputs: tuple[str, ...]
    device: Device
    constants: Mapping[str, Array]

    def start(self) -> Run:
        """A function that runs it, its failures in words; errors are those of :func:`graph_run`."""
        run = graph_run(self.bundle, self.content, self.outputs, self.device, self.constants)
        return explaining(run, self.bundle, "onnx", self.outputs)


def _late(bundle: Bundle, format: Format) -> BundleInvalid:
    return BundleInvalid(
        f"{bundle.path.name}: the {format} weights were not scanned within the time limit of {bundle.time_limit_s} s, and were not run: "
        "give more time."
    )


def _demand_inside(bundle: Bundle) -> None:
    """Refuse an ONNX file that cannot be read, or that keeps tensors outside the bundle."""
    try:
        names = onnx_rules.outside(bundle.formats["onnx"])
    except BundleInvalid as error:
        raise BundleInvalid(f"{bundle.path.name}: the onnx weights do not load. {error}") from None
    for name in names:
        safe_name(name, bundle.path)


def _device(format: Format, device: Device) -> str:
    """What ``auto`` stands for; with the CPU, the child's memory can be limited."""
    if format != "onnx":
        return torch_device(device)
    return device if device != "auto" or onnx.sees_cuda() else "cpu"


def explaining(run: Run, bundle: Bundle, format: Format, names: Sequence[str] = ()) -> Run:
    """The same function, its failures in words; ``names`` are the outputs that it gives, all of the bundle's if empty."""
    names = names or [name for name, _ in bundle.kinds]

    def explained(image: Array) -> tuple[Array, ...]:
        try:
            outputs = run(image)
        except (BundleInvalid, InputInvalid):
            raise
        except Exception as error:  # each runtime has its own errors, and a network may raise anything
            if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in NO_ROOM):
                size = " x ".join(map(str, image.shape))
                raise InputInvalid(
                    f"not enough memory for an image of {size}: cut it into smaller ones, or use the device 'cpu' or a larger machine."
                ) from None
            raise ConsumerFailed(
                f"the {format} network of {bundle.path.name} failed on an image of shape {image.shape} ({brief(error)}): "
                "run zooready check on the bundle."
            ) from error
        if len(outputs) != len(names):
            raise BundleInvalid(
                f"{bundle.path.name} promises outputs {', '.join(names)}, and its {format} network gave {len(outputs)}. Export it again."
            )
        return outputs

    return explained


def network(bundle: Bundle, format: Literal["torchscript", "state_dict"]) -> nn.Module:
    """The bundle's network as a PyTorch module, on the CPU, in eval mode; autograd works on it.

    A stranger's TorchScript is a module without parameters that asks a child process for outputs and gradients.

    Raises
    ------
    InputInvalid
        A state dict that is not trusted.
    BundleInvalid
        TorchScript with operators that a network does not need.
    """
    _demand_trust(bundle, format)
    path = bundle.formats[format]
    if format == "torchscript" and not bundle.trusted:
        return _module_apart(apart(bundle, format, kind="differentiable"))
    return torchscript.load(path) if format == "torchscript" else state_dict.network(path, _builder(bundle))


def _module_apart(session: Session) -> nn.Module:
    """A module whose outputs, and their gradients in the input, come from a child process."""
    import torch

    class Asked(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            ctx.save_for_backward(image)
            return tuple(torch.from_numpy(output) for output in session(image.detach().numpy()))

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
            (image,) = ctx.saved_tensors
            (gradient,) = session(image.detach().numpy(), *(gradient.numpy() for gradient in gradients))
            return torch.from_numpy(gradient)

    class Apart(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            outputs: tuple[torch.Tensor, ...] = Asked.apply(image)
            return outputs

    return Apart().eval()


def _demand_trust(bundle: Bundle, format: Format) -> None:
    """Refuse code that nobody trusts: a state dict's Python, and TorchScript that does more than compute."""
    if bundle.trusted:
        return
    if format == "torchscript" and (operators := torchscript.unsafe(bundle.formats[format])):
        raise BundleInvalid(
            f"{bundle.path.name}: its TorchScript is not run here ({', '.join(operators)}). "
            "Use the format 'onnx', or trust its code if you know its author."
        )
    if format == "state_dict":
        raise InputInvalid(
            f"{bundle.path.name}: a state dict needs the bundle's own Python: use the format 'onnx', or trust its code if you know "
            "its author."
        )


def _builder(bundle: Bundle) -> state_dict.Builder:
    builder = builder_of(bundle)
    if builder is None:
        raise BundleInvalid(f"{bundle.path.name}: its state dict names no architecture that lies inside. Export it again.")
    return builder
