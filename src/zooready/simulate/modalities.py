"""Kinds of microscopes: what each lights up, and its point spread function (PSF).

Each is a frozen record with the same four methods, so that a stage takes any of them: ``emission`` (dye to photons), ``psf``, and the
Nyquist limits ``largest_pixel_um`` and ``largest_step_um``. PSFs are effective ones: they describe the image that the microscope's own
scanning or reconstruction gives, not its raw data, and have sum 1, so brightness is set by the dye alone. A shape (y, x) is one plane,
a shape (z, y, x) a stack with the focus in plane z // 2.

References
----------
.. [1] J. B. Pawley (ed.), *Handbook of Biological Confocal Microscopy*, chapter 23: the confocal PSF as a product.
.. [2] B. Harke et al., "Resolution scaling in STED microscopy", Opt. Express 16, 4154 (2008).
.. [3] D. Axelrod, "Cell-substrate contacts illuminated by total internal reflection fluorescence", J. Cell Biol. 89, 141 (1981).
.. [4] M. G. L. Gustafsson, "Surpassing the lateral resolution limit by a factor of two", J. Microsc. 198, 82 (2000).
.. [5] N. Streibl, "Three-dimensional imaging by a microscope", J. Opt. Soc. Am. A 2, 121 (1985): partially coherent bright field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import asin, degrees, isfinite, pi, radians, sin, sqrt

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.simulate.emission import Dye, Light
from zooready.simulate.optics import Optics, convolved, planes, pupil, repeats
from zooready.simulate.volumes import demand_step, psf3d

Float = NDArray[np.float64]
HALF_MAXIMUM = 0.5145  # full width at half maximum of an Airy pattern, in wavelength / NA
DIRECTIONS = (0.0, pi / 3, 2 * pi / 3)  # of the patterns of structured illumination
NOTCH, NOTCH_WIDTH = 0.98, 0.12  # of a copy's middle, where its haze is: the share taken out, and the width over the cut-off


@dataclass(frozen=True, kw_only=True)
class WideField:
    """The whole specimen is illuminated, and the light of every plane reaches the camera."""

    def emission(self, specimen: Light, dye: Dye, optics: Optics) -> Light:
        """Photons per pixel that a specimen of unit ``"dye"`` emits; same shape, float64."""
        return dye.emission(specimen)

    def psf(self, optics: Optics, shape: tuple[int, ...], z_step_um: float | None = None) -> Float:
        """The effective PSF, of sum 1: (y, x) float64, or (z, y, x) with `z_step_um`."""
        if len(shape) == 2:
            return np.asarray(planes(optics, (shape[0], shape[1]), (optics.z_um,))[0])
        return psf3d(optics, (shape[0], shape[1], shape[2]), z_step_um or 0.0)

    def largest_pixel_um(self, optics: Optics) -> float:
        """Side of the largest pixel that samples this microscope's images, micrometres."""
        return optics.nyquist_um

    def largest_step_um(self, optics: Optics) -> float:
        """The longest distance of planes that samples this microscope's stacks, micrometres."""
        return optics.nyquist_z_um


