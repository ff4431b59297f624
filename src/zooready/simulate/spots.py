"""A field of fluorescent spots, and the label image that marks each: single molecules of RNA, telomeres, foci, vesicles.

    spots (alone, crowded, in cells; of very different brightness) -> blur -> + haze, cells' own light, spots out of focus -> camera

A spot is a point that the microscope blurs: a Gaussian, close to the pattern of Airy. Sizes are in pixels, so that a network needs no pixel
size. What is too dim to be told from noise, and what is out of focus, has no label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.simulate.microscopes import camera, log_uniform

Float = NDArray[np.float64]
WIDTH_PX = (0.8, 2.6)  # standard deviation of a spot
RADIUS_PX = 2.0  # of its mark in the label image, whatever its width
SHARE = (3e-4, 1.5e-2)  # spots per pixel
EMPTY, CLUSTERED, CELLS, LOST = (
    0.08,
    0.4,
    0.6,
    0.4,
)  # share of fields: without spots; with crowded ones; with cells; with spots out of focus
PHOTONS = (10.0, 2000.0)  # of a typical spot's brightest pixel
BACKGROUND = (1.0, 400.0)  # photons
GRAIN_PX, STEEP = (1.2, 6.0), (6.0, 100.0)  # of cells: width of their texture, steepness of their rims
CLEAR = 5.0  # a spot's light over the noise under it, summed as a matched filter does; below, it has no label


@dataclass(frozen=True, kw_only=True)
class Spots:
    """``at`` (n, 2) float64, y and x in pixels; ``height`` (n,) of each one's brightest pixel, relative; ``width_px`` (n,)."""

    at: Float
    height: Float
    width_px: Float


def field(rng: np.random.Generator, size: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """A raw image of spots and its label image, (size, size) each: camera counts, and 0 background, 1…n.

    Parameters
    ----------
    rng
        Source of everything that is random.
    size
        Side of the square field, px.
    """
    spots = drawn(rng, size)
    photons, background = log_uniform(rng, PHOTONS), log_uniform(rng, BACKGROUND)
    ground = background * surroundings(rng, size)
    if rng.random() < LOST:
        ground = ground + photons * rng.uniform(0.1, 0.6) * rendered(lost(rng, size), size)
    return exposed(rng, spots, photons, photons * rendered(spots, size) + ground)


def exposed(rng: np.random.Generator, spots: Spots, photons: float, light: Float) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """What any camera makes of `light` (y, x), in photons, and the label image of the spots in it that are clear."""
    sensor = camera(rng)
    size = len(light)
    place = tuple(np.clip(np.rint(spots.at).astype(int), 0, size - 1).T)
    noise = np.sqrt(light[place] + sensor.read_noise**2)
    is_clear = photons * spots.height * np.sqrt(np.pi) * spots.width_px > CLEAR * noise
    return sensor.exposed(light, rng).astype(np.float32), labels(spots.at[is_clear], light.shape)


def drawn(rng: np.random.Generator, size: int) -> Spots:
    """Spots of one field, scattered or crowded; none in some."""
    count = 0 if rng.random() < EMPTY else max(1, rng.poisson(log_uniform(rng, SHARE) * size**2))
    at = rng.uniform(-0.5, size - 0.5, (count, 2))
    if count and rng.random() < CLUSTERED:
        crowded = rng.random(count) < rng.uniform(0.2, 1)
        middles = rng.uniform(0, size, (int(rng.integers(1, 8)), 2))
        at[crowded] = middles[rng.integers(0, len(middles), crowded.sum())] + rng.normal(0, rng.uniform(3, 25), (int(crowded.sum()), 2))
        at = at[((at > -0.5) & (at < size - 0.5)).all(1)]
    height = rng.lognormal(0, rng.uniform(0.05, 0.7), len(at))
    width_px = log_uniform(rng, WIDTH_PX) * rng.normal(1, rng.uniform(0, 0.12), len(at)).clip(0.7, 1.3)
    return Spots(at=at, height=height, width_px=width_px)


def lost(rng: np.random.Generator, size: int) -> Spots:
    """Spots far out of focus: wide and dim."""
    count = 1 + rng.poisson(log_uniform(rng, SHARE) * size**2 / 4)
    return Spots(
        at=rng.uniform(-5, size + 5, (count, 2)), height=rng.uniform(0.1, 1, count), width_px=np.asarray(rng.uniform(5, 14, count))
    )


def rendered(spots: Spots, size: int) -> Float:
    """The light of spots, (size, size); the brightest pixel of a lone one is as high as it says."""
    image = np.zeros((size, size))
    for (y, x), height, width in zip(spots.at, spots.height, spots.width_px, strict=True):
        reach = int(np.ceil(4 * width))
        low = (max(0, int(y) - reach), max(0, int(x) - reach))
        rows, columns = (np.arange(start, min(size, int(middle) + reach + 2)) for start, middle in zip(low, (y, x), strict=True))
        if len(rows) and len(columns):
            down, right = (np.exp(-0.5 * ((axis - middle) / width) ** 2) for axis, middle in ((rows, y), (columns, x)))
            image[np.ix_(rows, columns)] += height * np.outer(down, right)
    return image


def surroundings(rng: np.random.Generator, size: int) -> Float:
    """Light that is not of spots, (size, size), about 1: uneven illumination, haze, and cells that shine by themselves."""
    haze = scipy.ndimage.gaussian_filter(rng.normal(size=(size, size)), size / rng.uniform(3, 8), mode="reflect")
    ground = np.exp(rng.uniform(0, 0.5) * haze / max(float(haze.std()), 1e-12))
    if rng.random() < CELLS:
        grain = scipy.ndimage.gaussian_filter(rng.normal(size=(size, size)), log_uniform(rng, GRAIN_PX), mode="reflect")
        shape = scipy.ndimage.gaussian_filter(rng.normal(size=(size, size)), rng.uniform(12, 40), mode="reflect")
        inside = 1 / (1 + np.exp(-log_uniform(rng, STEEP) * (shape / shape.std() - rng.uniform(-0.8, 1.2))))
        ground = ground * (1 + rng.uniform(0, 4) * inside * (1 + rng.uniform(0, 0.25) * grain / grain.std()).clip(min=0))
    return np.asarray(ground / ground.mean())


def labels(at: Float, shape: tuple[int, int]) -> NDArray[np.int32]:
    """A disc of `RADIUS_PX` around each point (n, 2); where two meet, a pixel belongs to the nearer: (y, x), 0 background, 1…n."""
    if not len(at):
        return np.zeros(shape, np.int32)
    pixels = np.indices(shape).reshape(2, -1).T
    distance, nearest = scipy.spatial.cKDTree(at).query(pixels, distance_upper_bound=RADIUS_PX + 0.5)
    marked = np.where(np.isfinite(distance), nearest + 1, 0)
    ranks = np.unique(np.append(marked, 0), return_inverse=True)[1]  # 0 comes first, whether or not it occurs
    return ranks[:-1].reshape(shape).astype(np.int32)
