"""What is wrong with a mask although it can be read: wrong background, grey edges, classes, inverted, swapped, sparse, joined.

A mask is (y, x): 0 background and a number for each object, or one number for all, whose connected parts then are the objects. A region
is a connected part of one value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zooready.data.alignment import misplaced
from zooready.errors import amount
from zooready.records import Array

FEW = 10  # most values of a mask of classes
SLIVER = 4.0  # px: median regions up to this size come from grey edges or noise, not from objects
PLATEAU = 50.0  # px: mean size of the regions of equal value in a mask; in an image they have one or two
MIDDLE = 512  # px
EMPTY_MASK = "is empty: right only if the image shows no object; otherwise outline its objects, or take it out"
FULL, EMPTY = 0.999, 0.0  # shares of foreground with nothing to learn
OUTLINED = 0.6  # area / area with its holes filled, below which a piece is an outline; a nucleus with a hole or two has more
SAME_SIZE, FAR = 0.5, 3.0  # area / median area, and distance / median diameter, from which pieces are objects of their own
ON_BORDER = 0.5  # share of the border that a background without 0 has at least
FEWEST, THICK = 3, 0.05  # objects beside a rim at least; share of it that is thicker than 4 px at most
SOLID, SMALL_PX = (0.9, 0.93), 300  # area / area of the convex hull, of small and larger pieces: ellipses have more, touching discs less


@dataclass(frozen=True, kw_only=True)
class Mask:
    """Objects, foreground (share of the pixels) and number of different values of a mask, and what is wrong with it, in words."""

    name: str
    objects: int
    foreground: float
    values: int
    problem: str = ""
    is_swapped: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {amount(self.objects, 'object')}, {100 * self.foreground:.3g} % foreground"


def unfit(mask: Array) -> str:
    """Why an array cannot be a mask, with the cure; empty if it can.

    Parameters
    ----------
    mask
        (y, x), or (c, y, x) as a file in colour is read.
    """
    if mask.ndim > 2:
        return (
            f"has {len(mask)} channels, and a mask has one number for each object, 0 for background. Number its colours, in Python with "
            "numpy.unique(mask.reshape(-1, 3), axis=0, return_inverse=True), or in Fiji split its channels and keep the one with objects"
        )
    if mask.min() < 0:
        return (
            f"has values from {mask.min():g} to {mask.max():g}, and a mask has 0 for background and objects from 1. If {mask.min():g} is "
            f"its background, add {-mask.min():g}, in Fiji with Image > Type > 32-bit and Process > Math > Add"
        )
    if mask.dtype.kind == "f" and not np.array_equal(mask, np.rint(mask)):
        return (
            f"has fractions (values from {mask.min():g} to {mask.max():g}), as probabilities and distances do, and a mask has whole "
            "numbers: in Fiji use Image > Adjust > Threshold, or Analyze Particles with Count Masks for one number an object"
        )
    return ""


def examined(mask: Array, image: Array, name: str, image_name: str) -> Mask:
    """A mask beside its image, both (y, x); a mask with negative values or fractions is refused elsewhere."""
    from skimage.measure import label

    mask = mask.astype(np.int64)
    values = np.unique(mask[mask > 0])
    regions = label(mask, background=0, connectivity=1 if len(values) == 1 else 2)  # as training counts pieces, and touching corners
    areas = np.bincount(regions.ravel())[1:]
    objects = len(areas) if len(values) == 1 else len(values)
    foreground = float((mask > 0).mean())
    is_swapped = _region_px(mask) < SLIVER and _region_px(image) > PLATEAU
    if mask.shape == image.shape and np.array_equal(mask, image) and len(values):
        found = f"equals {image_name}, so that a network learns to copy: put what the microscope saw into images/"
    elif is_swapped:
        found = f"looks like an image, and {image_name} like its mask: swap the two, so that images/ holds what the microscope saw"
    elif not len(values):
        found = EMPTY_MASK
    elif foreground > FULL:
        found = _full(mask, values)
    elif rims := _rims(mask, values):
        found = rims
    elif len(values) > 1 and len(areas) >= 2 * len(values) and np.median(areas) <= SLIVER:
        found = (
            f"has {len(values)} values in {len(areas)} pieces, half of them of {SLIVER:g} px or less, as JPEG or interpolation leave grey "
            "edges: save masks as PNG or TIFF, resize them without interpolation, and make these two-valued again, in Fiji with Image > "
            "Adjust > Threshold"
        )
    elif 1 < len(values) <= FEW and len(areas) >= 2 * len(values):
        listed = ", ".join(map(str, values))
        found = (
            f"has the values {listed} in {len(areas)} separate pieces, so these seem to be classes: each would count as one object. Give "
            "each object its own number, in Fiji with Analyze Particles and Count Masks"
        )
    elif len(values) == 1:
        found = _binary(mask, regions, areas)
    else:
        found = _outlined(regions)
    if not found and not is_swapped:
        is_extent = np.median(areas) > SLIVER  # marks of a pixel or two say where spots are, and not how large
        found = _scattered(mask, regions) or (is_extent and (misplaced(mask, image) or _sparse(mask, image))) or ""
    summary = Mask(name=name, objects=objects, foreground=foreground, values=len(values), is_swapped=is_swapped)
    return replace(summary, problem=f"{summary}; it {found}.") if found else summary


def examined_stack(mask: Array, name: str) -> Mask:
    """A mask (z, y, x) of a stack: how much is in it, and whether it is empty, has no background, is inverted, or shows classes."""
    from skimage.measure import label

    mask = mask.astype(np.int64)
    values = np.unique(mask[mask > 0])
    pieces = int(label(mask, background=0, connectivity=1 if len(values) == 1 else 3).max())
    foreground, sides = float((mask > 0).mean()), np.concatenate([mask[:, end].ravel() for end in (0, -1)])
    found = ""
    if not len(values):
        found = EMPTY_MASK
    elif len(values) <= FEW and (foreground > FULL or foreground > 0.5 and (sides > 0).mean() > 0.9):
        found = "seems inverted, or has no background, which must be 0: make the background 0, in Fiji with Edit > Invert or Process > Math"
    elif 1 < len(values) <= FEW and pieces >= 2 * len(values):
        found = (
            f"has the values {', '.join(map(str, values))} in {pieces} separate pieces, so these seem to be classes: each would count as "
            "one object. Give each object its own number, in Fiji with Analyze > 3D Objects Counter"
        )
    summary = Mask(name=name, objects=pieces if len(values) == 1 else len(values), foreground=foreground, values=len(values))
    return replace(summary, problem=f"{summary}; it {found}.") if found else summary


def nothing_to_learn(masks: Sequence[Mask]) -> str:
    """Why a whole folder of masks teaches nothing; empty if it does: with all masks empty, finding nothing would be perfect."""
    if not masks:
        return ""
    if sum(mask.is_swapped for mask in masks) > len(masks) / 2:
        return f"images and masks seem to be swapped ({masks[0].problem})"
    if all(mask.foreground == EMPTY for mask in masks):
        are = "the one mask is" if len(masks) == 1 else f"all {len(masks)} masks are"
        return f"{are} empty, so that a network that finds nothing would score perfectly: outline the objects"
    if all(mask.foreground > FULL and mask.values <= FEW for mask in masks):
        return (
            f"no mask of {len(masks)} has background, which must be 0 (ilastik writes 1): subtract 1 from all, in Fiji with Process > Math "
            "> Subtract"
        )
    return ""


def _full(mask: Array, values: Array) -> str:
    """What is wrong with a mask without background; empty if its objects may cover everything, as cells in a tissue do."""
    areas = np.unique(mask[mask > 0], return_counts=True)[1]
    border, counts = np.unique(_border(mask), return_counts=True)
    ground = int(border[counts.argmax()])
    is_around = counts.max() > ON_BORDER * counts.sum() and (mask == ground).sum() >= 3 * np.median(areas)
    if len(values) > 2 and areas[0] < 3 * np.median(areas[1:]) and not is_around:
        return ""
    listed = f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"
    cure = f"Subtract {ground}, in Fiji with Process > Math > Subtract" if ground == values[0] else f"Change {ground} to 0"
    return (
        f"has no background, which must be 0: its values are {listed}, and {ground} seems to be the background (ilastik writes 1). {cure}"
    )


def _rims(mask: Array, values: Array) -> str:
    """Whether one number stands for the rims of the objects of all others, in words: thin, and beside most of them."""
    from scipy.ndimage import binary_erosion

    pairs = np.concatenate([np.stack((mask[:-1].ravel(), mask[1:].ravel())), np.stack((mask[:, :-1].ravel(), mask[:, 1:].ravel()))], 1)
    touching = np.unique(np.sort(pairs[:, (pairs[0] != pairs[1]) & (pairs > 0).all(0)], axis=0), axis=1)
    numbers, counts = np.unique(touching, return_counts=True)
    if not len(numbers) or counts.max() < max(FEWEST, (len(values) - 1) / 2):
        return ""
    rim = int(numbers[counts.argmax()])
    if binary_erosion(np.pad(mask == rim, 2), iterations=2).sum() > THICK * (mask == rim).sum():
        return ""
    return (
        f"has the number {rim} for what is around the others: it is thin, touches {counts.max()} of {len(values) - 1} objects, and would "
        f"count as one more. Make it background, in Fiji with Process > Math > Macro and the code if (v=={rim}) v=0"
    )


def _binary(mask: Array, regions: Array, areas: Array) -> str:
    """What is wrong with a mask of one value; ``regions`` are its pieces by number, from 1."""
    from skimage.measure import label, regionprops

    border, holes = float((_border(mask) > 0).mean()), int(label(mask == 0, connectivity=1).max())
    if border > (0.5 if holes > 1 else 0.9) and areas.max() > 0.9 * areas.sum() and (mask > 0).mean() > 0.5:
        return (
            f"seems inverted: its foreground is one piece with {amount(holes, 'hole')}, which reaches the image's border. "
            "Objects must be the higher value: in Fiji use Edit > Invert"
        )
    if found := _outlined(regions):
        return found
    joined = sum(piece.solidity < SOLID[int(piece.area > SMALL_PX)] for piece in regionprops(regions) if piece.area > 2 * SLIVER)
    if joined:
        return (
            f"has one value for all objects, and {joined} of its {len(areas)} pieces seem to be several that touch, each of which counts "
            "as one object: give each object its own number, or leave a pixel of background between them (in Fiji Process > Binary "
            "> Watershed)"
        )
    return ""


def _outlined(regions: Array) -> str:
    """Whether the pieces, by number from 1, are mostly outlines, in words."""
    from skimage.measure import regionprops

    pieces = [piece for piece in regionprops(regions) if piece.area > 2 * SLIVER]
    if sum(piece.area < OUTLINED * piece.area_filled for piece in pieces) <= len(pieces) / 2:
        return ""
    return (
        "holds outlines: a network would learn the rims of objects and not the objects. Fill them, in Fiji with Process > Binary > Fill "
        "Holes for one value, or Analyze Particles with Include holes and Count Masks for one number an object"
    )


def _scattered(mask: Array, regions: Array) -> str:
    """Whether numbers stand for several objects: pieces of one number, as large as other objects and far from each other."""
    from skimage.measure import regionprops

    pieces = [(int(mask[tuple(piece.coords[0])]), piece) for piece in regionprops(regions)]
    if len({number for number, _ in pieces}) in (1, len(pieces)):
        return ""
    size = float(np.median([piece.area for _, piece in pieces]))
    large: dict[int, list[Array]] = {}
    for number, piece in pieces:
        if piece.area >= SAME_SIZE * size > SLIVER:
            large.setdefault(number, []).append(np.array(piece.centroid))
    diameter = 2 * np.sqrt(size / np.pi)
    several = {
        number: len(centres)
        for number, centres in large.items()
        if max(np.hypot(*(one - other)) for one in centres for other in centres) > FAR * diameter
    }
    if not several:
        return ""
    listed = ", ".join([f"{number} in {count}" for number, count in several.items()][:5]) + (" …" if len(several) > 5 else "")
    return (
        f"has numbers that stand for several objects far from each other ({listed} pieces), each of which "
        "counts as one object: give each object its own number, in Fiji with Analyze Particles and Count Masks"
    )


def _sparse(mask: Array, image: Array) -> str:
    """Whether much that is as bright as the objects has none; only said of images whose objects are bright."""
    from skimage.filters import threshold_otsu

    inside = mask > 0
    if image.min() == image.max() or not inside.any() or inside.all():
        return ""
    bright = image > threshold_otsu(image)
    if bright[inside].mean() < 0.5 or bright.mean() > 0.5:
        return ""
    missed = float((bright & ~inside).sum() / bright.sum())
    if missed <= 0.5:
        return ""
    return (
        f"covers {100 * (1 - missed):.0f} % of what is as bright in the image: a network learns that the rest is background. Outline all "
        "objects, or cut the image to a part where all are"
    )


def _border(mask: Array) -> Array:
    """The pixels along the image's border."""
    return np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def _region_px(array: Array) -> float:
    """Mean size of the connected parts of equal value in the middle, px: one or two in an image of a camera, many in a mask."""
    from skimage.measure import label

    array = array[tuple(slice(max(0, length - MIDDLE) // 2, (length + MIDDLE) // 2) for length in array.shape)]
    ranks = np.unique(array, return_inverse=True)[1].reshape(array.shape)  # label() takes whole numbers
    return float(array.size / label(ranks, background=-1, connectivity=1).max())
