"""Wide-field microscopes of every kind, drawn at random: what a network sees in training that is told nothing of the microscope.

What an image shows of its microscope is the blur in pixels, wavelength / (NA x pixel size): 4 at the Nyquist limit, more with smaller
pixels. Aberration, focus, haze and camera are drawn beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from zooready.simulate.camera import Camera
from zooready.simulate.fields import Haze
from zooready.simulate.modalities import Confocal, Gaussian, Modality
from zooready.simulate.optics import Optics

BLUR_PX = (4.0, 16.0)  # wavelength / (NA x pixel size)
NUMBER = 192  # of microscopes that training draws from; their transfer functions are kept
SEED = 15
CONFOCALS, CONFOCAL_BLUR_PX = 48, (4.5, 11.0)  # of confocal microscopes that training draws from, and their lenses' blur
PINHOLE_AU = (0.3, 1.5)  # diameters of their pinholes, in Airy units
EXCITED = 0.89  # planes of a confocal microscope are closer, since light that excites is shorter
GAUSSIANS, ACROSS_PX, ALONG_PLANES = 64, (0.6, 2.0), (0.4, 1.8)  # of Gaussian points that training draws from; standard deviations
GAUSSIAN_ASPECTS = (1.0, 6.0)  # with them, distance of planes over a pixel's side
STEPS, ASPECTS = (0.35, 1.0), (1.5, 8.0)  # distances of planes, over the longest that samples the images, and over a pixel's side
NA = (0.4, 1.35)
WAVELENGTH_NM = (450.0, 700.0)
INDICES = (1.0, 1.33, 1.515)  # air, water, oil
LARGEST_NA = 0.95  # of an index
SPHERICAL_WAVES = 0.2  # largest aberration, rms
FOCUS = 0.5  # largest distance from the focus, in depths of field (wavelength x index / NA^2)
HAZE_DEPTHS = (1.0, 3.0, 8.0)  # distance of planes that give haze, in depths of field; those below the focus and those above it
HAZE = (0.1, 4.0)  # light of the haze over that of the plane in focus
PHOTONS = (20.0, 5000.0)  # of the brightest pixel
BACKGROUND = (0.5, 20.0)  # photons
GAIN = (0.2, 5.0)  # counts per photon
READ_NOISE = (0.5, 4.0)  # photons


@dataclass(frozen=True, kw_only=True)
class Sectioning:
    """A microscope that keeps light of other planes out, and its distance of planes."""

    optics: Optics
    modality: Modality
    z_step_um: float


def log_uniform(rng: np.random.Generator, between: tuple[float, float]) -> float:
    """A number between two, every factor as likely as every other."""
    return float(np.exp(rng.uniform(*np.log(between))))


def blur_px(optics: Optics) -> float:
    """Wavelength / (NA x pixel size)."""
    return optics.wavelength_nm / 1000 / (optics.na * optics.pixel_size_um)


def lens(blur: float, spherical_waves: float = 0.0) -> Optics:
    """A microscope in focus with a blur of so many pixels, 4 or more; NA and wavelength alone do not show in its images."""
    na, pixel_size_um = 0.5, 0.1
    wavelength_nm = 1000 * na * pixel_size_um * blur * (1 + 1e-9)  # not below the Nyquist limit by rounding
    zernike = ((4, 0, spherical_waves),) if spherical_waves else ()
    return Optics(na=na, wavelength_nm=wavelength_nm, index=1.0, pixel_size_um=pixel_size_um, zernike=zernike)


def microscope(rng: np.random.Generator, blur: float) -> Optics:
    """A microscope with a blur of so many pixels, 4 or more, with random NA, wavelength, immersion, spherical aberration and focus."""
    na, wavelength_nm = float(rng.uniform(*NA)), float(rng.uniform(*WAVELENGTH_NM))
    index = float(rng.choice([index for index in INDICES if na <= LARGEST_NA * index]))
    depth_um = wavelength_nm / 1000 * index / na**2
    return Optics(
        na=na,
        wavelength_nm=wavelength_nm,
        index=index,
        pixel_size_um=wavelength_nm / 1000 / (na * blur) * (1 - 1e-9),  # not above the Nyquist limit by rounding
        z_um=float(rng.uniform(-FOCUS, FOCUS)) * depth_um,
        zernike=((4, 0, float(rng.uniform(-SPHERICAL_WAVES, SPHERICAL_WAVES))),),
    )


@lru_cache(maxsize=1)
def microscopes() -> tuple[Optics, ...]:
    """All of training's: blurs evenly spaced in their logarithm."""
    rng = np.random.default_rng(SEED)
    return tuple(microscope(rng, blur) for blur in np.geomspace(*BLUR_PX, NUMBER))


def z_step_um(rng: np.random.Generator, optics: Optics) -> float:
    """A distance of planes, micrometres: 1.5 to 8 pixels, and short enough to sample the images."""
    return float(min(rng.uniform(*STEPS) * optics.nyquist_z_um, rng.uniform(*ASPECTS) * optics.pixel_size_um))


@lru_cache(maxsize=1)
def sectioning() -> tuple[tuple[Sectioning, ...], tuple[Sectioning, ...]]:
    """All microscopes of training that keep light of other planes out: those with a Gaussian point, and confocal ones."""
    rng = np.random.default_rng(SEED)
    points = tuple(gaussian(rng, across_px) for across_px in np.geomspace(*ACROSS_PX, GAUSSIANS))
    return points, tuple(confocal(rng, blur) for blur in np.geomspace(*CONFOCAL_BLUR_PX, CONFOCALS))


def gaussian(rng: np.random.Generator, across_px: float) -> Sectioning:
    """A microscope whose point is a Gaussian of this standard deviation across, px, and of a random one along the axis."""
    optics = microscope(rng, BLUR_PX[0])
    z_step_um = float(rng.uniform(*GAUSSIAN_ASPECTS)) * optics.pixel_size_um
    along_um = log_uniform(rng, ALONG_PLANES) * z_step_um
    return Sectioning(optics=optics, modality=Gaussian(across_um=across_px * optics.pixel_size_um, along_um=along_um), z_step_um=z_step_um)


def confocal(rng: np.random.Generator, blur: float) -> Sectioning:
    """A confocal microscope whose lens blurs by so many pixels, 4.5 or more, with a random pinhole, in focus."""
    optics = replace(microscope(rng, blur), z_um=0.0)
    modality = Confocal(pinhole_au=float(rng.uniform(*PINHOLE_AU)))
    return Sectioning(optics=optics, modality=modality, z_step_um=EXCITED * z_step_um(rng, optics))


def haze(rng: np.random.Generator, optics: Optics) -> Haze | None:
    """Light of planes out of focus, in half of all fields."""
    if rng.random() < 0.5:
        return None
    depth_um = optics.wavelength_nm / 1000 * optics.index / optics.na**2
    return Haze(
        heights_um=tuple(sign * depth * depth_um for depth in HAZE_DEPTHS for sign in (-1, 1)),
        share=log_uniform(rng, HAZE),
        turns=int(rng.integers(4)),
    )


def camera(rng: np.random.Generator) -> Camera:
    """Any camera: coarse or fine steps, quiet or noisy."""
    return Camera(gain=log_uniform(rng, GAIN), offset=float(rng.uniform(50, 200)), read_noise=log_uniform(rng, READ_NOISE))
