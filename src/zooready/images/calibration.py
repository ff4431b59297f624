"""Whether pixel size and distance of planes of an image are those that a network was trained for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from zooready.errors import InputInvalid
from zooready.images.mapped import blocks
from zooready.records import Array

PLANES = 0.05  # difference / distance of planes up to which two distances count as equal
WIDE = 5.0  # largest / smallest pixel size from which a network suits most images as they are: no note where the size is unknown
NYQUIST_PX = 4.0  # the smallest blur, wavelength / (NA x pixel size), that pixels sample
LARGEST = 1e15  # the squares of a whole image's values, added up, stay below float32's 3.4e38
ROUNDING = 0.005  # calibrations are written with few digits: so far outside the range still counts as inside
RESAMPLE = (  # helps where objects have a size that the network knows; may harm a deconvolution, for which the blur in pixels counts
    "compare them with those of a pixel size of 'auto', which resamples the image into the range and the results back"
)
RESCALE = "rescale the image in Fiji with Image > Scale"  # where nothing is resampled


def outside(pixel_size_um: float | None, allowed: tuple[float, float] | None, cure: str = RESAMPLE) -> str:
    """Why the pixel size does not suit the network, with the cure; empty if it does, if the network does not say, or if it suits most.

    Parameters
    ----------
    pixel_size_um
        Side of the image's pixels, in micrometres; None if unknown.
    allowed
        Smallest and largest that the network was trained for, in micrometres.
    cure
        What to do about another size.

    >>> outside(None, (0.03, 0.03))
    'the image does not say its pixel size, and the network was trained for 0.03 µm: set it in Fiji with Image > Properties, and compare.'
    """
    if allowed is None:
        return ""
    low, high = (f"{side:.4g}" for side in allowed)
    trained = f"the network was trained for {low if low == high else f'{low} to {high}'} µm"
    if pixel_size_um is None:
        if allowed[1] >= WIDE * allowed[0]:
            return ""
        return f"the image does not say its pixel size, and {trained}: set it in Fiji with Image > Properties, and compare."
    if target(pixel_size_um, allowed) == pixel_size_um:
        return ""
    return f"the image has pixels of {pixel_size_um:.4g} µm, and {trained}: results may be poor; {cure}."


def planes_differ(z_um: float | None, trained_um: float | None) -> str:
    """Why the distance of an image's planes does not suit the network, with the cure; empty if it does, or if the network does not say.

    Parameters
    ----------
    z_um
        Distance of the image's planes, in micrometres; None if unknown.
    trained_um
        The distance that the network was trained for, in micrometres.
    """
    if trained_um is None:
        return ""
    trained = f"the network was trained for planes {trained_um:.4g} µm apart"
    if z_um is None:
        return f"the image does not say how far apart its planes are, and {trained}: set it in Fiji with Image > Properties, and compare."
    if abs(z_um - trained_um) <= PLANES * trained_um:
        return ""
    return f"the planes of the image are {z_um:.4g} µm apart, and {trained}: results may be poor; rescale z in Fiji with Image > Scale."


def beyond(array: Array, axes: str, channels: Sequence[str], limits: Mapping[str, tuple[float, float]]) -> list[str]:
    """What values of an image lie beyond those that the network was trained for, a note a channel.

    Parameters
    ----------
    array, axes, channels
        The network's input, or several of it; its axes, and the names of its channels.
    limits
        Smallest and largest value that the network was trained for, by channel; other channels may hold any.
    """
    notes = []
    for name, (low, high) in limits.items():
        if name not in channels:
            continue
        values = np.moveaxis(array, axes.index("c"), 0)[channels.index(name)]
        ends = [(np.min(values[block]), np.max(values[block])) for block in blocks(values)]
        smallest, largest = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
        if not (low <= smallest and largest <= high):
            notes.append(
                f"'{name}' of the image has values from {smallest:.6g} to {largest:.6g}, and the network was trained for {low:.6g} to "
                f"{high:.6g}: where it lies beyond, the result is of no use. Correct that channel, in Fiji with Process > Math."
            )
    return notes


def too_large(array: Array) -> str:
    """Why no network can use the values of an image, with the cure; empty if they are not too large.

    >>> too_large(np.array([0.0, 1e38]))[:52]
    'the image has values from 0 to 1e+38: what a network'
    """
    if not array.size or array.dtype.kind != "f" and array.dtype.itemsize < 8:
        return ""
    ends = [(np.min(array[block]), np.max(array[block])) for block in blocks(array)]
    smallest, largest = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
    if not max(-smallest, largest) > LARGEST:  # nor where it is NaN
        return ""
    return (
        f"the image has values from {smallest:.6g} to {largest:.6g}: what a network adds and squares of those beyond {LARGEST:g} does not "
        "fit into float32, and the result would be of no use. Divide them, in Fiji with Process > Math > Divide."
    )


def demand_small(array: Array) -> None:
    """Refuse an image whose values no network can use, as one with infinite pixels is.

    Raises
    ------
    InputInvalid
        They are too large.
    """
    if why := too_large(array):
        raise InputInvalid(why)


def blurred(blurs_um: tuple[float, ...], pixel_size_um: float | None, allowed: tuple[float, float] | None) -> str:
    """How the blur of an image compares with those that a network takes away; empty if either is unknown.

    Parameters
    ----------
    blurs_um
        Wavelength / NA of each channel, in micrometres.
    pixel_size_um
        Side of the image's pixels, in micrometres; None if unknown.
    allowed
        Smallest and largest blur that the network was made for, wavelength / (NA x pixel size), in pixels; None if it takes none away.
    """
    if not blurs_um or not pixel_size_um or allowed is None:
        return ""
    low, high = (blur_um / pixel_size_um for blur_um in (min(blurs_um), max(blurs_um)))
    made = f"the {allowed[0]:g} to {allowed[1]:g} px that the network was made for"
    fact = blur_in_words(low, high)
    if allowed[0] * (1 - ROUNDING) <= low and high <= allowed[1] * (1 + ROUNDING):
        return f"{fact}: inside {made}."
    return f"{fact}: outside {made}. The result may be worse than the image: compare the two."


def blur_in_words(low_px: float, high_px: float) -> str:
    """How much an image is blurred, of the channel with the smallest and that with the largest blur.

    >>> blur_in_words(4.0, 4.0)
    "the image's blur, wavelength / (NA x pixel size), is 4 px"
    """
    size = f"{low_px:.3g} px" if f"{low_px:.3g}" == f"{high_px:.3g}" else f"{low_px:.3g} to {high_px:.3g} px"
    return f"the image's blur, wavelength / (NA x pixel size), is {size}"


def target(pixel_size_um: float, allowed: tuple[float, float]) -> float:
    """The pixel size to resample to, in micrometres: the middle of the range by its ratio; the same as given if it lies inside.

    >>> target(0.1, (0.2, 0.8)), target(0.3, (0.2, 0.4)), target(0.401, (0.2, 0.4))
    (0.4, 0.3, 0.401)
    """
    low, high = allowed
    if low * (1 - ROUNDING) <= pixel_size_um <= high * (1 + ROUNDING):
        return pixel_size_um
    return round(math.sqrt(low * high), 6)
