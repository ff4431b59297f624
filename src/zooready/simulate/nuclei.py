"""Fluorescent nuclei in one focal plane: what a nucleus is, where nuclei lie, and what optics, lamp and camera make of them.

PSF: point spread function. Wide-field light from outside the focal plane surrounds every nucleus with a halo that a Gaussian PSF does not
have. Whole fields with their labels are made in :mod:`zooready.simulate.monolayer`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float32]
MARGIN = 1.6  # nuclei may lie this many radii outside the field, so that its border cuts some


@dataclass(frozen=True, kw_only=True)
class Nucleus:
    """One nucleus: centre and radius in px, axis ratio, angle in radians, brightness relative to 1, and how its surface looks."""

    y: float
    x: float
    radius: float
    ratio: float
    angle: float
    brightness: float
    flatness: float  # 0.1 a slab with steep walls, 1 an ellipsoid
    lobes: tuple[tuple[float, float], ...]  # amplitude and phase of the outline's harmonics 2, 3, 4, …


@dataclass(frozen=True, kw_only=True)
class Optics:
    """Sum of Gaussians: weight (all sum to 1) and sigma in px; the first is the PSF's core, the others its halo."""

    parts: tuple[tuple[float, float], ...]

    def blur(self, emission: Floats) -> Floats:
        """Apply to an emission image (y, x), taken as dark outside."""
        return sum(
            (w * scipy.ndimage.gaussian_filter(emission, s, mode="constant", truncate=3.0) for w, s in self.parts), np.zeros_like(emission)
        )


def population(rng: np.random.Generator, size: int, radius: float) -> list[Nucleus]:
    """Nuclei of mean ``radius`` px for a field of ``size`` px: alone, or touching a neighbour; sometimes none."""
    density = 0.0 if rng.random() < 0.03 else np.exp(rng.uniform(np.log(0.05), np.log(0.5)))  # share of the area
    side = size + 2 * MARGIN * radius
    count = int(density * side**2 / (np.pi * radius**2))
    touching, spread, bright = rng.uniform(0.1, 0.6), rng.uniform(0.08, 0.25), rng.uniform(0, 0.12)
    contrast, roundness = rng.uniform(0.15, 0.5), rng.uniform(1.0, 1.7)
    nuclei: list[Nucleus] = []
    for _ in range(8 * count):
        if len(nuclei) == count:
            break
        new = draw(rng, radius * np.exp(spread * rng.standard_normal()), contrast, roundness, mitotic=rng.random() < bright)
        if nuclei and rng.random() < touching:
            partner = nuclei[rng.integers(len(nuclei))]
            direction = rng.uniform(0, 2 * np.pi)
            distance = (reach_of(partner, direction) + reach_of(new, direction + np.pi)) * rng.uniform(0.86, 1.08)
            y, x = partner.y + distance * np.sin(direction), partner.x + distance * np.cos(direction)
        else:
            y, x = rng.uniform(-MARGIN * radius, size + MARGIN * radius, 2)
        new = Nucleus(**{**vars(new), "y": float(y), "x": float(x)})
        if all(is_apart(new, old) for old in nuclei):
            nuclei.append(new)
    return nuclei


def draw(rng: np.random.Generator, radius: float, contrast: float, roundness: float, *, mitotic: bool) -> Nucleus:
    """A nucleus at the origin; a mitotic one is small, long, ragged and bright."""
    lobes = tuple((rng.normal(0, (0.10 if mitotic else 0.045) / order), rng.uniform(0, 2 * np.pi)) for order in (2, 3, 4, 5))
    return Nucleus(
        y=0.0,
        x=0.0,
        radius=radius * (rng.uniform(0.45, 0.75) if mitotic else 1.0),
        ratio=rng.uniform(1.2, 2.6) if mitotic else rng.uniform(1.0, roundness) * (1.25 if rng.random() < 0.15 else 1.0),
        angle=rng.uniform(0, np.pi),
        brightness=float(np.exp(contrast * rng.standard_normal())) * (rng.uniform(1.5, 5.0) if mitotic else 1.0),
        flatness=rng.uniform(0.15, 0.8),
        lobes=lobes,
    )


def reach_of(nucleus: Nucleus, direction: float) -> float:
    """Distance from the centre to the outline (without lobes) in a direction in radians, px."""
    long, short = nucleus.radius * np.sqrt(nucleus.ratio), nucleus.radius / np.sqrt(nucleus.ratio)
    turned = direction - nucleus.angle
    return float(long * short / np.hypot(short * np.cos(turned), long * np.sin(turned)))


def is_apart(first: Nucleus, second: Nucleus) -> bool:
    """Whether two nuclei overlap by less than a seventh of their extent."""
    distance, direction = np.hypot(second.y - first.y, second.x - first.x), np.arctan2(second.y - first.y, second.x - first.x)
    return bool(distance >= 0.85 * (reach_of(first, direction) + reach_of(second, direction + np.pi)))


def draw_optics(rng: np.random.Generator, radius: float) -> Optics:
    """Core and halo of the PSF for nuclei of ``radius`` px: the halo holds 10 to 60 % of the light and reaches a nucleus's size."""
    halo = rng.uniform(0.1, 0.6)
    near = rng.uniform(0.3, 0.8)
    core = rng.uniform(0.5, 0.16 * radius + 0.5)
    parts = (
        (1 - halo, core),
        (halo * near, core + radius * rng.uniform(0.2, 0.5)),
        (halo * (1 - near), core + radius * rng.uniform(0.6, 1.6)),
    )
    return Optics(parts=parts)


