"""Connected parts of a mask, numbered inside the network with operations that every engine supports, in two or three dimensions.

    mask  ->  blocks  ->  pointers among neighbouring blocks  ->  one number per part  ->  pixels

Blocks are of two pixels along every axis: those that are set in one touch one another, so there are four times fewer to be joined, eight
times fewer in a stack. Each block stores a pointer to the last block known in its part. Neighbouring blocks that touch pass pointers on,
and following pointers (``gather``) takes them over long distances. The block that points to itself is the root of its part, and roots are
numbered. Indices are int32, because float32 counts pixels exactly only up to 4096 × 4096, and int64 takes ONNX Runtime twice as long;
where others are looked up by them they must be int64.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import torch
from torch import nn

FOLLOWED = 3  # steps along the pointers after the last round
_BLOCK = {0: slice(0, -1, 2), 1: slice(1, None, 2)}  # first and second pixels, of an axis that one pixel was appended to
_BESIDE = {-1: slice(0, -2), 0: slice(1, -1), 1: slice(2, None)}  # the one before, each itself, and the next, of an axis with an edge
Way = tuple[int, ...]  # a step along each axis of space


def numbered(mask: torch.Tensor, rounds: int) -> torch.Tensor:
    """One number for each part of a mask, whose pixels touch at an edge or a corner.

    Parameters
    ----------
    mask
        (b, 1, y, x) or (b, 1, z, y, x) bool.
    rounds
        Each passes pointers to neighbouring blocks and follows them once. Twelve join any part whose shape is not very winding; an arm
        that is not reached becomes a separate part, never one of another.

    Returns
    -------
    Tensor
        Of the mask's shape, float32: 0 outside, and 1…n in each image, in the order of the parts' last blocks.
    """
    inside, touching = _blocks(mask)
    index = counted(inside.flatten(1) > 0)  # (b, blocks): 1, 2, 3, …
    pointer = index.reshape(inside.shape) * inside  # 0 outside
    for _ in range(rounds):
        edged = _edged(pointer)
        pointer = largest([pointer, *(_neighbour(edged, way) * touches for way, touches in touching.items())])
        pointer = _looked_up(pointer.flatten(1), pointer)
    for _ in range(FOLLOWED):
        pointer = _looked_up(pointer.flatten(1), pointer)
    is_root = (pointer.flatten(1) == index).to(torch.int32)
    number = is_root.cumsum(1, dtype=torch.int32) * is_root  # a pointer that reaches no root gives 0, never another part's number
    return _enlarged(_looked_up(number, pointer).to(torch.float32), mask) * mask.to(torch.float32)


def counted(mask: torch.Tensor) -> torch.Tensor:
    """1, 2, 3, … for the pixels of each image, int32; (b, y·x) bool, of which the values do not matter."""
    return (mask | ~mask).to(torch.int32).cumsum(1, dtype=torch.int32)


def highest_around(values: torch.Tensor) -> torch.Tensor:
    """Largest of the 3×3 or 3×3×3 values around each pixel or voxel; (b, 1, …) float32, not negative.

    Max-pooling takes ONNX Runtime a seventh of the time of maxima that are written out, as long as there are fewer than 2048 columns, and
    PyTorch on a CPU four times as long.
    """
    if torch.onnx.is_in_onnx_export():
        pooled: torch.Tensor = (nn.functional.max_pool2d if values.dim() == 4 else nn.functional.max_pool3d)(values, 3, 1, 1)
        return pooled
    for axis in range(2, values.dim()):
        length = values.shape[axis]
        wide = nn.functional.pad(values, [0, 0] * (values.dim() - 1 - axis) + [1, 1])
        values = torch.maximum(values, torch.maximum(wide.narrow(axis, 0, length), wide.narrow(axis, 2, length)))
    return values


def largest(values: Iterable[torch.Tensor]) -> torch.Tensor:
    """The largest of each pixel, compared in pairs: a long chain takes the optimiser of Fiji's libtorch minutes."""
    left = list(values)
    while len(left) > 1:
        left = [torch.maximum(left[at], left[at + 1]) if at + 1 < len(left) else left[at] for at in range(0, len(left), 2)]
    return left[0]


def _blocks(mask: torch.Tensor) -> tuple[torch.Tensor, dict[Way, torch.Tensor]]:
    """Where blocks are set, (b, 1, ⌈y/2⌉, ⌈x/2⌉), and for each way to a neighbour where the two touch, of the same shape; int32."""
    axes = mask.dim() - 2
    wide = nn.functional.pad(mask.to(torch.int32), (0, 1) * axes)
    pixels = {place: wide[_cut(_BLOCK, place)] for place in product(_BLOCK, repeat=axes)}
    sides = {  # the pixels of a block that lie towards a neighbour: a corner, an edge, a face
        way: largest(pixels[place] for place in pixels if all(2 * at - 1 != -step for at, step in zip(place, way, strict=True)))
        for way in product(_BESIDE, repeat=axes)
        if any(way)
    }
    touching = {way: side * _neighbour(_edged(sides[tuple(-step for step in way)]), way) for way, side in sides.items()}
    return largest(pixels.values()), touching


def _cut(pieces: dict[int, Any], way: Way) -> tuple[Any, ...]:
    return ..., *(pieces[step] for step in way)


def _edged(blocks: torch.Tensor) -> torch.Tensor:
    return nn.functional.pad(blocks, (1, 1) * (blocks.dim() - 2))


def _neighbour(edged: torch.Tensor, way: Way) -> torch.Tensor:
    """The value of the neighbouring block in one direction; 0 beyond the border."""
    return edged[_cut(_BESIDE, way)]


def _looked_up(values: torch.Tensor, pointer: torch.Tensor) -> torch.Tensor:
    """The value of the block that each points to, counted from 1, and 0 where the pointer is 0; (b, blocks) and (b, 1, …) int32."""
    found = torch.gather(nn.functional.pad(values, (1, 0)), 1, pointer.flatten(1).to(torch.int64))
    return found.reshape(pointer.shape)


def _enlarged(blocks: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Each block's value for all its pixels, as large as the mask."""
    for axis in range(2, mask.dim()):
        blocks = torch.stack([blocks, blocks], axis + 1).flatten(axis, axis + 1).narrow(axis, 0, mask.shape[axis])
    return blocks
