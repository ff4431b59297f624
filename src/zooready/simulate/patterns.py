"""Ten compartments of a cell, each as light on a grid: what a stain of it shows, before optics and camera.

Written from textbook descriptions; sizes, numbers, brightness and positions vary so widely at random that pairs of patterns overlap
as they do in real images: endosomes and lysosomes, the two Golgi proteins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.simulate.specimens import splatted

Float = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Shape and position of a cell on (size, size) grids of float64; lengths in px.

    ``depth`` is 1 at the cell's middle, 0 at its outline, negative outside; ``nucleus`` likewise. ``angle`` is the direction of the
    long axis in radians, ``centre`` and ``nucleus_centre`` are the middles (y, x) of cell and nucleus, ``radius`` and ``nucleus_radius``
    their mean radii.
    """

    depth: Float
    nucleus: Float
    angle: float
    centre: tuple[float, float]
    nucleus_centre: tuple[float, float]
    radius: float
    nucleus_radius: float

    @property
    def size(self) -> int:
        """Side of the image, px."""
        return int(self.depth.shape[0])

    def inside(self, at: Float, margin: float = 0.0) -> NDArray[np.bool_]:
        """Whether points (2, n) lie in the cell, at least ``margin`` of its depth below the outline."""
        return self.value(self.depth, at) > margin

    def value(self, grid: Float, at: Float) -> Float:
        """A grid's value at the nearest pixel of each point (2, n); outside the image, that of its border."""
        row, column = np.clip(np.rint(at), 0, self.size - 1).astype(int)
        return np.asarray(grid[row, column])

    def cytoplasm(self, rng: np.random.Generator, count: int, pull: float = 0.0) -> Float:
        """About ``count`` random points (2, n) in the cytoplasm; ``pull`` above 0 draws them to the nucleus, below 0 to the outline."""
        at = rng.uniform(-1.3, 1.3, (2, 4 * count)) * self.radius + np.array(self.centre)[:, None]
        at = at[:, self.inside(at, 0.03) & (self.value(self.nucleus, at) < 0)]
        near = np.clip(self.value(self.depth, at), 0, 1)
        chance = np.exp(pull * 4 * (near - 1 if pull > 0 else near))
        return np.asarray(at[:, rng.random(at.shape[1]) < chance][:, :count])


Pattern = Callable[[np.random.Generator, Cell], Float]


def actin(rng: np.random.Generator, cell: Cell) -> Float:
    """Straight stress fibres in one or two directions through the whole cell, and a bright rim."""
    count, along = int(rng.integers(10, 40)), np.linspace(-1, 1, 90)
    angle = cell.angle + rng.choice((0.0, rng.normal(0, 0.8)), count) + rng.normal(0, rng.uniform(0.03, 0.25), count)
    shift, reach = rng.uniform(-1, 1, count) * cell.radius, rng.uniform(0.4, 1.4, count) * cell.radius
    slide = rng.normal(0, 0.3, count) * cell.radius
    step = reach[:, None] * along + slide[:, None]
    x = cell.centre[1] + step * np.cos(angle)[:, None] - shift[:, None] * np.sin(angle)[:, None]
    y = cell.centre[0] + step * np.sin(angle)[:, None] + shift[:, None] * np.cos(angle)[:, None]
    fibres = within(cell, np.stack((y.ravel(), x.ravel())), np.repeat(rng.uniform(0.3, 1, count), along.size))
    rim = np.exp(-((cell.depth - 0.04) ** 2) / (2 * rng.uniform(0.02, 0.05) ** 2)) * (cell.depth > -0.1)
    return fibres + rng.uniform(0.1, 0.6) * rim


def dna(rng: np.random.Generator, cell: Cell) -> Float:
    """The nucleus, filled, with grains of chromatin and holes where the nucleoli are."""
    image = np.clip(cell.nucleus, 0, None) ** rng.uniform(0.1, 0.5) * grain(rng, cell, rng.uniform(0.1, 0.45), rng.uniform(1.0, 4.0))
    for y, x in in_nucleus(rng, cell, int(rng.integers(0, 5))).T:
        image *= 1 - rng.uniform(0.2, 0.8) * spot(cell, y, x, rng.uniform(0.12, 0.24) * cell.nucleus_radius)
    return image


