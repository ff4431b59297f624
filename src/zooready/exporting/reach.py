"""How far a network sees (the halo): one line of an image is changed, and where outputs change is looked up.

A NaN, which no weight can hide, shows the farthest reach of sums and products. It dies in comparisons, in nan_to_num and in a choice of
the largest, so the line gets finite values too. Where pixels decide on the places that others are read from (a displacement field, for
one), another image may reach farther than any probe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zooready.exporting.trying import Trial, quiet
from zooready.formats.copies import copied
from zooready.formats.watching import watched
from zooready.nets.wrapping import flat

if TYPE_CHECKING:
    from torch import Tensor

PHASES = 32  # lines to try in a network of stride 1: one that pads by itself has coarse inner levels all the same, most often 32
LONGEST_PROBE = 2048  # px; a network that still reaches both ends is said to see the whole image
FINITE = ("bright", "dark")  # what the line becomes where a NaN does not show everything
FARTHER = 64  # px beyond the reach that are changed all at once
FAR = 100  # times the range of the image: how far beyond it the finite values lie
SPATIAL = ("grid_sampler_2d", "grid_sampler_3d", "take")  # operations that read from places which their other tensor names
ALONG, INDEXED = ("gather", "index_select"), ("index", "_unsafe_index")  # the same along an axis, of which 0 and 1 are none of the image
MOVED = 1e-6  # of an output's range: rounding is less


def halo(trial: Trial, strides: Sequence[int], minimums: Sequence[int]) -> int | None:
    """Pixels on each side that an output depends on; None when it depends on the whole image or cannot be measured."""
    import torch

    images = [index for index, axes in enumerate(trial.axes) if len(axes) > 2]
    if not images:
        return None
    if reads_anywhere(trial):
        return None
    reach = 0
    with quiet(), torch.backends.mkldnn.flags(enabled=False), torch.no_grad():  # its fast paths may lose a NaN
        for number, stride in enumerate(strides):
            if not stride:  # one length only: nothing is ever cut along it
                continue
            along = _along(trial, number, strides, minimums, images)
            if along is None:
                return None
            reach = max(reach, along)
    return reach


def reads_anywhere(trial: Trial) -> bool:
    """Whether pixels decide on the places in the image, or in what comes of it, that are read."""
    import torch
    from torch.utils._pytree import tree_leaves
    from torch.utils.weak import WeakTensorKeyDictionary

    image = trial.example.clone()
    derived = WeakTensorKeyDictionary()
    derived[image] = True
    found: list[str] = []

    def holds(thing: Any) -> bool:
        return any(isinstance(leaf, torch.Tensor) and leaf in derived for leaf in tree_leaves(thing))

    def placed(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        kind = func._schema.name.removeprefix("aten::")
        if kind in SPATIAL or (kind in ALONG and not 0 <= args[1] < 2) or kind in INDEXED:
            source, places = (args[0], args[1:]) if kind not in INDEXED else (args[0], [one for one in args[1] if _is_place(one)])
            if holds(source) and holds(places):
                found.append(kind)
        result = func(*args, **kwargs)
        if holds((args, kwargs)):
            for leaf in tree_leaves(result):
                if isinstance(leaf, torch.Tensor):
                    derived[leaf] = True
        return result

    try:
        with quiet(), torch.no_grad(), watched(placed):
            flat(copied(trial.network)(image))
    except Exception:  # some operations of PyTorch's own cannot be watched
        return False
    return bool(found)


def _is_place(index: Tensor | None) -> bool:
    """Whether an index is a number of a line, not a mask."""
    return index is not None and not index.dtype.is_floating_point and str(index.dtype) not in ("torch.bool", "torch.uint8")


def _along(trial: Trial, number: int, strides: Sequence[int], minimums: Sequence[int], images: list[int]) -> int | None:
    """How far one changed line reaches along an axis, over all phases of the stride; the other axes are kept short."""
    stride = strides[number]
    shortest = trial.line(number, 0, strides, minimums)[number]
    longest = max(shortest, -(-LONGEST_PROBE // stride) * stride)

    def reaches(length: int, lines: Sequence[int], values: Sequence[str]) -> list[int | None]:
        return _reaches(trial, trial.line(number, length, strides, minimums), number + 2, lines, values, images)

    for values in (("nan",), FINITE):  # as far as a NaN gets; where that is not all, as far as large values do
        middle = longest // 2 // stride * stride
        first = reaches(longest, [middle], values)[0]
        if first is None:
            continue
        if first >= longest // 2 - stride:
            return None
        phases = stride if stride > 1 else PHASES
        length = max(shortest, 2 * (-(-(first + phases) // stride) + 3) * stride)  # enough for every phase, and no longer
        middle = length // 2 // stride * stride
        found = [reach for reach in reaches(length, [middle + phase for phase in range(phases)], values) if reach is not None]
        if len(found) < phases or max(found) > first + phases:
            return None
        room = max(length, 2 * -(-(max(found) + FARTHER) // stride) * stride)
        if _is_all(trial, trial.line(number, room, strides, minimums), number + 2, max(found), images):
            return max(found)
    return None


def _is_all(trial: Trial, lengths: tuple[int, ...], axis: int, reach: int, images: list[int]) -> bool:
    """Whether nothing changes in the middle line when all that lies farther away than the reach does: a rank is moved by many only."""
    import torch

    image = trial.image(lengths)
    middle = lengths[axis - 2] // 2
    top, bottom = float(image.max()), float(image.min())
    window = (torch.arange(lengths[axis - 2]) - middle).abs() <= reach
    shape = [1] * image.ndim
    shape[axis] = -1
    inside = window.reshape(shape)
    before = trial.run(image)
    far = FAR * (top - bottom) + 1
    for other in (top + bottom - image, torch.full_like(image, top + far), torch.full_like(image, bottom - far)):
        after = trial.run(torch.where(inside, image, other))
        for index in images:
            spread = float(before[index].max() - before[index].min()) or 1.0
            lines = (result[index].select(axis - image.ndim, middle) for result in (before, after))
            if float((next(lines) - next(lines)).abs().max()) > MOVED * spread:
                return False
    return True


def _reaches(
    trial: Trial, lengths: tuple[int, ...], axis: int, lines: Sequence[int], values: Sequence[str], images: list[int]
) -> list[int | None]:
    """Largest distance, px, from each line along an axis to an output that changes with it; None if it cannot be seen."""
    image = trial.image(lengths)
    try:
        before = trial.run(image)
    except Exception:  # a size that it does not take after all
        return [None]
    if any(not before[index].is_floating_point() for index in images):
        return [None]
    top, bottom = float(image.max()), float(image.min())
    far = FAR * (top - bottom) + 1
    given = {"nan": float("nan"), "bright": top + far, "dark": bottom - far}
    found: list[int | None] = []
    for line in lines:
        reach = None
        for value in values:
            changed = image.clone()
            changed.select(axis, line).fill_(given[value])
            try:
                after = trial.run(changed)
            except Exception:  # some networks demand finite numbers
                continue
            reach = max(reach or 0, *(_distance(before[index], after[index], line, axis - image.ndim) for index in images))
        found.append(reach)
    return found


def _distance(before: Tensor, after: Tensor, line: int, axis: int) -> int:
    """Largest distance along the axis (counted from the end) from a line to a value that is another than before."""
    import torch

    finite = before.nan_to_num()
    moved = torch.isnan(after) != torch.isnan(before)
    moved |= (after.nan_to_num() - finite).abs() > MOVED * (float(finite.max() - finite.min()) or 1.0)
    lines = moved.transpose(0, axis).flatten(1).any(1).nonzero().flatten()
    return max(line - int(lines[0]), int(lines[-1]) - line) if len(lines) else 0
