"""TorchScript: the format that Fiji's own PyTorch engine reads, traced in a fresh process and proven at several sizes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from zooready.errors import InputInvalid, OutputsDiffer
from zooready.formats import trials, vmapped
from zooready.formats.branches import DataBranch
from zooready.formats.copies import evaluating
from zooready.formats.demands import Demands
from zooready.formats.installed import torch_version
from zooready.formats.proof import largest_difference
from zooready.formats.starting import Device, Run, torch_run
from zooready.formats.torchscript import container
from zooready.formats.torchscript.tracing import Recorded, Route, record_apart
from zooready.formats.warned import brief, known_deprecations
from zooready.records import Case, Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

Variant = Literal["plain", "frozen", "channels_last"]
VARIANTS: tuple[Variant, ...] = ("plain", "frozen", "channels_last")
ROUTES: tuple[Route, ...] = ("trace", "export")


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What is to be written, and what it must compute."""

    network: nn.Module
    example: Tensor
    variant: str
    cases: tuple[Case, ...]
    static: tuple[int, ...]
    demands: Demands


def write(
    module: nn.Module,
    example: Tensor,
    path: Path,
    demands: Demands = Demands(),  # noqa: B008 - frozen
    *,
    variant: str = "plain",
) -> Weights:
    """Write a module as TorchScript that any engine can load, byte-identical when written again.

    The module is copied, evaluated, traced in a fresh process, and the file compared with the eager network at several sizes and
    images. If the trace is wrong or impossible, `torch.export` and `torch.jit.script` are tried.

    Parameters
    ----------
    module
        (b, c, y, x) or (b, c, z, y, x) float32 -> a tensor or a tuple of tensors, of any size. Left as it was, mode included.
    example
        (1, c, y, x) or (1, c, z, y, x) float32, raw pixels.
    path
        Ends in ``.pt``, as JDLL demands.
    demands
        What may be recorded, and what the file must compute.
    variant
        ``plain``; ``frozen`` (`torch.jit.freeze`); ``channels_last`` (BatchNorm folded, weights and input in channels_last order inside
        the file, frozen), which more than halves the time of many networks in Fiji's engine.

    Returns
    -------
    Weights
        details: ``torch``, ``variant``, ``exporter`` (trace or export), ``reproducible``, ``difference`` (largest difference / range),
        ``warnings``, ``skipped`` (trial images that the network itself cannot take), ``reason`` (why not reproducible).

    Raises
    ------
    InputInvalid
        An unknown variant, a wrong name, or a network that no route records rightly.
    """
    if variant not in VARIANTS:
        raise InputInvalid(f"variant={variant!r} is not known. Use one of {VARIANTS}.")
    if path.suffix != ".pt":
        raise InputInvalid(f"{path.name}: JDLL opens TorchScript only from files that end in '.pt', e.g. weights.pt.")
    network = evaluating(module)
    cases, skipped = trials.cases(network, example.detach().cpu().numpy(), demands.fixed)
    static = tuple(n for n, axis in enumerate(trials.axes_of(cases[0].input)) if axis in demands.fixed)
    order = _Order(
        network=evaluating(module),  # not the one that ran: it may keep what it saw
        example=example.detach().cpu().float(),
        variant=variant,
        cases=cases,
        static=static,
        demands=demands,
    )
    faults: list[tuple[str, Exception]] = []
    ways: list[tuple[Route, Tensor]] = [
        ("trace", order.example),
        *(("trace", other) for other in demands.others),
        ("export", order.example),
    ]
    for route, image in [way for way in ways if way[0] in ROUTES]:
        if image is not order.example and not isinstance(faults[-1][1], OutputsDiffer):
            continue  # it cannot be traced at all
        with TemporaryDirectory(dir=path.parent) as folder:
            try:
                details = _attempt(replace(order, example=image), route, Path(folder))
            except DataBranch as fault:
                raise InputInvalid(f"{type(module).__name__} cannot be written: {fault}.") from None
            except (InputInvalid, OutputsDiffer) as fault:
                faults.append(("torch.jit.trace" if route == "trace" else "torch.export + script", fault))
                continue
            (Path(folder) / "weights.pt").replace(path)
        facts = {"torch": torch_version(), "variant": variant, **details, "skipped": skipped}
        return Weights(format="torchscript", path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), details=facts)
    raise InputInvalid(
        f"{type(module).__name__} cannot be written as TorchScript that is right at every size. "
        f"{'. '.join(f'{route}: {fault}' for route, fault in faults)}. {_cure(order, [fault for _, fault in faults])}"
    )


