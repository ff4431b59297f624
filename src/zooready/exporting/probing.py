"""What any module needs and returns, measured: strides, smallest size, halo, axes of its outputs.

The order was found on 59 published networks (docs/consumers.md): sizes are measured on the trace against the eager network, because a
size or a branch that tracing bakes in is wrong without a word. Each run is of a network as it was given.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zooready.errors import InputInvalid
from zooready.exporting import causes, chance, compiled, places, reach, sizes
from zooready.exporting.trying import UNFIT, Trial, agree, axes_of, resized
from zooready.formats.copies import copied, equal
from zooready.nets.wrapping import flat
from zooready.records import Measured

if TYPE_CHECKING:
    from torch import Tensor, nn

STRIDES = (1, 2, 4, 8, 16, 32, 64, 3, 5, 6, 7, 10, 12, 14, 20, 24, 28, 40, 48, 56, 96, 112, 128)
PLACED = (
    "results depend on where in the image a pixel lies, or on the image's size (coordinates, a position's own weights, resizing to a size "
    "that no step divides), so that tiles of an image would give other results"
)
SAID = 0.001  # of the range: padding that moves results by less is not told


def prepared(network: nn.Module) -> nn.Module:
    """A copy to measure and export: unwrapped, on the CPU, float32, in eval mode. The caller's module is never touched.

    Raises
    ------
    InputInvalid
        The module cannot be copied, or takes more than one input.
    """
    import torch

    network = unwrapped(network)
    if isinstance(network, torch.jit.ScriptModule):
        raise InputInvalid(f"{network.original_name} is TorchScript already: give the torch.nn.Module that it was made from.")
    if any(tensor.is_meta for tensor in itertools.chain(network.parameters(), network.buffers())):
        raise InputInvalid(f"{type(network).__name__} has weights on the 'meta' device, which hold no numbers: load its weights first.")
    if any(torch.nn.parameter.is_lazy(tensor) for tensor in itertools.chain(network.parameters(), network.buffers())):
        raise InputInvalid(
            f"{type(network).__name__} has lazy layers, which get their weights when they first see an image: run it once on an example, "
            "network(torch.from_numpy(example)), and load its trained weights."
        )
    if fault := causes.in_whole_numbers(network):
        raise InputInvalid(fault)
    try:
        network = copied(network).cpu().float().eval().requires_grad_(False)
    except Exception as error:
        raise InputInvalid(
            f"{type(network).__name__} cannot be copied ({type(error).__name__}: {error}): drop what is no weight (open files, "
            "hooks, results of a forward pass) before exporting."
        ) from None
    if fault := causes.inputs(network):
        raise InputInvalid(fault)
    return compiled.eager(network)


def unwrapped(network: nn.Module) -> nn.Module:
    """The caller's own module inside of torch.compile, DataParallel and DistributedDataParallel.

    Raises
    ------
    InputInvalid
        It is no module.
    """
    from torch import nn

    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    if not isinstance(network, nn.Module):
        raise InputInvalid(f"got {type(network).__name__} where a network was expected: give a torch.nn.Module.")
    while inner := getattr(network, "_orig_mod", None) or (isinstance(network, parallel) and network.module):
        network = inner
    return network


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Sizes at which a trace was right: ``strides`` and ``minimums`` a spatial axis, px (0: that axis has one length).

    ``note`` says what could not be shown of larger images, or why there are no strides; ``decides`` that a size became Python's.
    """

    strides: tuple[int, ...]
    minimums: tuple[int, ...]
    note: str = ""
    decides: bool = False


