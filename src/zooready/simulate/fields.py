"""A simulated field of view for training: specimen, optics and camera in one call, with the sharp truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.simulate.camera import Camera
from zooready.simulate.modalities import WIDE_FIELD, Modality
from zooready.simulate.optics import Optics, blur, convolved, planes, transferred
from zooready.simulate.specimens import Specimen
from zooready.simulate.volumes import Solid

Float = NDArray[np.float64]
MARGIN_PX = 16  # simulated on each side and cropped, so that nothing wraps around
PLANE_WEIGHTS = (0.4, 0.24, 0.06)  # light of the plane in focus and of each of its neighbours on one side, in a thick specimen
CLIMB_OVER_PX = 8.0  # distance over which the direction of climbing changes
MARGIN_PLANES = 6  # above and below a stack, of specimen that its haze comes from; beyond, the specimen repeats


@dataclass(frozen=True, kw_only=True)
class Field:
    """One simulated exposure.

    ``image`` is (y, x) or (z, y, x) uint16, camera counts; ``truth`` is float32 of that shape, the counts that a microscope without blur
    and a camera without noise would give, so both differ from photons by the same gain and offset. ``z_step_um`` is the distance of
    planes, None of a single one, and ``modality`` the kind of microscope.
    """

    image: NDArray[np.uint16]
    truth: NDArray[np.float32]
    optics: Optics
    camera: Camera
    z_step_um: float | None = None
    modality: Modality = WIDE_FIELD


@dataclass(frozen=True, kw_only=True)
class Haze:
    """Light of planes out of focus, which look like the plane in focus or like that turned by 90 degrees, ``turns`` times.

    ``heights_um`` are their distances from the focus, and ``share`` is the mean of their light over that of the plane in focus.
    """

    heights_um: tuple[float, ...]
    share: float
    turns: int = 0


def field(
    rng: np.random.Generator,
    size: int,
    specimen: Specimen,
    *,
    optics: Optics,
    camera: Camera,
    photons: float,
    background: float,
    haze: Haze | None = None,
    climb_px: float = 0.0,
    gaussian_px: float = 0.0,
) -> Field:
    """Simulate one exposure.

    Parameters
    ----------
    rng
        Source of the specimen and the noise.
    size
        Side, px.
    specimen
        Draws (side, side) in 0-1.
    optics, camera
        The microscope.
    photons
        Expected photons of the brightest pixel of the blurred specimen, above the background.
    background
        Expected photons of every pixel.
    haze
        Light of planes out of focus; it is no part of the truth.
    climb_px
        How far structures shift sideways, rms, from one plane to the next of five within the depth of field. Their light is in the image;
        the truth is the middle plane. 0: a thin specimen.
    gaussian_px
        Standard deviation of a Gaussian that blurs the plane in focus in place of the microscope, as on pixels that are too coarse for the
        objective. 0: the microscope's own blur.

    Returns
    -------
    Field
        Image and truth, (size, size) each.
    """
    emission = specimen(rng, size + 2 * MARGIN_PX)
    inner = (slice(MARGIN_PX, MARGIN_PX + size),) * 2
    focused = thick(rng, emission, climb_px) if climb_px else emission
    optical = scipy.ndimage.gaussian_filter(focused, gaussian_px) if gaussian_px else blur(focused, optics)
    if haze is not None:
        transfer = _haze_otf(optics, (emission.shape[0], emission.shape[1]), haze.heights_um)
        optical = optical + haze.share * convolved(np.rot90(emission, haze.turns), transfer)
    return digital(rng, emission[inner], optical[inner], optics, camera, photons, background)


def thick(rng: np.random.Generator, emission: Float, climb_px: float) -> Float:
    """The light (y, x) of five planes, of which `emission` is the middle one, and in which structures climb in their own directions."""
    slopes = np.stack([scipy.ndimage.gaussian_filter(rng.normal(size=emission.shape), CLIMB_OVER_PX, mode="wrap") for _ in range(2)])
    slopes *= climb_px / max(float(slopes.std()), 1e-12)
    at = np.indices(emission.shape)
    light = PLANE_WEIGHTS[0] * emission
    for plane, weight in enumerate(PLANE_WEIGHTS[1:], 1):
        for side in (-plane, plane):
            light = light + weight * scipy.ndimage.map_coordinates(emission, at + side * slopes, order=1, mode="reflect")
    return np.asarray(light)


@lru_cache(maxsize=256)
def _haze_otf(optics: Optics, shape: tuple[int, int], heights_um: tuple[float, ...]) -> NDArray[np.complex128]:
    """The mean transfer function of planes at several distances from the focus."""
    return transferred(planes(optics, shape, [optics.z_um + height for height in heights_um]).mean(0))


def stack(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    specimen: Solid,
    *,
    optics: Optics,
    z_step_um: float,
    camera: Camera,
    photons: float,
    background: float,
    modality: Modality = WIDE_FIELD,
) -> Field:
    """Simulate one stack.

    Parameters
    ----------
    rng
        Source of the specimen and the noise.
    shape
        (z, y, x), px.
    specimen
        Draws (z, y, x) in 0-1, see :mod:`zooready.simulate.volumes`.
    optics, camera
        The microscope.
    z_step_um
        Distance of planes, micrometres.
    photons
        Expected photons of the brightest voxel of the blurred specimen, above the background.
    background
        Expected photons of every voxel.
    modality
        The kind of microscope.

    Returns
    -------
    Field
        Image and truth, (z, y, x) each.
    """
    margins = (MARGIN_PLANES, MARGIN_PX, MARGIN_PX)
    high, tall, wide = (side + 2 * margin for side, margin in zip(shape, margins, strict=True))
    emission = specimen(rng, (high, tall, wide))
    inner = tuple(slice(margin, margin + side) for side, margin in zip(shape, margins, strict=True))
    optical = convolved(emission, stack_otf(modality, optics, (high, tall, wide), float(z_step_um)))
    exposure = digital(rng, emission[inner], optical[inner], optics, camera, photons, background, modality)
    return replace(exposure, z_step_um=z_step_um)


@lru_cache(maxsize=128)
def stack_otf(modality: Modality, optics: Optics, shape: tuple[int, int, int], z_step_um: float) -> NDArray[np.complex128]:
    """The transfer function with depth: (z, y, x // 2 + 1) as ``scipy.fft.rfftn`` orders it, 1 at frequency zero; read-only."""
    return transferred(modality.psf(optics, shape, z_step_um))


def digital(
    rng: np.random.Generator,
    emission: Float,
    optical: Float,
    optics: Optics,
    camera: Camera,
    photons: float,
    background: float,
    modality: Modality = WIDE_FIELD,
) -> Field:
    """Emission and optical image, both relative, as photons, and as counts of the camera."""
    scale = photons / max(float(optical.max()), 1e-9)
    return Field(
        image=camera.exposed(optical * scale + background, rng),
        truth=camera.expected(emission * scale + background).astype(np.float32),
        optics=optics,
        camera=camera,
        modality=modality,
    )
