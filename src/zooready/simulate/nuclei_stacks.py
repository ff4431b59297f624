"""A stack of nuclei, in culture or tissue, and the label stack that a careful person would draw.

    ellipsoids (alone, touching, dim, lobed) -> texture, nucleoli -> blur across and along the axis, haze -> light lost with depth
    -> uneven light -> camera

Lengths are in pixels across; planes lie ``aspect`` pixels apart, so what is round in space is flat in voxels. Nuclei in stacks have walls:
a plane through one shows an even disc, not the dome of the wide-field images in :mod:`zooready.simulate.monolayer`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.simulate.nuclei import Floats, camera, largest_parts
from zooready.simulate.volumes import Float, Shape

DIAMETER_PX = (8.0, 50.0)  # mean width of the nuclei of a stack
ASPECT = (1.0, 6.0)  # distance of planes / side of a pixel
FEWEST_PLANES = 3.5  # that an average nucleus reaches through
MOST, TRIES = 150, 5  # nuclei in a stack; places tried for each
CLOSEST = 0.9  # of the sum of two nuclei's reaches: nearer they would overlap too much
WALL = 0.12  # thickness of the soft rim, of the radius


@dataclass(frozen=True, kw_only=True)
class Body:
    """One nucleus: centre (z, y, x) and half axes in pixels across, rotation matrix from space to its own axes, brightness."""

    centre: Float
    half: Float
    turn: Float
    brightness: float

    def reach(self, direction: Float) -> float:
        """Distance from the centre to the surface along a unit vector (z, y, x), pixels across."""
        return float(1 / np.linalg.norm(self.turn @ direction / self.half))


def field(
    rng: np.random.Generator, shape: Shape, diameter_px: float | None = None, aspect: float | None = None
) -> tuple[Floats, NDArray[np.int32]]:
    """A raw stack of nuclei and its true label stack.

    Parameters
    ----------
    rng
        Source of everything that is random.
    shape
        (z, y, x), voxels.
    diameter_px
        Mean width of the nuclei, pixels across; drawn evenly on a logarithmic scale of ``DIAMETER_PX`` if None.
    aspect
        Distance of planes over the side of a pixel; drawn likewise if None, so that a nucleus reaches through three planes or more.

    Returns
    -------
    image
        ``shape`` float32, whole camera counts from 0.
    labels
        ``shape`` int32, 0 background, 1…n.

    Raises
    ------
    InputInvalid
        ``diameter_px`` or ``aspect`` is not a positive number.
    """
    for name, value in (("diameter_px", diameter_px), ("aspect", aspect)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise InputInvalid(f"{name}={value}: it must be a positive number, or None for a random one.")
    diameter_px = float(np.exp(rng.uniform(*np.log(DIAMETER_PX)))) if diameter_px is None else diameter_px
    if aspect is None:
        aspect = float(np.exp(rng.uniform(np.log(ASPECT[0]), np.log(np.clip(diameter_px / FEWEST_PLANES, *ASPECT)))))
    bodies = population(rng, shape, diameter_px / 2, aspect)
    light, labels = _drawn(rng, bodies, shape, diameter_px / 2, aspect)
    return camera(rng, _seen(rng, light, diameter_px / 2, aspect)), labels


def population(rng: np.random.Generator, shape: Shape, radius: float, aspect: float) -> list[Body]:
    """Nuclei of mean ``radius`` pixels for a stack: alone or touching, round or long, flat as in culture or not; sometimes none."""
    space = np.array(shape) * (aspect, 1, 1)  # pixels across
    share = 0.0 if rng.random() < 0.03 else np.exp(rng.uniform(np.log(0.03), np.log(0.5)))
    spread, contrast = rng.uniform(0.05, 0.25), rng.uniform(0.05, 0.5)
    long, flat = rng.uniform(1.0, 1.8), rng.uniform(0.5, 1.0) if rng.random() < 0.5 else 1.0
    touching, dim = rng.uniform(0.1, 0.8), rng.uniform(0, 0.5) if rng.random() < 0.4 else 0.0
    volume = 4 / 3 * np.pi * radius**3 * flat
    count = min(int(np.ceil(share * np.prod(space + 1.2 * radius) / volume)), MOST) if share else 0
    bodies: list[Body] = []
    middles, reaches = np.zeros((count, 3)), np.zeros(count)
    for _ in range(TRIES * count):
        if len(bodies) >= count:
            break
        body = _body(rng, radius * np.exp(spread * rng.standard_normal()), long, flat, contrast, rng.random() < dim)
        if bodies and rng.random() < touching:
            partner, direction = bodies[rng.integers(len(bodies))], rng.normal(size=3) * (flat, 1, 1)
            direction /= np.linalg.norm(direction)
            centre = partner.centre + direction * (partner.reach(direction) + body.reach(direction)) * rng.uniform(0.92, 1.1)
        else:
            centre = rng.uniform(-0.6 * radius, space + 0.6 * radius)
        body = Body(centre=centre, half=body.half, turn=body.turn, brightness=body.brightness)
        near = np.linalg.norm(middles[: len(bodies)] - centre, axis=1) < reaches[: len(bodies)] + body.half.max()
        if all(_apart(body, bodies[other]) for other in np.flatnonzero(near)):
            middles[len(bodies)], reaches[len(bodies)] = centre, body.half.max()
            bodies.append(body)
    return bodies


def _body(rng: np.random.Generator, radius: float, long: float, flat: float, contrast: float, is_dim: bool) -> Body:
    """A nucleus at the origin. A flat one lies in the plane, a round one is turned at will."""
    ratio = rng.uniform(1.0, long)
    half = radius * np.array((flat if flat < 1 else 1 / np.sqrt(ratio), 1 / np.sqrt(ratio), np.sqrt(ratio)))
    angles = (rng.uniform(0, 2 * np.pi), *rng.normal(0, 0.15, 2)) if flat < 1 else rng.uniform(0, 2 * np.pi, 3)
    turn = scipy.spatial.transform.Rotation.from_euler("xyz", angles).as_matrix()  # the first about the axis: vectors are (z, y, x)
    brightness = float(np.exp(contrast * rng.standard_normal())) * (rng.uniform(0.15, 0.6) if is_dim else 1.0)
    return Body(centre=np.zeros(3), half=half, turn=turn, brightness=brightness)


def _apart(first: Body, second: Body) -> bool:
    """Whether two nuclei overlap little."""
    between = second.centre - first.centre
    distance = float(np.linalg.norm(between))
    if distance == 0:
        return False
    return distance >= CLOSEST * (first.reach(between / distance) + second.reach(between / distance))


def _drawn(rng: np.random.Generator, bodies: list[Body], shape: Shape, radius: float, aspect: float) -> tuple[Floats, NDArray[np.int32]]:
    """Emission of all nuclei, relative to a nucleus's 1, and their labels; where two meet, each keeps what lies nearer its middle."""
    light, labels = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    nearest = np.ones(shape, np.float32)
    uneven = 1 + rng.uniform(0, 0.15) * _noise(rng, shape, radius * rng.uniform(0.4, 0.9), aspect)  # outlines that no ellipsoid has
    texture = np.exp(rng.uniform(0.03, 0.5) * _noise(rng, shape, radius * np.exp(rng.uniform(np.log(0.06), np.log(0.4))), aspect))
    if rng.random() < 0.5:  # nucleoli take no stain
        holes = _noise(rng, shape, radius * rng.uniform(0.12, 0.25), aspect) > rng.uniform(1.2, 2.2)
        texture = texture * np.where(holes, rng.uniform(0.2, 0.8), 1).astype(np.float32)
    for number, body in enumerate(bodies, 1):
        reach = 1.3 * float(body.half.max()) + 2
        low = np.maximum((body.centre - reach) / (aspect, 1, 1), 0).astype(int)
        high = np.minimum(np.ceil((body.centre + reach) / (aspect, 1, 1)) + 1, shape).astype(int)
        if (low >= high).any():
            continue
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        z, y, x = np.ogrid[box]
        offset = (aspect * z - body.centre[0], y - body.centre[1], x - body.centre[2])
        own = [sum(body.turn[axis, k] * offset[k] for k in range(3)) / body.half[axis] for axis in range(3)]
        away = (np.sqrt(own[0] ** 2 + own[1] ** 2 + own[2] ** 2) / np.clip(uneven[box], 0.5, 1.5)).astype(np.float32)
        light[box] = np.maximum(light[box], body.brightness * np.clip((1 + WALL / 2 - away) / WALL, 0, 1))
        labels[box] = np.where(away < nearest[box], number, labels[box])
        nearest[box] = np.minimum(nearest[box], away)
    return light * np.clip(texture, 0.15, 4), largest_parts(labels)


