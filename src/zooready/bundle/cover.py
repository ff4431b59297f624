"""The bundle's cover: the sample picture and what the network made of it, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zooready import drawing
from zooready.pictures import whole_file
from zooready.records import Array, Case
from zooready.tensors import TensorSpec

LONGEST = 320  # px on a panel's longer side: a cover stays far below the 500 kB that the zoo asks for
PANELS = 4


def draw(case: Case, outputs: tuple[TensorSpec, ...], path: Path) -> Path:
    """Write a PNG of the input and of up to three outputs or channels."""
    from PIL import Image

    panels = [drawing.grey(_plane(case.input[0, 0]))]
    height = panels[0].shape[0]
    for spec, output in zip(outputs, case.outputs, strict=True):
        if spec.kind == "scores":
            panels.append(drawing.bars(output[0].reshape(-1), height))
        elif spec.kind == "labels":
            panels.append(drawing.coloured(_plane(output[0, 0])))
        else:
            panels += [drawing.grey(_plane(channel)) for channel in output[0]]
    picture = Image.fromarray(drawing.side_by_side(panels[: PANELS - 1] + panels[-1:] if len(panels) > PANELS else panels))
    shrink = min(1.0, LONGEST * PANELS / picture.width, LONGEST / picture.height)
    size = (max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink)))
    with whole_file(path) as file:
        picture.resize(size, Image.Resampling.LANCZOS if shrink < 1 else Image.Resampling.NEAREST).save(file, "PNG")
    return path


def _plane(array: Array) -> Array:
    """The middle plane of a stack, or the picture itself, (y, x)."""
    return np.asarray(array[array.shape[0] // 2] if array.ndim == 3 else array)
