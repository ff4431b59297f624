"""One image of everything that can be simulated: every specimen, and one of them through every kind of microscope."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.data.simulated import FINER, microscope, settings_of
from zooready.errors import InputInvalid

if TYPE_CHECKING:
    from zooready.images.drawing import RGB
    from zooready.simulate.stages import Recording

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
        What the modalities look at: a stack of it if there is one, else a plane. Bright field always sees a plane.
    seed, photons
        As for :func:`zooready.data.simulated.simulate`.
    **settings
        As for :func:`zooready.data.simulated.microscope`; each modality takes its own. Without ``na`` it is 1.45, which all can work
        with. Without ``pixel_size_um`` specimens have pixels that suit wide-field, and the modalities all have those of the finest.

    Returns
    -------
    Path
        The file. A modality that these settings do not allow has its reason in place of an image.

    Raises
    ------
    InputInvalid
        No such specimen, wide-field does not allow the settings, or the file cannot be written.
    """
    import numpy as np
    from PIL import Image

    from zooready.images.files import whole_file
    from zooready.simulate.stages import PLANES, STACKS

    if specimen not in {*PLANES, *STACKS}:
        raise InputInvalid(f"no specimen {specimen!r}: choose from {', '.join(dict.fromkeys((*PLANES, *STACKS)))}.")
    given: dict[str, float | None] = {"na": 1.45, **{name: value for name, value in settings.items() if value is not None}}

    def panel(name: str, modality: str = "widefield", *, deep: bool = False, number: int = 0, **pixel: float) -> Recording:
        return _recorded(np.random.default_rng((seed, number)), name, modality, _own(modality, {**pixel, **given}), photons, deep=deep)

    rows = [[_named(_halves(panel(name, number=number)), name) for number, name in enumerate(PLANES)]]
    rows.append([_named(_halves(panel(name, deep=True, number=number)), f"{name}, stack") for number, name in enumerate(STACKS)])
    deep = specimen in STACKS
    shown: list[RGB] = []
    finest = min(microscope(modality, _own(modality, given)).optics.pixel_size_um for modality in NAMES)
    for modality, title in NAMES.items():
        try:
            made = panel(specimen, modality, deep=deep and modality != "brightfield", pixel_size_um=finest)
        except InputInvalid as error:
            shown.append(_named(_sentence(str(error)), title))
            continue
        if not shown:
            shown.append(_named(_grey(made.truth.array), f"{specimen}, truth"))
        shown.append(_named(_grey(made.image.array), title))
    rows.append(shown)
    image = _grid([row[start : start + COLUMNS] for row in rows for start in range(0, len(row), COLUMNS)])
    with whole_file(Path(path)) as file:
        Image.fromarray(image[..., 0] // (256 // GREYS) * (255 // (GREYS - 1))).save(file, "PNG", optimize=True)
    return Path(path)


def _own(modality: str, settings: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: value for name, value in settings.items() if name in settings_of(modality)}


def _recorded(rng: Any, name: str, modality: str, settings: Mapping[str, float | None], photons: float, *, deep: bool) -> Recording:
    from zooready.simulate.modalities import MODALITIES
    from zooready.simulate.stages import record

    made_with = microscope(modality, settings)
    if deep:
        step = FINER * min(MODALITIES[one]().largest_step_um(made_with.optics) for one in NAMES)
        return record(rng, name, (DEPTH, SIDE, SIDE), made_with, z_step_um=step, photons=photons)
    return record(rng, name, (SIDE, SIDE), made_with, photons=photons)


def _grey(array: Any) -> RGB:
    from zooready.images.drawing import grey

    return grey(array[PLANE] if array.ndim == 3 else array)


def _halves(made: Recording) -> RGB:
    """Truth on the left, image on the right; of a stack the brightest along the axis."""
    from zooready.images.drawing import grey

    truth, image = (grey(light.array.max(0) if light.axes == "zyx" else light.array) for light in (made.truth, made.image))
    image[:, : SIDE // 2] = truth[:, : SIDE // 2]
    image[:, SIDE // 2] = 255
    return image


def _named(panel: RGB, title: str) -> RGB:
    """A panel with its name above."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.new("RGB", (SIDE, SIDE + LINE), "white")
    ImageDraw.Draw(canvas).text((0, 0), title, fill="black", font=ImageFont.load_default(11))
    canvas.paste(Image.fromarray(panel), (0, LINE))
    return np.asarray(canvas)


def _sentence(text: str) -> RGB:
    """A panel that says why there is no image."""
    import textwrap

    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.new("RGB", (SIDE, SIDE), "white")
    ImageDraw.Draw(canvas).multiline_text((2, 2), textwrap.fill(text, 24), fill="black", font=ImageFont.load_default(9))
    return np.asarray(canvas)


def _grid(rows: list[list[RGB]]) -> RGB:
    """Rows of equal panels on white."""
    import numpy as np

    wide = COLUMNS * (SIDE + GAP) - GAP
    canvas = np.full((len(rows) * (SIDE + LINE + GAP) - GAP, wide, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, panel in enumerate(row):
            top, left = y * (SIDE + LINE + GAP), x * (SIDE + GAP)
            canvas[top : top + panel.shape[0], left : left + SIDE] = panel
    return canvas
