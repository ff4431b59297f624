"""A simulated exposure in four stages: ground truth -> emission -> optical image -> digital image.

Each stage is a function that can be called alone. Each returns a :class:`Light`, (y, x) or (z, y, x), with its axes, unit and voxel size:

    ground_truth (dye, 0 to 1) --> emission (photons) --> optical (photons, blurred) --> digital (camera counts)

:func:`record` runs all four, with a margin that is cropped away, and returns the result of every stage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.simulate import bodies, nuclei, specimens, volumes
from zooready.simulate.camera import Camera
from zooready.simulate.emission import Dye, Light
from zooready.simulate.fields import MARGIN_PLANES, MARGIN_PX
from zooready.simulate.modalities import Modality, WideField
from zooready.simulate.optics import Optics, convolved, reach_um, transferred

PLANES: dict[str, specimens.Specimen] = {
    "beads": specimens.beads,
    "filaments": specimens.filaments,
    "puncta": specimens.puncta,
    "rings": specimens.rings,
    "meshes": specimens.meshes,
    "nuclei": nuclei.stained,
    "neurites": bodies.neurites,
    "worms": bodies.worms,
    "clouds": specimens.clouds,
    "leaves": specimens.leaves,
    "stripes": specimens.stripes,
    "mosaic": specimens.mosaic,
    "bumps": specimens.bumps,
    "mixed": specimens.mixed,
}
STACKS: dict[str, volumes.Solid] = {
    "beads": volumes.beads,
    "filaments": volumes.filaments,
    "puncta": volumes.puncta,
    "tubes": volumes.tubes,
    "neurites": bodies.arbours,
    "clouds": volumes.clouds,
    "mixed": volumes.mixed,
}


@dataclass(frozen=True, kw_only=True)
class Microscope:
    """Everything between a specimen and its image: dye, kind of microscope, optics and camera."""

    optics: Optics
    modality: Modality = WideField()
    dye: Dye = Dye()
    camera: Camera = Camera()


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One exposure: the result of every stage, all of one shape, (y, x) or (z, y, x).

    ``ground_truth`` is dye, float64, 0 to 1. ``emission`` and ``optical`` are photons per pixel, float64, without and with blur, background
    included. ``digital`` is camera counts, uint16. ``truth`` is what ``digital`` would be without blur, noise and saturation: ``emission``
    in counts, float32. ``saturated`` is the share of pixels at the camera's largest count, 0 to 1.
    """

    ground_truth: Light
    emission: Light
    optical: Light
    digital: Light
    truth: Light
    microscope: Microscope
    saturated: float


def ground_truth(
    rng: np.random.Generator, name: str, shape: tuple[int, ...], pixel_size_um: float, z_step_um: float | None = None
) -> Light:
    """First stage: the dye in a specimen.

    Parameters
    ----------
    rng
        Draws it.
    name
        One of ``PLANES`` for a shape (y, x), of ``STACKS`` for (z, y, x).
    shape
        px; y and x must be equal in a plane.
    pixel_size_um, z_step_um
        Side of a pixel and, in a stack, distance of planes; threads and spots are made in pixels, and round in space.

    Returns
    -------
    Light
        `shape` float64, axes ``"yx"`` or ``"zyx"``, unit ``"dye"``, 0 to 1.

    Raises
    ------
    InputInvalid
        No such specimen, or not with this number of axes.
    """
    _demand_shape(shape)
    choices = PLANES if len(shape) == 2 else STACKS
    if name not in choices:
        kind, opposite = ("plane", "stack") if len(shape) == 2 else ("stack", "plane")
        other = f" (there is a {opposite} of it)" if name in {*PLANES, *STACKS} else ""
        raise InputInvalid(f"no {kind} of {name!r}{other}: choose from {', '.join(choices)}.")
    if len(shape) == 2:
        return Light(array=PLANES[name](rng, shape[0]), axes="yx", unit="dye", pixel_size_um=pixel_size_um)
    if z_step_um is None:
        raise InputInvalid("a stack needs z_step_um, the distance of its planes in micrometres.")
    volume = STACKS[name](rng, (shape[0], shape[1], shape[2]), z_step_um / pixel_size_um)  # type: ignore[call-arg]
    return Light(array=volume, axes="zyx", unit="dye", pixel_size_um=pixel_size_um, z_step_um=z_step_um)


def emission(specimen: Light, microscope: Microscope) -> Light:
    """Second stage: the light that leaves the specimen, without background and blur.

    Parameters
    ----------
    specimen
        Of unit ``"dye"``, (y, x) or (z, y, x).
    microscope
        Its modality, dye and optics count.

    Returns
    -------
    Light
        Same shape, float64, unit ``"photons"`` per pixel and exposure.

    Raises
    ------
    InputInvalid
        This kind of microscope does not work with these optics or with stacks.
    """
    return microscope.modality.emission(specimen, microscope.dye, microscope.optics)


@lru_cache(maxsize=16)
def transfer(modality: Modality, optics: Optics, shape: tuple[int, ...], z_step_um: float | None = None) -> NDArray[np.complex128]:
    """The effective transfer function as ``scipy.fft.rfftn`` orders it, 1 at frequency zero; read-only.

    Raises
    ------
    InputInvalid
        Pixels or planes are too far apart for this kind of microscope; the message gives the limit.
    """
    for name, value, limit in (
        ("pixel_size_um", optics.pixel_size_um, modality.largest_pixel_um(optics)),
        ("z_step_um", z_step_um or 0.0, modality.largest_step_um(optics)),
    ):
        if value > limit:
            raise InputInvalid(
                f"{name}={value:g} is above the Nyquist limit of {limit:.4f} um of {type(modality).__name__} (wavelength "
                f"{optics.wavelength_nm:g} nm, NA {optics.na:g}): sample more finely, or take another modality or a lower NA."
            )
    return transferred(modality.psf(optics, shape, z_step_um))