def endosome(rng: np.random.Generator, cell: Cell) -> Float:
    """Small spots all over the cytoplasm, most of one brightness, some of them rings."""
    at = cell.cytoplasm(rng, int(rng.integers(35, 130)), pull=rng.uniform(-0.5, 0.4))
    light = rng.lognormal(0, rng.uniform(0.2, 0.6), at.shape[1:])
    return spots(rng, cell, at, light, float(rng.uniform(0.3, 0.9)), rings=rng.uniform(0.0, 0.35))


def lysosome(rng: np.random.Generator, cell: Cell) -> Float:
    """Larger spots of very different size and brightness, fewer, drawn to one side of the nucleus."""
    at = cell.cytoplasm(rng, int(rng.integers(30, 90)), pull=rng.uniform(0.1, 1.0))
    beside = np.array(at_nucleus(rng, cell))[:, None] + rng.normal(0, 0.28 * cell.radius, (2, int(rng.integers(0, 30))))
    at = np.concatenate((at, beside[:, cell.inside(beside, 0.03) & (cell.value(cell.nucleus, beside) < 0)]), 1)
    light = rng.lognormal(0, rng.uniform(0.6, 1.0), at.shape[1:])
    return spots(rng, cell, at, light, float(rng.uniform(0.7, 1.4)), rings=rng.uniform(0.0, 0.1))


def er(rng: np.random.Generator, cell: Cell) -> Float:
    """A mesh of tubes, dense and merging near the nucleus, thin towards the outline, and the nucleus's envelope."""
    spacing = rng.uniform(3.5, 7.0)
    seeds = np.array(cell.centre)[:, None] + rng.uniform(-1.5, 1.5, (2, int((3 * cell.radius / spacing) ** 2))) * cell.radius
    cells = scipy.spatial.Voronoi(seeds.T)
    edges = np.array([edge for edge in cells.ridge_vertices if -1 not in edge])
    edges = edges[rng.random(len(edges)) < rng.uniform(0.7, 1.0)]
    ends = cells.vertices[edges]
    along = np.linspace(0, 1, 12)[None, :, None]
    path = (ends[:, :1] * (1 - along) + ends[:, 1:] * along).reshape(-1, 2).T
    path = path[:, np.abs(path - np.array(cell.centre)[:, None]).max(0) < 2 * cell.radius]
    near = np.clip(cell.value(cell.depth, path), 0, 1) ** rng.uniform(0.5, 1.6)
    mesh = within(cell, path, near * (cell.value(cell.nucleus, path) < 0))
    sheet = np.clip(cell.depth, 0, None) ** 1.5 * (cell.nucleus < 0) * grain(rng, cell, 0.4, 2.0)
    envelope = np.exp(-(cell.nucleus**2) / (2 * 0.07**2))
    return share(mesh) + rng.uniform(0.1, 0.9) * share(sheet) + rng.uniform(0.02, 0.2) * share(envelope)


def giantin(rng: np.random.Generator, cell: Cell) -> Float:
    """The Golgi as ribbons: a few long, winding bands that stay together at one side of the nucleus."""
    return golgi(
        rng, cell, count=int(rng.integers(4, 10)), length=rng.uniform(6, 13), spread=rng.uniform(0.16, 0.30), broken=rng.uniform(0.0, 0.2)
    )


def gpp130(rng: np.random.Generator, cell: Cell) -> Float:
    """The Golgi as clumps: more and shorter pieces, wider apart, with small spots around."""
    pieces = golgi(
        rng, cell, count=int(rng.integers(9, 22)), length=rng.uniform(2, 6), spread=rng.uniform(0.20, 0.34), broken=rng.uniform(0.1, 0.4)
    )
    at = cell.cytoplasm(rng, int(rng.integers(3, 18)), pull=rng.uniform(0, 0.8))
    around = spots(rng, cell, at, rng.lognormal(0, 0.4, at.shape[1:]), 0.5, rings=0.0)
    return share(pieces) + rng.uniform(0.05, 0.25) * share(around)