@dataclass(frozen=True, kw_only=True)
class Confocal(WideField):
    """A scanned spot, seen through a pinhole: the product of the spot and of what the pinhole collects.

    Parameters
    ----------
    pinhole_au
        Diameter of the pinhole in Airy units (1.22 emission wavelength / NA, in the specimen); zero is a point.
    excitation_nm
        Wavelength of the spot, at most that of the emission; None: nine tenths of it.

    Raises
    ------
    InputInvalid
        A value is impossible.
    """

    pinhole_au: float = 1.0
    excitation_nm: float | None = None

    def __post_init__(self) -> None:
        _demand("pinhole_au", self.pinhole_au, zero=True)
        _demand("excitation_nm", self.excitation_nm)

    def psf(self, optics: Optics, shape: tuple[int, ...], z_step_um: float | None = None) -> Float:
        """The effective PSF, of sum 1: (y, x) float64, or (z, y, x) with `z_step_um`."""
        is_stack = len(shape) == 3
        plane = (shape[-2], shape[-1])
        if is_stack:
            demand_step(optics, z_step_um or 0.0)
        offsets = np.arange(shape[0]) - shape[0] // 2 if is_stack else np.zeros(1)
        heights = [float(optics.z_um + offset * (z_step_um or 0.0)) for offset in offsets]
        fold = np.max([repeats(optics, plane, height) for height in (heights[0], heights[-1])], axis=0)
        wide = (int(fold[0]) * plane[0], int(fold[1]) * plane[1])  # products of folded light would be wrong
        spot = planes(replace(optics, wavelength_nm=_excitation_nm(optics, self.excitation_nm)), wide, heights)
        product = np.stack([self.narrowed(plane_psf, optics) for plane_psf in np.multiply(spot, self._collected(optics, wide, heights))])
        product = scipy.fft.ifftshift(product, axes=(1, 2)).reshape(len(heights), fold[0], plane[0], fold[1], plane[1]).sum((1, 3))
        product = scipy.fft.fftshift(product, axes=(1, 2)) / product.sum()
        return np.asarray(product if is_stack else product[0])

    def _collected(self, optics: Optics, shape: tuple[int, int], heights: Sequence[float]) -> Float:
        """What the pinhole collects of light from every place: the emission's PSF spread over the pinhole."""
        collected = planes(optics, shape, heights)
        if not self.pinhole_au:
            return collected
        frequency = np.hypot(scipy.fft.fftfreq(shape[0])[:, None], scipy.fft.rfftfreq(shape[1])[None, :]) / optics.pixel_size_um
        v = np.maximum(pi * self.pinhole_au * 1.22 * optics.wavelength_nm / 1000 / optics.na * frequency, 1e-9)
        disc = (2 * scipy.special.j1(v) / v).astype(np.complex128)
        return np.stack([convolved(plane, disc) for plane in collected])

    def narrowed(self, plane: Float, optics: Optics) -> Float:
        """The product in one plane (y, x), narrowed by depletion; unchanged in a confocal microscope."""
        return plane

    def largest_pixel_um(self, optics: Optics) -> float:
        """Side of the largest pixel that samples this microscope's images, micrometres."""
        return 0.5 / (optics.cutoff_per_um * (1 + optics.wavelength_nm / _excitation_nm(optics, self.excitation_nm)))

    def largest_step_um(self, optics: Optics) -> float:
        """The longest distance of planes that samples this microscope's stacks, micrometres."""
        return optics.nyquist_z_um / (1 + optics.wavelength_nm / _excitation_nm(optics, self.excitation_nm))


