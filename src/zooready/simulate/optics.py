"""Scalar diffraction: a pupil becomes a point spread function, and a specimen its blurred image.

The point spread function (PSF) of a wide-field microscope is the squared modulus of the Fourier transform of its pupil; its own
Fourier transform is the optical transfer function (OTF). All lengths are micrometres unless the name says otherwise. The pupil is
uniform (no apodisation), the fluorescence incoherent, and images wrap around at their edges: simulate a margin and crop it.
Every blurred image and volume of this room comes out of :func:`convolved`.

References
----------
.. [1] J. W. Goodman, *Introduction to Fourier Optics*, chapter 6.
.. [2] V. N. Mahajan, "Zernike circle polynomials and optical aberrations", Appl. Opt. 33, 8121 (1994); unit-rms normalisation.
.. [3] S. Hell et al., "Aberrations in confocal fluorescence microscopy induced by mismatches in refractive index",
   J. Microsc. 169, 391 (1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import factorial, sqrt

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.errors import InputInvalid

Float = NDArray[np.float64]
EDGE_SAMPLES = 8  # sub-samples per frequency step and axis at the pupil's rim
ROUNDING = 1e-9  # share by which a pixel may be above the limit: 0.2 um is the limit of 600 nm and NA 0.75, and not above it
LARGEST_PX = 4096  # side of the grid on which light far from focus is computed; 256 MB a plane


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
    specimen_index
        Refractive index of what the specimen lies in; None for that of the immersion, `index`.
    depth_um
        How deep below the coverslip the specimen lies. If its index is not that of the immersion, the depth aberrates (the focal plane is
        then where rays near the axis meet), and rays that the specimen's index cannot carry are lost.

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
    specimen_index: float | None = None
    depth_um: float = 0.0

    def __post_init__(self) -> None:
        for name in ("na", "wavelength_nm", "index", "pixel_size_um"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputInvalid(f"{name}={getattr(self, name)}: it must be a positive number.")
        if self.na >= self.index:
            raise InputInvalid(f"na={self.na} with index={self.index}: no ray is steeper than 90 degrees, so keep na below {self.index:g}.")
        if self.pixel_size_um > self.nyquist_um * (1 + ROUNDING):
            raise InputInvalid(
                f"pixel_size_um={self.pixel_size_um} is above the Nyquist limit of {self.nyquist_um:.4f} um "
                f"(wavelength {self.wavelength_nm:g} nm / (4 x NA {self.na:g})): use smaller pixels or a lower NA."
            )
        if not np.isfinite(self.z_um):
            raise InputInvalid(f"z_um={self.z_um}: it must be a finite number (micrometres from the focal plane).")
        if not (np.isfinite(self.depth_um) and self.depth_um >= 0):
            raise InputInvalid(f"depth_um={self.depth_um}: it must be zero or more (micrometres below the coverslip).")
        if self.specimen_index is not None and not (np.isfinite(self.specimen_index) and self.specimen_index >= 1):
            raise InputInvalid(f"specimen_index={self.specimen_index}: it must be 1 (vacuum) or more.")
        for n, m, waves in self.zernike:
            if not np.isfinite(waves):
                raise InputInvalid(f"zernike ({n}, {m}) of {waves} waves: it must be a finite number (waves rms).")
            if n < 0 or abs(m) > n or (n - abs(m)) % 2:
                raise InputInvalid(f"zernike ({n}, {m}) does not exist: |m| must be at most n, and n - |m| even.")

    @property
    def nyquist_um(self) -> float:
        """The largest pixel that still samples the intensity, micrometres."""
        return self.wavelength_nm / 1000 / (4 * self.na)

    @property
    def nyquist_z_um(self) -> float:
        """The largest distance of planes that still samples a wide-field stack, micrometres."""
        return self.wavelength_nm / 1000 / (2 * (self.index - sqrt(self.index**2 - self.na**2)))

    @property
    def cutoff_per_um(self) -> float:
        """The highest spatial frequency of a wide-field image, cycles per micrometre: 2 NA / wavelength."""
        return 2 * self.na / (self.wavelength_nm / 1000)

    def waves(self, radius: Float, z_um: float) -> Float:
        """Phase of defocus by `z_um` and of the specimen's depth, in waves, at `radius` cycles per um from the pupil's middle."""
        per_um = 1000 / self.wavelength_nm

        def along(index: float) -> Float:
            """Cycles per um along the axis."""
            return np.asarray(np.sqrt(np.maximum((index * per_um) ** 2 - radius**2, 0.0)))

        if not (self.depth_um and self.specimen_index):
            return z_um * along(self.index)
        height = z_um + self.depth_um * self.index / self.specimen_index  # rays near the axis meet at the specimen when z_um is 0
        return height * along(self.index) - self.depth_um * along(self.specimen_index)

    @property
    def rim_per_um(self) -> float:
        """Radius of the pupil, cycles per micrometre; deep in a specimen of low index it is smaller than NA / wavelength."""
        limited = self.depth_um > 0 and self.specimen_index is not None
        return (min(self.na, self.specimen_index or self.na) if limited else self.na) / (self.wavelength_nm / 1000)


def pupil(optics: Optics, shape: tuple[int, int]) -> NDArray[np.complex128]:
    """The pupil function.

    Parameters
    ----------
    optics
        The microscope.
    shape
        (y, x) of the image that it is for, px.

    Returns
    -------
    (y, x) complex128
        Transmission and phase at the frequencies of ``scipy.fft.fftfreq``; zero outside NA / wavelength. The rim is anti-aliased.
    """
    limit = optics.na / (optics.wavelength_nm / 1000)  # cycles per um
    high, wide = (scipy.fft.fftfreq(side, optics.pixel_size_um) for side in shape)
    radius = np.hypot(high[:, None], wide[None, :])
    angle = np.arctan2(high[:, None], wide[None, :])
    steps = [1 / (side * optics.pixel_size_um) for side in shape]
    shifts = (np.arange(EDGE_SAMPLES) + 0.5) / EDGE_SAMPLES - 0.5
    transmission = (radius <= optics.rim_per_um).astype(np.float64)
    y, x = np.nonzero(np.abs(radius - optics.rim_per_um) <= np.hypot(steps[0], steps[1]))  # elsewhere all samples are inside, or none
    inside = np.zeros(y.size)
    for shift in shifts:
        for sideways in shifts:
            inside += np.hypot(high[y] + shift * steps[0], wide[x] + sideways * steps[1]) <= optics.rim_per_um
    transmission[y, x] = inside / EDGE_SAMPLES**2
    phase = optics.waves(radius, optics.z_um)
    for n, m, waves in optics.zernike:
        phase = phase + waves * zernike(n, m, np.minimum(radius / limit, 1.0), angle)
    return np.asarray(transmission * np.exp(2j * np.pi * phase), dtype=np.complex128)


def zernike(n: int, m: int, radius: Float, angle: Float) -> Float:
    """Zernike circle polynomial of unit rms over the disc; `radius` 0 to 1, `angle` in radians, both of the shape of the result."""
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


def planes(optics: Optics, shape: tuple[int, int], heights_um: Sequence[float]) -> Float:
    """The light of one point in several planes.

    Parameters
    ----------
    optics
        The microscope; its own `z_um` is replaced.
    shape
        (y, x) of a plane, px.
    heights_um
        Distance of the point from each focal plane, micrometres; positive is towards the objective.

    Returns
    -------
    (plane, y, x) float64
        Non-negative, each plane of sum 1, centred at pixel (y // 2, x // 2). Light beyond the border comes in at the opposite side,
        as in a periodic specimen.

    Raises
    ------
    InputInvalid
        The light spreads over more than 4096 px.
    """
    spread = np.empty((len(heights_um), *shape))
    focused: dict[tuple[int, int], NDArray[np.complex128]] = {}
    for plane, height in enumerate(heights_um):
        fold = repeats(optics, shape, height)
        grid = (fold[0] * shape[0], fold[1] * shape[1])
        if grid not in focused:
            focused[grid] = pupil(replace(optics, z_um=0.0), grid)
        radius = np.hypot(*np.ix_(*(scipy.fft.fftfreq(side, optics.pixel_size_um) for side in grid)))
        defocus = np.exp(2j * np.pi * (optics.waves(radius, height) - optics.waves(radius, 0.0)))
        intensity = np.abs(scipy.fft.ifft2(focused[grid] * defocus)) ** 2
        folded = intensity.reshape(fold[0], shape[0], fold[1], shape[1]).sum((0, 2))  # intensities add, fields would interfere
        spread[plane] = scipy.fft.fftshift(folded / folded.sum())
    return spread


def reach_um(optics: Optics, height_um: float) -> float:
    """How far from the middle, micrometres, rays of a point at `height_um` land; a ray lands at the slope of its phase."""
    radius = np.linspace(0, optics.rim_per_um, 257)[:-1]
    return float(np.abs(np.gradient(optics.waves(radius, height_um), radius)).max())


def repeats(optics: Optics, shape: tuple[int, int], height_um: float) -> tuple[int, int]:
    """How many image sides, in y and x, the light from `height_um` covers; a grid of that size keeps it from overlapping itself."""
    needed = 2 * reach_um(optics, height_um) / optics.pixel_size_um
    if needed > LARGEST_PX:
        raise InputInvalid(
            f"light from z_um={height_um:.4g} and depth_um={optics.depth_um:.4g} spreads over {needed:.0f} px, and at most {LARGEST_PX} "
            "are computed: stay closer to the focus, or use larger pixels or a lower NA."
        )
    high, wide = (max(1, int(np.ceil(needed / side))) for side in shape)
    return high, wide


def psf(optics: Optics, shape: tuple[int, int]) -> Float:
    """The point spread function: (y, x) float64, non-negative, sum 1, its centre at pixel (y // 2, x // 2)."""
    return np.asarray(planes(optics, shape, (optics.z_um,))[0])


def transferred(spread: Float) -> NDArray[np.complex128]:
    """The transfer function of a PSF centred at side // 2, as ``scipy.fft.rfftn`` orders it; read-only."""
    transfer = np.asarray(scipy.fft.rfftn(scipy.fft.ifftshift(spread)))
    transfer.setflags(write=False)
    return transfer


@lru_cache(maxsize=256)
def otf(optics: Optics, shape: tuple[int, int]) -> NDArray[np.complex128]:
    """The optical transfer function: (y, x // 2 + 1) complex128 as ``scipy.fft.rfft2`` orders it, 1 at frequency zero; read-only."""
    return transferred(psf(optics, shape))


def blur(specimen: NDArray[np.floating], optics: Optics) -> Float:
    """The image that a microscope forms of a thin specimen.

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
    return convolved(specimen, otf(optics, (specimen.shape[0], specimen.shape[1])))


def convolved(light: NDArray[np.floating], transfer: NDArray[np.complex128]) -> Float:
    """Light of any number of axes after a transfer function as ``scipy.fft.rfftn`` orders it; wraps around at every edge.

    Returns
    -------
    same shape, float64
        Non-negative if the light is: a PSF without negative values gives none, but for rounding.
    """
    blurred = scipy.fft.irfftn(scipy.fft.rfftn(light) * transfer, s=light.shape)
    return np.asarray(np.maximum(blurred, 0.0) if light.min() >= 0 else blurred)