def stained(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Nuclei as a specimen, before any optics: (size, size) float64, 0 to 1, of 12 to 30 px radius with chromatin texture and nucleoli."""
    radius = rng.uniform(12, 30)
    light = np.zeros((size, size), np.float32)
    while not light.any():
        for nucleus in population(rng, size, radius):
            reach = int(nucleus.radius * np.sqrt(nucleus.ratio) * 1.4) + 2
            top, left = int(nucleus.y) - reach, int(nucleus.x) - reach
            add(light, _emission(rng, nucleus, reach, top, left), top, left)
    return np.asarray(light / light.max(), dtype=np.float64)


def _emission(rng: np.random.Generator, nucleus: Nucleus, reach: int, top: int, left: int) -> Floats:
    """One nucleus on a square of 2 · reach + 1 px whose corner is (top, left): dome, texture, nucleoli."""
    y, x = np.mgrid[: 2 * reach + 1, : 2 * reach + 1].astype(np.float32)
    y, x = y + top - nucleus.y, x + left - nucleus.x
    along = (x * np.cos(nucleus.angle) + y * np.sin(nucleus.angle)) / np.sqrt(nucleus.ratio)
    across = (y * np.cos(nucleus.angle) - x * np.sin(nucleus.angle)) * np.sqrt(nucleus.ratio)
    turn = np.arctan2(across, along)
    outline = 1 + sum(a * np.cos((n + 2) * turn + phase) for n, (a, phase) in enumerate(nucleus.lobes))
    inside = np.clip(1 - (np.hypot(along, across) / (nucleus.radius * outline)) ** 2, 0, None)
    grain = scipy.ndimage.gaussian_filter(rng.standard_normal(inside.shape).astype(np.float32), nucleus.radius * rng.uniform(0.08, 0.3))
    texture = 1 + rng.uniform(0.05, 0.35) * grain / max(float(grain.std()), 1e-6)
    for _ in range(rng.poisson(1.0)):  # nucleoli take no DNA stain
        cy, cx, r = *rng.normal(0, 0.35 * nucleus.radius, 2), nucleus.radius * rng.uniform(0.12, 0.3)
        texture *= 1 - rng.uniform(0.1, 0.5) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * r**2))
    emission: Floats = (nucleus.brightness * inside**nucleus.flatness * np.clip(texture, 0.2, None)).astype(np.float32)
    return emission


def add(image: Floats, patch: Floats, top: int, left: int) -> None:
    """Add ``patch`` in place, cut to what lies inside ``image``."""
    target = image[max(0, top) : max(0, top + patch.shape[0]), max(0, left) : max(0, left + patch.shape[1])]
    target += patch[max(0, -top) :, max(0, -left) :][: target.shape[0], : target.shape[1]]


def largest_parts(labels: NDArray[np.int32], smallest_px: int = 12) -> NDArray[np.int32]:
    """Each label (y, x) or (z, y, x) reduced to its largest connected part, renumbered 1…n; parts below ``smallest_px`` are dropped."""
    clean = np.zeros_like(labels)
    count = 0
    for name, box in enumerate(scipy.ndimage.find_objects(labels), 1):
        if box is None:
            continue
        parts, _ = scipy.ndimage.label(labels[box] == name)
        areas = np.bincount(parts.ravel())[1:]
        if areas.max() >= smallest_px:
            count += 1
            clean[box][scipy.ndimage.binary_fill_holes(parts == areas.argmax() + 1) & np.isin(labels[box], (0, name))] = count
    return clean


def illuminate(rng: np.random.Generator, light: Floats) -> Floats:
    """Light (y, x) under uneven illumination, with a background that varies slowly, relative to a nucleus's 1."""
    y, x = np.mgrid[-1 : 1 : light.shape[0] * 1j, -1 : 1 : light.shape[1] * 1j]
    cy, cx, width = *rng.uniform(-0.7, 0.7, 2), rng.uniform(1.0, 4.0)
    lamp = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2))
    slope = 1 + rng.uniform(0, 0.4) * (y * np.sin(turn := rng.uniform(0, 2 * np.pi)) + x * np.cos(turn))
    background = np.exp(rng.uniform(np.log(0.01), np.log(0.8)))
    lit: Floats = (lamp * (light + background * slope)).astype(np.float32)
    return lit


def camera(rng: np.random.Generator, light: Floats) -> Floats:
    """Whole counts, float32, of an image (y, x) relative to a nucleus's 1.

    Poisson noise of 10 to 3000 photons a nucleus, read noise in counts, a gain and an offset; some images have
    noise that neighbouring pixels share (as after resampling), and some are 8 bits deep and saturate.
    """
    photons = np.exp(rng.uniform(np.log(10), np.log(3000)))
    counts = rng.poisson(np.clip(light, 0, None) * photons).astype(np.float32)
    if rng.random() < 0.3:
        smooth = scipy.ndimage.gaussian_filter(counts, rng.uniform(0.3, 0.8))
        counts = np.clip(smooth, 0, None)
    is_byte = rng.random() < 0.5
    nucleus = rng.uniform(25, 180) if is_byte else np.exp(rng.uniform(np.log(100), np.log(20000)))
    offset = rng.uniform(0, 20) if is_byte else rng.uniform(50, 400)
    counts = counts * np.float32(nucleus / photons) + np.float32(offset)
    counts += np.float32(rng.uniform(0, 0.04) * nucleus) * rng.standard_normal(counts.shape, dtype=np.float32)
    whole: Floats = np.clip(np.rint(counts), 0, 255 if is_byte else 65535).astype(np.float32)
    return whole