@dataclass(frozen=True, kw_only=True)
class STED(Confocal):
    """Stimulated emission depletion: the confocal spot, of which a second, hollow beam leaves only the middle.

    An effective model: the hollow beam is a parabola around its zero and the same at every depth. It divides the spot's width at half
    maximum, of ``d = 0.5145 excitation wavelength / NA``, by ``sqrt(1 + saturation)``.

    Parameters
    ----------
    saturation
        Intensity of the hollow beam over that which halves the emission; zero is a confocal microscope.
    """

    saturation: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _demand("saturation", self.saturation, zero=True)

    def width_um(self, optics: Optics) -> float:
        """Width at half maximum that the model aims at, micrometres."""
        spot_um = HALF_MAXIMUM * _excitation_nm(optics, self.excitation_nm) / 1000 / optics.na
        return spot_um / sqrt(1 + self.saturation)

    def narrowed(self, plane: Float, optics: Optics) -> Float:
        """The product in one plane (y, x), its rim switched off by depletion."""
        y, x = (((np.arange(side) - side // 2) * optics.pixel_size_um) for side in plane.shape)
        full = self.width_um(optics) * sqrt(1 + self.saturation)
        return np.asarray(plane * 0.5 ** (self.saturation * 4 * (y[:, None] ** 2 + x[None, :] ** 2) / full**2))

    def largest_pixel_um(self, optics: Optics) -> float:
        """Side of the largest pixel that samples this microscope's images, micrometres: two in the narrowed width."""
        return min(super().largest_pixel_um(optics), self.width_um(optics) / 2)


@dataclass(frozen=True, kw_only=True)
class TIRF(WideField):
    """Total internal reflection: only what lies within some 100 nm of the coverslip is lit.

    Parameters
    ----------
    angle_deg
        Of the beam in the glass, above the critical angle; None: half-way from there to the objective's steepest ray.
    excitation_nm
        Wavelength of the beam; None: nine tenths of the emission's.
    water_index
        Refractive index of what is behind the coverslip, used if the optics name none.
    """

    angle_deg: float | None = None
    excitation_nm: float | None = None
    water_index: float = 1.33

    def __post_init__(self) -> None:
        _demand("angle_deg", self.angle_deg)
        _demand("excitation_nm", self.excitation_nm)
        _demand("water_index", self.water_index)

    def depth_nm(self, optics: Optics) -> float:
        """Depth at which the evanescent light has fallen to 1/e, nanometres.

        Raises
        ------
        InputInvalid
            The objective reaches no total reflection, or the angle is not between the critical and the steepest one.
        """
        behind = optics.specimen_index or self.water_index
        if optics.na <= behind:
            raise InputInvalid(
                f"na={optics.na:g} with specimen index {behind:g}: total reflection needs a larger NA. Take oil and an NA of 1.45, say."
            )
        critical, steepest = degrees(asin(behind / optics.index)), degrees(asin(optics.na / optics.index))
        angle = (critical + steepest) / 2 if self.angle_deg is None else self.angle_deg
        if not critical < angle <= steepest:
            raise InputInvalid(
                f"angle_deg={angle:g}: it must be above the critical angle of {critical:.2f} and at most {steepest:.2f} degrees, "
                f"the objective's steepest (index {optics.index:g} against {behind:g}, NA {optics.na:g})."
            )
        return _excitation_nm(optics, self.excitation_nm) / (4 * pi * sqrt((optics.index * sin(radians(angle))) ** 2 - behind**2))

    def emission(self, specimen: Light, dye: Dye, optics: Optics) -> Light:
        """Photons per pixel of a specimen of unit ``"dye"``; plane 0 touches the coverslip, and a single plane lies there."""
        depth_nm = self.depth_nm(optics)
        light = dye.emission(specimen)
        if light.z_step_um is None:
            return light
        z_nm = 1000 * light.z_step_um * np.arange(light.array.shape[0])
        return light.with_values(light.array * np.exp(-z_nm / depth_nm)[:, None, None], light.unit)


@dataclass(frozen=True, kw_only=True)
class SIM(WideField):
    """Structured illumination, after reconstruction: frequencies up to twice the wide-field limit, evened out and apodised.

    Three stripe patterns, 60 degrees apart, move copies of the transfer function to and fro. The reconstruction takes most of each copy's
    middle out, where the haze of other planes is, weights the sum as a Wiener filter does that knows the optics, and tapers it down to the
    new limit. Noise is that of the camera on the finished image; the noise pattern of a real reconstruction is not simulated.

    Parameters
    ----------
    extension
        New limit over the wide-field limit, from 1 to 2.
    wiener
        The filter's noise term, over the power of one copy at its middle; larger is softer.
    """

    extension: float = 1.9
    wiener: float = 0.02

    def __post_init__(self) -> None:
        if not 1 <= self.extension <= 2:
            raise InputInvalid(f"extension={self.extension}: stripes pass the objective themselves, so it must be from 1 to 2.")
        _demand("wiener", self.wiener)

    def psf(self, optics: Optics, shape: tuple[int, ...], z_step_um: float | None = None) -> Float:
        """The effective PSF, of sum 1: (y, x) float64, or (z, y, x) with `z_step_um`; slightly negative around its middle."""
        spread = super().psf(optics, shape, z_step_um)
        y, x = (((np.arange(side) - side // 2) * optics.pixel_size_um) for side in shape[-2:])
        stripes = (self.extension - 1) * optics.cutoff_per_um
        lateral = np.hypot(*np.ix_(*(scipy.fft.fftfreq(side, optics.pixel_size_um) for side in shape[-2:])))
        notch = 1 - NOTCH * np.exp(-0.5 * (lateral / (NOTCH_WIDTH * optics.cutoff_per_um)) ** 2)
        spread = scipy.fft.fftshift(scipy.fft.ifftn(scipy.fft.fftn(scipy.fft.ifftshift(spread)) * notch).real)
        power = np.zeros(shape)
        for direction in DIRECTIONS:
            phase = 2 * pi * stripes * (np.sin(direction) * y[:, None] + np.cos(direction) * x[None, :])
            for order in (-1, 0, 1):
                power += np.abs(scipy.fft.fftn(scipy.fft.ifftshift(spread * np.exp(1j * order * phase)))) ** 2
        taper = np.maximum(1 - lateral / (self.extension * optics.cutoff_per_um), 0)
        passed = taper * power / (power + self.wiener)
        return np.asarray(scipy.fft.fftshift(scipy.fft.ifftn(passed / passed.flat[0]).real))

    def largest_pixel_um(self, optics: Optics) -> float:
        """Side of the largest pixel that samples this microscope's images, micrometres."""
        return 0.5 / (self.extension * optics.cutoff_per_um)


@dataclass(frozen=True, kw_only=True)
class BrightField(WideField):
    """Transmitted light through a thin, absorbing specimen.

    Beer and Lambert's law gives the light behind the specimen, and the transfer function of weak absorption under a condenser the image.
    That is exact for faint specimens only; phase (refraction) and the depth of thick specimens are left out.

    Parameters
    ----------
    absorbance
        Decadic, where the specimen is densest: 1 lets a tenth of the light through.
    condenser_na
        Numerical aperture of the condenser, at most that of the objective (more adds nothing); None: the objective's.
    """

    absorbance: float = 0.5
    condenser_na: float | None = None

    def __post_init__(self) -> None:
        _demand("absorbance", self.absorbance)
        _demand("condenser_na", self.condenser_na)

    def emission(self, specimen: Light, dye: Dye, optics: Optics) -> Light:
        """Photons per pixel behind a specimen of unit ``"dye"``; an empty field gives the photons of a pixel full of dye."""
        if specimen.z_step_um is not None:
            raise InputInvalid("bright field sees thin specimens only: simulate one plane, not a stack.")
        dense = np.asarray(specimen.array, np.float64)
        return specimen.with_values(dye.photons() * 10.0 ** (-self.absorbance * dense), "photons")

    def psf(self, optics: Optics, shape: tuple[int, ...], z_step_um: float | None = None) -> Float:
        """The effective PSF of absorption, of sum 1: (y, x) float64; with a small condenser it has negative rings."""
        plane = (shape[0], shape[1])
        fold = repeats(optics, plane, optics.z_um)
        wide = (fold[0] * plane[0], fold[1] * plane[1])
        through = pupil(optics, wide)
        aperture = min(self.condenser_na or optics.na, optics.na)
        source = np.abs(pupil(replace(optics, na=aperture, z_um=0.0, zernike=(), depth_um=0.0), wide))
        lit = through * np.minimum(1, source / np.maximum(np.abs(through), 1e-12))  # the rims, softened both, are not squared
        spread = (np.conj(scipy.fft.ifft2(lit)) * scipy.fft.ifft2(through)).real
        spread = spread.reshape(fold[0], plane[0], fold[1], plane[1]).sum((0, 2))
        return np.asarray(scipy.fft.fftshift(spread / spread.sum()))

    def largest_pixel_um(self, optics: Optics) -> float:
        """Side of the largest pixel that samples this microscope's images, micrometres."""
        return optics.wavelength_nm / 1000 / (2 * (optics.na + min(self.condenser_na or optics.na, optics.na)))


@dataclass(frozen=True, kw_only=True)
class Gaussian(WideField):
    """A Gaussian point, as a light sheet, two photons or a pinhole give nearly, whatever the optics.

    Parameters
    ----------
    across_um, along_um
        Its standard deviations in the plane and along the axis.

    Raises
    ------
    InputInvalid
        A value is impossible.
    """

    across_um: float
    along_um: float

    def __post_init__(self) -> None:
        _demand("across_um", self.across_um)
        _demand("along_um", self.along_um)

    def psf(self, optics: Optics, shape: tuple[int, ...], z_step_um: float | None = None) -> Float:
        """The PSF, of sum 1: (y, x) float64, or (z, y, x) with `z_step_um`."""
        sides = ((z_step_um or 0.0) / self.along_um, *(optics.pixel_size_um / self.across_um,) * 2)[-len(shape) :]
        profiles = [np.exp(-0.5 * ((np.arange(size) - size // 2) * side) ** 2) for size, side in zip(shape, sides, strict=True)]
        return np.asarray(reduce(np.multiply.outer, [profile / profile.sum() for profile in profiles]))


Modality = WideField  # the type that all of them share
WIDE_FIELD = WideField()
MODALITIES: dict[str, type[Modality]] = {
    "widefield": WideField,
    "confocal": Confocal,
    "sted": STED,
    "tirf": TIRF,
    "sim": SIM,
    "brightfield": BrightField,
}


def _excitation_nm(optics: Optics, excitation_nm: float | None) -> float:
    """The wavelength that excites; None: nine tenths of the emission's."""
    if excitation_nm is not None and excitation_nm > optics.wavelength_nm:
        raise InputInvalid(
            f"excitation_nm={excitation_nm:g} with wavelength_nm={optics.wavelength_nm:g}: dyes emit at longer wavelengths than they "
            "are excited with, so keep excitation_nm below."
        )
    return 0.9 * optics.wavelength_nm if excitation_nm is None else excitation_nm


def _demand(name: str, value: float | None, *, zero: bool = False) -> None:
    """Refuse values that are not positive numbers; None stands for a default and passes."""
    if value is not None and not (isfinite(value) and (value > 0 or (zero and value == 0))):
        raise InputInvalid(f"{name}={value}: it must be {'zero or more' if zero else 'a positive number'}.")
