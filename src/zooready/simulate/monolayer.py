"""A field of cultured cells' nuclei of any size in pixels, and the label image that a careful person would draw.

    population (alone, touching, dividing, dim, lobed) + what nobody outlines (micronuclei, debris, haze) -> emission
    -> optics -> uneven light -> camera -> hot pixels

Sizes are in pixels, not micrometres, so that a network learns to need no pixel size. The single nucleus, the optics and the camera are
those of :mod:`zooready.simulate.nuclei`; here nuclei are also large, textured, ragged, and very unequal in brightness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.simulate import nuclei
from zooready.simulate.nuclei import Floats, Nucleus, Optics

DIAMETER_PX = (7.0, 120.0)  # mean diameter of the nuclei of a field
MOST = 160  # nuclei in a field, so that fields of small ones do not take seconds
DIVIDING = 0.35  # share of fields in which many cells divide


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the nuclei of one field look inside: strengths relative to 1, scales relative to the radius."""

    grain: float  # strength of the chromatin's texture
    scale: float  # width of its grains
    foci: float  # mean number of bright spots
    nucleoli: float  # mean number of dark ones
    rim: float  # how much brighter (or darker) the outer part is
    ragged: float  # strength of an outline that no harmonic describes


def field(rng: np.random.Generator, size: int, diameter_px: float | None = None) -> tuple[Floats, NDArray[np.int32]]:
    """A raw image of nuclei and its true label image.

    Parameters
    ----------
    rng
        Source of everything that is random.
    size
        Side of the square field, px.
    diameter_px
        Mean diameter of the nuclei; drawn evenly on a logarithmic scale of ``DIAMETER_PX`` if None.

    Returns
    -------
    image
        (y, x) float32, whole camera counts from 0.
    labels
        (y, x) int32, 0 background, 1…n; an outline lies at half of the nucleus's own height. Micronuclei and debris have none.

    Raises
    ------
    InputInvalid
        ``diameter_px`` is not a positive number.
    """
    if diameter_px is not None and not (np.isfinite(diameter_px) and diameter_px > 0):
        raise InputInvalid(f"diameter_px={diameter_px}: it must be a positive number, 7 to 120 in training, or None for a random one.")
    diameter_px = float(np.exp(rng.uniform(*np.log(DIAMETER_PX)))) if diameter_px is None else diameter_px
    radius = diameter_px / 2
    cells = population(rng, size, radius)
    optics = nuclei.draw_optics(rng, radius)
    light, labels = render(rng, cells, size, optics, _look(rng))
    light += optics.blur(unlabelled(rng, cells, size, radius)) + haze(rng, size, radius)
    return hot(rng, nuclei.camera(rng, nuclei.illuminate(rng, light))), labels


def _look(rng: np.random.Generator) -> Look:
    """What the nuclei of one field have in common."""
    return Look(
        grain=rng.uniform(0.03, 0.55),
        scale=np.exp(rng.uniform(np.log(0.04), np.log(0.35))),
        foci=rng.uniform(2, 12) if rng.random() < 0.2 else 0.0,
        nucleoli=rng.choice([0.0, 1.0, 3.0]),
        rim=rng.uniform(-0.2, 0.5),
        ragged=rng.uniform(0, 0.12),
    )


def population(rng: np.random.Generator, size: int, radius: float) -> list[Nucleus]:
    """Nuclei of mean ``radius`` px for a field of ``size`` px: alone or touching, dim or bright, some dividing; sometimes none."""
    share = 0.0 if rng.random() < 0.03 else np.exp(rng.uniform(np.log(0.03), np.log(0.55)))  # of the area
    margin = min(nuclei.MARGIN * radius, 60.0)
    count = min(int(np.ceil(share * (size + 2 * margin) ** 2 / (np.pi * radius**2))) if share else 0, MOST)
    spread, contrast, roundness = rng.uniform(0.06, 0.3), rng.uniform(0.05, 0.5), rng.uniform(1.0, 1.7)
    touching, bright = rng.uniform(0.05, 0.6), rng.uniform(0, 0.12)
    dim, faintest = (rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.5)) if rng.random() < 0.4 else (0.0, 1.0)
    dividing = rng.uniform(0.05, 0.4) if rng.random() < DIVIDING else 0.0
    cells: list[Nucleus] = []
    for _ in range(6 * count):
        if len(cells) >= count:
            break
        new = nuclei.draw(rng, radius * np.exp(spread * rng.standard_normal()), contrast, roundness, mitotic=rng.random() < bright)
        if rng.random() < dim:
            new = replace(new, brightness=new.brightness * rng.uniform(faintest, 1.0))
        if rng.random() < 0.15:
            new = replace(new, lobes=tuple((3 * amplitude, phase) for amplitude, phase in new.lobes))
        if cells and rng.random() < touching:
            partner, direction = cells[rng.integers(len(cells))], rng.uniform(0, 2 * np.pi)
            apart = (nuclei.reach_of(partner, direction) + nuclei.reach_of(new, direction + np.pi)) * rng.uniform(0.86, 1.12)
            y, x = partner.y + apart * np.sin(direction), partner.x + apart * np.cos(direction)
        else:
            y, x = rng.uniform(-margin, size + margin, 2)
        new = replace(new, y=float(y), x=float(x))
        group = daughters(rng, new) if rng.random() < dividing else [new]
        if all(nuclei.is_apart(one, old) for one in group for old in cells):
            cells += group
    return cells


