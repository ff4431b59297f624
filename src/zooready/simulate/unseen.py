"""Specimens that no training and no tuning may use: they measure a network on structures that it does not know.

Only evaluation/ draws them; tests/simulate/test_unseen.py checks that families, training and data do not. Each takes a
generator and a side in px and returns (size, size) float64, zero or more, with a maximum of one; those of ``UNSEEN_VOLUMES`` take a shape
(z, y, x) in place of the side, as those of :mod:`zooready.simulate.volumes` do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

Float = NDArray[np.float64]


def tissue(rng: np.random.Generator, size: int) -> Float:
    """Smooth, tissue-like texture: folded lobes with soft walls and a fine grain under uneven staining."""
    noise = [ndimage.gaussian_filter(rng.normal(size=(size, size)), sigma, mode="wrap") for sigma in (9.0, 9.0, 7.0, 2.0, 30.0)]
    noise = [layer / layer.std() for layer in noise]
    rows, columns = np.mgrid[:size, :size].astype(float)
    at = np.stack((rows + 6 * noise[0], columns + 6 * noise[1]))
    folded = ndimage.map_coordinates(noise[2], at, order=1, mode="grid-wrap")
    lobes = 0.5 + 0.5 * np.tanh(rng.uniform(1.0, 2.5) * folded)
    walls = np.exp(-((folded / rng.uniform(0.15, 0.4)) ** 2))
    stained = (0.15 + lobes + 0.5 * walls) * (1 + 0.12 * noise[3]) * np.exp(0.3 * noise[4])
    stained = np.maximum(stained, 0.0)
    return np.asarray(stained / stained.max())


def shells(rng: np.random.Generator, size: int) -> Float:
    """Hollow spheres in projection: bright limbs, filled centres, overlapping."""
    rows, columns = np.mgrid[:size, :size].astype(float)
    image = np.zeros((size, size))
    for _ in range(max(3, int(rng.uniform(0.6, 1.6) * (size / 40) ** 2))):
        radius, thickness = rng.uniform(7, 24), rng.uniform(1.5, 4.0)
        squared = (rows - rng.uniform(0, size)) ** 2 + (columns - rng.uniform(0, size)) ** 2
        outer, inner = np.sqrt(np.maximum(radius**2 - squared, 0)), np.sqrt(np.maximum((radius - thickness) ** 2 - squared, 0))
        image += rng.uniform(0.3, 1.0) * (outer - inner) / np.sqrt(radius * thickness)
    image = ndimage.gaussian_filter(image, 0.7, mode="wrap")
    return np.asarray(image / image.max())


def hollow_spheres(rng: np.random.Generator, shape: tuple[int, int, int], aspect: float = 3.0) -> Float:
    """Hollow spheres in space, (z, y, x); `aspect` is the distance of planes over the side of a pixel."""
    z, rows, columns = np.mgrid[: shape[0], : shape[1], : shape[2]].astype(float)
    volume = np.zeros(shape)
    for _ in range(max(3, int(rng.uniform(0.6, 1.6) * shape[0] * aspect * shape[1] * shape[2] / 40**3))):
        radius, thickness = rng.uniform(6, 18), rng.uniform(1.5, 3.5)
        at = rng.uniform(0, 1, 3) * shape
        distance = np.sqrt((aspect * (z - at[0])) ** 2 + (rows - at[1]) ** 2 + (columns - at[2]) ** 2)
        volume += rng.uniform(0.3, 1.0) * np.clip((thickness + 1) / 2 - np.abs(distance - radius), 0, 1)
    return np.asarray(volume / max(float(volume.max()), 1e-12))


def foam(rng: np.random.Generator, shape: tuple[int, int, int], aspect: float = 3.0) -> Float:
    """Walls between cells that fill space, as in plant tissue: where the two nearest of many random points are equally near."""
    extent = np.array((shape[0] * aspect, shape[1], shape[2]))
    cell, wall = rng.uniform(14, 40), rng.uniform(0.6, 2.0)
    points = rng.uniform(-cell, extent + cell, (max(8, int(np.prod(extent + 2 * cell) / cell**3)), 3))
    voxels = np.stack(np.meshgrid(np.arange(shape[0]) * aspect, np.arange(shape[1]), np.arange(shape[2]), indexing="ij"), -1)
    distances, _ = spatial.cKDTree(points).query(voxels.astype(np.float32).reshape(-1, 3), k=2)
    from_wall = ((distances[:, 1] - distances[:, 0]) / 2).reshape(shape)
    volume = np.exp(-0.5 * (from_wall / wall) ** 2)
    return np.asarray(volume / volume.max())


def coils(rng: np.random.Generator, shape: tuple[int, int, int], aspect: float = 3.0) -> Float:
    """Helical ribbons around straight axes of any direction, as of spirochaetes or the chloroplasts of Spirogyra."""
    extent, dots = np.array((shape[0] * aspect, shape[1], shape[2])), []
    for _ in range(int(rng.integers(2, 9))):
        length, radius, pitch, thickness = rng.uniform(60, 200), rng.uniform(3, 16), rng.uniform(8, 30), rng.uniform(0.5, 2.0)
        axis = rng.normal(0, 1, 3) * (0.4, 1, 1)
        axis /= np.linalg.norm(axis)
        side = np.cross(axis, (1.0, 0.1, 0.2))
        side /= np.linalg.norm(side)
        along = np.arange(0, length, 0.1)
        turn = 2 * np.pi * along / pitch + rng.uniform(0, 2 * np.pi)
        around = np.outer(np.cos(turn), side) + np.outer(np.sin(turn), np.cross(axis, side))
        path = rng.uniform(0, extent) + np.outer(along - length / 2, axis) + radius * around
        dots.append(path + rng.normal(0, thickness, path.shape))
    at = np.concatenate(dots) / (aspect, 1, 1)
    volume, _ = np.histogramdd(at, [np.arange(side + 1) - 0.5 for side in shape])
    volume = ndimage.gaussian_filter(volume, (0.7 / aspect, 0.7, 0.7))
    return np.asarray(volume / max(float(volume.max()), 1e-12))


UNSEEN = (tissue, shells)
UNSEEN_VOLUMES = (hollow_spheres,)
NEW_VOLUMES = (foam, coils)  # for refocusing, whose training has hollow bodies like those above
