"""Images of cards: rows of small images with a title over each column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from zooready.images.drawing import grey, limits
from zooready.images.whole_files import whole_file
from zooready.records import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE_IN = 1.7  # of a panel, inches
DOTS = 110  # per inch
COLOURS = 256  # of a PNG that is not grey
STEPS = [level // 4 * 4 for level in range(252)] + [255] * 4  # of one that is: a third smaller than with 256 levels, and no eye sees it


def grid(path: Path, titles: Sequence[str], rows: Sequence[tuple[str, Sequence[Array]]], *, shared: bool = True) -> None:
    """Write a PNG of rows of images.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    titles
        Over the columns.
    rows
        (label, images) each; an image is (y, x), drawn in grey, or (y, x, 3) uint8, drawn as it is.
    shared
        Whether all images of a row share black and white with its last one (the truth); else each image has its own.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIDE_IN * len(titles) + 0.3, (SIDE_IN + 0.02) * len(rows) + 0.3), layout="constrained")
    panels = figure.subplots(len(rows), len(titles), squeeze=False)
    for line, (label, images) in zip(panels, rows, strict=True):
        contrast = limits(images[-1]) if shared and images[-1].ndim == 2 else None
        for axes, image in zip(line, images, strict=True):
            axes.imshow(image if image.ndim == 3 else grey(image, contrast), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(label, fontsize=7)
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, fontsize=7)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a small PNG: 64 levels of grey where all of it is grey, else at most 256 colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(DOTS)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    image = PIL.Image.fromarray(pixels)
    is_grey = bool((pixels == pixels[..., :1]).all())
    with whole_file(path) as file:
        (image.convert("L").point(STEPS) if is_grey else image.quantize(COLOURS, dither=PIL.Image.Dither.NONE)).save(
            file, "PNG", optimize=True
        )