def daughters(rng: np.random.Generator, nucleus: Nucleus) -> list[Nucleus]:
    """The two daughters of a cell that divides: long, parallel, bright, from plates close together to young nuclei."""
    age = rng.uniform(0, 1)  # 0 anaphase, 1 young nuclei
    radius = nucleus.radius * (0.5 + 0.25 * age)
    daughter = replace(
        nucleus,
        radius=radius,
        ratio=float(rng.uniform(2.0, 3.2) * (1 - age) + 1.4 * age),
        brightness=nucleus.brightness * float(1 + rng.uniform(0.3, 2.5) * (1 - age)),
        flatness=float(rng.uniform(0.3, 0.9)),
    )
    across = nucleus.angle + np.pi / 2
    apart = nuclei.reach_of(daughter, across) * float(rng.uniform(1.05, 2.0))
    return [
        replace(
            daughter,
            y=nucleus.y + sign * apart * np.sin(across),
            x=nucleus.x + sign * apart * np.cos(across),
            angle=nucleus.angle + rng.normal(0, 0.15),
        )
        for sign in (-1, 1)
    ]


def render(rng: np.random.Generator, cells: list[Nucleus], size: int, optics: Optics, look: Look) -> tuple[Floats, NDArray[np.int32]]:
    """Light of all nuclei behind the optics, relative to a nucleus's 1, and their labels at half of each nucleus's own height."""
    pad = int(min(3 * max(sigma for _, sigma in optics.parts), 96)) + 1
    light = np.zeros((size + 2 * pad, size + 2 * pad), np.float32)
    nearest = np.full((size, size), 0.5, np.float32)  # height relative to the nucleus's own; below one half is background
    labels = np.zeros((size, size), np.int32)
    core = Optics(parts=((1.0, optics.parts[0][1]),))
    for number, nucleus in enumerate(cells, 1):
        reach = int(nucleus.radius * np.sqrt(nucleus.ratio) * 1.5 + 3 * optics.parts[0][1]) + 2
        top, left = int(nucleus.y) - reach, int(nucleus.x) - reach
        shape, texture = emission(rng, nucleus, reach, top, left, look)
        nuclei.add(light, nucleus.brightness * shape * texture, top + pad, left + pad)
        height = core.blur(shape)
        height /= np.percentile(height[shape > 0], 75) if (shape > 0).any() else 1.0
        rows, columns = slice(max(0, top), max(0, top + len(height))), slice(max(0, left), max(0, left + len(height)))
        inside = nearest[rows, columns]
        visible = height[max(0, -top) :, max(0, -left) :][: inside.shape[0], : inside.shape[1]]
        labels[rows, columns] = np.where(visible > inside, number, labels[rows, columns])
        nearest[rows, columns] = np.maximum(visible, inside)
    return optics.blur(light)[pad : pad + size, pad : pad + size], nuclei.largest_parts(labels)


