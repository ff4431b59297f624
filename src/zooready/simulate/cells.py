"""Simulated cells with one of ten stained compartments, as in the 2D HeLa images: the image and the mask of its cell.

    outline and nucleus -> structure of the pattern -> leak, haze, blur -> neighbours -> camera

Optics are a Gaussian core and a wide haze; no image of a real cell was used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.simulate.camera import Camera
from zooready.simulate.patterns import PATTERNS, Cell, Float, share, soft

SIZE = 96  # px, side of an image
PIXEL_SIZE_UM = 0.4
RADIUS_UM = (9.5, 14.0)  # mean radius of a cell
DIFFICULTY = 1.0  # at which features and a random forest reach 75 to 85 %
NEIGHBOURS = 0.8  # mean number of neighbours that the border cuts


def cell(
    rng: np.random.Generator, pattern: str, difficulty: float = DIFFICULTY, size: int = SIZE
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """A raw image of a cell and its mask.

    Parameters
    ----------
    rng
        Source of everything that is random.
    pattern
        One of ``PATTERNS``.
    difficulty
        0 or more: multiplies leak (protein that is elsewhere in the cell), haze and blur, and divides the light; 0 is a sharp, bright
        image of the structure alone.
    size
        Side, px of 0.4 um.

    Returns
    -------
    image
        (size, size) uint16, camera counts.
    mask
        (size, size) bool, true in the cell in the middle.

    Raises
    ------
    InputInvalid
        No such pattern, or a negative difficulty.
    """
    if pattern not in PATTERNS:
        raise InputInvalid(f"pattern={pattern!r} is not known. Use one of {', '.join(PATTERNS)}.")
    if not difficulty >= 0:
        raise InputInvalid(f"difficulty={difficulty}: it must be 0 or more.")
    middle = outlined(rng, size)
    leak, haze = rng.uniform(0.0, 0.15, 2) * difficulty
    light = emission(rng, middle, pattern, leak)
    for _ in range(min(rng.poisson(NEIGHBOURS), 2)):
        light += emission(rng, outlined(rng, size, beside=middle), pattern, leak) * rng.uniform(0.4, 1.3)
    light = soft(light, 0.6 + rng.uniform(0.0, 0.27) * difficulty)
    light = light + haze * soft(light, rng.uniform(4, 9))
    light /= max(float(np.percentile(light, 99.5)), 0.2 * float(light.max()))
    photons = np.exp(rng.uniform(np.log(70), np.log(1400))) / max(difficulty, 0.1)
    background = rng.uniform(0.01, 0.05) * difficulty
    camera = Camera(gain=float(np.exp(rng.uniform(-1, 2))), offset=float(rng.uniform(50, 400)), read_noise=float(rng.uniform(0.8, 2.5)))
    return camera.exposed((light + background) * photons, rng), middle.depth > 0


def outlined(rng: np.random.Generator, size: int, beside: Cell | None = None) -> Cell:
    """Shape of a cell and its nucleus, in the middle of the image or, next to the cell ``beside``, cut by the border."""
    radius = rng.uniform(*RADIUS_UM) / PIXEL_SIZE_UM
    ratio, angle = rng.uniform(1.0, 1.9), rng.uniform(0, 2 * np.pi)
    direction = rng.uniform(0, 2 * np.pi)
    away = 0.0 if beside is None else beside.radius * rng.uniform(1.0, 1.15) + radius * rng.uniform(0.9, 1.2)
    jitter = rng.normal(0, 0.03 * size, 2)
    centre = np.array([np.sin(direction), np.cos(direction)]) * away + (size - 1) / 2 + jitter
    y, x = np.mgrid[:size, :size] - centre[:, None, None]
    along, across = (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(ratio), (y * np.cos(angle) - x * np.sin(angle)) * np.sqrt(ratio)
    turn = np.arctan2(across, along)
    waves = sum(rng.normal(0, 0.16 / n) * np.cos(n * turn + rng.uniform(0, 2 * np.pi)) for n in (2, 3, 4, 5))
    depth = 1 - np.hypot(along, across) / (radius * (1 + waves))
    if beside is not None:
        depth = np.where(beside.depth > -0.04, -1.0, depth)
    nucleus_radius = radius * rng.uniform(0.36, 0.5)
    nucleus_centre = centre + rng.normal(0, 0.1 * radius, 2)
    v, u = np.mgrid[:size, :size] - nucleus_centre[:, None, None]
    tilt, squash = angle + rng.normal(0, 0.4), rng.uniform(1.0, 1.5)
    rim = 1 + rng.normal(0, 0.04) * np.cos(3 * np.arctan2(v, u) + rng.uniform(0, 2 * np.pi))
    long, short = (u * np.cos(tilt) + v * np.sin(tilt)) / np.sqrt(squash), (v * np.cos(tilt) - u * np.sin(tilt)) * np.sqrt(squash)
    nucleus = np.where(depth > 0.02, 1 - np.hypot(long, short) / (nucleus_radius * rim), -1.0)
    return Cell(
        depth=depth, nucleus=nucleus, angle=angle, centre=(float(centre[0]), float(centre[1])),
        nucleus_centre=(float(nucleus_centre[0]), float(nucleus_centre[1])), radius=float(radius), nucleus_radius=float(nucleus_radius),
    )  # fmt: skip


def emission(rng: np.random.Generator, outline: Cell, pattern: str, leak: float) -> Float:
    """Emission of one cell, (size, size) float64, relative: its structure, and ``leak`` times as much light over the whole cell."""
    structure = PATTERNS[pattern](rng, outline)
    body = np.clip(outline.depth, 0, None) ** rng.uniform(0.4, 0.8) * np.where(outline.nucleus > 0, rng.uniform(0.3, 1.2), 1.0)
    return (share(structure) + leak * share(body)) * rng.uniform(0.6, 1.4)
