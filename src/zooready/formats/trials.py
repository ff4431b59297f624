"""Trial images: sizes and pixels other than the example's, and what the eager network returns for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zooready.errors import InputInvalid
from zooready.formats.starting import torch_run
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
        first = _cut(example, tuple(size[a] if a in fixed or a in "bc" else wanted[a] for a in axes))
        yield "two images", np.concatenate([first, first.max() + first.min() - first[..., ::-1]])


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
    known: list[Case] = []
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
        known.append(Case(name=name, input=image, outputs=outputs))
    free = set(axes_of(as_float32(example))) - set(fixed) - {"b", "c"}
    others = [case for case in known if case.name != "one pixel" and case.input.shape[2:] != known[0].input.shape[2:]]
    if free and not others:  # one pixel is no proof: it fits everywhere by broadcasting
        raise InputInvalid(
            f"the network works at no size but the example's {known[0].input.shape}: pad to its stride inside the network "
            f"({'; '.join(skipped)})."
        )
    return tuple(known), tuple(skipped)


def eager(network: nn.Module, image: Array) -> tuple[Array, ...]:
    """Run a network or a loaded TorchScript file on a copy of an image, on the CPU and without gradients; the arrays are copies too."""
    return tuple(output.copy() for output in torch_run(network)(image))