def optical(light: Light, microscope: Microscope) -> Light:
    """Third stage: the image that reaches the camera, blurred by the microscope's point spread function.

    Parameters
    ----------
    light
        Photons per pixel, (y, x) or (z, y, x); it wraps around at the edges.
    microscope
        Its modality and optics count.

    Returns
    -------
    Light
        Same shape, float64, unit ``"photons"`` per pixel.

    Raises
    ------
    InputInvalid
        The light's pixels are not those of the optics, or pixels or planes are too far apart.
    """
    optics = microscope.optics
    if light.pixel_size_um != optics.pixel_size_um:
        raise InputInvalid(f"light with pixels of {light.pixel_size_um} um for optics with {optics.pixel_size_um}: give both the same.")
    array = np.asarray(light.array, np.float64)
    blurred = convolved(array, transfer(microscope.modality, optics, array.shape, light.z_step_um))
    return light.with_values(blurred, light.unit)


def digital(light: Light, camera: Camera, rng: np.random.Generator) -> Light:
    """Fourth stage: one exposure of the camera.

    Parameters
    ----------
    light
        Expected photons per pixel, background included, (y, x) or (z, y, x).
    camera
        See :meth:`zooready.simulate.camera.Camera.exposed`.
    rng
        Source of the noise.

    Returns
    -------
    Light
        Same shape, uint16, unit ``"counts"``.
    """
    return light.with_values(camera.exposed(np.asarray(light.array, np.float64), rng), "counts")


def _demand_shape(shape: tuple[int, ...]) -> None:
    sides = " x ".join(map(str, shape))
    if len(shape) not in (2, 3):
        raise InputInvalid(f"an image of {len(shape)} axes ({sides}): give (y, x) or (z, y, x).")
    if min(shape) < 1:
        raise InputInvalid(f"an image of {sides} px: every side must be at least 1.")
    if len(shape) == 2 and shape[0] != shape[1]:
        raise InputInvalid(f"a plane of {sides} px: specimens are square, so give both sides the same.")


def margin_px(optics: Optics) -> int:
    """Pixels simulated on each side and cropped: two dark rings and the spread of the defocus, and at least 16 px."""
    spread_um = 2 * 0.61 * optics.wavelength_nm / 1000 / optics.na + reach_um(optics, optics.z_um)
    return max(MARGIN_PX, ceil(spread_um / optics.pixel_size_um))


def record(
    rng: np.random.Generator,
    name: str,
    shape: tuple[int, ...],
    microscope: Microscope,
    *,
    z_step_um: float | None = None,
    photons: float | None = None,
) -> Recording:
    """One exposure through all four stages.

    Parameters
    ----------
    rng
        Source of the specimen and the noise.
    name, shape
        Specimen and size as for :func:`ground_truth`.
    microscope
        Optics, modality, dye and camera.
    z_step_um
        Distance of planes of a stack, micrometres.
    photons
        Expected photons of the brightest pixel of the optical image, above the background; if None, the dye sets the brightness. In
        bright field the brightest pixel is nearly that of an empty field.

    Returns
    -------
    Recording
        The result of every stage, cropped to `shape`.

    Raises
    ------
    InputInvalid
        Something does not fit together; the message says what and gives the limit.
    """
    if photons is not None and not (np.isfinite(photons) and photons > 0):
        raise InputInvalid(f"photons={photons}: it must be a positive number (of the brightest pixel).")
    _demand_shape(shape)
    optics, camera = microscope.optics, microscope.camera
    is_stack = len(shape) == 3
    side = margin_px(optics)
    above = (0, side, side) if is_stack else (side, side)  # a specimen ends at the glass and goes on elsewhere
    below = (MARGIN_PLANES, side, side) if is_stack else above
    padded_shape = tuple(length + sum(margins) for length, *margins in zip(shape, above, below, strict=True))
    inner = tuple(slice(margin, margin + length) for margin, length in zip(above, shape, strict=True))

    def cropped(light: Light, factor: float = 1.0, background: float = 0.0) -> Light:
        return light.with_values(factor * np.asarray(light.array, np.float64)[inner] + background, light.unit)

    specimen = ground_truth(rng, name, padded_shape, optics.pixel_size_um, z_step_um)
    emitted = emission(specimen, microscope)
    glass = ((MARGIN_PLANES, 0), (0, 0), (0, 0)) if is_stack else ((0, 0), (0, 0))
    blurred = optical(emitted.with_values(np.pad(np.asarray(emitted.array), glass), emitted.unit), microscope)
    blurred = blurred.with_values(blurred.array[MARGIN_PLANES:] if is_stack else blurred.array, blurred.unit)
    brightest = float(np.max(blurred.array[inner]))
    factor = 1.0 if photons is None else photons / max(brightest, 1e-9)
    dye = replace(microscope.dye, photons_per_s=microscope.dye.photons_per_s * factor)
    emitted, blurred = cropped(emitted, factor, dye.background), cropped(blurred, factor, dye.background)
    counts = digital(blurred, camera, rng)
    return Recording(
        ground_truth=cropped(specimen),
        emission=emitted,
        optical=blurred,
        digital=counts,
        truth=emitted.with_values(camera.expected(np.asarray(emitted.array, np.float64)).astype(np.float32), "counts"),
        microscope=replace(microscope, dye=dye),
        saturated=float(np.mean(counts.array == camera.saturation)),
    )