def golgi(rng: np.random.Generator, cell: Cell, *, count: int, length: float, spread: float, broken: float) -> Float:
    """Bands beside the nucleus: ``count`` of ``length`` px, within ``spread`` of the cell's radius, a share ``broken`` of each missing."""
    base = np.array(at_nucleus(rng, cell))
    start = base[:, None] + rng.normal(0, spread * cell.radius, (2, count))
    tangent = np.arctan2(start[0] - cell.nucleus_centre[0], start[1] - cell.nucleus_centre[1]) + np.pi / 2
    path, light = winding(rng, start, tangent + rng.normal(0, 0.5, count), length * rng.uniform(0.6, 1.4, count), bend=0.16)
    keep = (cell.value(cell.nucleus, path) < 0.15) & cell.inside(path) & (rng.random(path.shape[1]) > broken)
    return soft(splatted(path[:, keep], light[keep], cell.size), rng.uniform(0.5, 1.1))


def microtubules(rng: np.random.Generator, cell: Cell) -> Float:
    """Long, gently curved filaments, most of them from one point beside the nucleus to the outline."""
    count = int(rng.integers(40, 110))
    origin = np.array(at_nucleus(rng, cell))[:, None] + rng.normal(0, rng.uniform(0.04, 0.15) * cell.radius, (2, count))
    free = rng.random(count) < rng.uniform(0.1, 0.5)
    origin[:, free] = np.array(cell.centre)[:, None] + rng.uniform(-0.8, 0.8, (2, int(free.sum()))) * cell.radius
    length = cell.radius * rng.uniform(0.7, 2.2, count)
    path, light = winding(rng, origin, rng.uniform(0, 2 * np.pi, count), length, bend=rng.uniform(0.03, 0.08))
    return within(cell, path, light * np.where(cell.value(cell.nucleus, path) > 0, 0.5, 1.0))


def mitochondria(rng: np.random.Generator, cell: Cell) -> Float:
    """Short, bent worms around the nucleus, along the cell or every way, often in a net."""
    start = cell.cytoplasm(rng, int(rng.integers(40, 110)), pull=rng.uniform(0.0, 0.8))
    count = start.shape[1]
    heading = np.where(rng.random(count) < rng.uniform(0, 0.7), cell.angle, rng.uniform(0, 2 * np.pi, count)) + rng.normal(0, 0.5, count)
    path, light = winding(rng, start, heading, rng.uniform(3, 9) * rng.lognormal(0, 0.4, (count,)), bend=rng.uniform(0.08, 0.25))
    return soft(within(cell, path, light * (cell.value(cell.nucleus, path) < 0.05)), rng.uniform(0.4, 0.9))


def nucleolus(rng: np.random.Generator, cell: Cell) -> Float:
    """One to six blobs in the nucleus, not always round, above faint light in the rest of it."""
    image = rng.uniform(0.03, 0.25) * np.clip(cell.nucleus, 0, None) ** 0.4 * grain(rng, cell, 0.2, 2.0)
    for y, x in in_nucleus(rng, cell, int(rng.integers(1, 7))).T:
        radius = rng.uniform(0.1, 0.26) * cell.nucleus_radius
        image += rng.uniform(0.5, 1) * spot(cell, y, x, radius)
        down, right = rng.normal(0, radius, 2)
        image += rng.uniform(0, 0.8) * spot(cell, y + down, x + right, 0.7 * radius)
    return image * (cell.nucleus > -0.1)


PATTERNS: Mapping[str, Pattern] = {
    "actin": actin, "DNA": dna, "endosome": endosome, "ER": er, "giantin": giantin, "gpp130": gpp130,
    "lysosome": lysosome, "microtubules": microtubules, "mitochondria": mitochondria, "nucleolus": nucleolus,
}  # fmt: skip


