"""The eager network's answers: the specification's test pair, and the further sizes at which checks compare numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from zooready.errors import InputInvalid
from zooready.formats.copies import copied
from zooready.formats.rounding import noise, unsteadiness
from zooready.images.agreement import ranges_of
from zooready.nets.wrapping import flat
from zooready.records import Array, Case, as_float32

if TYPE_CHECKING:
    from torch import nn

SMALLEST = 1e-4  # bioimageio.spec refuses a test output that is smaller everywhere
LONG, THIN = 1111, 40  # px
LARGEST_TEST = 128  # px; enough to show structure, small enough to travel, and to run a dozen times in every check
SIZES_2D = {"odd": (1, 70, 97), "batch": (2, 33, 40), "pixel": (1, 1, 1), "black": (1, 32, 32)}  # (batch, y, x)
OFFSET_2D, OFFSET_3D = (1, 71, 97), (1, 3, 37, 61)
CAMERAS = ((60003, 20), (30003, 40), (20003, 80))  # offset and spread, counts
STEP = 8  # counts between values: all end in the same bits, so that a sum which loses these drifts in one direction
OWN_ERROR = 5e-6  # share of the range by which a network's float32 may be wrong itself on an image that others are compared on
SIZES_3D = {"odd": (1, 5, 21, 34), "batch": (2, 4, 17, 16), "pixel": (1, 1, 1, 1), "black": (1, 4, 16, 16)}  # (batch, z, y, x)


def cases(network: nn.Module, example: Array, fixed: Mapping[str, int]) -> tuple[Case, ...]:
    """The test pair, from the middle of the example, odd, batched, one-pixel and black images, and one of a large offset.

    Parameters
    ----------
    network
        The wrapped module, in eval mode.
    example
        (1, c, y, x) or (1, c, z, y, x) float32, raw values.
    fixed
        Axis to px for a network of one size: all cases then have it.

    Raises
    ------
    InputInvalid
        An output is not finite, and the message names the image that did it; or it is zero all over the example.
    """
    spatial = "zyx"[-(example.ndim - 2) :]
    sizes = tuple(fixed.get(axis, min(size, LARGEST_TEST)) for axis, size in zip(spatial, example.shape[2:], strict=True))
    inputs = {"test": middle(_cut(example, 1, tuple(map(max, sizes, example.shape[2:]))), sizes)}
    for name, (batch, *shape) in (SIZES_2D if example.ndim == 4 else SIZES_3D).items():
        if set(fixed) >= {"y", "x"} and name == "pixel":
            continue
        image = _cut(example, batch, tuple(fixed.get(axis, size) for axis, size in zip(spatial, shape, strict=True)))
        inputs[name] = np.zeros_like(image) if name == "black" else image
    known = tuple(evaluated(network, name, image) for name, image in inputs.items())
    for index, output in enumerate(known[0].outputs):
        if np.abs(output).max() < SMALLEST:
            raise InputInvalid(
                f"output {index} of the network is nowhere larger than {np.abs(output).max():.2g} on the example, so nothing can be "
                f"compared (the specification demands {SMALLEST:g}): give an example in which the network finds something."
            )
    faint = offset(network, example, fixed, known[0])
    return (*known, faint) if faint else known


def offset(network: nn.Module, example: Array, fixed: Mapping[str, int], test: Case) -> Case | None:
    """An image with a large offset and a small spread, as cameras make them: it finds sums in which float32 loses its last digits.

    The example's pixels, at 60000 ± 20 counts. None for a network that does not normalise and takes other values than counts, and for
    one whose own float32 is not exact there: it is compared with its float64, by the range of ``test``, also at smaller offsets.
    """
    if getattr(network, "normalization", None) is None and not (np.array_equal(example, np.rint(example)) and example.max() > 255):
        return None
    axes, sizes = ("yx", OFFSET_2D[1:]) if example.ndim == 4 else ("zyx", OFFSET_3D[1:])
    pixels = _cut(example, 1, tuple(fixed.get(axis, size) for axis, size in zip(axes, sizes, strict=True))).astype(np.float64)
    shape = (pixels - pixels.mean()) / (pixels.std() or 1.0)
    for counts, spread in CAMERAS:
        image = as_float32((counts + STEP * np.rint(shape * spread / STEP)).clip(0, 65535))
        try:
            case = evaluated(copied(network), "offset", image)
        except Exception:  # whatever somebody's forward raises; it was promised raw images like the example, not this one
            continue
        error = noise(network, case, ranges_of(test))
        if error is not None and error <= OWN_ERROR:
            return case
    return None


def large(network: nn.Module, example: Array, sizes: Iterable[tuple[int, ...]]) -> Iterator[Case]:
    """Cases of other sizes, (batch, ...) px each, which do not travel; those that the network cannot take or answer are left out."""
    for batch, *size in sizes:
        name = " x ".join(map(str, size))
        with suppress(InputInvalid):
            yield evaluated(copied(network), name if batch == 1 else f"{batch} of {name}", _cut(example, batch, tuple(size)))


def steady(network: nn.Module, known: tuple[Case, ...], tolerance: float) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """The cases without those flat ones on which the rounding of float32 moves the network's outputs, and a note on each of these."""
    ranges = ranges_of(known[0])
    off = {case.name: unsteadiness(network, case, ranges) for case in known if case.name in ("pixel", "black")}
    notes = tuple(
        f"on the image '{name}' the rounding of float32 moves the outputs by {share:.1g} of the range, so programs differ there, and "
        "that image is in no comparison"
        for name, share in off.items()
        if share > tolerance
    )
    return tuple(case for case in known if off.get(case.name, 0.0) <= tolerance), notes


