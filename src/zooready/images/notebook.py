"""What a notebook shows of a result: tables, images and sentences as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from zooready.images.drawing import limits
from zooready.images.thumbnails import data_url
from zooready.records import Image

ROWS, COLUMNS = 10, 12  # most of a table that are shown
CHANNELS = 4  # most of an image


def table_html(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The first rows and columns of a table, and how many there are."""
    shown = columns[:COLUMNS]
    more = f"<p>{len(rows)} rows, {len(columns)} columns</p>" if len(rows) > ROWS or len(columns) > COLUMNS else ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in shown)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row[:COLUMNS])}</tr>" for row in rows[:ROWS])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def image_html(name: str, image: Image) -> str:
    """The channels of an image, of stacks and time series the middle plane, above their names; whole numbers as labels in colours."""
    planes = image.array[
        tuple(length // 2 if axis in "tz" else slice(None) for axis, length in zip(image.axes, image.array.shape, strict=True))
    ]
    planes = planes if "c" in image.axes else planes[None]
    kind = "labels" if planes.dtype.kind in "ui" else "image"
    size = " x ".join(map(str, image.array.shape))
    scale = f", {image.pixel_size_um:.4g} µm a pixel" if image.pixel_size_um else ""
    figures = []
    for number, plane in enumerate(planes[:CHANNELS]):
        channel = image.channels[number] if number < len(image.channels) else ""
        caption = html.escape(f"{name} {channel}".strip())
        figures.append(f"<figure style='display:inline-block'><img src='{data_url(plane, kind, limits(plane))}'>"
                       f"<figcaption>{caption}</figcaption></figure>")  # fmt: skip
    return f"<div>{''.join(figures)}<p>{html.escape(name)}: {image.axes} {size}{scale}</p></div>"


def notes_html(notes: Iterable[str]) -> str:
    """Sentences to read before the numbers are used."""
    return "".join(f"<p><b>Note:</b> {html.escape(note)}</p>" for note in notes)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else html.escape(str(value))
