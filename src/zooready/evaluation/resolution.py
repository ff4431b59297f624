"""What a method resolves: the width at which it shows a point, and whether it shows two points as two.

Points lie apart on a jittered grid, with their true places known. Two count as resolved where the profile through both falls, between
them, a twentieth or more below the lower of its two peaks, and both peaks are within a third of the distance of their true places.
A lone point that such a profile splits in two is counted as well: a method that turns noise into dips does that too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from zooready.images.similarity import Image2D
from zooready.simulate.fields import Field

Float = NDArray[np.float64]
GRID = 4  # points, or pairs of them, a side of a field
POINT_PX = 0.5  # standard deviation of a point
DIP = 0.95  # largest value between two points, over the lower of their peaks, that counts as resolved
OFF = 1 / 3  # largest distance of a peak from its point, over that of the points
STEP_PX = 0.02  # of a profile
Scene = Callable[[np.random.Generator, int, Callable[[np.random.Generator, int], Float]], Field]


def points(rng: np.random.Generator, size: int, apart_px: float) -> tuple[Float, Float]:
    """Places of the two points of each pair on a jittered grid, (2, n, 2) px (y, x), and their directions, (n, 2) of length 1."""
    pitch = size / GRID
    at = (np.stack(np.meshgrid(np.arange(GRID), np.arange(GRID), indexing="ij"), -1).reshape(-1, 2) + 0.5) * pitch
    at = at + rng.uniform(-0.1, 0.1, at.shape) * pitch
    angle = rng.uniform(0, np.pi, len(at))
    along = np.stack((np.sin(angle), np.cos(angle)), -1)
    return np.stack((at - apart_px / 2 * along, at + apart_px / 2 * along)), along


def simulated(scene: Scene, seed: int, index: int, size: int, apart_px: float) -> tuple[Field, Float, Float]:
    """A field of pairs of points so far apart, 0 for lone points; with :func:`points`."""
    rng = np.random.default_rng((seed, index, round(100 * apart_px)))
    places, along = points(rng, size, apart_px)

    def specimen(rng: np.random.Generator, side: int) -> Float:
        offset = np.arange(side) - (side - size) // 2 - places.reshape(-1, 2).T[..., None]  # (2, n, side)
        down, across = np.exp(-0.5 * (offset / POINT_PX) ** 2)
        return np.asarray(down.T @ across)

    return scene(rng, size, specimen), places, along


def profile(image: Image2D, at: Float, along: Float, reach_px: float) -> tuple[Float, Float]:
    """Values of the image on a line through `at` (y, x), up to `reach_px` away: (distance px, value)."""
    distance = np.arange(-reach_px, reach_px + STEP_PX / 2, STEP_PX)
    line = at[:, None] + distance * along[:, None]
    return distance, ndimage.map_coordinates(np.asarray(image, np.float64), line, order=3, mode="nearest")


def width_px(image: Image2D, at: Float) -> float:
    """Full width at half maximum of a point at (y, x), px: the mean along y and x, above the image's median; nan if it is not there."""
    widths = []
    for along in np.eye(2):
        distance, values = profile(image - np.median(image), at, along, 12.0)
        half = values[np.abs(distance) <= 2].max() / 2
        below = values < half
        left, right = distance[(distance < 0) & below], distance[(distance > 0) & below]
        widths.append(right.min() - left.max() if half > 0 and len(left) and len(right) else np.nan)
    return float(np.mean(widths))


def is_resolved(image: Image2D, middle: Float, along: Float, apart_px: float) -> bool:
    """Whether the profile through two points, each `apart_px` / 2 from `middle`, shows two; see the module."""
    distance, values = profile(image - np.median(image), middle, along, apart_px)
    peaks = []
    for side in (-apart_px / 2, apart_px / 2):
        near = np.flatnonzero(np.abs(distance - side) <= OFF * apart_px)
        peaks.append(int(near[values[near].argmax()]))
        if peaks[-1] in (near[0], near[-1]):  # the slope of something else
            return False
    lower = min(values[peaks[0]], values[peaks[1]])
    return bool(lower > 0 and values[peaks[0] : peaks[1] + 1].min() <= DIP * lower)


def measured(
    scene: Scene,
    methods: Callable[[Field], Mapping[str, Image2D]],
    *,
    seed: int,
    fields: int,
    size: int,
    apart_nm: Sequence[float],
    pixel_nm: float,
) -> list[dict[str, float | str]]:
    """One row a method: median width of a point, and the share of pairs resolved at each distance, nm.

    Parameters
    ----------
    scene
        Draws a field of a specimen.
    methods
        Images of a field by name of method, the truth among them.
    seed, fields, size
        Of the fields, for each distance; px.
    apart_nm
        Distances; the first of them is also used for lone points, along one random direction each.
    pixel_nm
        Side of a pixel.
    """
    widths: dict[str, list[float]] = {}
    shares: dict[str, dict[str, list[bool]]] = {}
    for index in range(fields):
        field, places, along = simulated(scene, seed, index, size, 0.0)
        for name, image in methods(field).items():
            widths.setdefault(name, []).extend(width_px(image, at) * pixel_nm for at in places[0])
            lone = [is_resolved(image, at, way, apart_nm[0] / pixel_nm) for at, way in zip(places[0], along, strict=True)]
            shares.setdefault(name, {}).setdefault("lone points split", []).extend(lone)
        for nm in apart_nm:
            apart = nm / pixel_nm
            field, places, along = simulated(scene, seed, index, size, apart)
            for name, image in methods(field).items():
                middles = places.mean(0)
                found = [is_resolved(image, at, way, apart) for at, way in zip(middles, along, strict=True)]
                shares[name].setdefault(f"two at {nm:g} nm", []).extend(found)
    return [
        {
            "method": name,
            "width of a point, nm": float(np.nanmedian(widths[name])),
            **{title: float(np.mean(found)) for title, found in shares[name].items()},
        }
        for name in widths
    ]
