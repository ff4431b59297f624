"""Record a network as TorchScript, in a process of its own: tracing twice in one process gives different bytes.

The child gets a folder that holds ``job.pkl``, and leaves ``raw.pt`` and ``result.json`` in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from zooready.errors import InputInvalid
from zooready.formats import branches
from zooready.formats.branches import DataBranch
from zooready.formats.copies import evaluating, tensors
from zooready.formats.forms import traced
from zooready.formats.torchscript.folding import fold
from zooready.formats.torchscript.unfusing import unfused
from zooready.formats.vmapped import is_vmapped
from zooready.formats.warned import brief, known_deprecations, tracer_lines
from zooready.processes import end, prepare, start_worker, time_left

if TYPE_CHECKING:
    from torch import Tensor, nn

Route = Literal["trace", "export", "branches", "guards"]
# of one recording: `torch.export` of a large transformer takes minutes, and of some networks has no end
TIME_LIMIT_S = 600
EVIDENCE_LIMIT_S = 120  # of one question to `torch.export`, which writes nothing
IMPORTS = ("torch", "cloudpickle", __name__)  # of every recording


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a recording left: the file, short warnings of the tracer, and why its bytes may differ next time (empty: they do not)."""

    path: Path
    warnings: tuple[str, ...]
    irreproducible: str = ""


def record_apart(
    network: nn.Module,
    example: Tensor,
    *,
    variant: str,
    route: Route,
    folder: Path,
    static: tuple[int, ...] = (),
) -> Recorded:
    """Record in a fresh process; in this one if the network cannot be sent there.

    Parameters
    ----------
    static
        Positions of the axes that take one length only.

    Raises
    ------
    InputInvalid
        The network cannot be recorded by this route; the message is the tracer's reason.
    """
    job = {"network": network, "example": example, "variant": variant, "route": route, "static": static}
    try:
        with _by_value(network):
            (folder / "job.pkl").write_bytes(_pickled(job))
    except Exception as error:  # pickling runs the __reduce__ of whatever the network holds
        return record_here(job, folder, f"the network cannot be pickled ({type(error).__name__}: {error})")
    limit = min(TIME_LIMIT_S, EVIDENCE_LIMIT_S if route in ("branches", "guards") else TIME_LIMIT_S, time_left())
    log = folder / "log.txt"
    child = start_worker(__name__, folder, imports=IMPORTS, environment=_environment(), cwd=Path.cwd(), log=log)
    try:
        code = child.wait(limit)
    except subprocess.TimeoutExpired:
        raise InputInvalid(f"recording took longer than {limit:.3g} s: give a smaller example.") from None
    finally:
        end(child)
    result = folder / "result.json"
    if not result.exists():
        raise InputInvalid(f"recording ended with code {code}: {log.read_text(errors='replace').strip()[-500:]}")
    report = json.loads(result.read_text())
    if report["stage"] == "reading":
        return record_here(job, folder, f"the network cannot be rebuilt in a fresh process ({report['error']})")
    if report["stage"] == "branching":
        raise DataBranch(report["error"])
    if report["error"]:
        raise InputInvalid(report["error"])
    return Recorded(path=folder / "raw.pt", warnings=tuple(report["warnings"]))


def soon() -> None:
    """Make ready for recordings, beside what is done here: what they import takes seconds."""
    prepare(IMPORTS, _environment(), Path.cwd())


def _environment() -> dict[str, str]:
    """Variables of a process that records: our search path, and one order of sets."""
    paths = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"}


def record_here(job: dict[str, Any], folder: Path, reason: str) -> Recorded:
    """Record in this process, and say why."""
    try:
        lines = record(**{**job, "network": evaluating(job["network"])}, path=folder / "raw.pt")
    except InputInvalid:
        raise
    except Exception as error:  # the tracer raises whatever the network's code raises
        raise InputInvalid(brief(error)) from error
    return Recorded(path=folder / "raw.pt", warnings=lines, irreproducible=reason)


def record(network: nn.Module, example: Tensor, variant: str, route: Route, path: Path, static: tuple[int, ...] = ()) -> tuple[str, ...]:
    """Write the network's TorchScript to ``path`` and return what there is to say of it, one short line each.

    The route ``branches`` writes nothing. It and ``trace`` raise DataBranch where pixel values decide through Python. ``guards`` writes
    nothing either, and returns the conditions on sizes that `torch.export` met.
    """
    import torch

    def refused() -> tuple[str, ...]:
        return branches.refuse(plain, example, lambda: _exported(plain, example, static))

    plain = network
    if route == "branches":
        return refused()
    if route == "guards":
        return tuple(getattr(_program(plain, example, static), "_guards_code", ()) or ())

    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always")
        with known_deprecations():
            if variant == "channels_last":
                network = _channels_last(fold(network, example), example.ndim)
            state = {name: tensor.clone() for name, tensor in (*network.named_parameters(), *network.named_buffers())}
            scripted = traced(network, example) if route == "trace" else _scripted(network, example, static)
            for name, tensor in scripted.state_dict().items():  # a network that counts its runs counted this one
                if name in state:
                    tensor.copy_(state[name])
            if variant != "plain":
                scripted = torch.jit.freeze(scripted)
            torch.jit.save(unfused(scripted), str(path))
    return (*tracer_lines(caught), *(refused() if route == "trace" else ()))


