"""What ``config.zooready`` states of images and objects; what cannot be understood becomes a fault, by place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zooready.tensors import Blur, KnownKind, Objects

PIXEL_SIZE, BLUR, BLUR_SHOWN, PLANE_DISTANCE, CROP, LIMITS, OBJECTS, KNOWN_KIND = (
    f"config.zooready.{key}" for key in ("pixel_size_um", "blur_px", "blur_shown_px", "z_um", "crop_px", "limits", "objects", "kind")
)


def blur(trained: object, shown: Any, faults: dict[str, str]) -> Blur | None:
    """The blur that the network takes away, and which of it is shown to it."""
    trained_px = length_range(trained, BLUR, "px", faults)
    if trained_px is None:
        return None
    if shown is None:  # by someone else, or before bundles stated it
        return Blur.of(trained_px)
    try:
        (below, sharp), (above, wide) = (map(float, pair) for pair in shown)
        if 0 < below <= sharp and 0 < wide <= above < math.inf:
            return Blur(trained_px=trained_px, sharp_px=(below, sharp), wide_px=(above, wide))
    except (TypeError, ValueError):
        pass
    faults[BLUR_SHOWN] = f"{BLUR_SHOWN} is {shown!r}; give [[below, shown as], [above, shown as]] in px."
    return None


def length_range(stated: object, where: str, unit: str, faults: dict[str, str]) -> tuple[float, float] | None:
    """Smallest and largest of a length, such as the side of a pixel in micrometres."""
    if stated is None:
        return None
    if isinstance(stated, list) and len(stated) == 2 and all(isinstance(side, (int, float)) for side in stated):
        low, high = map(float, stated)
        if 0 < low <= high < float("inf"):
            return low, high
    faults[where] = f"{where} is {stated!r}; give [smallest, largest] in {unit}."
    return None


def plane_distance_um(stated: object, faults: dict[str, str]) -> float | None:
    """Distance of planes, in micrometres."""
    if stated is None:
        return None
    if isinstance(stated, (int, float)) and 0 < stated < float("inf"):
        return float(stated)
    faults[PLANE_DISTANCE] = f"{PLANE_DISTANCE} is {stated!r}; give the distance of planes in µm."
    return None


def limits(stated: object, faults: dict[str, str]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value that the network was trained for, by channel of the input."""
    ranges = list(stated.items()) if isinstance(stated, Mapping) else []
    is_range = [
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(end, (int, float)) for end in pair) and pair[0] < pair[1]
        for _, pair in ranges
    ]
    if stated is not None and not (ranges and all(is_range)):
        faults[LIMITS] = f"{LIMITS} is {stated!r}; give [smallest, largest] for each channel that has them."
        return {}
    return {name: (float(low), float(high)) for name, (low, high) in ranges}


def crop_px(stated: object, faults: dict[str, str]) -> int | None:
    """Side of the image of one object, px."""
    if stated is None:
        return None
    if isinstance(stated, int) and stated > 0:
        return stated
    faults[CROP] = f"{CROP} is {stated!r}, which is not a size: write the side of a crop, 1 px or more."
    return None


def objects(stated: object, faults: dict[str, str]) -> Objects | None:
    """The objects that the network was trained to find."""
    if stated is None:
        return None
    told = stated if isinstance(stated, Mapping) else {}
    diameters = length_range(told.get("diameter_px"), OBJECTS, "px", faults)
    share, levels = told.get("foreground"), told.get("background")
    levels = levels if isinstance(levels, list) and all(isinstance(level, (int, float)) for level in levels) else []
    if diameters and isinstance(share, (int, float)) and 0 < share <= 1 and len(levels) == 2 and 0 <= levels[0] <= levels[1] <= 1:
        return Objects(diameter_px=diameters, foreground=float(share), background=(float(levels[0]), float(levels[1])))
    faults[OBJECTS] = f"{OBJECTS} is {stated!r}; give diameter_px: [smallest, largest], foreground: 0 to 1, background: [low, high]."
    return None


def known_kind(stated: object, faults: dict[str, str]) -> KnownKind | None:
    """What tells images of a classifier's own kind from others."""
    if stated is None:
        return None
    told = stated if isinstance(stated, Mapping) else {}
    weights, bias, kept = told.get("weights"), told.get("bias"), told.get("kept")
    are_numbers = isinstance(weights, list) and weights and all(isinstance(value, (int, float)) for value in (*weights, bias, kept))
    if are_numbers and isinstance(weights, list) and bias is not None and kept is not None and 0 < kept <= 1:
        return KnownKind(weights=tuple(map(float, weights)), bias=float(bias), kept=float(kept))
    faults[KNOWN_KIND] = f"{KNOWN_KIND} is {str(stated)[:80]!r}; give weights: [numbers], bias: a number, kept: 0 to 1."
    return None