def measure(network: nn.Module, example: Tensor, keep: Sequence[int] = ()) -> Measured:
    """Strides, smallest size, halo and outputs of ``network``, a module from :func:`prepared`.

    Parameters
    ----------
    example
        (1, c, y, x) or (1, c, z, y, x) float32, as the network itself sees it (normalised).
    keep
        Places of the outputs that the bundle gives; all if empty.

    Raises
    ------
    InputInvalid
        The network fails on the example, returns what no bundle can hold, changes the image's size, is random, or keeps what it saw.

    Notes
    -----
    ``stride == 0`` means that no trace serves every size: ``fixed`` is then the one size at which it does (or empty),
    ``eager_stride`` and ``minimum`` are those of the eager network, for another way to TorchScript, and ``notes`` says why.
    """
    trial, outputs = _first_run(network, example, keep)
    trial = replace(trial, has_state=_has_state(trial, outputs))
    note = _batch_note(trial)
    channels = tuple(int(output.shape[1]) if "c" in a else 1 for output, a in zip(outputs, trial.axes, strict=True))
    facts: dict[str, Any] = {"outputs": trial.axes, "channels": channels}
    lengths = dict(zip("zyx"[-(trial.example.ndim - 2) :], map(int, trial.example.shape[2:]), strict=True))
    why = ""
    eager: tuple[int, int] = (0, 0)  # smallest stride at which the network itself works, and its smallest size
    for fixed in ({}, {"z": lengths["z"]}) if "z" in lengths else ({},):
        grid, eager = _grid(trial, tuple(0 if axis in fixed else 1 for axis in lengths))
        if grid is not None and not grid.strides:
            why, eager = grid.note, (0, 0)
            break
        if grid is not None:
            planes = f"takes stacks of {fixed['z']} planes only, and images of any y and x" if fixed else ""
            halo, step, placed = _tiling(trial, grid)
            said = (note, grid.note, _padding_note(trial, grid, eager[0]), planes, placed)
            return Measured(
                stride=max(grid.strides), minimum=max(grid.minimums), halo=halo, tile_step=step, fixed=fixed,
                strides=grid.strides if len(set(grid.strides) - {0}) > 1 or fixed else (),
                minimums=grid.minimums if len(set(grid.strides) - {0}) > 1 or fixed else (),
                eager_stride=eager[0], decides_on_sizes=grid.decides, notes=tuple(filter(None, said)), **facts,
            )  # fmt: skip
        if eager[0]:
            break
    why = why or ("its trace is wrong at other sizes" if eager[0] else "it fails at other sizes")
    size = " x ".join(map(str, lengths.values()))
    only = f"works at {size} px only, since {why}; larger images are cut into such tiles, which shows where the network sees further"
    if eager[0]:
        only += ". Sizes taken from x.shape without int(), math or NumPy (h * 7 // 10 for int(h * 0.7)) leave it free"
    if not trial.agrees_here():
        lengths = {}
        only = (
            f"the trace of {type(network).__name__} cannot be made, or differs from the network even at the example's size: a Python 'if' "
            "on pixel values is frozen by tracing. Replace it by torch.where, or export a module without the branch."
        )
    notes = tuple(filter(None, (only, note)))
    return Measured(stride=0, minimum=eager[1], halo=None, fixed=lengths, eager_stride=eager[0], notes=notes, **facts)


