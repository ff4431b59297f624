"""Whether it matters where in an image a pixel lies, by which alone a network cannot be cut into tiles that begin anywhere.

A network that pads inside, or cuts windows, sees the same pixels otherwise where they begin elsewhere; one that is given coordinates knows
where they are; one that resizes to the size of an image stretches it by the rest of a division. How far a pixel reaches shows none of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zooready.exporting.trying import Trial, agree, quiet

if TYPE_CHECKING:
    from torch import Tensor

MULTIPLES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 18, 20, 21, 24, 28, 32, 36, 40, 48, 56, 64, 80, 96, 112, 128, 192, 256)
LONGEST = 512  # px; of coarser steps no tile of a usual size is made
FARTHER = (3, 8)  # steps at which the smallest one that seems right is tried again
ROOM = 40  # strides of the network in the middle of which values are compared
RESTS = 4  # lengths in a row, of which no more than one is a multiple of a step, so that a stretched image shows


def tile_step(trial: Trial, strides: Sequence[int], minimums: Sequence[int], halo: int) -> int | None:
    """Places, px, at which tiles may begin: there a network makes of them what it makes of the whole image, but for the halo.

    Parameters
    ----------
    strides, minimums
        One a spatial axis, px; 0 for an axis of one length.
    halo
        Pixels on each side that an output depends on.

    Returns
    -------
    int or None
        A multiple of the strides of y and x; None where no such step was found, since results depend on places or sizes.
    """
    steps = []
    for number in range(len(strides) - 2, len(strides)):  # stacks are cut in y and x alone
        if not strides[number]:
            continue
        step = _along(trial, number, strides, minimums, halo)
        if step is None:
            return None
        steps.append(step)
    return math.lcm(*steps) if steps else None


def _along(trial: Trial, number: int, strides: Sequence[int], minimums: Sequence[int], halo: int) -> int | None:
    """The smallest step along one axis, the others kept short."""
    import torch

    stride = strides[number]
    for step in (stride * multiple for multiple in MULTIPLES if multiple == 1 or stride * multiple <= LONGEST):
        least = -(-2 * halo // stride) + ROOM + max(minimums[number], max(FARTHER) * step) // stride
        images = (trial.image(trial.line(number, (least + rest) * stride, strides, minimums)) for rest in range(RESTS))
        with quiet(), torch.no_grad():
            try:
                if all(_stays(trial, image, number + 2, step, halo) for image in images):
                    return step
            except Exception:  # a size that it does not take after all
                return None
    return None


def _stays(trial: Trial, image: Tensor, axis: int, step: int, halo: int) -> bool:
    """Whether windows that begin and end at multiples of the step, or at the image's ends, give what the whole gives, but for the halo."""
    before = trial.run(image)
    length, place = image.shape[axis], axis - image.ndim  # from the end, since some outputs have no channels
    last = length // step * step - step
    for start, stop in (*((step * times, length) for times in (1, *FARTHER)), (0, last), (step, last - step)):
        after = trial.run(image.narrow(axis, start, stop - start).contiguous())
        first, end = (start and start + halo), (stop if stop == length else stop - halo)
        middles = (
            (whole.narrow(place, first, end - first), window.narrow(place, first - start, end - first))
            for axes, whole, window in zip(trial.axes, before, after, strict=True)
            if len(axes) > 2
        )
        if not all(agree((whole,), (window,)) for whole, window in middles):
            return False
    return True