def _channels_last(network: nn.Module, dimensions: int) -> nn.Module:
    """The network with its weights and its input in channels_last order, the outputs contiguous again."""
    import torch

    order = torch.channels_last if dimensions == 4 else torch.channels_last_3d

    class ChannelsLast(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.to(memory_format=order)

        def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
            output = self.network(image.contiguous(memory_format=order))
            contiguous = tuple(one.contiguous() for one in tensors(output))  # a trace writes these names into the file, whose bytes stay
            return contiguous[0] if isinstance(output, torch.Tensor) else contiguous

    return ChannelsLast().eval()


def _exported(network: nn.Module, example: Tensor, static: tuple[int, ...]) -> Any:
    """The graph of `torch.export`; of a network with `torch.vmap`, which a script has not, one that was taken apart into operators."""
    if is_vmapped(network, example):
        return _program(network, example, static, strict=True).run_decompositions({}).module()
    return _program(network, example, static).module()


def _program(network: nn.Module, example: Tensor, static: tuple[int, ...], *, strict: bool = False) -> Any:
    """The program of `torch.export`, dynamic in every size that the example leaves open (a length of 1 is taken as the only one)."""
    import torch

    pair = example if 0 in static else torch.cat([example, example.flip(-1)])
    free = (axis for axis in range(pair.ndim) if axis not in (1, *static) and pair.shape[axis] > 1)
    dynamic = dict.fromkeys(free, torch.export.Dim.DYNAMIC)
    return torch.export.export(network, (pair,), dynamic_shapes=(dynamic,), strict=strict)


def _scripted(network: nn.Module, example: Tensor, static: tuple[int, ...]) -> Any:
    """The exported graph as a script: for networks that cannot be traced or bake a size."""
    import torch

    return torch.jit.script(_scriptable(_exported(network, example, static)))


def _scriptable(module: Any) -> nn.Module:
    """An exported graph in the words that TorchScript and libtorch 2.0.0 know: no trees, no overloads by name, no device literals."""
    import torch

    graph = module.graph
    image = next(node for node in graph.nodes if node.op == "placeholder")
    with graph.inserting_after(image):
        device = graph.call_function(torch.ops.prim.device, (image,))
    for node in list(graph.nodes):
        if node.op == "call_module" and node.target == "_guards_fn":
            graph.erase_node(node)
        elif node.target == torch.ops.aten.sym_size.int:
            node.target = torch.ops.aten.size
        elif isinstance(node.target, torch._ops.OpOverload):
            node.target = node.target.overloadpacket
        if isinstance(node.kwargs.get("device"), torch.device):
            node.kwargs = {**node.kwargs, "device": device}
    if not device.users:
        graph.erase_node(device)
    graph.set_codegen(torch.fx.graph.CodeGen())
    return torch.fx.GraphModule(module, graph).eval()


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
    """Whether a fresh process with our search path finds the same module; names built into Python count too."""
    top = module.__name__.split(".")[0]
    if top in sys.builtin_module_names or getattr(module, "__file__", None) is None:
        return top in sys.builtin_module_names
    finders: Sequence[Any] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
    spec = next((spec for spec in (finder.find_spec(top, None) for finder in finders) if spec is not None), None)
    ours = getattr(sys.modules.get(top), "__spec__", None)
    return spec is not None and ours is not None and spec.origin == ours.origin


def _end_with_the_parent() -> None:
    sys.stdin.buffer.read()  # ends when the parent does, however that came about
    os._exit(1)


def main(folder: Path) -> None:
    """Do the job in ``folder``; the result says how far it came."""
    import cloudpickle

    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    result: dict[str, Any] = {"stage": "reading", "error": "", "warnings": []}
    try:
        job = cloudpickle.loads((folder / "job.pkl").read_bytes())
        result["stage"] = "recording"
        result["warnings"] = record(**job, path=folder / "raw.pt")
    except DataBranch as fault:
        result |= {"stage": "branching", "error": str(fault)}
    except Exception as error:  # the parent decides what each failure means
        result["error"] = brief(error)
    (folder / "result.json").write_text(json.dumps(result))
