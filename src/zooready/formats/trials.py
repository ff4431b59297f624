"""Whether a written file computes what the network computes, at sizes and images other than the example."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zooready.errors import InputInvalid, OutputsDiffer
from zooready.formats.copies import tensors
from zooready.formats.warned import brief
from zooready.records import Array, Case, as_float32

if TYPE_CHECKING:
    from torch import nn

SMALL = {"z": 3, "y": 37, "x": 53}  # odd, not square, prime: no stride and no window divides them
LARGEST = 2**22  # elements of a trial image


def axes_of(image: Array) -> str:
    """Axes of an image by its number of dimensions: 4 is bcyx, 5 is bczyx.

    Raises
    ------
    InputInvalid
        Any other number of dimensions.
    """
    if image.ndim not in (4, 5):
        raise InputInvalid(f"example of shape {tuple(image.shape)}: give (b, c, y, x) or (b, c, z, y, x).")
    return "bcyx" if image.ndim == 4 else "bczyx"


def images(example: Array, fixed: Mapping[str, int]) -> Iterator[tuple[str, Array]]:
    """Named trial images, made from the example's own pixels: its opposite, other sizes, batch 2, one pixel.

    Parameters
    ----------
    example
        (1, c, y, x) or (1, c, z, y, x) float32, raw pixels.
    fixed
        Axes that keep the example's length, e.g. ``{"z": 7}``.
    """
    axes = axes_of(example)
    size = dict(zip(axes, example.shape, strict=True))
    larger = {axis: size[axis] + more for axis, more in zip("zyx", (2, 17, 6), strict=True) if axis in size}
    sizes: dict[str, dict[str, int]] = {"larger": larger, "small and brighter": SMALL, "black": SMALL, "one pixel": dict.fromkeys("zyx", 1)}
    gains = {"small and brighter": 4, "black": 0}
    yield "example", example
    yield "opposite", example.max() + example.min() - example
    for name, wanted in sizes.items():
        shape = tuple(size[a] if a in fixed or a in "bc" else wanted[a] for a in axes)
        if shape == example.shape or np.prod(shape) <= LARGEST:
            yield name, np.float32(gains.get(name, 1)) * _cut(example, shape)
    if "b" not in fixed:
        wanted = {**SMALL, "y": SMALL["x"], "x": SMALL["y"]}
        one = _cut(example, tuple(size[a] if a in fixed or a in "bc" else wanted[a] for a in axes))
        yield "two images", np.concatenate([one, one.max() + one.min() - one[..., ::-1]])


def _cut(example: Array, shape: Sequence[int]) -> Array:
    """An image of another size from the example's pixels, repeated where it is too small."""
    indices = np.ix_(*[np.arange(n) % have for n, have in zip(shape, example.shape, strict=True)])
    return np.ascontiguousarray(example[indices])


def cases(network: nn.Module, example: Array, fixed: Mapping[str, int] | None = None) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """What the eager network returns for the example and the trial images, and the names of those that it cannot take.

    Raises
    ------
    InputInvalid
        The network fails on its own example, returns numbers that are not finite there, or takes no size but the example's although
        ``fixed`` does not say so.
    """
    fixed = dict(fixed or {})
    done: list[Case] = []
    skipped: list[str] = []
    for name, image in images(as_float32(example), fixed):
        try:
            outputs = eager(network, image)
        except InputInvalid:
            raise
        except Exception as error:  # whatever somebody's forward raises
            if name == "example":
                raise InputInvalid(f"the network fails on its example {image.shape} ({type(error).__name__}: {error}).") from error
            skipped.append(f"{name} {image.shape}: {type(error).__name__}")
            continue
        if not all(np.isfinite(output).all() for output in outputs):
            if name == "example":
                raise InputInvalid(f"the network returns numbers that are not finite for its example {image.shape}.")
            skipped.append(f"{name} {image.shape}: not finite")
            continue
        done.append(Case(name=name, input=image, outputs=outputs))
    free = set(axes_of(as_float32(example))) - set(fixed) - {"b", "c"}
    others = [case for case in done if case.name != "one pixel" and case.input.shape[2:] != done[0].input.shape[2:]]
    if free and not others:  # one pixel is no proof: it fits everywhere by broadcasting
        raise InputInvalid(
            f"the network works at no size but the example's {done[0].input.shape}: pad to its stride inside the network, "
            f"or declare the size fixed ({'; '.join(skipped)})."
        )
    return tuple(done), tuple(skipped)


def eager(network: nn.Module, image: Array) -> tuple[Array, ...]:
    """Run a network or a loaded TorchScript file on a copy of an image, without gradients."""
    import torch

    with torch.no_grad():
        outputs = tensors(network(torch.from_numpy(image.copy())))
    return tuple(output.detach().cpu().numpy().copy() for output in outputs)


def difference(expected: Sequence[Case], run: Callable[[Array], Sequence[Array]], tolerance: float, labels: Collection[int] = ()) -> float:
    """Largest difference / range over all cases; range is max − min of that output for the first case, 1 if zero.

    Parameters
    ----------
    labels
        Numbers of the outputs that are label images. Their values may be permuted; compared are the foreground and the count of objects.

    Raises
    ------
    OutputsDiffer
        A case cannot be run, has another shape, or differs by more than the tolerance.
    """
    ranges = [float(np.ptp(output)) or 1.0 for output in expected[0].outputs]
    worst = 0.0
    for case in expected:
        where = f"{case.name} {case.input.shape}"
        try:
            outputs = run(case.input)
        except Exception as error:  # whatever an engine raises
            raise OutputsDiffer(f"{where}: fails ({brief(error)})") from error
        shapes = [output.shape for output in outputs], [output.shape for output in case.outputs]
        if shapes[0] != shapes[1]:
            raise OutputsDiffer(f"{where}: gives shapes {shapes[0]} where the network gives {shapes[1]}")
        for number, (got, want) in enumerate(zip(outputs, case.outputs, strict=True)):
            if number in labels:
                _same_objects(got, want, where)
                continue
            off = float(np.abs(got.astype(np.float64) - want).max(initial=0.0)) / ranges[number]
            if not off <= tolerance:
                raise OutputsDiffer(f"{where}: output {number} differs by {off:.2g} of its range, tolerance {tolerance:g}")
            worst = max(worst, off)
    return worst


def _same_objects(got: Array, want: Array, where: str) -> None:
    """Raise OutputsDiffer unless foregrounds and counts of objects agree to 1 % (one pixel at a threshold may fall either way)."""
    pixels = np.mean((got > 0) != (want > 0))
    counts = abs(float(got.max(initial=0)) - float(want.max(initial=0)))
    if not (pixels <= 0.01 and counts <= max(1.0, 0.01 * float(want.max(initial=0)))):
        raise OutputsDiffer(f"{where}: label image with {got.max():g} objects where the network finds {want.max():g}")
