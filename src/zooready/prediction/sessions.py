"""The runtimes that compute a bundle in this process: ONNX Runtime, and PyTorch for TorchScript and trusted state dicts."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from zooready.errors import BundleInvalid, ConsumerFailed, ConsumerMissing, InputInvalid
from zooready.records import Array, Bundle, Format

Device = Literal["auto", "cpu", "cuda"]
Run = Callable[[Array], tuple[Array, ...]]
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
        TorchScript with operators that a network does not need, or weights that their runtime cannot load.
    ConsumerMissing
        CUDA was asked for and is not here.

    The function raises ConsumerFailed when the network fails, InputInvalid when memory runs out.
    """
    if format not in bundle.formats:
        raise InputInvalid(f"{bundle.path.name} has no {format} weights: use --format {' or '.join(bundle.formats)}.")
    start = {"onnx": _onnx, "torchscript": _torchscript, "state_dict": _state_dict}[format]
    try:
        run = start(bundle, bundle.formats[format], device)
    except (ConsumerMissing, BundleInvalid, InputInvalid):
        raise
    except Exception as error:  # each runtime has its own errors for files that it cannot load
        raise BundleInvalid(
            f"{bundle.path.name}: the {format} weights do not load ({_brief(error)}). Export or download it again."
        ) from error
    return _explaining(run, bundle, format)


def _explaining(run: Run, bundle: Bundle, format: Format) -> Run:
    """The same function, its failures in words."""

    def explained(image: Array) -> tuple[Array, ...]:
        try:
            outputs = run(image)
        except Exception as error:  # each runtime has its own errors, and a network may raise anything
            if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in NO_ROOM):
                size = " x ".join(map(str, image.shape))
                raise InputInvalid(
                    f"not enough memory for an image of {size}: cut it into smaller ones, or use --device cpu or a larger machine."
                ) from None
            raise ConsumerFailed(
                f"the {format} network of {bundle.path.name} failed on an image of shape {image.shape} ({_brief(error)}): "
                "run zooready check on the bundle."
            ) from error
        if len(outputs) != len(bundle.outputs):
            names = ", ".join(name for name, _ in bundle.kinds)
            raise BundleInvalid(
                f"{bundle.path.name} promises outputs {names}, and its {format} network gave {len(outputs)}. Export it again."
            )
        return outputs

    return explained


def _onnx(bundle: Bundle, path: Path, device: Device) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    providers: list[Any] = ["CPUExecutionProvider"]
    has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cuda" and not has_cuda:
        raise ConsumerMissing("ONNX Runtime sees no CUDA device here: pip install onnxruntime-gpu, or use --device cpu.")
    if device != "cpu" and has_cuda:
        providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"}))
    session = onnxruntime.InferenceSession(path, options, providers=providers)
    if device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        raise ConsumerMissing("ONNX Runtime found no usable CUDA libraries: install those of its version, or use --device cpu.")
    name = session.get_inputs()[0].name
    given = [output.name for output in session.get_outputs()]
    wanted = [output for output, _ in bundle.kinds]
    order = wanted if sorted(given) == sorted(wanted) else given

    def run(image: Array) -> tuple[Array, ...]:
        return tuple(session.run(order, {name: image}))

    return run


def network(bundle: Bundle, format: Literal["torchscript", "state_dict"]) -> Any:
    """The bundle's network as a PyTorch module, on the CPU, in eval mode; autograd works on it.

    Raises
    ------
    InputInvalid
        A state dict that is not trusted.
    BundleInvalid
        TorchScript with operators that a network does not need.
    """
    from zooready.formats import state_dict, torchscript

    path = bundle.formats[format]
    if format == "torchscript":
        if not bundle.trusted and (reason := torchscript.unsafe(path)):
            raise BundleInvalid(
                f"{bundle.path.name}: its TorchScript is not run here ({reason}). "
                "Use --format onnx, or --trust-code if you know its author."
            )
        return torchscript.load(path)
    if not bundle.trusted:
        raise InputInvalid(
            f"{bundle.path.name}: a state dict needs the bundle's own Python: use --format onnx, or --trust-code if you know its author."
        )
    built = _architecture(bundle)
    built.load_state_dict(state_dict.load(path))
    return built.eval()


def _torchscript(bundle: Bundle, path: Path, device: Device) -> Run:
    return _torch(network(bundle, "torchscript").to(_torch_device(device)), _torch_device(device))


def _state_dict(bundle: Bundle, path: Path, device: Device) -> Run:
    return _torch(network(bundle, "state_dict").to(_torch_device(device)), _torch_device(device))


def _architecture(bundle: Bundle) -> Any:
    """The network that a trusted bundle's own file, or an installed package, builds."""
    architecture = bundle.weights["pytorch_state_dict"].architecture
    if architecture is None:
        raise BundleInvalid(f"{bundle.path.name}: its state dict names no architecture to load it into. Export it again.")
    if architecture.module:
        module = importlib.import_module(architecture.module)
    else:
        spec = importlib.util.spec_from_file_location("zooready_bundle_architecture", bundle.folder / architecture.source)
        if spec is None or spec.loader is None:
            raise BundleInvalid(f"{bundle.path.name}: {architecture.source} is no Python file. Export it again.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return getattr(module, architecture.callable)(**architecture.kwargs)


def _torch_device(device: Device) -> str:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ConsumerMissing("PyTorch sees no CUDA device here: check nvidia-smi, or use --device cpu.")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def _torch(network: Any, device: str) -> Run:
    import torch

    from zooready.formats.copies import tensors

    def run(image: Array) -> tuple[Array, ...]:
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if device == "cuda" else nullcontext()
        with torch.inference_mode(), exact:
            return tuple(output.cpu().numpy() for output in tensors(network(torch.from_numpy(image.copy()).to(device))))

    return run


def _brief(error: Exception) -> str:
    """The last line of an error's message, where engines name the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
