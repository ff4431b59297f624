"""Scalar diffraction: a pupil becomes a point spread function, and a specimen its blurred picture.

The point spread function (PSF) of a wide-field microscope is the squared modulus of the Fourier transform of its pupil; its own
Fourier transform is the optical transfer function (OTF). All lengths are micrometres unless the name says otherwise. The pupil is
uniform (no apodisation), the fluorescence incoherent, and pictures wrap around at their edges: simulate a margin and crop it.

References
----------
.. [1] J. W. Goodman, *Introduction to Fourier Optics*, chapter 6.
.. [2] V. N. Mahajan, "Zernike circle polynomials and optical aberrations", Appl. Opt. 33, 8121 (1994); unit-rms normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from zooready.errors import InputInvalid

Float = NDArray[np.float64]
EDGE_SAMPLES = 8  # sub-samples per frequency step and axis at the pupil's rim


@dataclass(frozen=True, kw_only=True)
class Optics:
    """A wide-field fluorescence microscope.

    Parameters
    ----------
    na
        Numerical aperture; less than `index`.
    wavelength_nm
        Emission wavelength in vacuum.
    index
        Refractive index of the medium in which the light is collected.
    pixel_size_um
        Side of a camera pixel in the specimen; at most wavelength / (4 NA), the Nyquist limit of the intensity.
    z_um
        Distance of the specimen from the focal plane; positive is towards the objective.
    zernike
        Aberrations: (n, m, waves rms) with the radial degree n and the azimuthal frequency m (negative: sine), e.g.
        ``((4, 0, 0.1),)`` for a tenth of a wave of primary spherical aberration.

    Raises
    ------
    InputInvalid
        A value is impossible, or pixels are too large for the NA; the message gives the limit.
    """

    na: float
    wavelength_nm: float
    index: float
    pixel_size_um: float
    z_um: float = 0.0
    zernike: tuple[tuple[int, int, float], ...] = ()

    def __post_init__(self) -> None:
        for name in ("na", "wavelength_nm", "index", "pixel_size_um"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputInvalid(f"{name}={getattr(self, name)}: it must be a positive number.")
        if self.na >= self.index:
            raise InputInvalid(f"na={self.na} with index={self.index}: no ray is steeper than 90 degrees, so keep na below {self.index:g}.")
        if self.pixel_size_um > self.nyquist_um:
            raise InputInvalid(
                f"pixel_size_um={self.pixel_size_um} is above the Nyquist limit of {self.nyquist_um:.4f} um "
                f"(wavelength {self.wavelength_nm:g} nm / (4 x NA {self.na:g})): use smaller pixels or a lower NA."
            )
        for n, m, _ in self.zernike:
            if n < 0 or abs(m) > n or (n - abs(m)) % 2:
                raise InputInvalid(f"zernike ({n}, {m}) does not exist: |m| must be at most n, and n - |m| even.")

    @property
    def nyquist_um(self) -> float:
        """The largest pixel that still samples the intensity, micrometres."""
        return self.wavelength_nm / 1000 / (4 * self.na)


def pupil(optics: Optics, shape: tuple[int, int]) -> NDArray[np.complex128]:
    """The pupil function.

    Parameters
    ----------
    optics
        The microscope.
    shape
        (y, x) of the picture that it is for, px.

    Returns
    -------
    (y, x) complex128
        Transmission and phase at the frequencies of ``scipy.fft.fftfreq``; zero outside NA / wavelength. The rim is anti-aliased.
    """
    limit = optics.na / (optics.wavelength_nm / 1000)  # cycles per um
    high, wide = (fft.fftfreq(side, optics.pixel_size_um) for side in shape)
    radius = np.hypot(high[:, None], wide[None, :])
    angle = np.arctan2(high[:, None], wide[None, :])
    steps = [1 / (side * optics.pixel_size_um) for side in shape]
    shifts = (np.arange(EDGE_SAMPLES) + 0.5) / EDGE_SAMPLES - 0.5
    inside = np.zeros(shape)
    for shift in shifts:
        for other in shifts:
            inside += np.hypot(high[:, None] + shift * steps[0], wide[None, :] + other * steps[1]) <= limit
    transmission = inside / EDGE_SAMPLES**2
    cosine = np.sqrt(np.maximum((optics.index / (optics.wavelength_nm / 1000)) ** 2 - radius**2, 0.0))
    phase = optics.z_um * cosine  # waves
    for n, m, waves in optics.zernike:
        phase = phase + waves * zernike(n, m, np.minimum(radius / limit, 1.0), angle)
    return np.asarray(transmission * np.exp(2j * np.pi * phase), dtype=np.complex128)


def zernike(n: int, m: int, radius: Float, angle: Float) -> Float:
    """Zernike circle polynomial of unit rms over the disc; `radius` in 0-1, `angle` in radians, both of one shape, which returns."""
    order = abs(m)
    radial = sum(
        (-1) ** k
        * factorial(n - k)
        / (factorial(k) * factorial((n + order) // 2 - k) * factorial((n - order) // 2 - k))
        * radius ** (n - 2 * k)
        for k in range((n - order) // 2 + 1)
    )
    azimuth = np.cos(order * angle) if m >= 0 else np.sin(order * angle)
    return np.asarray(np.sqrt((n + 1) * (1 if m == 0 else 2)) * radial * azimuth)


def psf(optics: Optics, shape: tuple[int, int]) -> Float:
    """The point spread function: (y, x) float64, non-negative, sum 1, its centre at pixel (y // 2, x // 2)."""
    amplitude = fft.ifft2(pupil(optics, shape))
    intensity = np.abs(amplitude) ** 2
    return np.asarray(fft.fftshift(intensity / intensity.sum()))


@lru_cache(maxsize=64)
def otf(optics: Optics, shape: tuple[int, int]) -> NDArray[np.complex128]:
    """The optical transfer function: (y, x // 2 + 1) complex128 as ``scipy.fft.rfft2`` orders it, 1 at frequency zero; read-only."""
    transfer = np.asarray(fft.rfft2(fft.ifftshift(psf(optics, shape))))
    transfer.setflags(write=False)
    return transfer


def blur(specimen: NDArray[np.floating], optics: Optics) -> Float:
    """What the microscope sees of a thin specimen.

    Parameters
    ----------
    specimen
        (y, x) of any float type, emitted light per pixel; it wraps around at the edges.
    optics
        The microscope.

    Returns
    -------
    (y, x) float64
        Light per camera pixel, of the same sum; non-negative if the specimen is.
    """
    shape = (specimen.shape[0], specimen.shape[1])
    seen = fft.irfft2(fft.rfft2(specimen) * otf(optics, shape), s=shape)
    return np.asarray(np.maximum(seen, 0.0) if specimen.min() >= 0 else seen)