def _first_run(network: nn.Module, example: Tensor, keep: Sequence[int]) -> tuple[Trial, tuple[Tensor, ...]]:
    """A trial, and the outputs for its example, which is enlarged to the next multiple of a stride if the network demands one."""
    first: InputInvalid | None = None
    for stride in STRIDES:
        lengths = [max(2 * stride, -(-size // stride) * stride) if stride > 1 else int(size) for size in example.shape[2:]]
        enlarged = resized(example, 1, *lengths) if stride > 1 else example
        trial = Trial(network=network, example=enlarged, has_state=True)
        try:
            outputs = _run(trial, enlarged)
            return replace(trial, axes=axes_of(outputs, enlarged, keep)), outputs
        except InputInvalid as fault:
            first = first or fault
            if "failed on the example" not in str(first) and UNFIT.partition("{")[0] not in str(first):
                raise
    raise first or InputInvalid("the network works at no size.")


def _run(trial: Trial, image: Tensor) -> tuple[Tensor, ...]:
    with causes.watched() as convolutions:
        try:
            outputs = trial.run(image)
        except Exception as error:
            cure = causes.cure(trial.network, image, convolutions, error)
            if unusable := causes.returned(trial.network, image):
                raise InputInvalid(unusable) from None
            raise InputInvalid(
                f"the network failed on the example {tuple(image.shape)}: {type(error).__name__}: {str(error)[:300].rstrip('. ')}. {cure}"
            ) from None
    if fault := causes.without_batch(image, convolutions):
        raise InputInvalid(fault)
    if not outputs:
        raise InputInvalid("the network returned no tensor: return at least one.")
    return outputs


def _has_state(trial: Trial, outputs: tuple[Tensor, ...]) -> bool:
    """Whether a run changes the network, which must not show in its outputs.

    Raises
    ------
    InputInvalid
        Two fresh copies differ, so the network is random; or one that saw another image differs, so it keeps what it saw.
    """
    import torch

    for first, second in zip(outputs, _run(trial, trial.example), strict=True):
        if not agree((first,), (second,), 1e-5):
            raise InputInvalid(
                f"two runs of the network on one image differ by {float((first.float() - second.float()).abs().max()):.3g}: "
                "remove what is random in eval mode (functional.dropout without training=self.training, torch.rand)."
            )
    if drawn := chance.draws(trial, outputs):
        raise InputInvalid(
            f"{type(trial.network).__name__} draws random numbers in eval mode ({drawn}), which its outputs depend on, and no file keeps a "
            "seed: remove them, or draw them once, in __init__, into a buffer (register_buffer)."
        )
    used = copied(trial.network)
    before = _state(used)
    opposite = trial.example.max() + trial.example.min() - trial.example
    with torch.no_grad():
        flat(used(opposite.clone()))
        after = _state(used)
        changed = sorted(name for name in {*before, *after} if not _is_same(before.get(name), after.get(name)))
        try:
            again = flat(used(trial.example.clone()))
        except Exception:  # what it kept fits no other image
            again = ()
    if changed and (parts := causes.quantised(used)):
        raise InputInvalid(
            f"{type(trial.network).__name__} was prepared for quantisation: {', '.join(parts[:2])}{', …' if len(parts) > 2 else ''} change "
            "with every image. Export the network that it was before prepare_qat, with the trained weights: "
            "network.load_state_dict(prepared.state_dict(), strict=False)."
        )
    if not agree(outputs, again, 1e-5):
        raise InputInvalid(
            f"the network's output depends on the images that it saw before: it keeps {', '.join(changed) or 'something'} from one "
            "image to the next, and no program resets that. Compute it anew in every forward pass."
        )
    return bool(changed)


def _state(network: nn.Module) -> dict[str, Any]:
    """Copies of all tensors and plain attributes in a network, by name."""
    import torch

    held: dict[str, Any] = {name: tensor.detach().clone() for name, tensor in (*network.named_parameters(), *network.named_buffers())}
    for path, part in network.named_modules():
        for name, value in vars(part).items():
            if name.startswith("_") and name[1:] in ("parameters", "buffers", "modules"):
                continue
            if isinstance(value, torch.Tensor):
                held[f"{path}.{name}".lstrip(".")] = value.detach().clone()
            elif isinstance(value, bool | int | float | str | type(None)):
                held[f"{path}.{name}".lstrip(".")] = value
            elif isinstance(value, list | dict | set | tuple):
                held[f"{path}.{name}".lstrip(".")] = len(value)
    return held


def _is_same(first: Any, second: Any) -> bool:
    import torch

    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return equal(first, second)
    return type(first) is type(second) and bool(first == second or first is second)


def _batch_note(trial: Trial) -> str:
    """What to say of a network whose images influence each other in a batch; empty if they do not.

    Raises
    ------
    InputInvalid
        Two images give other shapes than each by itself, so an output has no place for the second.
    """
    import torch

    first, low, high = trial.example, trial.example.min(), trial.example.max()
    second = low + 0.1 * (high - low) + 0.75 * (high - first).flip(-1)  # another image, of another smallest and largest value
    try:
        alone = [trial.run(image) for image in (first, second)]
        both = trial.run(torch.cat([first, second]))
    except Exception:  # it takes one image at a time, which the comparisons that follow find
        return ""
    expected = tuple(torch.cat(pair) for pair, axes in zip(zip(*alone, strict=True), trial.axes, strict=True) if axes)
    outputs = tuple(output for output, axes in zip(both, trial.axes, strict=True) if axes)
    for have, want in zip(outputs, expected, strict=True):
        if have.shape != want.shape:
            raise InputInvalid(
                f"two images give an output of shape {tuple(have.shape)} instead of {tuple(want.shape)}: the network mixes the images of a "
                "batch. Reduce over c, y and x only, so that every image keeps a result of its own (b, ...)."
            )
    if agree(expected, outputs, 1e-3):
        return ""
    return "the images of a batch influence each other in this network: give it one image at a time"


def _grid(trial: Trial, free: tuple[int, ...]) -> tuple[_Grid | None, tuple[int, int]]:
    """The smallest strides at which a trace is right, and the smallest stride and size of the network itself.

    ``free`` is 1 for each spatial axis that may vary, 0 for the others.
    """
    eager = (0, 0)
    for stride in STRIDES:
        strides = tuple(stride * one for one in free)
        if not trial.works(strides):
            continue
        if not eager[0]:
            eager = (stride, 0)
        finest = _finest(trial, strides) if eager[0] == stride > 1 else strides
        recordings = [(steps, lengths) for steps in dict.fromkeys((finest, strides)) for lengths in trial.recordings(steps)]
        for steps, lengths in recordings:
            traced, lines = trial.traced(trial.image(lengths))
            if traced is None or not trial.agrees(traced, steps):
                continue
            multiple, note = trial.smallest(steps, traced), ""
            if lines:  # a size became Python's: what hangs on it?
                right, note = sizes.doubted(trial, traced, steps, multiple * stride, lengths)
                if not right:  # no other tracer would do better
                    return _Grid(strides=(), minimums=(), note=note), eager
            return _Grid(strides=steps, minimums=tuple(multiple * one for one in steps), note=note, decides=bool(lines)), eager
    if eager[0]:
        eager = (eager[0], trial.smallest(tuple(eager[0] * one for one in free), None) * eager[0])
    return None, eager


def _finest(trial: Trial, strides: tuple[int, ...]) -> tuple[int, ...]:
    """The strides with that of each axis as small as the network takes it while the others stay."""
    finest = list(strides)
    for number, stride in enumerate(strides):
        for smaller in sorted(divisor for divisor in STRIDES if divisor < stride and stride % divisor == 0):
            if trial.works([*finest[:number], smaller, *finest[number + 1 :]]):
                finest[number] = smaller
                break
    return tuple(finest)


def _tiling(trial: Trial, grid: _Grid) -> tuple[int | None, int, str]:
    """The halo, the places at which tiles may begin, and a note where a halo is not enough to cut the image into tiles."""
    halo = reach.halo(trial, grid.strides, grid.minimums)
    if halo is None:
        return None, 0, ""
    step = places.tile_step(trial, grid.strides, grid.minimums, halo)
    if step is None:
        return None, 0, PLACED
    return halo, step, ""


def _padding_note(trial: Trial, grid: _Grid, eager_stride: int) -> str:
    """What the bundle's padding changes where the network itself takes a size: which sizes, and by how much results move."""
    stride = max(grid.strides)
    smallest = max(grid.minimums)
    if eager_stride >= stride and smallest <= stride:
        return ""
    moved, where = sizes.padding_moves(trial, grid.strides, grid.minimums)
    if moved <= SAID:
        return ""
    by = f"by repeating the last pixel, which moves results by up to {moved:.2g} of their range (at {where} px)"
    if eager_stride >= stride:
        return f"images below {smallest} px are padded, though the network itself takes some of them, {by}"
    taken = "any size" if eager_stride == 1 else f"any size that is a multiple of {eager_stride} px"
    return (
        f"the network itself takes {taken}, but no recording of it does, because it decides on sizes in Python: in this bundle, sizes that "
        f"are no multiple of {stride} px, and those below {smallest} px, are padded {by}"
    )
