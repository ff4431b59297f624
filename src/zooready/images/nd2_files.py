"""ND2 files of Nikon, read by the package nd2: each position is a scene."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from zooready.errors import InputInvalid
from zooready.images.lengths import seconds
from zooready.images.mapped import release
from zooready.images.scenes import Scene
from zooready.records import Array

FRAME = "CYXS"  # axes of what is stored together
POSITION = "P"


@contextmanager
def opened_nd2(path: Path) -> Iterator[list[Scene]]:
    """The scenes of a file, whose pixels can be read within the block."""
    import nd2

    with nd2.ND2File(path) as file:
        yield _scenes(file, path)


def _scenes(file: Any, path: Path) -> list[Scene]:
    sizes = dict(file.sizes)
    positions = sizes.pop(POSITION, 1)
    expected, held = len(file.loop_indices) or 1, file.attributes.sequenceCount
    if held < expected:
        raise InputInvalid(f"{path} names {expected} planes and holds {held}: the recording was stopped. Save what there is as TIFF.")
    sizes |= {axis: sizes.get(axis, 1) for axis in "YX"}  # which are left out where they are 1
    channels = (file.metadata.channels if file.metadata else None) or []
    sides: list[float | None] = [None, None, None]
    if channels:
        volume = channels[0].volume
        calibrated = zip(volume.axesCalibration, volume.axesCalibrated, strict=True)
        sides = [side if is_calibrated else None for side, is_calibrated in calibrated]
    return [
        Scene(
            name=name,
            sizes={axis.lower(): length for axis, length in sizes.items()},
            dtype=file.dtype,
            fill=partial(_fill, file, sizes, number),
            sides_um=(sides[0], sides[1]),
            z_um=sides[2],
            channels=tuple(channel.channel.name or "" for channel in channels),
            na=channels[0].microscope.objectiveNumericalAperture if channels else None,
            emissions_nm=tuple(channel.channel.emissionLambdaNm for channel in channels),
            frame_s=_frame_s(file),
        )
        for number, name in enumerate(_names(file, positions))
    ]


def _frame_s(file: Any) -> float | None:
    """Seconds from one frame to the next: as measured, where the file says, else as asked for; None if they differ by phases."""
    for loop in file.experiment:
        phases = getattr(loop.parameters, "periods", [loop.parameters]) if loop.type in ("TimeLoop", "NETimeLoop") else []
        if len(phases) == 1:
            return seconds(getattr(phases[0].periodDiff, "avg", 0) or phases[0].periodMs, "ms")
    return None


def _names(file: Any, positions: int) -> list[str]:
    """What the positions are called; by their number where they have no name."""
    points = [point for loop in file.experiment if loop.type == "XYPosLoop" for point in loop.parameters.points]
    names = [point.name or "" for point in points] if len(points) == positions else [""] * positions
    return [name or f"Position {number + 1}" for number, name in enumerate(names)]


def _fill(file: Any, sizes: dict[str, int], position: int, array: Array) -> None:
    """Put the planes of one position into an array with the axes ``sizes``."""
    shape = [length for axis, length in sizes.items() if axis in FRAME]
    loops = [axis for axis in sizes if axis not in FRAME]
    for number, indices in enumerate(file.loop_indices or [{}]):
        if indices.get(POSITION, 0) == position:
            array[tuple(indices.get(axis, 0) for axis in loops)] = file.read_frame(number).reshape(shape)
            release(array)
