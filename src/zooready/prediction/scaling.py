"""An image brought into the range of pixel sizes that a network was trained for, and its results back."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Real
from typing import Literal

import numpy as np

from zooready.bundle.specs import known_blur, pixel_range_um, trained_objects
from zooready.errors import InputInvalid
from zooready.images.calibration import NYQUIST_PX, ROUNDING, blur_in_words, blurred, target
from zooready.records import Bundle, Image
from zooready.tensors import Blur

LARGEST_NA, WAVELENGTHS_NM = 1.7, (100.0, 3000.0)
MOST = 32  # times that an image is enlarged or reduced: more is a slip of the pen
PixelSize = float | Literal["auto"]


def sized(image: Image, pixel_size: PixelSize | None) -> Image:
    """The image with the pixel size that a person stated, if it is a number.

    Raises
    ------
    InputInvalid
        It is neither "auto" nor a positive number.
    """
    if pixel_size is None or pixel_size == "auto":
        return image
    if not _is_length(pixel_size):
        raise InputInvalid(
            f"a pixel size of {pixel_size!r} is not known: give the side of the image's pixels in µm, such as 0.26, or 'auto' for the "
            "size that the image itself states. Both resample the image into the bundle's range."
        )
    return replace(image, pixel_size_um=float(pixel_size))


def _is_length(value: object) -> bool:
    """Whether it is a positive number; a switch such as True is none."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_) and 0 < float(value) < math.inf


def through(image: Image, na: float | None, wavelength_nm: float | None) -> Image:
    """The image with the numerical aperture and the wavelength (emission, nm) that a person stated, if they did.

    Raises
    ------
    InputInvalid
        One of the two alone, or one that no objective or dye has.
    """
    if na is None and wavelength_nm is None:
        return image
    if na is None or wavelength_nm is None:
        raise InputInvalid("the blur follows from both the numerical aperture and the emission wavelength: give both.")
    is_known = _is_length(na) and na <= LARGEST_NA and _is_length(wavelength_nm)
    if not is_known or not WAVELENGTHS_NM[0] <= wavelength_nm <= WAVELENGTHS_NM[1]:
        raise InputInvalid(
            f"an NA of {na!r} and a wavelength of {wavelength_nm!r} nm: give the numerical aperture of the objective, up to "
            f"{LARGEST_NA:g}, and the emission wavelength in nanometres, {WAVELENGTHS_NM[0]:g} to {WAVELENGTHS_NM[1]:g}."
        )
    return replace(image, blurs_um=(wavelength_nm / 1000 / na,))


def zoom_of_blur(blurs_um: tuple[float, ...], pixel_size_um: float | None, known: Blur | None) -> float:
    """Factor by which y and x grow so that a network sees a blur that it takes away well; 1 if it does already.

    Raises
    ------
    InputInvalid
        The bundle, the image or the person does not say enough, or the image would grow or shrink too much.
    """
    if known is None:
        raise InputInvalid("the bundle does not state which blur it takes away. Leave NA and wavelength out.")
    if pixel_size_um is None:
        raise InputInvalid("the image does not say its pixel size, from which its blur in pixels follows: give it in micrometres.")
    smallest, largest = _ends_px(blurs_um, pixel_size_um)
    zoom = known.zoom(smallest, largest)
    return _possible(zoom, f"a blur of {smallest:.3g} px", "give the numerical aperture, the wavelength in nm and the pixel size in um")


def _ends_px(blurs_um: tuple[float, ...], pixel_size_um: float) -> tuple[float, float]:
    """Smallest and largest blur of an image's channels, px."""
    return min(blurs_um) / pixel_size_um, max(blurs_um) / pixel_size_um


def untold(image: Image, known: Blur | None) -> str:
    """What a note says of an image of unknown blur, for a network that must be told the microscope; empty for others."""
    if known is None or not known.is_one or (image.blurs_um and image.pixel_size_um):
        return ""
    return (
        "the network takes away a blur, wavelength / (NA x pixel size), of {:.3g} to {:.3g} px, and that of the "
        "image is unknown: give NA, wavelength and pixel size, by which it is scaled for the network and back, or use a network that is "
        "told nothing."
    ).format(*known.trained_px)