def _noise(rng: np.random.Generator, shape: Shape, sigma: float, aspect: float) -> Floats:
    """Smooth noise of standard deviation 1 and this width in pixels across."""
    noise = scipy.ndimage.gaussian_filter(
        rng.standard_normal(shape, dtype=np.float32), (sigma / aspect, sigma, sigma), mode="wrap", truncate=3
    )
    scaled: Floats = noise / max(float(noise.std()), 1e-6)
    return scaled


def _seen(rng: np.random.Generator, light: Floats, radius: float, aspect: float) -> Floats:
    """What reaches the camera: blurred three- to fourfold more along the axis, with haze, dimmer in depth, unevenly lit, background."""
    across = rng.uniform(0.4, 0.12 * radius + 0.8)
    along = across * rng.uniform(1.0, 4.0) / aspect
    sharp = scipy.ndimage.gaussian_filter(light, (along, across, across), truncate=3)
    if rng.random() < 0.6:
        wide = radius * rng.uniform(0.4, 1.2)
        haze = scipy.ndimage.gaussian_filter(light, (2 * wide / aspect, wide, wide), truncate=2)
        share = rng.uniform(0, 0.4)
        sharp = (1 - share) * sharp + share * haze
    depth = np.linspace(0, 1, light.shape[0])[:, None, None]
    lost = np.exp(-rng.uniform(0, 1.2) * (depth if rng.random() < 0.7 else 1 - depth))
    y, x = np.mgrid[-1 : 1 : light.shape[1] * 1j, -1 : 1 : light.shape[2] * 1j]
    turn, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.5)
    lamp = 1 + fall * (y * np.sin(turn) + x * np.cos(turn)) / np.sqrt(2)
    background = np.exp(rng.uniform(np.log(0.01), np.log(0.5)))
    lit: Floats = (lost * lamp * (sharp + background)).astype(np.float32)
    return lit
