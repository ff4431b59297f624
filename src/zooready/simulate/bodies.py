"""Specimens around a line: branching neurites, in a plane and with depth, and the bodies of worms.

Those in a plane take a side in px, as those of :mod:`zooready.simulate.specimens`; ``arbours`` takes a shape (z, y, x), as those of
:mod:`zooready.simulate.volumes`. All return float64, zero or more, with a maximum of one.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.simulate import specimens, volumes

Float = NDArray[np.float64]
SHARE_OF_PARENT = 0.79  # radius after a fork into two: the 3/2 powers of the radii nearly add up (Rall's law)
THINNEST_PX = 0.6
IN_A_SECTION = 24  # points across a tube
LARGEST_TREE = 80  # pieces between forks


def neurites(rng: np.random.Generator, size: int) -> Float:
    """Cell bodies with processes that fork, thin out and carry swellings: round tubes in projection."""
    somas, at, weights = _neurons(rng, (0.0, size, size), flat=0.0)
    image = specimens.splatted(at[1:], weights, size)
    rows, columns = np.ogrid[:size, :size]
    for (_, y, x), radius in somas:
        dome = 2 * np.sqrt(np.maximum(radius**2 - (rows - y) ** 2 - (columns - x) ** 2, 0.0)) * _stain(radius)
        image = np.maximum(image, dome)
    return specimens.smoothed(image, rng.uniform(0.7, 1.1))


def arbours(rng: np.random.Generator, shape: volumes.Shape, aspect: float = volumes.ASPECT) -> Float:
    """The same neurites as solid tubes that climb and dive through a volume."""
    somas, at, weights = _neurons(rng, (shape[0] * aspect, shape[1], shape[2]), flat=0.5)
    volume = volumes.splatted(at, weights, shape, aspect) * aspect
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for centre, radius in somas:
        distance = np.sqrt((aspect * z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
        volume = np.maximum(volume, np.clip(radius + 0.5 - distance, 0, 1) * _stain(radius))
    return volumes.smoothed(volume, rng.uniform(0.7, 1.1), aspect)


def _stain(radius: float | Float) -> float | Float:
    """Dye per volume: thin processes have more membrane in it and stain more strongly."""
    return radius**-0.5


def _neurons(
    rng: np.random.Generator, extent: tuple[float, float, float], *, flat: float
) -> tuple[list[tuple[Float, float]], Float, Float]:
    """Cell bodies (centre, radius), and points (3, n) with weights (n,) that fill the processes evenly; all in px along every axis.

    `flat` is the largest slope against the plane, radians.
    """
    size = max(extent[1:])
    somas: list[tuple[Float, float]] = []
    pieces: list[tuple[Float, Float, Float]] = []
    for _ in range(int(rng.integers(1, 3 + int(size) // 120))):
        soma = np.array([rng.uniform(0.15, 0.85) * side for side in extent])
        thick = rng.uniform(0.009, 0.016) * size + 0.8
        somas.append((soma, min(2.6 * thick, size / 14)))
        heads = deque((soma, turn, thick, size * rng.uniform(0.5, 1.1)) for turn in rng.uniform(0, 2 * np.pi, int(rng.integers(3, 6))))
        for _ in range(LARGEST_TREE):
            if not heads:
                break
            start, turn, radius, length = heads.popleft()
            path, along, radii = _process(rng, start, turn, radius, length * rng.uniform(0.25, 0.6), flat)
            pieces.append((path, along, radii))
            thinner, remaining = SHARE_OF_PARENT * radius, 0.7 * length
            if thinner > THINNEST_PX and remaining > 8:
                heading, fork = float(np.arctan2(along[1, -1], along[2, -1])), rng.uniform(0.25, 0.7)
                heads.extend((path[:, -1], heading + sign * fork, thinner * rng.uniform(0.85, 1.1), remaining) for sign in (-1, 1))
    path, along, radii = (np.concatenate(parts, axis=-1) for parts in zip(*pieces, strict=True))
    side = np.stack((np.zeros_like(along[0]), -along[2], along[1])) / np.hypot(along[1], along[2])
    other = np.cross(along, side, axis=0)
    number = np.arange(IN_A_SECTION)[:, None] + 0.5  # as in a sunflower, the seeds cover a disc evenly
    out, turns = np.sqrt(number / IN_A_SECTION), number * np.pi * (3 - np.sqrt(5))
    at = path[:, None] + out * radii * (side[:, None] * np.cos(turns) + other[:, None] * np.sin(turns))
    weights = np.broadcast_to(_stain(radii) * np.pi * radii**2 / (2 * IN_A_SECTION), at.shape[1:])
    return somas, at.reshape(3, -1), weights.ravel()


def _process(rng: np.random.Generator, start: Float, turn: float, radius: float, length: float, flat: float) -> tuple[Float, Float, Float]:
    """One unforked, bent piece that tapers, with swellings."""
    steps = max(4, int(2 * length))
    turns = turn + np.cumsum(rng.normal(0, 0.035, steps))
    slope = flat * np.sin(rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.05, steps)))
    along = np.stack((np.sin(slope), np.cos(slope) * np.sin(turns), np.cos(slope) * np.cos(turns)))
    path = start[:, None] + 0.5 * np.cumsum(along, 1)
    swelling = 1 + rng.uniform(0, 0.8) * np.maximum(scipy.ndimage.gaussian_filter1d(rng.normal(0, 1, steps), 8) * 4, 0)
    return path, along, np.linspace(1, SHARE_OF_PARENT, steps) * radius * swelling


def worms(rng: np.random.Generator, size: int) -> Float:
    """Bodies like those of nematodes: bent in waves, tapered at both ends, with a brighter gut and grains inside."""
    image = np.zeros((size, size))
    for _ in range(int(rng.integers(1, 4))):
        length, width = rng.uniform(0.5, 1.1) * size, rng.uniform(0.025, 0.05) * size + 1
        s = np.linspace(0, 1, int(2 * length))
        turn = rng.uniform(0, 2 * np.pi) + rng.uniform(0.4, 1.3) * np.sin(2 * np.pi * (rng.uniform(0.6, 1.6) * s + rng.random()))
        path = np.cumsum(np.stack((np.sin(turn), np.cos(turn))), 1) * length / s.size
        path += rng.uniform(0.2, 0.8, (2, 1)) * size - path.mean(1, keepdims=True)
        radius = width * np.minimum(1, 1.15 * np.sin(np.pi * s**0.8) ** 0.5)  # blunt head, long tail
        u = np.linspace(-1, 1, max(9, int(4 * width)))[:, None]
        grains = scipy.ndimage.gaussian_filter(rng.normal(size=(u.size, s.size)), (1.5, 3))
        body = np.sqrt(1 - 0.98 * u**2) * (1 + rng.uniform(0.1, 0.5) * grains / grains.std())
        gut = np.exp(-((u / rng.uniform(0.25, 0.45)) ** 2)) * (s > 0.12) * (s < 0.93)
        light = np.maximum(body + rng.uniform(0.3, 1.5) * gut, 0.05) * radius**2
        at = path[:, None, :] + u * radius * np.stack((-np.cos(turn), np.sin(turn)))[:, None, :]
        image += specimens.splatted(at.reshape(2, -1), light.ravel() / u.size, size) * rng.uniform(0.5, 1)
    return specimens.smoothed(image, rng.uniform(0.8, 1.2))