def long(network: nn.Module, example: Array) -> tuple[Case, ...]:
    """Two images of more than a thousand pixels along one axis: they find a size that is frozen, or compared with a number."""
    thin = (THIN,) * (example.ndim - 3)
    sizes = {"wide": (*thin, LONG), "high": (*thin[1:], LONG, THIN)}
    return tuple(evaluated(network, name, _cut(example, 1, size)) for name, size in sizes.items())


def evaluated(network: nn.Module, name: str, image: Array) -> Case:
    """One case: the eager network's outputs for ``image``, (b, c, y, x) float32, which must be finite."""
    import torch

    image = as_float32(image)
    try:
        with torch.no_grad():
            outputs = tuple(as_float32(output.numpy()) for output in flat(network(torch.from_numpy(image.copy()))))
    except Exception as error:  # whatever somebody's forward raises
        raise InputInvalid(
            f"the network fails on the image '{name}' {image.shape} ({type(error).__name__}: {str(error)[:200]}), though it took others: "
            "make it take any size that is a multiple of its stride."
        ) from None
    for index, output in enumerate(outputs):
        if not np.isfinite(output).all():
            raise InputInvalid(
                f"output {index} of the network is not finite for the image '{name}' {image.shape}, values {image.min():g} to "
                f"{image.max():g}: {int((~np.isfinite(output)).sum())} of {output.size} values are NaN or infinite. Guard its divisions, "
                "roots and logarithms."
            )
    return Case(name=name, input=image, outputs=outputs)


def middle(array: Array, sizes: tuple[int, ...]) -> Array:
    """The window of these sizes, px, in the middle of an array's last axes."""
    offsets = [(have - size) // 2 for have, size in zip(array.shape[-len(sizes) :], sizes, strict=True)]
    windows = tuple(slice(offset, offset + size) for offset, size in zip(offsets, sizes, strict=True))
    return array[(slice(None),) * (array.ndim - len(sizes)) + windows]


def _cut(example: Array, batch: int, sizes: tuple[int, ...]) -> Array:
    """A batch of windows of the example, each starting elsewhere; the example is repeated where it is too small."""
    pad = [(0, 0), (0, 0)] + [(0, max(0, size + 7 * batch - have)) for size, have in zip(sizes, example.shape[2:], strict=True)]
    large = np.pad(example, pad, mode="wrap")
    return np.concatenate([large[(slice(None), slice(None), *(slice(7 * n, 7 * n + size) for size in sizes))] for n in range(batch)])
