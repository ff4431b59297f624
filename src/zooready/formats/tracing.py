"""Record a network as TorchScript, in a process of its own: tracing twice in one process gives different bytes.

The child gets a folder that holds ``job.pkl``, and leaves ``raw.pt`` and ``result.json`` in it.

May import: records
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from zooready.errors import InputInvalid
from zooready.formats.copies import tensors
from zooready.formats.folding import fold
from zooready.formats.warned import known_deprecations, tracer_lines

if TYPE_CHECKING:
    from torch import Tensor, nn

Route = Literal["trace", "export"]
TIME_LIMIT_S = 1800
CHILD = "import pathlib, sys; from zooready.formats.tracing import main; main(pathlib.Path(sys.argv[1]))"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a recording left: the file, short warnings of the tracer, and why its bytes may differ next time (empty: they do not)."""

    path: Path
    warnings: tuple[str, ...]
    irreproducible: str = ""


def record_apart(network: nn.Module, example: Tensor, *, variant: str, route: Route, folder: Path) -> Recorded:
    """Record in a fresh process; in this one if the network cannot be sent there.

    Raises
    ------
    InputInvalid
        The network cannot be recorded by this route; the message is the tracer's reason.
    """
    job = {"network": network, "example": example, "variant": variant, "route": route}
    try:
        with _by_value(network):
            (folder / "job.pkl").write_bytes(_pickled(job))
    except Exception as error:  # pickling runs the __reduce__ of whatever the network holds
        return _record_here(job, folder, f"the network cannot be pickled ({type(error).__name__}: {error})")
    paths = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", CHILD, str(folder)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise InputInvalid(f"recording took longer than {TIME_LIMIT_S} s: give a smaller example.") from None
    result = folder / "result.json"
    if not result.exists():
        raise InputInvalid(f"recording ended with code {done.returncode}: {done.stderr.strip()[-500:]}")
    said = json.loads(result.read_text())
    if said["stage"] == "reading":
        return _record_here(job, folder, f"the network cannot be rebuilt in a fresh process ({said['error']})")
    if said["error"]:
        raise InputInvalid(said["error"])
    return Recorded(path=folder / "raw.pt", warnings=tuple(said["warnings"]))


def _record_here(job: dict[str, Any], folder: Path, reason: str) -> Recorded:
    """Record in this process, and say why."""
    try:
        heard = record(**job, path=folder / "raw.pt")
    except Exception as error:  # the tracer raises whatever the network's code raises
        raise InputInvalid(_brief(error)) from error
    return Recorded(path=folder / "raw.pt", warnings=heard, irreproducible=reason)


def record(network: nn.Module, example: Tensor, variant: str, route: Route, path: Path) -> tuple[str, ...]:
    """Write the network's TorchScript to ``path`` and return what the tracer warned of, one short line each."""
    import torch

    with warnings.catch_warnings(record=True) as heard, torch.no_grad():
        warnings.simplefilter("always")
        with known_deprecations():
            if variant == "channels_last":
                network = _channels_last(fold(network, example), example.ndim)
            scripted = torch.jit.trace(network, example.clone(), check_trace=False) if route == "trace" else _scripted(network, example)
            if variant != "plain":
                scripted = torch.jit.freeze(scripted)
            torch.jit.save(scripted, str(path))
    return tracer_lines(heard)


def _channels_last(network: nn.Module, dimensions: int) -> nn.Module:
    """The network with its weights and its input in channels_last order, the outputs contiguous again."""
    import torch

    order = torch.channels_last if dimensions == 4 else torch.channels_last_3d

    class ChannelsLast(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.to(memory_format=order)

        def forward(self, picture: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
            output = self.network(picture.contiguous(memory_format=order))
            contiguous = tuple(one.contiguous() for one in tensors(output))
            return contiguous[0] if isinstance(output, torch.Tensor) else contiguous

    return ChannelsLast().eval()


def _scripted(network: nn.Module, example: Tensor) -> Any:
    """The graph of `torch.export` with dynamic sizes, as a script: for networks that cannot be traced or bake a size."""
    import torch

    dynamic = {axis: torch.export.Dim.DYNAMIC for axis in range(example.ndim) if axis != 1 and example.shape[axis] > 1}
    pair = torch.cat([example, example.flip(-1)])  # a batch of 1 would be written down as the only one
    program = torch.export.export(network, (pair,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC, **dynamic},), strict=False)
    module = program.module()
    graph = module.graph
    for node in list(graph.nodes):
        if node.op == "call_module" and node.target == "_guards_fn":
            graph.erase_node(node)
        elif node.target == torch.ops.aten.sym_size.int:
            node.target = torch.ops.aten.size.int  # the same number; libtorch 2.0.0 scripts only this
    graph.set_codegen(torch.fx.graph.CodeGen())  # plain arguments instead of trees, which cannot be scripted
    return torch.jit.script(torch.fx.GraphModule(module, graph).eval())


def _pickled(job: dict[str, Any]) -> bytes:
    """The job as bytes, with classes of ``__main__`` and of functions by value."""
    import cloudpickle

    return bytes(cloudpickle.dumps(job))


@contextlib.contextmanager
def _by_value(network: nn.Module) -> Iterator[None]:
    """Have cloudpickle send the code of modules that a fresh process could not import."""
    import cloudpickle

    names = {kind.__module__ for part in network.modules() for kind in type(part).__mro__}
    strangers = [sys.modules[name] for name in sorted(names) if name in sys.modules and not _is_importable(sys.modules[name])]
    added = [
        module
        for module in strangers
        if module.__name__ != "__main__" and module.__name__ not in cloudpickle.list_registry_pickle_by_value()
    ]
    for module in added:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in added:
            cloudpickle.unregister_pickle_by_value(module)


def _is_importable(module: ModuleType) -> bool:
    """Whether a fresh process with our search path finds the same module; names built into Python count as found."""
    top = module.__name__.split(".")[0]
    if top in sys.builtin_module_names or getattr(module, "__file__", None) is None:
        return top in sys.builtin_module_names
    finders: Sequence[Any] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
    found = next((spec for spec in (finder.find_spec(top, None) for finder in finders) if spec is not None), None)
    ours = getattr(sys.modules.get(top), "__spec__", None)
    return found is not None and ours is not None and found.origin == ours.origin


def _brief(error: Exception) -> str:
    """Kind and first lines of an error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:400]}"


def main(folder: Path) -> None:
    """Do the job in ``folder``; the result says how far it came."""
    import cloudpickle

    result: dict[str, Any] = {"stage": "reading", "error": "", "warnings": []}
    try:
        job = cloudpickle.loads((folder / "job.pkl").read_bytes())
        result["stage"] = "recording"
        result["warnings"] = record(**job, path=folder / "raw.pt")
    except Exception as error:  # the parent decides what each failure means
        result["error"] = _brief(error)
    (folder / "result.json").write_text(json.dumps(result))
