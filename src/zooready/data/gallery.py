"""One image that shows everything that can be simulated: every specimen, and one specimen through every kind of microscope."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zooready.data.simulated import FINER, microscope, settings_of
from zooready.errors import InputInvalid
from zooready.images.drawing import RGB, grey
from zooready.images.whole_files import whole_file
from zooready.simulate.modalities import MODALITIES
from zooready.simulate.stages import PLANES, STACKS, Recording, record

SIDE, COLUMNS, GAP, LINE = 128, 7, 6, 15  # px; panels in a row; room for a panel's name
DEPTH, PLANE = 16, 1  # planes of a stack, and the one that the modalities are shown at, near the coverslip
GREYS = 32  # noise makes files large
NAMES = {
    "widefield": "wide-field",
    "confocal": "confocal",
    "sted": "STED",
    "tirf": "TIRF",
    "sim": "SIM",
    "brightfield": "bright field, thin",
}


def gallery(path: Path | str, *, specimen: str = "filaments", seed: int = 0, photons: float = 500.0, **settings: float | None) -> Path:
    """Draw every specimen, in a plane and with depth, and `specimen` through every modality.

    Parameters
    ----------
    path
        The PNG; appears whole or not at all.
    specimen
        Shown through every modality: as a stack if there is one, else as a plane; in bright field always as a plane.
    seed, photons
        As for :func:`zooready.data.simulated.simulate`.
    **settings
        As for :func:`zooready.data.simulated.microscope`; each modality takes those that it knows. The default of ``na`` is 1.45, with
        which all modalities work. Without ``pixel_size_um`` specimens have pixels that suit wide-field, and all modalities those that the
        finest of them needs.

    Returns
    -------
    Path
        The file. Where these settings do not allow a modality, the panel holds the reason instead of an image.

    Raises
    ------
    InputInvalid
        No such specimen, wide-field does not allow the settings, or the file cannot be written.
    """
    if specimen not in {*PLANES, *STACKS}:
        raise InputInvalid(f"no specimen {specimen!r}: choose from {', '.join(dict.fromkeys((*PLANES, *STACKS)))}.")
    shared: dict[str, float | None] = {"na": 1.45, **{name: value for name, value in settings.items() if value is not None}}

    def panel(name: str, modality: str = "widefield", *, is_stack: bool = False, number: int = 0, **pixel: float) -> Recording:
        return _recorded(
            np.random.default_rng((seed, number)), name, modality, _known_to(modality, {**pixel, **shared}), photons, is_stack=is_stack
        )

    rows = [[_named(_halves(panel(name, number=number)), name) for number, name in enumerate(PLANES)]]
    rows.append([_named(_halves(panel(name, is_stack=True, number=number)), f"{name}, stack") for number, name in enumerate(STACKS)])
    has_stack = specimen in STACKS
    row: list[RGB] = []
    finest = min(microscope(modality, _known_to(modality, shared)).optics.pixel_size_um for modality in NAMES)
    for modality, title in NAMES.items():
        try:
            recording = panel(specimen, modality, is_stack=has_stack and modality != "brightfield", pixel_size_um=finest)
        except InputInvalid as error:
            row.append(_named(_sentence(str(error)), title))
            continue
        if not row:
            row.append(_named(_grey(recording.truth.array), f"{specimen}, truth"))
        row.append(_named(_grey(recording.digital.array), title))
    rows.append(row)
    image = _grid([panels[start : start + COLUMNS] for panels in rows for start in range(0, len(panels), COLUMNS)])
    with whole_file(Path(path)) as file:
        Image.fromarray(image[..., 0] // (256 // GREYS) * (255 // (GREYS - 1))).save(file, "PNG", optimize=True)
    return Path(path)


def _known_to(modality: str, settings: Mapping[str, float | None]) -> dict[str, float | None]:
    """The settings that a modality takes."""
    return {name: value for name, value in settings.items() if name in settings_of(modality)}


def _recorded(rng: Any, name: str, modality: str, settings: Mapping[str, float | None], photons: float, *, is_stack: bool) -> Recording:
    instrument = microscope(modality, settings)
    if is_stack:
        step = FINER * min(MODALITIES[kind]().largest_step_um(instrument.optics) for kind in NAMES)
        return record(rng, name, (DEPTH, SIDE, SIDE), instrument, z_step_um=step, photons=photons)
    return record(rng, name, (SIDE, SIDE), instrument, photons=photons)


def _grey(array: Any) -> RGB:
    return grey(array[PLANE] if array.ndim == 3 else array)


def _halves(recording: Recording) -> RGB:
    """Truth on the left, image on the right; of a stack the brightest along the axis."""
    truth, image = (grey(light.array.max(0) if light.axes == "zyx" else light.array) for light in (recording.truth, recording.digital))
    image[:, : SIDE // 2] = truth[:, : SIDE // 2]
    image[:, SIDE // 2] = 255
    return image


def _named(panel: RGB, title: str) -> RGB:
    """A panel with its name above."""
    canvas = Image.new("RGB", (SIDE, SIDE + LINE), "white")
    ImageDraw.Draw(canvas).text((0, 0), title, fill="black", font=ImageFont.load_default(11))
    canvas.paste(Image.fromarray(panel), (0, LINE))
    return np.asarray(canvas)


def _sentence(text: str) -> RGB:
    """A panel that says why there is no image."""
    canvas = Image.new("RGB", (SIDE, SIDE), "white")
    ImageDraw.Draw(canvas).multiline_text((2, 2), textwrap.fill(text, 24), fill="black", font=ImageFont.load_default(9))
    return np.asarray(canvas)


def _grid(rows: list[list[RGB]]) -> RGB:
    """Rows of equal panels on white."""
    wide = COLUMNS * (SIDE + GAP) - GAP
    canvas = np.full((len(rows) * (SIDE + LINE + GAP) - GAP, wide, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, panel in enumerate(row):
            top, left = y * (SIDE + LINE + GAP), x * (SIDE + GAP)
            canvas[top : top + panel.shape[0], left : left + SIDE] = panel
    return canvas
