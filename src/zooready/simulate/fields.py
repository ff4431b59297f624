"""A field of view: specimen, optics and camera together, with the truth behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooready.simulate.camera import Camera
from zooready.simulate.optics import Optics, blur
from zooready.simulate.specimens import Specimen

MARGIN_PX = 16  # simulated on each side and cropped, so that nothing wraps around


@dataclass(frozen=True, kw_only=True)
class Field:
    """One simulated exposure.

    ``image`` is (y, x) uint16, camera counts; ``truth`` is (y, x) float32, the counts that a microscope without blur and a camera
    without noise would give, so both differ from photons by the same gain and offset.
    """

    image: NDArray[np.uint16]
    truth: NDArray[np.float32]
    optics: Optics
    camera: Camera


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
        Picture and truth, (size, size) each.
    """
    emitted = specimen(rng, size + 2 * MARGIN_PX)
    seen = blur(emitted, optics)
    inner = (slice(MARGIN_PX, MARGIN_PX + size),) * 2
    scale = photons / max(float(seen[inner].max()), 1e-9)
    return Field(
        image=camera.exposed(seen[inner] * scale + background, rng),
        truth=camera.expected(emitted[inner] * scale + background).astype(np.float32),
        optics=optics,
        camera=camera,
    )
