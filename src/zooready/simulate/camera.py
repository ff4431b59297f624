"""A camera: photons become counts with shot noise, read noise, gain, offset and saturation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid


@dataclass(frozen=True, kw_only=True)
class Camera:
    """How photons become counts.

    Parameters
    ----------
    gain
        Counts per detected photon; positive.
    offset
        Counts without light.
    read_noise
        Standard deviation of the read-out, in photons; zero or more.
    saturation
        Largest count, above `offset`, at most 65535.

    Raises
    ------
    InputInvalid
        A value is impossible.
    """

    gain: float = 1.0
    offset: float = 100.0
    read_noise: float = 1.5
    saturation: int = 65535

    def __post_init__(self) -> None:
        if not (np.isfinite(self.gain) and self.gain > 0):
            raise InputInvalid(f"gain={self.gain}: it must be positive (counts per photon).")
        if not (np.isfinite(self.read_noise) and self.read_noise >= 0):
            raise InputInvalid(f"read_noise={self.read_noise}: it must be zero or more (photons).")
        if self.saturation > np.iinfo(np.uint16).max:
            raise InputInvalid(f"saturation={self.saturation}: images have 16 bits, so it must be at most {np.iinfo(np.uint16).max}.")
        if not 0 <= self.offset < self.saturation:
            raise InputInvalid(f"offset={self.offset} with saturation={self.saturation}: it must be at least 0 and below the saturation.")

    def expected(self, photons: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mean counts of a camera without noise, rounding or saturation: gain x photons + offset, same shape, float64."""
        return np.asarray(self.gain * photons + self.offset, dtype=np.float64)

    def exposed(self, photons: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.uint16]:
        """One exposure.

        Parameters
        ----------
        photons
            Any shape; expected photons per pixel, zero or more.
        rng
            Source of the noise.

        Returns
        -------
        same shape, uint16
            Counts from 0 to `saturation`.

        Raises
        ------
        InputInvalid
            Negative or non-finite photons.
        """
        if not np.isfinite(photons).all() or photons.min() < 0:
            raise InputInvalid(f"photons from {photons.min():.4g} to {photons.max():.4g}: they must be finite and zero or more.")
        electrons = rng.poisson(photons) + rng.normal(0.0, self.read_noise, photons.shape)
        return np.clip(np.rint(self.expected(electrons)), 0, self.saturation).astype(np.uint16)
