"""The images inside a microscope's file: each has a name, axes and calibration that are known before its pixels are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zooready.errors import InputInvalid
from zooready.images.lengths import square_side
from zooready.images.mapped import Lazily, in_a_file
from zooready.images.tiff import LARGEST_NA, LAZY_BYTES, ORDER, RGB, in_order
from zooready.records import Array, Image

SAMPLES = "s"  # the axis of red, green, blue and alpha
NAMED = 12  # scenes that a message lists


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One image of a file: a position, a scene or a series.

    ``sizes`` are the lengths of the stored array's axes, in its order, by small letters (``s`` for the samples of a colour); ``fill`` puts
    the pixels into an array of zeros of that shape and of ``dtype``, and ``mapped`` gives them as they lie in the file, where they can be
    used as they are. ``sides_um`` are the width and height of a pixel; ``na`` is the
    objective's numerical aperture, ``emissions_nm`` are the wavelengths of the channels, and ``frame_s`` is the time between frames. None
    where the file is silent.
    """

    name: str
    sizes: Mapping[str, int]
    dtype: np.dtype[Any]
    fill: Callable[[Array], None]
    mapped: Callable[[], Array] | None = None
    sides_um: tuple[float | None, float | None] = (None, None)
    z_um: float | None = None
    channels: tuple[str, ...] = ()
    na: float | None = None
    emissions_nm: tuple[float | None, ...] = ()
    frame_s: float | None = None

    @property
    def summary(self) -> str:
        """Name and size, for messages."""
        lengths = " x ".join(str(self.sizes.get(axis, 1)) for axis in "xy")
        more = "".join(f", {axis} {length}" for axis, length in self.sizes.items() if axis not in "yx" and length > 1)
        return f"'{self.name}' ({lengths}{more})"


def chosen(scenes: Sequence[Scene], wanted: str, path: Path) -> Scene:
    """The one scene of a file, or the one with a name, or with a number from 1.

    Raises
    ------
    InputInvalid
        There are several and none was named, there is none of that name, or several have it.
    """
    if not scenes:
        raise InputInvalid(f"{path} holds no image: open it in the microscope's program, and save it again.")
    if not wanted and len(scenes) == 1:
        return scenes[0]
    listed = ", ".join(scene.summary for scene in scenes[:NAMED]) + (", ..." if len(scenes) > NAMED else "")
    how = f"name one inside the file, as in '{path}/{scenes[0].name}', or by its number, as in '{path}/1'"
    if not wanted:
        raise InputInvalid(f"{path} holds {len(scenes)} images: {listed}. Give one of them: {how}.")
    alike = [scene for scene in scenes if scene.name == wanted]
    if len(alike) == 1:
        return alike[0]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(scenes) and not alike:
        return scenes[int(wanted) - 1]
    fault = f"has {len(alike)} images of the name '{wanted}'" if alike else f"holds no image '{wanted}'"
    raise InputInvalid(f"{path} {fault}: it holds {listed}. Give one of them: {how}.")


def as_image(scene: Scene, path: Path, *, lazily: Lazily) -> Image:
    """A scene with its pixels; those of a large one as they lie in its file or in one for temporary use, if ``lazily``.

    Raises
    ------
    InputInvalid
        It has axes that no image here has, or pixels that are not square.
    """
    kept = {axis: length for axis, length in scene.sizes.items() if length > 1 or axis in "yx"}
    if unknown := [f"{axis.upper()} of length {length}" for axis, length in kept.items() if axis not in ORDER + SAMPLES]:
        raise InputInvalid(
            f"'{scene.name}' in {path} has {', '.join(unknown)}, and what is read here has t, z, c, y and x: open it in Fiji with Plugins "
            "> Bio-Formats > Bio-Formats Importer, and save the part that you want as TIFF."
        )
    if not {"y", "x"} <= set(kept):
        raise InputInvalid(f"'{scene.name}' in {path} has the axes {', '.join(scene.sizes)} and no plane of y and x: name another image.")
    if SAMPLES in kept and "c" in kept:
        raise InputInvalid(f"'{scene.name}' in {path} has several channels in colour: save one image per channel, as TIFF.")
    shape = tuple(scene.sizes.values())
    is_large = lazily and math.prod(shape) * scene.dtype.itemsize > LAZY_BYTES
    if is_large and scene.mapped:
        array = scene.mapped()
    else:
        array = in_a_file(shape, scene.dtype, lazily) if is_large else np.zeros(shape, scene.dtype)
        scene.fill(array)
    array = array.squeeze(tuple(n for n, axis in enumerate(scene.sizes) if axis not in kept))
    letters, channels = "".join(kept), scene.channels
    if SAMPLES in kept:
        array, channels = array[(slice(None),) * letters.index(SAMPLES) + (slice(3),)], RGB
        letters = letters.replace(SAMPLES, "c")
    array, letters = in_order(array, letters)
    count = array.shape[letters.index("c")] if "c" in letters else 1
    is_named = len(channels) == count == len(set(channels)) and all(channels)
    return Image(
        array=array, axes=letters, pixel_size_um=square_side(*scene.sides_um, path), z_um=scene.z_um,
        channels=channels if is_named else (), blurs_um=_blurs_um(scene, count),
        frame_s=scene.frame_s if "t" in letters else None,
    )  # fmt: skip


def _blurs_um(scene: Scene, count: int) -> tuple[float, ...]:
    """Emission wavelength / NA of each channel, micrometres; empty if any is missing."""
    if scene.na is None or not 0 < scene.na < LARGEST_NA:
        return ()
    known = tuple(emission_nm / 1000 / scene.na for emission_nm in scene.emissions_nm if emission_nm and emission_nm > 0)
    return known if len(known) == count else ()
