"""The whole microscope, stage by stage: dye -> photons emitted -> photons seen -> counts.

Every stage can be called alone and gives a :class:`Light` that says its axes, unit and voxel size:

    dyed (dye, 0 to 1) -- modality.emitted --> photons -- seen --> photons -- exposed --> counts

:func:`record` does all of them, with a margin that is cropped away, and keeps what every stage gave.
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
    """Everything between a specimen and its image."""

    optics: Optics
    modality: Modality = WideField()
    dye: Dye = Dye()
    camera: Camera = Camera()


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One exposure, with what every stage gave, all of one size.

    ``specimen`` is dye, 0 to 1; ``emitted`` and ``optical`` are photons without and with blur, background included; ``image`` is camera
    counts, uint16; ``truth`` is ``emitted`` in counts, float32, as a camera without noise and limit would give it. ``saturated`` is the
    share of pixels at the camera's limit.
    """

    specimen: Light
    emitted: Light
    optical: Light
    image: Light
    truth: Light
    microscope: Microscope
    saturated: float


def dyed(rng: np.random.Generator, name: str, shape: tuple[int, ...], pixel_size_um: float, z_step_um: float | None = None) -> Light:
    """A specimen.

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
        Unit ``"dye"``, 0 to 1.

    Raises
    ------
    InputInvalid
        No such specimen, or not with this number of axes.
    """
    _demand_shape(shape)
    known = PLANES if len(shape) == 2 else STACKS
    if name not in known:
        other = " (it is there in the other of plane and stack)" if name in {*PLANES, *STACKS} else ""
        kind = "plane" if len(shape) == 2 else "stack"
        raise InputInvalid(f"no {kind} of {name!r}{other}: choose from {', '.join(known)}.")
    if len(shape) == 2:
        return Light(array=PLANES[name](rng, shape[0]), axes="yx", unit="dye", pixel_size_um=pixel_size_um)
    if z_step_um is None:
        raise InputInvalid("a stack needs z_step_um, the distance of its planes in micrometres.")
    volume = STACKS[name](rng, (shape[0], shape[1], shape[2]), z_step_um / pixel_size_um)  # type: ignore[call-arg]
    return Light(array=volume, axes="zyx", unit="dye", pixel_size_um=pixel_size_um, z_step_um=z_step_um)


@lru_cache(maxsize=16)
def transfer(modality: Modality, optics: Optics, shape: tuple[int, ...], z_step_um: float | None = None) -> NDArray[np.complex128]:
    """The effective transfer function as ``scipy.fft.rfftn`` orders it, 1 at frequency zero; read-only.

    Raises
    ------
    InputInvalid
        Pixels or planes are too far apart for this kind of microscope; the message gives the limit.
    """
    for what, given, limit in (
        ("pixel_size_um", optics.pixel_size_um, modality.largest_pixel_um(optics)),
        ("z_step_um", z_step_um or 0.0, modality.largest_step_um(optics)),
    ):
        if given > limit:
            raise InputInvalid(
                f"{what}={given:g} is above the Nyquist limit of {limit:.4f} um of {type(modality).__name__} (wavelength "
                f"{optics.wavelength_nm:g} nm, NA {optics.na:g}): sample more finely, or take another modality or a lower NA."
            )
    return transferred(modality.psf(optics, shape, z_step_um))


def seen(light: Light, optics: Optics, modality: Modality) -> Light:
    """What the microscope sees of what was emitted: photons per pixel, (y, x) or (z, y, x) as given; wraps around at the edges."""
    if light.pixel_size_um != optics.pixel_size_um:
        raise InputInvalid(f"light with pixels of {light.pixel_size_um} um for optics with {optics.pixel_size_um}: give both the same.")
    array = np.asarray(light.array, np.float64)
    return light.with_values(convolved(array, transfer(modality, optics, array.shape, light.z_step_um)), light.unit)


def exposed(light: Light, camera: Camera, rng: np.random.Generator) -> Light:
    """What the camera makes of photons: counts, uint16; see :meth:`zooready.simulate.camera.Camera.exposed`."""
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
    """What is simulated on each side and cropped: two dark rings and the spread of the defocus, and at least 16 px."""
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
    """One exposure through all stages.

    Parameters
    ----------
    rng
        Source of the specimen and the noise.
    name, shape
        Specimen and size as for :func:`dyed`.
    microscope
        Optics, modality, dye and camera.
    z_step_um
        Distance of planes of a stack, micrometres.
    photons
        Expected photons of the brightest pixel that the camera sees, above the background; None: as bright as the dye says. In bright
        field it is the brightest pixel too, which is nearly that of an empty field.

    Returns
    -------
    Recording
        Everything, cropped to `shape`.

    Raises
    ------
    InputInvalid
        Something does not fit together; the message says what and gives the limit.
    """
    if photons is not None and not (np.isfinite(photons) and photons > 0):
        raise InputInvalid(f"photons={photons}: it must be a positive number (of the brightest pixel).")
    _demand_shape(shape)
    optics, modality, camera = microscope.optics, microscope.modality, microscope.camera
    deep = len(shape) == 3
    side = margin_px(optics)
    above = (0, side, side) if deep else (side, side)  # a specimen ends at the glass and goes on elsewhere
    below = (MARGIN_PLANES, side, side) if deep else above
    whole = tuple(wanted + sum(margins) for wanted, *margins in zip(shape, above, below, strict=True))
    inner = tuple(slice(margin, margin + wanted) for margin, wanted in zip(above, shape, strict=True))

    def cut(light: Light, factor: float = 1.0, plus: float = 0.0) -> Light:
        return light.with_values(factor * np.asarray(light.array, np.float64)[inner] + plus, light.unit)

    specimen = dyed(rng, name, whole, optics.pixel_size_um, z_step_um)
    emitted = modality.emitted(specimen, microscope.dye, optics)
    glass = ((MARGIN_PLANES, 0), (0, 0), (0, 0)) if deep else ((0, 0), (0, 0))
    spread = seen(emitted.with_values(np.pad(np.asarray(emitted.array), glass), emitted.unit), optics, modality)
    spread = spread.with_values(spread.array[MARGIN_PLANES:] if deep else spread.array, spread.unit)
    brightest = float(np.max(spread.array[inner]))
    factor = 1.0 if photons is None else photons / max(brightest, 1e-9)
    dye = replace(microscope.dye, photons_per_s=microscope.dye.photons_per_s * factor)
    emitted, optical = cut(emitted, factor, dye.background), cut(spread, factor, dye.background)
    image = exposed(optical, camera, rng)
    return Recording(
        specimen=cut(specimen),
        emitted=emitted,
        optical=optical,
        image=image,
        truth=emitted.with_values(camera.expected(np.asarray(emitted.array, np.float64)).astype(np.float32), "counts"),
        microscope=replace(microscope, dye=dye),
        saturated=float(np.mean(image.array == camera.saturation)),
    )
