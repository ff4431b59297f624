"""Light between specimen and objective: what a dye emits while the camera's shutter is open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, inf, isfinite

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid


@dataclass(frozen=True, kw_only=True)
class Light:
    """An array of a stage of the simulation with what it means.

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
        """The same place in another stage."""
        return replace(self, array=array, unit=unit)


@dataclass(frozen=True, kw_only=True)
class Dye:
    """How bright a specimen is, and for how long.

    Parameters
    ----------
    photons_per_s
        What the camera gets in a second from a pixel full of fresh dye, before any blur.
    background_per_s
        What every pixel gets besides; it does not bleach.
    exposure_ms
        How long the shutter is open for a frame; frames follow each other without a gap.
    bleaching_s
        Time in which light destroys all but 1/e of the dye; infinite: never.

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
        """Photons that every pixel gets besides in a frame."""
        return self.background_per_s * self.exposure_ms / 1000

    def emitted(self, specimen: Light, frame: int = 0) -> Light:
        """What a specimen of unit ``"dye"`` emits during a frame, in photons, without the background."""
        return specimen.with_values(self.photons(frame) * np.asarray(specimen.array, np.float64), "photons")
