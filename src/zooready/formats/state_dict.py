"""State dict: the weights as a file that `torch.load(weights_only=True)` reads, and the code that builds their network."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

from zooready.errors import BundleInvalid, InputInvalid
from zooready.formats.installed import torch_version
from zooready.formats.starting import Device, Run, torch_run
from zooready.records import Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

MODULE = "zooready_bundle_architecture"  # the name under which a bundle's own file is imported


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Where the code is that builds the network of a state dict: a Python file, or a module that is installed.

    ``callable`` is the name in it that is called with ``kwargs``; ``file`` is None for an installed ``module``.
    """

    callable: str
    file: Path | None = None
    module: str = ""
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        """Run the code and build the network, with weights that mean nothing yet. Ask for trust first: it may do anything.

        Raises
        ------
        BundleInvalid
            The file is no Python file. Whatever the code itself raises passes, too.
        """
        code = importlib.import_module(self.module) if self.file is None else _imported(self.file)
        network: nn.Module = getattr(code, self.callable)(**self.kwargs)
        return network


def _imported(file: Path) -> ModuleType:
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location(MODULE, file)
    if spec is None or spec.loader is None:
        raise BundleInvalid(f"{file.name} is no Python file: name the architecture's file .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # dataclasses and pickle look their classes up there
    spec.loader.exec_module(module)
    return module


def write(module: nn.Module, path: Path) -> Weights:
    """Write the module's state dict: contiguous CPU tensors of the dtypes that they have; the same weights give the same bytes.

    Raises
    ------
    InputInvalid
        The state dict holds something else than tensors, which a weights-only reader refuses.
    """
    import torch

    state = module.state_dict()
    foreign = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if foreign:
        raise InputInvalid(f"state dict entries {foreign} are not tensors: keep them out of get_extra_state(), or register buffers.")
    plain = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()}
    with TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / "weights"  # the name of the file becomes the name of the folder inside
        torch.save(plain, draft)
        draft.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    count = sum(value.numel() for name, value in module.named_parameters())
    return Weights(
        format="state_dict", path=path, sha256=digest, details={"torch": torch_version(), "tensors": len(plain), "parameters": count}
    )


def load(path: Path) -> dict[str, Tensor]:
    """Read a state dict, weights only: no code of the file is run.

    Raises
    ------
    InputInvalid
        The file is no weights-only state dict of tensors.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, EOF and runtime errors, depending on where the file is broken
        raise InputInvalid(f"{path.name} is no weights-only state dict ({str(error).splitlines()[0]}): write it with zooready.") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputInvalid(f"{path.name} holds {type(state).__name__}, not a state dict of tensors: save module.state_dict().")
    return dict(state)


def network(path: Path, builder: Builder) -> nn.Module:
    """The network with its weights, on the CPU, in eval mode; autograd works on it.

    Raises
    ------
    BundleInvalid, InputInvalid
        There is no such code, or no state dict. Whatever the code itself raises, and PyTorch where the weights do not fit, passes, too.
    """
    built = builder.build()
    built.load_state_dict(load(path))
    return built.eval()


def start(path: Path, device: Device = "cpu", *, builder: Builder) -> Run:
    """A function that runs the network of a state dict; its code is run, so ask for trust first.

    Raises
    ------
    ConsumerMissing
        CUDA was asked for and is not here.
    BundleInvalid, InputInvalid
        As :func:`network`.
    """
    return torch_run(network(path, builder), device)