def of_blur(zoom: float, image: Image, known: Blur | None) -> str:
    """A note on the blur of an image and on how large the network saw it; empty if the network takes none away, or it is unknown."""
    if known is None or not image.blurs_um or not image.pixel_size_um:
        return ""
    low, high = _ends_px(image.blurs_um, image.pixel_size_um)
    if not known.is_one or zoom == 1.0:
        return blurred(image.blurs_um, image.pixel_size_um, known.trained_px) + _shown(zoom, known.zoom(low, high), known)
    coarse = f" Below {NYQUIST_PX:g} px, pixels are too coarse for the objective: the result may be worse than the image, compare the two."
    return (
        f"{blur_in_words(low, high)}, and it was shown to the network {zoom:.3g} times as large, with a blur that it takes away."
        f"{coarse if low < NYQUIST_PX * (1 - ROUNDING) else ''}"
    )


def _shown(zoom: float, suited: float, known: Blur) -> str:
    """What a note on the blur of an image says of its scale, or of the scale that would suit it; empty if it suits as it is."""
    if zoom != 1.0:
        return f" It was shown to the network {zoom:.3g} times as large."
    if suited == 1.0 or not 1 / MOST <= suited <= MOST:
        return ""
    why = "which was better on" if suited < 1 else "which harmed less"
    effect = "with a blur that it takes away" if known.is_one else f"{why} simulated images of such a blur"
    return f" A pixel size of 'auto' shows it to the network {suited:.3g} times as large, {effect}."


def zoom_for(bundle: Bundle, image: Image, pixel_size: PixelSize | None, diameter: float | None, *, is_told: bool = False) -> float:
    """Factor by which y and x grow for the network: 1 unless a person asked for another pixel size or gave the objects' diameter.

    Where the image states its blur, or a person did (``is_told``), a bundle that takes blur away is shown one that suits it.

    Raises
    ------
    InputInvalid
        The diameter is no size, the bundle does not state what it was trained for, or the image would grow or shrink too much.
    """
    if is_told and diameter is not None:
        raise InputInvalid("NA and wavelength are for networks that take blur away, a diameter for those that find objects: give one.")
    if is_told or (pixel_size is not None and diameter is None and image.blurs_um and known_blur(bundle)):
        return zoom_of_blur(image.blurs_um, image.pixel_size_um, known_blur(bundle))
    if diameter is None:
        allowed = pixel_range_um(bundle)
        if pixel_size == "auto" and allowed is None and known_blur(bundle):
            raise InputInvalid(
                "what counts for this network is the blur, and the file does not state numerical aperture and emission wavelength, or "
                "impossible ones: give both."
            )
        is_asked = pixel_size == "auto" or (pixel_size is not None and allowed is not None)
        return zoom_of(image.pixel_size_um, allowed) if is_asked else 1.0
    if not _is_length(diameter):
        raise InputInvalid(f"a diameter of {diameter!r}: give the width of a typical object in this image, px.")
    trained = trained_objects(bundle)
    if trained is None:
        raise InputInvalid(
            f"a diameter of {diameter:g} px: {bundle.path.name} does not state the size of the objects it was trained on. Leave it out."
        )
    zoom = math.sqrt(trained.diameter_px[0] * trained.diameter_px[1]) / diameter
    return _possible(zoom, f"a diameter of {diameter:g} px", "give the width of a typical object in this image, px")


def zoom_of(pixel_size_um: float | None, allowed: tuple[float, float] | None) -> float:
    """Factor by which y and x grow so that pixels come into the range; 1 if they are inside.

    Raises
    ------
    InputInvalid
        The image or the network does not say its pixel size, or the image would grow or shrink too much.
    """
    if allowed is None:
        raise InputInvalid("cannot resample: the bundle does not state the pixel sizes it was trained for. Leave the pixel size out.")
    if pixel_size_um is None:
        raise InputInvalid(
            "cannot resample: the image does not say its pixel size. Give it as a number, or set it in Fiji with Image > Properties."
        )
    zoom = pixel_size_um / target(pixel_size_um, allowed)
    return _possible(zoom, f"pixels of {pixel_size_um:g} µm", "give the side of the image's pixels in µm, such as 0.26 for 260 nm")


def _possible(zoom: float, what: str, cure: str) -> float:
    """The factor, unless it is a slip of the pen."""
    if not 1 / MOST <= zoom <= MOST:
        raise InputInvalid(f"{what}: the image would be scaled by {zoom:.3g}, and {MOST} times is the most: {cure}.")
    return zoom
