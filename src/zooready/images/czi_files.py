"""CZI files of Zeiss, read by the package czifile, whose versions for Python 3.12 and newer know scenes: each is one here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.images.lengths import seconds
from zooready.images.scenes import Scene
from zooready.records import Array

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

INTERVAL = ".//Information//Dimensions/T/Positions/Interval/Increment"  # as recorded, s
ASKED_FOR = ".//TimeSeriesSetup//Interval/TimeSpan"
UNITS = ("s", "ms")  # of what was asked for; what others stand for is not written down anywhere


@contextmanager
def opened_czi(path: Path) -> Iterator[list[Scene]]:
    """The scenes of a file, their mosaics put together, whose pixels can be read within the block.

    Raises
    ------
    ImportError
        The package is missing, or of a version without scenes.
    """
    from czifile import CziFile

    if not hasattr(CziFile, "scenes"):
        raise ImportError("czifile without scenes")
    with CziFile(path) as file:
        root = file.xml_element
        found = [] if root is None else root.findall(".//Information/Image/Dimensions/S/Scenes/Scene")
        names = {scene.get("Index", ""): scene.get("Name", "") for scene in found}
        frame_s = None if root is None else _frame_s(root)
        yield [
            _scene(image, names.get(str(key)) or f"Scene {number + 1}", frame_s) for number, (key, image) in enumerate(file.scenes.items())
        ]


def _scene(image: Any, name: str, frame_s: float | None) -> Scene:
    z = image.coord_scales.get("Z")
    is_calibrated = image.mpp is not None
    return Scene(
        name=name,
        sizes={axis.lower(): length for axis, length in image.sizes.items()},
        dtype=image.dtype,
        fill=partial(_fill, image),
        sides_um=image.mpp or (None, None),
        z_um=z * 1e6 if z and is_calibrated else None,
        channels=tuple(image.channels),
        na=image.objective.get("LensNA"),
        emissions_nm=tuple(channel.get("EmissionWavelength") for channel in image.channels.values()),
        frame_s=frame_s,
    )


def _frame_s(root: Element) -> float | None:
    """Seconds from one frame to the next: as recorded, where the file says, else as asked for; None where phases of it differ."""
    if recorded := seconds(root.findtext(INTERVAL), "s"):
        return recorded
    spans = {(span.findtext("Value"), span.findtext("DefaultUnitFormat", "").strip().lower()) for span in root.findall(ASKED_FOR)}
    value, unit = spans.pop() if len(spans) == 1 else (None, "")
    return seconds(value, unit) if unit in UNITS else None


def _fill(image: Any, array: Array) -> None:
    image.asarray(out=array)
