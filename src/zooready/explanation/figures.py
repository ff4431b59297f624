"""An explanation as a figure: the image, the values beside it with a colour bar, and a scale bar."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from zooready.explanation.results import Explanation
from zooready.images.drawing import limits, round_length
from zooready.records import Array, Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = 3.3  # inches
DOTS = 110  # an inch
LETTERS = 11  # of a title, an inch
IMAGES, VALUES = 3, 4  # panels at most of input channels, and of values
BRIGHTEST = 99.8  # percentile of the values' size at which colours end
FAINTEST = 1e-4  # of the largest, on a logarithmic scale
FIRST, SECOND = "#ffb000", "#00c8ff"  # lines visible on black and on white, and distinct for the colour-blind


def draw(explanation: Explanation, image: Image) -> bytes:
    """A PNG, the same bytes for the same explanation.

    Parameters
    ----------
    explanation
        Shown on the right, one panel per channel; of a stack, the middle plane.
    image
        The input of the network, shown on the left, one panel per channel.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    inputs, planes = panels(image.array, image.axes)[:IMAGES], panels(explanation.values, explanation.axes)[:VALUES]
    count = len(inputs) + len(planes)
    height = min(2.0, max(0.5, inputs[0].shape[0] / inputs[0].shape[1]))
    figure = Figure(figsize=(PANEL * count, PANEL * height * 0.74 + 0.7), dpi=DOTS, layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(explanation.title, int(PANEL * count * LETTERS))), fontsize=10)
    axes: Any = figure.subplots(1, count, squeeze=False)[0]
    for number, (panel, plane) in enumerate(zip(axes, inputs, strict=False)):
        low, high = limits(plane)
        drawing = panel.imshow(plane, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        name = image.channels[number] if len(image.channels) == len(inputs) > 1 else "image"
        panel.set_title(name, fontsize=9)
        figure.colorbar(drawing, ax=panel, shrink=0.8, extend="both").set_label("counts", fontsize=8)
    _marked(axes[0], explanation)
    _scale_bar(axes[0], inputs[0].shape, image.pixel_size_um)
    for number, (panel, plane) in enumerate(zip(axes[len(inputs) :], planes, strict=True)):
        drawing = panel.imshow(plane, interpolation="nearest", **_colours(plane, explanation.scale))
        name = explanation.channels[number] if len(explanation.channels) > 1 else explanation.name.replace("_", " ")
        panel.set_title(name, fontsize=9)
        ends = "min" if explanation.scale == "log" else "both" if explanation.scale == "signed" else "max"
        figure.colorbar(drawing, ax=panel, shrink=0.8, extend=ends).set_label(explanation.unit, fontsize=8)
    for panel in axes:
        panel.set_xticks([])
        panel.set_yticks([])
    file = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def panels(array: Array, axes: str) -> list[Array]:
    """Planes (y, x) of each channel; of a stack, the middle one."""
    if "z" in axes:
        array = np.take(array, array.shape[axes.index("z")] // 2, axis=axes.index("z"))
    return list(array) if "c" in axes else [array]


def _colours(plane: Array, scale: str) -> dict[str, Any]:
    """Colour map and range of a panel."""
    from matplotlib.colors import LogNorm

    end = float(np.percentile(np.abs(plane), BRIGHTEST)) or float(np.abs(plane).max()) or 1.0
    if scale == "signed":
        return {"cmap": "RdBu_r", "vmin": -end, "vmax": end}
    if scale == "log":
        top = float(plane.max()) or 1.0
        return {"cmap": "magma", "norm": LogNorm(vmin=FAINTEST * top, vmax=top, clip=True)}
    return {"cmap": "viridis", "vmin": 0.0, "vmax": end}


def _marked(panel: Axes, explanation: Explanation) -> None:
    """Square and circle of a receptive field round the middle pixel, to scale, with a legend."""
    from matplotlib.patches import Circle, Rectangle

    if not explanation.marks:
        return
    height, width = explanation.values.shape[-2:]
    middle = (width // 2, height // 2)
    lines = []
    for (name, size), colour in zip(explanation.marks.items(), (FIRST, SECOND), strict=False):
        shape: Any = (
            Rectangle((middle[0] - size - 0.5, middle[1] - size - 0.5), 2 * size + 1, 2 * size + 1)
            if name.startswith("all")
            else Circle(middle, max(size, 0.5))
        )
        shape.set(fill=False, edgecolor=colour, linewidth=1.4)
        panel.add_patch(shape)
        lines.append((f"{name}: {size:.0f} px", colour))
    panel.plot(*middle, "+", color=SECOND, markersize=7)
    for number, (line, colour) in enumerate(lines):
        panel.annotate(line, (0, 0), (0, -4 - 11 * number), "axes fraction", "offset points", color=colour, va="top", fontsize=8,
                       bbox={"facecolor": "#303030", "edgecolor": "none", "pad": 1.0})  # fmt: skip


def _scale_bar(panel: Axes, shape: tuple[int, ...], pixel_size_um: float | None) -> None:
    """A bar of a round length, a quarter of the width or less; none if the pixel size is unknown."""
    from matplotlib.patches import Rectangle

    if not pixel_size_um:
        return
    length = round_length(shape[1] * pixel_size_um / 4)
    width, thick, margin = length / pixel_size_um, shape[0] / 60, shape[1] / 30
    left, top = shape[1] - margin - width, shape[0] - margin - thick
    panel.add_patch(Rectangle((left, top), width, thick, facecolor="white", edgecolor="black", linewidth=0.5))
    panel.text(left + width / 2, top - thick, f"{length:g} µm", color="white", ha="center", va="bottom", fontsize=8,
               bbox={"facecolor": "black", "alpha": 0.5, "edgecolor": "none", "pad": 0.8})  # fmt: skip
