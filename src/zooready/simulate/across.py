"""The same specimen under two microscopes: the image that one takes, and what a sharper one would show of it."""

from __future__ import annotations

import numpy as np

from zooready.simulate.fields import MARGIN_PX, Field, digital
from zooready.simulate.optics import convolved
from zooready.simulate.specimens import Specimen
from zooready.simulate.stages import Microscope, transfer


def across(
    rng: np.random.Generator, size: int, specimen: Specimen, *, seen: Microscope, shown: Microscope, photons: float, background: float
) -> Field:
    """Simulate one exposure, with the sharper microscope's image as its truth.

    Parameters
    ----------
    rng
        Source of the specimen and the noise.
    size
        Side, px.
    specimen
        Draws (side, side) in 0-1.
    seen
        The microscope that takes the image, with its camera.
    shown
        The one whose image, without noise, is the truth, in counts of the first one's camera; its pixels are as large.
    photons
        Expected photons of the brightest pixel of the image, above the background.
    background
        Expected photons of every pixel.

    Returns
    -------
    Field
        Image and truth, (size, size) each.

    Raises
    ------
    InputInvalid
        Pixels are too large for one of the microscopes.
    """
    emission = specimen(rng, size + 2 * MARGIN_PX)
    inner = (slice(MARGIN_PX, MARGIN_PX + size),) * 2
    blurred, sharp = (convolved(emission, transfer(scope.modality, scope.optics, emission.shape))[inner] for scope in (seen, shown))
    return digital(rng, sharp, blurred, seen.optics, seen.camera, photons, background, seen.modality)
