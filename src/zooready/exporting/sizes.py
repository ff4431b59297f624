"""Large images, as many as time and memory allow: sizes are compared there too, since a Python ``if`` may hang on the area.

What a run costs is counted, not timed, so that the same network is compared at the same sizes everywhere.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from zooready.errors import InputInvalid
from zooready.exporting.trying import Trial
from zooready.formats.torchscript.tracing import record_apart
from zooready.formats.watching import watched
from zooready.images.agreement import ranges_of
from zooready.nets.wrapping import FijiSafe, flat
from zooready.records import Case

if TYPE_CHECKING:
    from torch import Tensor, nn

LARGE_2D = ((4, 48, 67), (1, 256, 256), (1, 512, 512), (1, 509, 787), (1, 1024, 1024))  # (batch, y, x): round, square, prime
LARGE_3D = ((4, 5, 24, 31), (1, 16, 96, 96), (1, 32, 128, 128), (1, 31, 211, 223))  # (batch, z, y, x)
SECONDS, DOUBTED_SECONDS = 1.0, 12.0  # of one run on one slow core, by count; the second where the network decides on sizes
FLOPS, ELEMENTS = 2e10, 3e8  # such a core a second
LARGEST = 2**26  # elements of the largest tensor inside
EXACTLY = re.compile(r"size\[\d\] != (\d+)$")  # a condition of torch.export that one length alone does not meet
AGAIN = 2  # sizes at which `torch.export` is asked once more
MOST_NAMED = 64
FARTHEST = 8192  # px; beyond it no condition on a size is looked for


@dataclass(frozen=True)
class Cost:
    """What runs of a network cost by the number of pixels: counted at two sizes, by which it is foretold for others."""

    pixels: int
    seconds: float
    elements: int
    power: float

    def allows(self, pixels: int, seconds: float) -> bool:
        """Whether a run on so many pixels stays below the seconds and :data:`LARGEST`."""
        ratio = max(1.0, pixels / self.pixels)
        growth = float(ratio**self.power)
        return self.seconds * growth <= seconds and self.elements * growth <= LARGEST


def cost(run: Callable[[Tensor], object], small: Tensor, large: Tensor) -> Cost:
    """What a run costs, counted on two images of which the second is larger."""
    (first, _), (second, elements) = _counted(run, small), _counted(run, large)
    power = math.log(second / first) / math.log(large.numel() / small.numel()) if second > first else 1.0
    return Cost(large[0, 0].numel(), second, elements, max(1.0, power))


def _counted(run: Callable[[Tensor], object], image: Tensor) -> tuple[float, int]:
    """Seconds by count, and elements of the largest tensor."""
    import torch
    from torch.utils.flop_counter import flop_registry

    flops = elements = 0
    largest = 1

    def counted(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        nonlocal flops, elements, largest
        result = func(*args, **kwargs)
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            flops += int(count(*args, **kwargs, out_val=result))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                elements += tensor.numel()
                largest = max(largest, tensor.numel())
        return result

    with torch.no_grad(), watched(counted):
        run(image)
    return flops / FLOPS + elements / ELEMENTS, largest


def large(network: nn.Module, example: Tensor, fixed: Mapping[str, int], doubted: bool) -> Iterator[tuple[int, ...]]:
    """(batch, ...) sizes at which a network is to be compared beyond the stored cases, the cheap ones first."""
    trial = Trial(network=network, example=example, has_state=True)
    free = ["zyx"[-(example.ndim - 2) :][n] not in fixed for n in range(example.ndim - 2)]
    if not any(free):
        return
    shapes = LARGE_2D if example.ndim == 4 else LARGE_3D

    def sized(shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(size if is_free else int(have) for size, is_free, have in zip(shape, free, example.shape[2:], strict=True))

    small, larger = ((8, 24, 24), (16, 48, 48)) if example.ndim == 5 else ((48, 48), (96, 96))
    try:
        known = cost(trial.run, trial.image(sized(small)), trial.image(sized(larger)))
    except Exception:  # some operations cannot be watched, and some sizes are not taken
        return
    seconds = DOUBTED_SECONDS if doubted else SECONDS
    for batch, *shape in shapes:
        if known.allows(batch * math.prod(sized(shape)), seconds):
            yield (batch, *sized(shape))


def doubted(
    trial: Trial, traced: Callable[[Tensor], object], strides: Sequence[int], minimum: int, recorded: Sequence[int]
) -> tuple[bool, str]:
    """Whether a trace that turned a size into Python's holds at large sizes and where `torch.export` says that something hangs on them.

    Parameters
    ----------
    minimum
        Smallest size, px.
    recorded
        Lengths that the trace was made at.

    Returns
    -------
    bool
        Whether it agreed with the network wherever that could be run.
    str
        Where it did not, or what could not be compared; empty if nothing.
    """
    sizes = [
        trial.lengths(strides, (max(step, size), max(step, other))) for step in (max(strides),) for size, other in ((48, 48), (96, 96))
    ]
    try:
        known = cost(trial.run, *(trial.image(size) for size in sizes))
    except Exception:  # nothing can be foretold: the comparisons of the files must do
        return True, ""
    shapes = [trial.lengths(strides, shape) for batch, *shape in (LARGE_2D if len(strides) == 2 else LARGE_3D)]
    turns = _turns(trial, strides, minimum, recorded)
    for lengths in list(turns)[:AGAIN]:  # behind a condition that no longer holds there may be another
        turns = {**_turns(trial, strides, minimum, lengths), **turns}
    beyond = ""
    for lengths in sorted({*shapes, *turns}, key=math.prod):
        if not known.allows(math.prod(lengths), DOUBTED_SECONDS):
            if lengths in turns and not beyond:
                beyond = (
                    f"something in the network's Python hangs on the size from {' x '.join(map(str, lengths))} px on "
                    f"({turns[lengths]}), which was too large to be compared: larger images may give other numbers than the network itself"
                )
            continue
        if trial.fits(lengths) and not trial.same(traced, trial.image(lengths)):
            return False, f"its Python decides on the size: at {' x '.join(map(str, lengths))} px its trace is wrong"
    exact = next((found[1] for guard in turns.values() if (found := EXACTLY.search(guard)) and int(found[1]) > 1), None)
    if exact and not beyond:
        beyond = (
            f"something in the network's Python hangs on whether a side is exactly {exact} px: at that length only some lengths of the "
            "other side were compared, and with another the bundle may give other numbers than the network itself"
        )
    return True, beyond


def _turns(trial: Trial, strides: Sequence[int], minimum: int, recorded: Sequence[int]) -> dict[tuple[int, ...], str]:
    """The smallest lengths at which each condition on sizes that `torch.export` met for the recorded lengths no longer holds."""
    with TemporaryDirectory() as folder:
        try:
            found = record_apart(trial.network, trial.image(recorded), variant="plain", route="guards", folder=Path(folder))
        except InputInvalid:  # torch.export cannot follow the network: no evidence
            return {}
    ladder = {int(base * 2**power) for power in range(4, 14) for base in (1, 1.5)} | {17, 31, 101, 331, 509, 787, 1999, 4099}
    ladder |= set(itertools.islice(_named(found.warnings), MOST_NAMED))
    stride = max(strides)
    grid = sorted({max(minimum, -(-size // stride) * stride) for size in ladder if 0 < size <= FARTHEST})
    pairs = sorted({trial.lengths(strides, pair) for pair in itertools.product(grid, repeat=2)}, key=math.prod)
    shapes = {lengths: (2, int(trial.example.shape[1]), *lengths) for lengths in (tuple(recorded), *pairs)}
    known = {guard: holds for guard in found.warnings if (holds := _condition(guard)) is not None and holds(shapes[tuple(recorded)])}
    turns: dict[tuple[int, ...], str] = {}
    for guard, holds in known.items():
        places = [lengths for lengths in pairs if not holds(shapes[lengths])]
        others = [other for name, other in known.items() if name != guard]
        alone = [lengths for lengths in places if all(other(shapes[lengths]) for other in others)]
        for place in dict.fromkeys((*alone[:1], *places[:1])):
            turns.setdefault(place, re.sub(r"L\[[^\]]*\]\.size\(\)", "size", guard))
    return turns


def _named(guards: Sequence[str]) -> Iterator[int]:
    """Sizes at which conditions may turn by the numbers in them: these, their neighbours and multiples; of an area, its sides."""
    for number in dict.fromkeys(int(digits) for guard in guards for digits in re.findall(r"(?<![\w.\[])\d+(?![\w.\]])", guard)):
        if number <= FARTHEST:
            yield from (number, number + 1, number - 1, *(number * 2**power for power in range(1, 6)))
        else:
            sides = [side for side in range(math.isqrt(number), 0, -1) if number % side == 0 and number // side <= FARTHEST]
            yield from (length for side in sides[:4] for length in (side, number // side))


def _condition(guard: str) -> Callable[[tuple[int, ...]], bool] | None:
    """A condition of `torch.export`, of sizes only, as a function of the image's shape; None if it is of something else."""
    import torch

    text = re.sub(r"L\[[^\]]*\]\.size\(\)", "size", guard)
    try:
        code = compile(text, "guard", "eval")
    except SyntaxError:
        return None

    def holds(shape: tuple[int, ...]) -> bool:
        try:
            return bool(eval(code, {"torch": torch, "math": math, "size": shape}))
        except Exception:  # a condition of something else than sizes
            return True

    return holds


