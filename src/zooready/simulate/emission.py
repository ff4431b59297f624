"""Emission: the light of a dye while the camera's shutter is open, and the array type that all stages of a simulation share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, inf, isfinite

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid


@dataclass(frozen=True, kw_only=True)
class Light:
    """The result of one stage of a simulation: an array, its axes, unit and voxel size.

    Parameters
    ----------
    array
        One axis for each letter of `axes`.
    axes
        ``"yx"`` or ``"zyx"``; plane 0 lies at the coverslip.
    unit
        Of the values: ``"dye"`` (0 to 1), ``"photons"`` or ``"counts"``, all per pixel.
    pixel_size_um, z_step_um
        Side of a pixel and distance of planes, micrometres; None for the distance in a single plane.
    """

    array: NDArray[np.generic]
    axes: str
    unit: str
    pixel_size_um: float
    z_step_um: float | None = None

    def with_values(self, array: NDArray[np.generic], unit: str) -> Light:
        """Other values of the same field of view, e.g. those of the next stage."""
        return replace(self, array=array, unit=unit)


@dataclass(frozen=True, kw_only=True)
class Dye:
    """How bright a dye is, and how fast it bleaches.

    Parameters
    ----------
    photons_per_s
        Photons per second that the camera detects from a pixel full of fresh dye, before any blur.
    background_per_s
        Photons per second that every pixel detects in addition; the background does not bleach.
    exposure_ms
        How long the shutter is open for a frame; frames follow each other without a gap.
    bleaching_s
        Time after which 1/e of the dye is left; infinite for a dye that does not bleach.

    Raises
    ------
    InputInvalid
        A value is impossible.
    """

    photons_per_s: float = 10_000.0
    background_per_s: float = 50.0
    exposure_ms: float = 100.0
    bleaching_s: float = inf

    def __post_init__(self) -> None:
        for name in ("photons_per_s", "exposure_ms", "bleaching_s"):
            if not getattr(self, name) > 0 or (name != "bleaching_s" and not isfinite(getattr(self, name))):
                raise InputInvalid(f"{name}={getattr(self, name)}: it must be a positive number.")
        if not (isfinite(self.background_per_s) and self.background_per_s >= 0):
            raise InputInvalid(f"background_per_s={self.background_per_s}: it must be zero or more.")

    def photons(self, frame: int = 0) -> float:
        """Photons from a pixel full of dye during frame number `frame`, from 0.

        >>> round(Dye(photons_per_s=1000, exposure_ms=100).photons())
        100
        """
        seconds = self.exposure_ms / 1000
        start = exp(-frame * seconds / self.bleaching_s)
        open_for = seconds if self.bleaching_s == inf else self.bleaching_s * (1 - exp(-seconds / self.bleaching_s))
        return self.photons_per_s * start * open_for

    @property
    def background(self) -> float:
        """Background photons of every pixel in a frame."""
        return self.background_per_s * self.exposure_ms / 1000

    def emission(self, specimen: Light, frame: int = 0) -> Light:
        """Photons per pixel that a specimen of unit ``"dye"`` emits during a frame, without background; same shape, float64."""
        return specimen.with_values(self.photons(frame) * np.asarray(specimen.array, np.float64), "photons")
