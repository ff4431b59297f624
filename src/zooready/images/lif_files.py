"""LIF files of Leica, read by the package liffile: each series is a scene."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.images.lengths import micrometres, seconds
from zooready.images.scenes import Scene
from zooready.records import Array

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DIMENSIONS = {"1": "x", "2": "y", "3": "z"}  # DimID of a DimensionDescription
DIMENSION = "./Data/Image/ImageDescription/Dimensions/DimensionDescription"
TIME = "4"
COLOUR = "S"  # the axis of red, green and blue, which are stored in another order, and in lines with gaps
SETTINGS = ("ATLCameraSettingDefinition", "ATLConfocalSettingDefinition")


@contextmanager
def opened_lif(path: Path) -> Iterator[list[Scene]]:
    """The scenes of a file, whose pixels can be read within the block; photon counts of lifetimes are none."""
    from liffile import LifFile

    with LifFile(path, squeeze=False) as file:
        yield [_scene(image) for image in file.images if not image.is_flim]


def _scene(image: Any) -> Scene:
    element = image.xml_element
    sides = _sides_um(element)
    bands = element.findall(".//WideFieldChannelInfo")
    emissions = [_number(band.get("EmissionWavelength")) for band in bands] or [_middle(band) for band in element.iter("MultiBand")]
    return Scene(
        name=image.path,
        sizes={axis.lower(): length for axis, length in image.sizes.items()},
        dtype=image.dtype,
        fill=partial(_fill, image),
        mapped=None if COLOUR in image.sizes else partial(image.asarray, out="memmap"),
        sides_um=(sides.get("x"), sides.get("y")),
        z_um=sides.get("z"),
        channels=_channels(element),
        na=next((na for name in SETTINGS for found in element.iter(name) if (na := _number(found.get("NumericalAperture")))), None),
        emissions_nm=tuple(emissions),
        frame_s=_frame_s(element),
    )


def _fill(image: Any, array: Array) -> None:
    array[...] = image.asarray()


def _sides_um(element: Element) -> dict[str, float]:
    """The distance of two pixels along each axis, which is its length over the number of their distances."""
    sides = {}
    for dimension in element.findall(DIMENSION):
        axis, steps = DIMENSIONS.get(dimension.get("DimID", "")), int(dimension.get("NumberOfElements", 1)) - 1
        length = micrometres(dimension.get("Length"), dimension.get("Unit", "m"))
        if axis and steps > 0 and length:
            sides[axis] = length / steps
    return sides


def _frame_s(element: Element) -> float | None:
    """The time from one frame to the next, which is the series' over the number of its steps, s."""
    for dimension in element.findall(DIMENSION):
        steps = int(dimension.get("NumberOfElements", 1)) - 1
        if dimension.get("DimID") == TIME and steps > 0:
            length = seconds(dimension.get("Length"), dimension.get("Unit") or "s")
            return length / steps if length else None
    return None


def _channels(element: Element) -> tuple[str, ...]:
    """The channels' dyes, or the names that a person gave them, or their colours: the first that tell all apart."""
    described = element.findall("./Data/Image/ImageDescription/Channels/ChannelDescription")
    dyes = [
        next((entry.findtext("Value", "") for entry in channel.iter("ChannelProperty") if entry.findtext("Key") == "DyeName"), "")
        for channel in described
    ]
    given = [info.get("UserDefName", "") for info in element.iter("WideFieldChannelInfo")]
    colours = [channel.get("LUTName", "") for channel in described]
    for names in (dyes, given, colours):
        if len(names) == len(described) == len(set(names)) and all(names):
            return tuple(names)
    return ()


def _middle(band: Element) -> float | None:
    """The middle of the wavelengths that a detector was set to, nm."""
    low, high = _number(band.get("LeftWorld")), _number(band.get("RightWorld"))
    return (low + high) / 2 if low and high else None


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