def padding_moves(trial: Trial, strides: tuple[int, ...], minimums: tuple[int, ...]) -> tuple[float, str]:
    """How far padding to the strides moves the results of a network that takes a size itself: share of the range, and where."""
    import torch

    stride = max(strides)
    wrapped = FijiSafe(trial.network, stride=strides, minimum=minimums, axes=trial.axes).eval()
    worst, where = 0.0, ""
    small = (max(1, max(minimums) - 1), 2 * stride + 5)
    for shape in ((3 * stride + 1, 4 * stride - 1), (200, 200), (stride // 2 + 1, 2 * stride + 5), small):
        lengths = tuple(size if step else int(have) for size, step, have in zip(
            (shape[0],) * (len(strides) - 2) + shape, strides, trial.example.shape[2:], strict=True
        ))  # fmt: skip
        image = trial.image(lengths)
        if not trial.fits(lengths):
            continue
        with torch.no_grad():
            own = [o.float() if "c" in a else o.float().unsqueeze(1) for o, a in zip(trial.run(image), trial.axes, strict=True) if a]
            padded = [o for o, a in zip(flat(wrapped(image.clone())), trial.axes, strict=True) if a]
        ranges = ranges_of(Case(name="", input=image.numpy(), outputs=tuple(o.numpy() for o in own)))
        moved = max(float((abs(a.numpy() - b.numpy()) / r).max()) for a, b, r in zip(own, padded, ranges, strict=True))
        if moved > worst:
            worst, where = moved, " x ".join(map(str, lengths))
    return worst, where
