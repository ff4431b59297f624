"""A simulated field of view for training: specimen, optics and camera in one call, with the sharp truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zooready.simulate.camera import Camera
from zooready.simulate.modalities import WIDE_FIELD, Modality
from zooready.simulate.optics import Optics, blur
from zooready.simulate.specimens import Specimen
from zooready.simulate.volumes import Solid, blur_volume

Float = NDArray[np.float64]
MARGIN_PX = 16  # simulated on each side and cropped, so that nothing wraps around
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


def field(
    rng: np.random.Generator, size: int, specimen: Specimen, *, optics: Optics, camera: Camera, photons: float, background: float
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

    Returns
    -------
    Field
        Image and truth, (size, size) each.
    """
    emission = specimen(rng, size + 2 * MARGIN_PX)
    inner = (slice(MARGIN_PX, MARGIN_PX + size),) * 2
    return digital(rng, emission[inner], blur(emission, optics)[inner], optics, camera, photons, background)


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
) -> Field:
    """Simulate one wide-field stack.

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

    Returns
    -------
    Field
        Image and truth, (z, y, x) each.
    """
    margins = (MARGIN_PLANES, MARGIN_PX, MARGIN_PX)
    high, tall, wide = (side + 2 * margin for side, margin in zip(shape, margins, strict=True))
    emission = specimen(rng, (high, tall, wide))
    inner = tuple(slice(margin, margin + side) for side, margin in zip(shape, margins, strict=True))
    optical = blur_volume(emission, optics, z_step_um)
    exposure = digital(rng, emission[inner], optical[inner], optics, camera, photons, background)
    return replace(exposure, z_step_um=z_step_um)


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
