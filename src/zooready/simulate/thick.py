"""Specimens with depth for refocusing: sparse ones, nets, sheets, round bodies, and thin layers of a flat specimen.

As in :mod:`zooready.simulate.volumes`, each takes a generator, a shape (z, y, x) and the aspect (distance of planes over the side of a
pixel), and returns float64, zero or more, with a maximum of one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.simulate import specimens
from zooready.simulate.volumes import ASPECT, Shape, drawn, smoothed

Float = NDArray[np.float64]
Thick = Callable[[np.random.Generator, Shape, float], Float]
GLOBE_PX = (3.0, 36.0)  # radius of a round body
MOST_GLOBES, PRESSED = 400, 16  # bodies in a volume; planes of a volume that is pressed
FLAT: tuple[specimens.Specimen, ...] = (*specimens.STRUCTURES, *specimens.TEXTURES)


def scattered(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """A few small beads of one size, wide apart."""
    count = int(np.exp(rng.uniform(np.log(3), np.log(4 + shape[1] * shape[2] / 900))))
    at = rng.uniform(0, 1, (3, count)) * np.array([[(shape[0] - 1) * aspect], [shape[1]], [shape[2]]])
    return drawn(at, rng.lognormal(0, rng.uniform(0.0, 0.5), count), shape, rng.uniform(0.6, 1.6), aspect)


def nets(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """A random net of thin, winding strands: where two smooth random fields are both near zero."""
    coarse = rng.uniform(8, 20)
    first, second = (smooth_noise(rng, shape, coarse, aspect) for _ in range(2))
    strands = np.exp(-(first**2 + second**2) / rng.uniform(0.15, 0.35) ** 2) * np.exp(0.4 * smooth_noise(rng, shape, 2 * coarse, aspect))
    return np.asarray(strands / strands.max())


def sheets(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """Folded sheets, like membranes: where a smooth random field is near a value."""
    coarse = rng.uniform(10, 25)
    folded = smooth_noise(rng, shape, coarse, aspect) - rng.uniform(-1, 1)
    stained = np.exp(-((folded / rng.uniform(0.08, 0.3)) ** 2)) * np.exp(0.4 * smooth_noise(rng, shape, 2 * coarse, aspect))
    return smoothed(stained, 0.6, aspect)


def globes(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """Round bodies from small to large: solid or hollow, with thin or thick walls, flattened or not, evenly or unevenly stained."""
    volume = np.zeros(shape)
    typical, hollow, flattening = np.exp(rng.uniform(*np.log(GLOBE_PX))), rng.random(), rng.uniform(0, 0.6)
    room = rng.uniform(0.05, 0.5) * volume.size * aspect  # px^3 that bodies of typical size would take
    for _ in range(int(np.clip(room / (4.2 * typical**3), 2, MOST_GLOBES))):
        radius = typical * rng.lognormal(0, 0.25)
        round_by = np.array((1 - rng.uniform(0, flattening), *np.exp(rng.uniform(-0.5, 0.5, 2) * flattening)))  # along z, y and x
        wall = rng.uniform(1.2, max(1.5, 0.6 * radius)) if rng.random() < hollow else radius
        inside = rng.choice((0.0, rng.uniform(0, 0.6)))
        globe(volume, rng.uniform(0, 1, 3) * shape, radius * round_by, wall, inside * rng.uniform(0.3, 1), aspect)
    if rng.random() < 0.6:
        volume *= np.exp(rng.uniform(0.1, 0.5) * smooth_noise(rng, shape, rng.uniform(1.5, 8), aspect))
    return smoothed(volume, rng.uniform(0.5, 1.2), aspect)


def globe(volume: Float, at: Float, radii: Float, wall: float, inside: float, aspect: float) -> None:
    """Add a body: its middle (z, y, x) in voxels, its half axes and its wall in px; inside it has this share of the wall's light."""
    reach = radii / np.array((aspect, 1, 1)) + 1
    low, high = np.maximum(at - reach, 0).astype(int), np.ceil(at + reach).astype(int) + 1
    box = tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    part = volume[box]  # the box may reach beyond the volume
    z, y, x = np.ogrid[tuple(slice(int(start), int(start) + length) for start, length in zip(low, part.shape, strict=True))]
    radius = float(np.cbrt(radii.prod()))
    scaled = np.sqrt((aspect * (z - at[0]) / radii[0]) ** 2 + ((y - at[1]) / radii[1]) ** 2 + ((x - at[2]) / radii[2]) ** 2)
    depth = radius * (1 - scaled)  # px below the surface, about
    part += np.clip(depth + 0.5, 0, 1) * np.where(depth < wall, 1.0, inside)


def pressed(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """Round bodies pressed into one plane, the others empty."""
    volume = np.zeros(shape)
    flat = globes(rng, (PRESSED, shape[1], shape[2]), aspect).sum(0)
    volume[int(rng.integers(shape[0]))] = flat / max(float(flat.max()), 1e-12)
    return volume


def layer(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """A flat specimen in one plane, the others empty."""
    volume = np.zeros(shape)
    flat = FLAT[int(rng.integers(len(FLAT)))](rng, max(shape[1:]))[: shape[1], : shape[2]]
    volume[int(rng.integers(shape[0]))] = flat / max(float(flat.max()), 1e-12)
    return volume


def smooth_noise(rng: np.random.Generator, shape: Shape, sigma: float, aspect: float) -> Float:
    """Gaussian random field of mean 0 and variance 1, correlated over `sigma` px in space; it wraps around."""
    frequencies = np.ix_(scipy.fft.fftfreq(shape[0], aspect), scipy.fft.fftfreq(shape[1]), scipy.fft.rfftfreq(shape[2]))
    passed = [np.exp(-2 * (np.pi * sigma * frequency) ** 2).astype(np.float32) for frequency in frequencies]
    field = scipy.fft.irfftn(scipy.fft.rfftn(rng.standard_normal(shape, np.float32)) * (passed[0] * passed[1] * passed[2]), s=shape)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-12), np.float64)
