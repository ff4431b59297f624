"""Wide-field stacks: the three-dimensional point spread function, and specimens with depth.

Axes are (z, y, x); plane 0 lies at the coverslip and later planes deeper, further from the objective. Voxels are longer along the axis than
across it: ``z_step_um`` is the distance of planes. A specimen's ``aspect`` is that distance over the side of a pixel, so that what is
round in space is round whatever the step. Specimens return float64, zero or more, with a maximum of one; their edges do not wrap.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.simulate.optics import ROUNDING, Optics, planes

Float = NDArray[np.float64]
Shape = tuple[int, int, int]
Solid = Callable[[np.random.Generator, Shape], Float]
ASPECT = 3.0  # planes 0.15 um apart, pixels of 0.05 um


def psf3d(optics: Optics, shape: Shape, z_step_um: float) -> Float:
    """The wide-field point spread function with depth.

    Parameters
    ----------
    optics
        The microscope; its `z_um` shifts the stack.
    shape
        (z, y, x), px.
    z_step_um
        Distance of planes, micrometres.

    Returns
    -------
    (z, y, x) float64
        Non-negative, sum 1, the same sum in every plane; the focus is at (z // 2, y // 2, x // 2).

    Raises
    ------
    InputInvalid
        The step is not positive, or too long for the NA; the message gives the limit.
    """
    demand_step(optics, z_step_um)
    heights = optics.z_um + (np.arange(shape[0]) - shape[0] // 2) * z_step_um
    return planes(optics, (shape[1], shape[2]), tuple(heights)) / shape[0]


def demand_step(optics: Optics, z_step_um: float) -> None:
    """Refuse a distance of planes that is impossible, or too long for the NA."""
    if not (np.isfinite(z_step_um) and z_step_um > 0):
        raise InputInvalid(f"z_step_um={z_step_um}: it must be a positive number.")
    if z_step_um > optics.nyquist_z_um * (1 + ROUNDING):
        raise InputInvalid(
            f"z_step_um={z_step_um} is above the Nyquist limit of {optics.nyquist_z_um:.4f} um along the axis (wavelength "
            f"{optics.wavelength_nm:g} nm, NA {optics.na:g}, index {optics.index:g}): put planes closer, or use a lower NA."
        )


def filaments(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """Stiff, wandering threads, most of them nearly flat, as microtubules lie in a cell."""
    size, depth = max(shape[1:]), shape[0] * aspect
    count, steps = int(rng.integers(8, 10 + size // 4)), 3 * size
    path = _walks(rng, count, steps, size, depth, bend=rng.uniform(0.01, 0.05), flat=rng.uniform(0.1, 0.5))
    weights = np.repeat(rng.uniform(rng.uniform(0.2, 1), 1, count), steps)
    return drawn(path.reshape(3, -1), weights, shape, rng.uniform(0.6, 1.3), aspect)


def puncta(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """Small spots of very different brightness, some in clusters."""
    extent = np.array([[shape[0] * aspect], [shape[1]], [shape[2]]])
    count = int(rng.integers(8, 10 + int(extent.prod()) // 6000))
    at = rng.uniform(0, 1, (3, count)) * extent
    clustered = rng.random(count) < rng.uniform(0, 0.6)
    at[:, clustered] = at[:, rng.integers(0, count, clustered.sum())] + rng.normal(0, 4, (3, int(clustered.sum())))
    return drawn(at, rng.lognormal(0, rng.uniform(0.1, 0.7), count), shape, rng.uniform(0.6, 1.8), aspect)


def beads(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """Solid balls of one or of many sizes, with soft rims of a pixel."""
    volume = np.zeros(shape)
    largest = rng.uniform(2.5, 8)
    count = int(rng.integers(4, 6 + int(volume.size * aspect) // 30000))
    for _ in range(count):
        radius, level = rng.uniform(0.4, 1) * largest, rng.uniform(0.3, 1)
        centre = rng.uniform(0, 1, 3) * shape
        reach = np.array((radius / aspect, radius, radius)) + 2
        low = np.maximum(centre - reach, 0).astype(int)
        high = np.ceil(centre + reach).astype(int)
        box = tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
        z, y, x = np.ogrid[box]
        distance = np.sqrt((aspect * (z - centre[0])) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
        inside = volume[box]  # the box may reach beyond the volume
        ball = level * np.clip(radius + 0.5 - distance, 0, 1)
        np.maximum(inside, ball[: inside.shape[0], : inside.shape[1], : inside.shape[2]], out=inside)
    return np.asarray(volume / max(float(volume.max()), 1e-12))


def tubes(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """Thick, bent tubes, filled or with bright walls, like mitochondria and neurites."""
    size, depth = max(shape[1:]), shape[0] * aspect
    count, steps = int(rng.integers(4, 6 + size // 10)), int(rng.uniform(0.6, 2.5) * size)
    path = _walks(rng, count, steps, size, depth, bend=rng.uniform(0.02, 0.08), flat=rng.uniform(0.1, 0.4))
    along = np.gradient(path, axis=2)
    side = np.stack((np.zeros_like(along[0]), -along[2], along[1]))  # across the tube, in the plane
    side /= np.maximum(np.linalg.norm(side, axis=0), 1e-9)
    other = np.cross(along, side, axis=0)
    other /= np.maximum(np.linalg.norm(other, axis=0), 1e-9)
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    rims = (1.0,) if rng.random() < 0.5 else (0.25, 0.6, 1.0)
    radius = rng.uniform(1.5, 5, (count, 1, 1)) * np.exp(0.25 * np.sin(np.linspace(0, rng.uniform(5, 30), steps)))[None, :, None]
    at, weights = [], []
    for rim in rims:
        around = path[..., None] + rim * radius * (side[..., None] * np.cos(turn) + other[..., None] * np.sin(turn))
        at.append(around.reshape(3, -1))
        weights.append(np.broadcast_to(rim * radius * rng.uniform(0.4, 1, (count, 1, 1)), around.shape[1:]).ravel())
    return drawn(np.concatenate(at, 1), np.concatenate(weights), shape, rng.uniform(0.8, 1.3), aspect)


def clouds(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """Random field with a power-law spectrum, from rough to smooth, often with a dark ground."""
    z, y, x = np.fft.fftfreq(shape[0], aspect), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2])
    frequency = np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2)
    frequency[0, 0, 0] = 1 / max(shape)
    spectrum = np.fft.rfftn(rng.normal(size=shape)) * frequency ** -rng.uniform(1.5, 3.0)
    field = np.fft.irfftn(spectrum, s=shape, axes=(0, 1, 2))
    field = (field - field.min()) / np.ptp(field)
    return smoothed(np.maximum(field - rng.choice((0.0, 0.35, 0.5)), 0.0) ** rng.uniform(0.7, 2), rng.uniform(0.5, 1.2), aspect)


SOLIDS: tuple[Solid, ...] = (filaments, puncta, beads, tubes, clouds)


def mixed(rng: np.random.Generator, shape: Shape, aspect: float = ASPECT) -> Float:
    """Two different specimens in one volume."""
    share = rng.uniform(0.3, 0.7)
    indices = rng.choice(len(SOLIDS), 2, replace=False)
    first, second = (SOLIDS[int(index)](rng, shape, aspect) for index in indices)  # type: ignore[call-arg]
    return np.asarray(share * first + (1 - share) * second)


def _walks(rng: np.random.Generator, count: int, steps: int, size: int, depth: float, *, bend: float, flat: float) -> Float:
    """Bent paths with steps of half a pixel: (3, count, steps), in pixels along every axis; `flat` is their largest slope, radians."""
    turn = rng.uniform(0, 2 * np.pi, (count, 1)) + np.cumsum(rng.normal(0, bend, (count, steps)), 1)
    slope = flat * np.sin(rng.uniform(0, 2 * np.pi, (count, 1)) + np.cumsum(rng.normal(0, bend, (count, steps)), 1))
    start = np.stack((rng.uniform(0, depth, (count, 1)), *rng.uniform(-0.2 * size, 1.2 * size, (2, count, 1))))
    stride = np.stack((np.sin(slope), np.cos(slope) * np.sin(turn), np.cos(slope) * np.cos(turn)))
    return np.asarray(start + 0.5 * np.cumsum(stride, 2))


def splatted(at: Float, weights: Float, shape: Shape, aspect: float) -> Float:
    """Points (3, n) of (z, y, x), all in pixels, shared out among their eight voxels by linear weights; those outside are lost."""
    position = at / np.array([[aspect], [1.0], [1.0]])  # (3, n), voxels
    corner = np.floor(position).astype(int)
    part = position - corner
    volume = np.zeros(int(np.prod(shape)))
    for step in np.ndindex(2, 2, 2):
        voxel = corner + np.array(step)[:, None]
        inside = ((voxel >= 0) & (voxel < np.array(shape)[:, None])).all(0)
        share = weights * np.abs(1 - np.array(step)[:, None] - part).prod(0)
        flat = (voxel[0] * shape[1] + voxel[1]) * shape[2] + voxel[2]
        volume += np.bincount(flat[inside], share[inside], minlength=volume.size)
    return volume.reshape(shape)


def smoothed(volume: Float, sigma: float, aspect: float) -> Float:
    """Gaussian smoothing by `sigma` px in space, then a maximum of one (a black volume stays black)."""
    soft = scipy.ndimage.gaussian_filter(volume, (sigma / aspect, sigma, sigma))
    return np.asarray(soft / max(float(soft.max()), 1e-12))


def drawn(at: Float, weights: Float, shape: Shape, sigma: float, aspect: float) -> Float:
    """Points become a smooth volume; see :func:`splatted` and :func:`smoothed`."""
    return smoothed(splatted(at, weights, shape, aspect), sigma, aspect)
