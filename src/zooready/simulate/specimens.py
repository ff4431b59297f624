"""Specimens for training: structures and textures with known truth.

Each takes a generator and a side in px and returns (size, size) float64, zero or more, with a maximum of one. Edges do not wrap.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

Float = NDArray[np.float64]
Specimen = Callable[[np.random.Generator, int], Float]


def filaments(rng: np.random.Generator, size: int) -> Float:
    """Stiff, wandering threads of equal or different brightness, like microtubules and actin."""
    count, steps = int(rng.integers(3, 3 + max(2, size // 7))), 3 * size
    bend = rng.uniform(0.01, 0.06)
    angles = rng.uniform(0, 2 * np.pi, (count, 1)) + np.cumsum(rng.normal(0, bend, (count, steps)), 1)
    start = rng.uniform(-0.2 * size, 1.2 * size, (2, count, 1))
    path = start + 0.5 * np.cumsum(np.stack((np.sin(angles), np.cos(angles))), 2)
    weights = np.repeat(rng.uniform(rng.uniform(0.2, 1), 1, count), steps)
    return drawn(path.reshape(2, -1), weights, size, rng.uniform(0.5, 1.3))


def puncta(rng: np.random.Generator, size: int) -> Float:
    """Small spots of very different brightness, some in clusters."""
    count = int(rng.integers(5, 5 + size * size // 60))
    at = rng.uniform(0, size, (2, count))
    clustered = rng.random(count) < rng.uniform(0, 0.6)
    at[:, clustered] = at[:, rng.integers(0, count, clustered.sum())] + rng.normal(0, 4, (2, int(clustered.sum())))
    return drawn(at, rng.lognormal(0, rng.uniform(0.1, 0.7), count), size, rng.uniform(0.5, 1.8))


def rings(rng: np.random.Generator, size: int) -> Float:
    """Circles and ellipses, thin and thick, like vesicles in focus and pores."""
    turn = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    image = np.zeros((size, size))
    for _ in range(int(rng.integers(3, 3 + max(2, size // 5)))):
        radii, tilt = rng.uniform(2.5, 18) * rng.uniform(0.6, 1, 2), rng.uniform(0, np.pi)
        y, x = radii[0] * np.sin(turn), radii[1] * np.cos(turn)
        at = np.stack((y * np.cos(tilt) + x * np.sin(tilt), x * np.cos(tilt) - y * np.sin(tilt))) + rng.uniform(0, size, (2, 1))
        image += splatted(at, np.full(turn.size, rng.uniform(0.3, 1) * radii.mean() / 10), size)
    return smoothed(image, rng.uniform(0.5, 1.5))


def meshes(rng: np.random.Generator, size: int) -> Float:
    """Threads that meet in threes, like the endoplasmic reticulum."""
    spacing = rng.uniform(7, 22)
    seeds = rng.uniform(-0.3 * size, 1.3 * size, (max(8, int((1.6 * size / spacing) ** 2)), 2))
    cells = scipy.spatial.Voronoi(seeds)
    edges = np.array([edge for edge in cells.ridge_vertices if -1 not in edge])
    edges = edges[rng.random(len(edges)) < rng.uniform(0.6, 1)]
    ends = cells.vertices[edges]  # (edge, 2, 2)
    ends = ends[np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1) < size]
    along = np.linspace(0, 1, 48)[None, :, None]
    path = ends[:, :1] * (1 - along) + ends[:, 1:] * along
    path += np.sin(np.pi * along) * rng.normal(0, 0.1 * spacing, (len(ends), 1, 2))  # bowed
    weights = np.repeat(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1) * rng.uniform(0.5, 1, len(ends)), along.size)
    return drawn(path.reshape(-1, 2).T, weights, size, rng.uniform(0.5, 1.5))


def clouds(rng: np.random.Generator, size: int) -> Float:
    """Random field with a power-law spectrum, from rough to smooth, sometimes with a dark ground."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1 / size
    spectrum = np.fft.rfft2(rng.normal(size=(size, size))) * frequency ** -rng.uniform(0.8, 2.2)
    field = np.fft.irfft2(spectrum, s=(size, size))
    field = (field - field.min()) / np.ptp(field)
    return smoothed(np.maximum(field - rng.choice((0.0, 0.35, 0.5)), 0.0) ** rng.uniform(0.7, 2), rng.uniform(0.4, 1.2))


