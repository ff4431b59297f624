"""Whether an image is of the kind that the network was trained on, judged by what was found in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zooready.images.appearance import background, diameters_px, usual_px
from zooready.images.resampling import resampled
from zooready.prediction.inputs import Inputs
from zooready.records import Array, as_float32
from zooready.tensors import KnownKind, Objects

FEWER = 4  # times fewer pixels along each side, at which objects that are too large for the network are found
MORE = 2.0  # times the foreground that the image itself gives, up to which that of the smaller copy is believed
SLACK = 0.9  # times the smallest size: images whose objects are as small as that still count as known
MIDDLE_PX = 2048  # side of what is judged of an image that was cut into tiles
LEAST_PX = 32  # side of the smaller image, below which nothing is looked for
Find = Callable[[Array], Array]  # an input of the network (1, c, y, x) -> labels (1, 1, y, x)


def unlike(inputs: Inputs, labels: Array, trained: Objects, zoom: float, find: Find | None) -> list[str]:
    """Why an image is not what the network knows, with the cure, in one sentence; none if it is.

    Of several planes, the one in which most was found is judged.

    Parameters
    ----------
    inputs
        What the network was given, (..., c, y, x), at the image's own size.
    labels
        What it found, (..., 1, y, x), at that size.
    trained
        The objects that it was trained to find.
    zoom
        Factor by which the network saw the image larger than it is.
    find
        Runs the network once more, on an input of another size; None for an image that was cut into tiles, whose middle is judged.
    """
    part = (slice(None), *(slice(None) if find else _middle(length) for length in labels.shape[-2:]))
    best = max(np.ndindex(*inputs.lengths), key=lambda index: np.count_nonzero(labels[index][part]))
    image, found = as_float32(inputs.array[best][part]), np.asarray(labels[best][part][0])
    reason = why_unlike(image.mean(0, dtype=np.float64), found, trained, zoom)
    if not reason and find and zoom == 1.0 and (width := _larger_px(image[None], found, trained, find)):
        reason = f"objects look about {width:.0f} px wide, {_known(trained)}: give their diameter, which rescales the image."
    return [reason] if reason else []


def of_another_kind(count: int, total: int, what: str, known: KnownKind) -> str:
    """That so many of a classifier's ``total`` images, in the plural ``what``, are of another kind, with the cure; empty if none is."""
    if not count:
        return ""
    subject = f"{count} of {total} {what} are" if total > 1 else "the image is"
    return (
        f"{subject} not of the kind that the network was trained on, by a rule that {known.kept:.0%} of such images pass: the class says "
        "nothing. Give one object in the middle of each image, as in training, or train the network on your own classes."
    )


def _middle(length: int) -> slice:
    start = max(length - MIDDLE_PX, 0) // 2
    return slice(start, start + MIDDLE_PX)


def why_unlike(image: Array, labels: Array, trained: Objects, zoom: float = 1.0) -> str:
    """Why one plane is not what the network knows, with the cure; empty if it is.

    Parameters
    ----------
    image, labels
        (y, x) each; 0 is background.
    trained, zoom
        As for :func:`unlike`.
    """
    diameters = diameters_px(labels) * zoom
    level, whole, (darkest, brightest) = background(image, labels), background(image), trained.background
    is_known = darkest <= level <= brightest
    if not is_known and darkest <= 1 - whole <= brightest:
        other = "bright, and the network was trained on dark" if whole > 1 - whole else "dark, and the network was trained on bright"
        return f"the background is {other} ones: invert the image in Fiji with Edit > Invert."
    if not diameters.size:
        return f"no object was found, {_known(trained)}: if the image shows others, give their diameter, which rescales the image."
    if not is_known:
        return (
            f"the background is at {level:.0%} of the range of grey values, as in bright field or phase contrast, and the network was "
            f"trained on {darkest:.0%} to {brightest:.0%}: train it on such images, and look at the outlines before you use these."
        )
    if (share := float((labels != 0).mean())) > trained.foreground:
        return (
            f"{share:.0%} of the image were taken for objects, and the network was trained on images with up to {trained.foreground:.0%}: "
            "if objects are that large, give their diameter, which rescales the image."
        )
    (smallest, largest), usual, typical = trained.diameter_px, usual_px(diameters), float(np.median(diameters))
    if typical < SLACK * smallest or usual > largest:
        width = (usual if usual > largest else typical) / zoom
        return f"what was found is about {width:.0f} px wide, {_known(trained)}: give the objects' diameter, which rescales the image."
    return ""


def _larger_px(image: Array, labels: Array, trained: Objects, find: Find) -> float:
    """Width of the objects, px, if they are wider than the network knows, as those found in a smaller copy tell; else 0.

    Large, textured objects come out in pieces of an ordinary size; where the smaller copy shows objects over twice as much of the image,
    those are no larger objects but background. Asked of networks only that know objects of so many sizes that they can be relied on for a
    smaller copy too.
    """
    smallest, largest = trained.diameter_px
    size = (image.shape[-2] // FEWER, image.shape[-1] // FEWER)
    if largest < 2 * FEWER * smallest or min(size) < LEAST_PX:
        return 0.0
    larger = find(resampled(image, size))
    width = FEWER * usual_px(diameters_px(larger))
    return width if width > largest and (larger != 0).mean() < MORE * (labels != 0).mean() else 0.0


def _known(trained: Objects) -> str:
    low, high = trained.diameter_px
    return f"and the network was trained on objects {low:.3g} to {high:.3g} px wide"