def emission(rng: np.random.Generator, nucleus: Nucleus, reach: int, top: int, left: int, look: Look) -> tuple[Floats, Floats]:
    """One nucleus on a square of 2 · reach + 1 px whose corner is (top, left): its smooth height, 0..1, and its texture around 1."""
    y, x = np.mgrid[: 2 * reach + 1, : 2 * reach + 1].astype(np.float32)
    y, x = y + np.float32(top - nucleus.y), x + np.float32(left - nucleus.x)
    along = (x * np.cos(nucleus.angle) + y * np.sin(nucleus.angle)) / np.sqrt(nucleus.ratio)
    across = (y * np.cos(nucleus.angle) - x * np.sin(nucleus.angle)) * np.sqrt(nucleus.ratio)
    turn = np.arctan2(across, along)
    outline = 1 + sum(a * np.cos((n + 2) * turn + phase) for n, (a, phase) in enumerate(nucleus.lobes))
    if look.ragged:
        outline = outline + look.ragged * _noise(rng, y.shape, 0.25 * nucleus.radius)
    inside = np.clip(1 - (np.hypot(along, across) / (nucleus.radius * np.clip(outline, 0.3, None))) ** 2, 0, None)
    texture = np.exp(look.grain * _noise(rng, y.shape, look.scale * nucleus.radius))
    texture = texture * (1 + look.rim * (1 - 2 * inside))
    for strength, count in ((-rng.uniform(0.2, 0.8), rng.poisson(look.nucleoli)), (rng.uniform(0.3, 1.2), rng.poisson(look.foci))):
        for _ in range(count):
            cy, cx, r = *rng.normal(0, 0.4 * nucleus.radius, 2), nucleus.radius * rng.uniform(0.06, 0.28)
            texture = texture * (1 + strength * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * r**2)))
    return (inside**nucleus.flatness).astype(np.float32), np.clip(texture, 0.15, 4).astype(np.float32)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Floats:
    """Smooth noise of standard deviation 1 and this width in px."""
    noise = scipy.ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), max(sigma, 0.4), mode="wrap")
    scaled: Floats = noise / max(float(noise.std()), 1e-6)
    return scaled


def unlabelled(rng: np.random.Generator, cells: list[Nucleus], size: int, radius: float) -> Floats:
    """Emission of what nobody outlines as a nucleus: micronuclei and blebs near nuclei, debris anywhere; often none."""
    light = np.zeros((size, size), np.float32)
    if rng.random() < 0.5:
        return light
    spots = []
    for cell in cells:
        for _ in range(rng.poisson(rng.uniform(0, 0.8))):
            turn, small = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.06, 0.28)
            away = nuclei.reach_of(cell, turn) * rng.uniform(1.0, 1.5) + small
            spots.append((cell.y + away * np.sin(turn), cell.x + away * np.cos(turn), small, cell.brightness * rng.uniform(0.2, 1.2)))
    for _ in range(rng.poisson(3)):
        spots.append((*rng.uniform(0, size, 2), radius * rng.uniform(0.03, 0.2), np.exp(rng.uniform(np.log(0.2), np.log(4)))))
    for y, x, small, brightness in spots:
        reach = int(3 * small) + 2
        rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
        spot = brightness * np.clip(1.5 - np.hypot(rows, columns) / max(small, 0.7), 0, 1)
        nuclei.add(light, spot.astype(np.float32), int(y) - reach, int(x) - reach)
    return light


def haze(rng: np.random.Generator, size: int, radius: float) -> Floats:
    """Faint light that has no outline: nuclei far from focus, and a cytoplasm that takes some of the stain; often none."""
    light = np.zeros((size, size), np.float32)
    if rng.random() < 0.35:
        for y, x in rng.uniform(0, size, (rng.integers(1, 6), 2)):
            light[int(y), int(x)] = rng.uniform(0.05, 0.3) * 2 * np.pi * (1.5 * radius) ** 2
        light = scipy.ndimage.gaussian_filter(light, radius * 1.5)
    if rng.random() < 0.25:
        light = light + np.float32(rng.uniform(0.02, 0.15)) * np.clip(_noise(rng, light.shape, 2 * radius), 0, None)
    return light


def hot(rng: np.random.Generator, image: Floats) -> Floats:
    """Some images with a few pixels of any count up to the camera's highest."""
    if rng.random() < 0.3:
        highest = 255 if image.max() <= 255 else max(4 * float(image.max()), 4095)
        count = int(image.size * 10 ** rng.uniform(-5, -3)) + 1
        y, x = rng.integers(0, image.shape[0], count), rng.integers(0, image.shape[1], count)
        image = image.copy()
        image[y, x] = np.rint(rng.uniform(0.2, 1, count) * highest)
    return image