def leaves(rng: np.random.Generator, size: int) -> Float:
    """Discs of flat brightness that hide each other: edges and areas of every size."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    image = np.full((size, size), rng.uniform(0, 0.5))
    levels = rng.choice(rng.uniform(0, 1, 5), 60) if rng.random() < 0.5 else rng.uniform(0, 1, 60)
    for level in levels:
        radius, squash = 3 * rng.random() ** -0.7, rng.uniform(0.4, 1)
        y, x, tilt = rows - rng.uniform(0, size), columns - rng.uniform(0, size), rng.uniform(0, np.pi)
        along, across = y * np.cos(tilt) + x * np.sin(tilt), x * np.cos(tilt) - y * np.sin(tilt)
        image[along**2 + (across / squash) ** 2 < min(radius, size / 3) ** 2] = level
    return smoothed(image, rng.uniform(0.5, 2.0))


def stripes(rng: np.random.Generator, size: int) -> Float:
    """Labyrinths: noise of one band of spatial frequencies, isotropic or directed, soft or steep."""
    y, x = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    centre, tilt, squeeze = 1 / rng.uniform(6, 24), rng.uniform(0, np.pi), rng.choice((1.0, 2.0, 4.0))
    radius = np.hypot(y * np.cos(tilt) + x * np.sin(tilt), squeeze * (x * np.cos(tilt) - y * np.sin(tilt)))
    band = np.exp(-(((radius - centre) / (0.3 * centre)) ** 2))
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(size, size))) * band, s=(size, size))
    field = 1 / (1 + np.exp(-rng.uniform(1, 6) * field / field.std()))
    return smoothed(field * rng.uniform(0.3, 1) + rng.uniform(0, 0.3), rng.uniform(0.4, 1.0))


def mosaic(rng: np.random.Generator, size: int) -> Float:
    """Cells of different brightness side by side, with or without bright borders."""
    spacing = rng.uniform(8, 40)
    seeds = rng.uniform(0, size, (max(5, int((size / spacing) ** 2)), 2))
    distance, nearest = scipy.spatial.cKDTree(seeds).query(np.mgrid[:size, :size].reshape(2, -1).T, k=2)
    image = rng.uniform(0, 1, len(seeds))[nearest[:, 0]]
    image = image + rng.choice((0.0, 1.0)) * np.exp(-(((distance[:, 1] - distance[:, 0]) / rng.uniform(1, 3)) ** 2))
    return smoothed(image.reshape(size, size), rng.uniform(0.5, 2.0))


def bumps(rng: np.random.Generator, size: int) -> Float:
    """Overlapping soft spots of all sizes: gentle hills without a dark ground, or lone ones on it."""
    image = np.full((size, size), rng.choice((0.0, 0.3)))
    for sigma in rng.uniform(1.5, 16, int(rng.integers(2, 6))):
        count = int(rng.integers(4, 8 + (size / sigma) ** 2 / 3))
        layer = splatted(rng.uniform(0, size, (2, count)), rng.uniform(-0.2, 1, count), size)
        image = image + 2 * np.pi * sigma**2 * rng.uniform(0.1, 0.6) * scipy.ndimage.gaussian_filter(layer, sigma)
    return smoothed(np.maximum(image, 0.0) + 1e-6, rng.uniform(0.4, 1.0))


def beads(rng: np.random.Generator, size: int) -> Float:
    """Balls of one or of many sizes, filled with dye, in projection: dome-shaped discs that may overlap."""
    rows, columns = np.ogrid[:size, :size]
    image = np.zeros((size, size))
    largest = rng.uniform(2.5, 12)
    for _ in range(int(rng.integers(4, 6 + size * size // 900))):
        radius, (y, x) = rng.uniform(0.4, 1) * largest, rng.uniform(0, size, 2)
        image += rng.uniform(0.4, 1) * np.sqrt(np.maximum(radius**2 - (rows - y) ** 2 - (columns - x) ** 2, 0.0))
    return smoothed(image, 0.6)


STRUCTURES: tuple[Specimen, ...] = (filaments, puncta, rings, meshes)
TEXTURES: tuple[Specimen, ...] = (clouds, leaves, stripes, mosaic, bumps)


def mixed(rng: np.random.Generator, size: int) -> Float:
    """One structure on top of one texture."""
    share = rng.uniform(0.2, 0.8)
    structure, texture = STRUCTURES[rng.integers(len(STRUCTURES))], TEXTURES[rng.integers(len(TEXTURES))]
    return share * structure(rng, size) + (1 - share) * texture(rng, size)


def splatted(at: Float, weights: Float, size: int) -> Float:
    """Points (2, n) of (y, x) px, shared out among their four pixels by bilinear weights, into (size, size); those outside are lost."""
    corner = np.floor(at).astype(int)
    part = at - corner
    image = np.zeros(size * size)
    for down in (0, 1):
        for right in (0, 1):
            y, x = corner[0] + down, corner[1] + right
            inside = (y >= 0) & (y < size) & (x >= 0) & (x < size)
            share = weights * np.abs(1 - down - part[0]) * np.abs(1 - right - part[1])
            image += np.bincount((y * size + x)[inside], share[inside], minlength=size * size)
    return image.reshape(size, size)


def smoothed(image: Float, sigma: float) -> Float:
    """Gaussian smoothing by `sigma` px, then a maximum of one (a black image stays black)."""
    soft = scipy.ndimage.gaussian_filter(image, sigma)
    return np.asarray(soft / max(float(soft.max()), 1e-12))


def drawn(at: Float, weights: Float, size: int, sigma: float) -> Float:
    """Points become a smooth image; see :func:`splatted` and :func:`smoothed`."""
    return smoothed(splatted(at, weights, size), sigma)