def _cure(order: _Order, faults: Sequence[Exception]) -> str:
    """What to change, by what was seen: a larger tolerance helps only a file that was written and differs."""
    if vmapped.is_vmapped(order.network, order.example):
        return f"Cure: {vmapped.CURE}."
    cures = ["take sizes from x.shape without int() or NumPy, put torch.where in the place of a Python if on values or sizes"]
    if any(isinstance(fault, OutputsDiffer) for fault in faults):
        cures.append("allow torchscript a larger tolerance if the difference is rounding that you accept")
    return f"Cure: {', or '.join(cures)}."


def _attempt(order: _Order, route: Route, folder: Path) -> dict[str, Any]:
    """Record by one route into ``folder / "weights.pt"``, compare, and give the details."""
    recorded: Recorded = record_apart(order.network, order.example, variant=order.variant, route=route, folder=folder, static=order.static)
    texts, moved = _portable(recorded.path)
    target = folder / "weights.pt"
    container.strip(recorded.path, target, texts)
    left_out: list[str] = []
    tolerance, labels = order.demands.allowed("torchscript"), order.demands.labels
    largest = largest_difference(order.cases, start(target), tolerance, labels, network=order.network, left_out=left_out)
    details: dict[str, Any] = {"exporter": route, "difference": largest, "reproducible": not recorded.irreproducible}
    if recorded.irreproducible:
        details["reason"] = recorded.irreproducible
    unsteady = [f"{name}: the network's float32 is far from its float64" for name in left_out]
    warnings = [*recorded.warnings, *unsteady, *(f"{name}: device follows the input" for name in moved)]
    return {**details, "warnings": tuple(warnings)}


def _portable(path: Path) -> tuple[dict[str, str], list[str]]:
    """Code of the file with devices taken from the input, and the operators that this changed.

    Raises
    ------
    InputInvalid
        A device is written into a function that has no tensor to take it from.
    """
    texts: dict[str, str] = {}
    moved: list[str] = []
    for name, text in container.code(path).items():
        texts[name], changed = container.follow_input_device(text)
        moved += changed
        left = container.devices(texts[name])
        if left:
            raise InputInvalid(
                f"the device 'cpu' is written into {', '.join(sorted(set(left)))}, which breaks on a GPU: "
                "make it from another tensor, e.g. torch.ones_like(row).cumsum(0) - 1 for torch.arange(..., device=x.device)."
            )
    return texts, sorted(set(moved))


def load(path: Path) -> nn.Module:
    """Load a TorchScript file on the CPU, in eval mode. TorchScript is code: ask :func:`unsafe` first about a stranger's.

    Raises
    ------
    InputInvalid
        PyTorch cannot read it.
    """
    import torch

    with known_deprecations():
        try:
            loaded: Any = torch.jit.load(str(path), map_location="cpu")
        except Exception as error:  # torch raises runtime, value and unicode errors, depending on where the file is broken
            raise InputInvalid(f"{path.name} cannot be loaded ({brief(error)}): export it again.") from error
    return loaded.eval()  # type: ignore[no-any-return]


def start(path: Path, device: Device = "cpu") -> Run:
    """A function that runs a TorchScript file. It is code: ask :func:`unsafe` first about a stranger's.

    Raises
    ------
    InputInvalid
        PyTorch cannot read it.
    ConsumerMissing
        CUDA was asked for and is not here.
    """
    return torch_run(load(path), device)