def soft(image: Float, sigma: float) -> Float:
    """Gaussian smoothing by ``sigma`` px."""
    return np.asarray(scipy.ndimage.gaussian_filter(image, sigma))


def share(image: Float) -> Float:
    """The same light, its sum 1; a black image, of a cell that lies outside, stays black."""
    return np.asarray(image / max(float(image.sum()), 1e-12))


def within(cell: Cell, at: Float, weights: Float) -> Float:
    """Points (2, n) as light, (size, size), those outside the cell left out."""
    keep = cell.inside(at)
    return splatted(at[:, keep], weights[keep], cell.size)


def winding(rng: np.random.Generator, start: Float, heading: Float, length: Float, bend: float) -> tuple[Float, Float]:
    """Curves of points half a pixel apart from ``start`` (2, n): their points (2, m), and the light of each; ``bend`` in radians a step."""
    steps = int(np.ceil(2 * length.max())) if length.size else 0
    angles = heading[:, None] + np.cumsum(rng.normal(0, bend, (len(heading), steps)), 1)
    path = start[:, :, None] + 0.5 * np.cumsum(np.stack((np.sin(angles), np.cos(angles))), 2)
    keep = np.arange(steps)[None] < 2 * length[:, None]
    light = np.broadcast_to(rng.uniform(0.4, 1, len(heading))[:, None], keep.shape)
    return path[:, keep], light[keep]


def spots(rng: np.random.Generator, cell: Cell, at: Float, light: Float, sigma: float, rings: float) -> Float:
    """Spots of about ``sigma`` px at points (2, n), half of them larger by half; a share ``rings`` of them hollow."""
    size = sigma * rng.choice((1.0, 1.5), light.size)
    hollow = rng.random(light.size) < rings
    image = np.zeros((cell.size, cell.size))
    for width in (sigma, 1.5 * sigma):
        filled = (size == width) & ~hollow
        image += soft(splatted(at[:, filled], light[filled], cell.size), width)
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    circle = np.stack((np.sin(turn), np.cos(turn)))[:, None] * rng.uniform(1.2, 2.5, int(hollow.sum()))[:, None]
    around = at[:, hollow][:, :, None] + circle
    return image + splatted(around.reshape(2, -1), np.repeat(light[hollow] / turn.size, turn.size), cell.size)


def spot(cell: Cell, y: float, x: float, radius: float) -> Float:
    """A soft disc, 1 in its middle, (size, size)."""
    rows, columns = np.ogrid[: cell.size, : cell.size]
    return np.asarray(1 / (1 + np.exp(np.clip(4 * (np.hypot(rows - y, columns - x) - radius), -50, 50))))


def grain(rng: np.random.Generator, cell: Cell, contrast: float, sigma: float) -> Float:
    """Texture of mean 1, zero or more, (size, size); ``contrast`` is its standard deviation."""
    noise = soft(rng.standard_normal((cell.size, cell.size)), sigma)
    return np.asarray(np.clip(1 + contrast * noise / noise.std(), 0, None))


def at_nucleus(rng: np.random.Generator, cell: Cell) -> tuple[float, float]:
    """A point (y, x) just outside the nucleus, at any side."""
    angle, away = rng.uniform(0, 2 * np.pi), cell.nucleus_radius * rng.uniform(1.05, 1.35)
    return cell.nucleus_centre[0] + away * np.sin(angle), cell.nucleus_centre[1] + away * np.cos(angle)


def in_nucleus(rng: np.random.Generator, cell: Cell, count: int) -> Float:
    """Points (2, count) in the nucleus, away from its rim."""
    angle, away = rng.uniform(0, 2 * np.pi, count), 0.7 * cell.nucleus_radius * np.sqrt(rng.random(count))
    return np.asarray(np.array(cell.nucleus_centre)[:, None] + away * np.stack((np.sin(angle), np.cos(angle))))
