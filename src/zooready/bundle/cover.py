"""The bundle's cover: the sample image and what the network made of it, side by side, each with its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zooready.errors import InputInvalid
from zooready.images import drawing
from zooready.images.whole_files import whole_file
from zooready.records import Array, Case
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    import PIL.Image
    import PIL.ImageFont

LONGEST = 320  # px on a panel's longer side: a cover stays far below the 500 kB that the zoo asks for
WIDEST = 800  # px of a cover that somebody else drew
PANELS = 4
SQUARE = 400  # px a side of both panels of a cover for the zoo, which asks for 2:1
BAR = 0.25  # of such a panel is the longest scale bar
MARGIN = 12  # px from its edges
CAPTION = 20  # px below each panel


def taken(source: Path, path: Path) -> Path:
    """Write a PNG of somebody's own cover, no longer than :data:`WIDEST` on its longer side.

    Raises
    ------
    InputInvalid
        It is no image that can be read.
    """
    from PIL import Image

    try:
        with Image.open(source, formats=("PNG", "JPEG", "GIF")) as image:
            image.thumbnail((WIDEST, WIDEST))
            whole = image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputInvalid(
            f"the cover {source.name} cannot be read ({error}): give a PNG, JPEG or GIF, or none, and one is drawn."
        ) from None
    with whole_file(path) as file:
        whole.save(file, "PNG", optimize=True)
    return path


def draw(case: Case, input: TensorSpec, outputs: tuple[TensorSpec, ...], path: Path) -> Path:
    """Write a PNG of the input and of up to three outputs or channels, the last output among them."""
    panels = [(input.name, drawing.grey(_plane(case.input[0, 0]))), *_results(case, outputs)]
    shown = panels[: PANELS - 1] + panels[-1:] if len(panels) > PANELS else panels
    image = drawing.side_by_side([_captioned(name, panel) for name, panel in shown])
    from PIL import Image

    with whole_file(path) as file:
        Image.fromarray(image).save(file, "PNG", optimize=True)
    return path


def wide(case: Case, input: TensorSpec, outputs: tuple[TensorSpec, ...], path: Path, pixel_size_um: float | None) -> Path:
    """Write a PNG twice as wide as high: the middle of the input and of the first output, with a scale bar if the pixel size is known."""
    from PIL import Image

    plane = _plane(case.input[0, 0])
    left = _squared(drawing.grey(plane))
    name, panel = next(_results(case, outputs))
    right = _squared(panel)
    if pixel_size_um:
        _draw_bar(left, pixel_size_um * min(plane.shape) / SQUARE)
    page = Image.new("RGB", (2 * SQUARE, SQUARE))
    for number, (image, text) in enumerate(((left, input.name), (right, name))):
        _draw_text(image, text)
        page.paste(image, (number * SQUARE, 0))
    with whole_file(path) as file:
        page.save(file, "PNG", optimize=True)
    return path


def _squared(panel: drawing.RGB) -> PIL.Image.Image:
    """The middle square of a panel, :data:`SQUARE` px a side."""
    from PIL import Image

    side = min(panel.shape[:2])
    top, left = ((length - side) // 2 for length in panel.shape[:2])
    square = Image.fromarray(panel[top : top + side, left : left + side])
    return square.resize((SQUARE, SQUARE), Image.Resampling.LANCZOS if side > SQUARE else Image.Resampling.NEAREST)


def _draw_bar(image: PIL.Image.Image, um_per_px: float) -> None:
    """A white bar of 1, 2 or 5 times a power of ten of micrometres at the lower right, its length above it."""
    from PIL import ImageDraw

    length_um = drawing.round_length(BAR * SQUARE * um_per_px)
    right, bottom, width = SQUARE - MARGIN, SQUARE - MARGIN, round(length_um / um_per_px)
    draw = ImageDraw.Draw(image)
    draw.rectangle((right - width, bottom - 6, right, bottom), fill="white", outline="black")
    text = f"{length_um:g} µm"
    at = (right - width / 2, bottom - 10)
    draw.text(at, text, fill="white", stroke_fill="black", stroke_width=2, anchor="ms", font=_font())


def _draw_text(image: PIL.Image.Image, text: str) -> None:
    """What a panel shows, at its upper left."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, MARGIN), text.replace("_", " "), fill="white", stroke_fill="black", stroke_width=2, font=_font())


def _font() -> PIL.ImageFont.FreeTypeFont:
    """Of matplotlib, since that of Pillow has no µ."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 16)


def _results(case: Case, outputs: tuple[TensorSpec, ...]) -> Iterator[tuple[str, drawing.RGB]]:
    """Name and image of each channel of each output; scores as bars, and of an image of each class that with the highest score."""
    highest = {
        spec.channels: int(np.nan_to_num(output[0]).reshape(-1).argmax())
        for spec, output in zip(outputs, case.outputs, strict=True)
        if spec.kind == "scores"
    }
    for spec, output in zip(outputs, case.outputs, strict=True):
        if spec.kind == "scores":
            yield f"{spec.name}: {spec.channels[highest[spec.channels]]}", drawing.bars(output[0].reshape(-1), LONGEST // 2)
        elif spec.channels in highest and len(spec.channels) > 1:
            best = highest[spec.channels]
            yield f"{spec.name}: {spec.channels[best]}", drawing.grey(_plane(output[0, best]))
        elif spec.kind == "labels":
            yield spec.name, drawing.coloured(_plane(output[0, 0]))
        else:
            for channel, plane in zip(spec.channels, output[0], strict=True):
                yield spec.name if len(spec.channels) == 1 else channel, drawing.grey(_plane(plane))


def _plane(array: Array) -> Array:
    """The middle plane of a stack, or the image itself, (y, x)."""
    return np.asarray(array[array.shape[0] // 2] if array.ndim == 3 else array)


def _captioned(name: str, panel: drawing.RGB) -> drawing.RGB:
    """The panel, its longer side LONGEST px, over its name on white."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(panel)
    scale = LONGEST / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
    page = Image.new("RGB", (image.width, image.height + CAPTION), "white")
    page.paste(image)
    ImageDraw.Draw(page).text((2, image.height + 2), name.replace("_", " "), fill="black", font=ImageFont.load_default(14))
    return np.asarray(page, dtype=np.uint8)
