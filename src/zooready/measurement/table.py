"""The table: one row an object, columns with stable names that carry their unit."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zooready.bundle.specs import input_spec, output_specs, pixel_range_um, stated_crop_px
from zooready.errors import BundleInvalid, InputInvalid
from zooready.images.files import make_folder, whole_file
from zooready.measurement.crops import Background, crops
from zooready.measurement.features import measurements
from zooready.prediction import as_input
from zooready.prediction.embedding import Seen, watched
from zooready.prediction.scaling import RESCALE, outside
from zooready.prediction.whole import margins
from zooready.records import Array, Bundle, Image, as_float32
from zooready.tensors import TensorSpec

Row = Mapping[str, Any]
LENGTHS = {"_px": ("_um", 1), "_px2": ("_um2", 2)}  # ending of a name -> ending in micrometres, power of the pixel size
DIGITS = 7  # of a float32


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns and rows, None where something is unknown; ``notes`` are sentences to read before using the numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> list[Any]:
        """The values of a column.

        Raises
        ------
        InputInvalid
            There is none of that name.
        """
        if name not in self.columns:
            raise InputInvalid(f"the table has no column {name!r}: it has {', '.join(self.columns[:12])}, ...")
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def matrix(self, *beginnings: str) -> Array:
        """(rows, columns) float64 of all columns whose names begin so, e.g. ``matrix("embedding_")``."""
        places = [place for place, name in enumerate(self.columns) if name.startswith(beginnings)]
        return np.array([[row[place] for place in places] for row in self.rows], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Measurer:
    """A classifier made ready for many images; :meth:`of` makes it.

    ``size`` is that of the pieces, (y, x) px, None for the size of each object.
    """

    bundle: Bundle
    spec: TensorSpec
    classes: tuple[str, ...]
    place: int
    see: Callable[[Array], Seen]
    size: tuple[int, int] | None
    background: Background

    @classmethod
    def of(cls, bundle: Bundle, *, crop_px: int | None = None, background: Background = "keep") -> Measurer:
        """Load a classifier.

        Parameters
        ----------
        bundle
            An opened bundle with class scores and ONNX weights.
        crop_px
            Side of the piece around each object; if None the only size that the network takes, else ``config.zooready.crop_px``, else
            the size of each object.
        background
            As for :func:`zooready.measurement.crops`.

        Raises
        ------
        InputInvalid
            No class scores, no ONNX, a network of stacks, or a size that the network does not take.
        BundleInvalid
            The weights do not load or have no last layer.
        """
        see = watched(bundle)
        spec, outputs = input_spec(bundle), output_specs(bundle)
        if spec.axes != "bcyx":
            raise InputInvalid(f"{bundle.path.name} takes {spec.axes[1:]!r}, and planes (c, y, x) are measured: take another bundle.")
        place = next(place for place, output in enumerate(outputs) if output.kind == "scores")
        if outputs[place].axes != "bc":
            raise BundleInvalid(f"{bundle.path.name}: '{outputs[place].name}' has axes {outputs[place].axes!r}, and scores need b and c.")
        size = _size(bundle, spec, crop_px)
        return cls(bundle=bundle, spec=spec, classes=outputs[place].channels, place=place, see=see, size=size, background=background)

    def rows(self, name: str, image: Image, labels: Array | None, *, channel: int | str | None = None) -> tuple[list[Row], list[str]]:
        """One row for each object of an image, by column, and notes.

        Parameters
        ----------
        name
            Of the image, as it stands in the table.
        image
            One plane.
        labels
            (y, x), see :func:`zooready.measurement.crops`; None takes the whole image as one object, at its own size.
        channel
            The one channel to take, by name or by number from 1.
        """
        inputs = as_input(image, self.spec, channel=channel)
        if any(length != 1 for length in inputs.lengths):
            raise InputInvalid(f"{name} has several planes (axes {image.axes!r}), and one is measured: save it alone.")
        array = next(iter(inputs))[0]
        notes = [f"{name}: {note}"] if (note := outside(image.pixel_size_um, pixel_range_um(self.bundle), RESCALE)) else []
        size = self.size if labels is not None else None
        where = np.ones(array.shape[1:], np.int64) if labels is None else labels
        rows: list[Row] = []
        cut = 0
        for crop in crops(array, where, size, self.background):
            cut += crop.is_cut
            mask = where[crop.box] == crop.label
            rows.append(
                {
                    **_place(name, crop.label, crop.box, mask, image.pixel_size_um, crop.is_at_edge),
                    **self._learnt(crop.image),
                    **_classical(array[:, crop.box[0], crop.box[1]], mask, self.spec.channels, image.pixel_size_um),
                }
            )
        if cut and size:
            notes.append(f"{name}: {cut} objects are larger than the {size[1]} x {size[0]} px that the network is given, and were cut.")
        return rows, notes

    def _learnt(self, piece: Array) -> dict[str, Any]:
        """Class, scores and embedding of a piece (c, h, w)."""
        given = as_float32(np.pad(piece[None], margins((1, *piece.shape), self.bundle), mode="edge"))
        seen = self.see(given)
        scores = seen.outputs[self.place][0]
        if scores.shape != (len(self.classes),):
            raise BundleInvalid(f"{self.bundle.path.name} promises {len(self.classes)} classes and gave {scores.size}. Export it again.")
        return {
            "class": self.classes[int(scores.argmax())],
            **{f"score_{name}": float(score) for name, score in zip(self.classes, scores, strict=True)},
            **{f"embedding_{place:03d}": float(value) for place, value in enumerate(seen.embedding[0])},
        }


def _size(bundle: Bundle, spec: TensorSpec, crop_px: int | None) -> tuple[int, int] | None:
    """Size of the pieces, (y, x) px."""
    if spec.sizes:
        height, width = spec.sizes.get("y", crop_px), spec.sizes.get("x", crop_px)
        if height is None or width is None or (crop_px and (crop_px, crop_px) != (height, width)):
            raise InputInvalid(f"{bundle.path.name} takes pieces of {dict(spec.sizes)} px alone: give a --crop of that, or none.")
        return height, width
    side = crop_px if crop_px is not None else stated_crop_px(bundle)
    if side is None:
        return None
    if not isinstance(side, int) or side < 1:
        raise InputInvalid(f"pieces of {side!r} px cannot be cut: give a --crop of 1 or more.")
    return side, side


def _place(name: str, label: int, box: tuple[slice, slice], mask: Array, pixel_size_um: float | None, edge: bool) -> dict[str, Any]:
    y, x = (float(middle.mean() + extent.start) for middle, extent in zip(np.nonzero(mask), box, strict=True))
    where = {"centroid_y_px": y, "centroid_x_px": x}
    return {"image": name, "label": label, "pixel_size_um": pixel_size_um, **_with_um(where, pixel_size_um), "touches_edge": int(edge)}


def _classical(image: Array, mask: Array, channels: Sequence[str], pixel_size_um: float | None) -> dict[str, Any]:
    """Measurements of each channel, the channel's name before them if there are several; the shape once."""
    found: dict[str, float] = {}
    for channel, plane in zip(channels, image, strict=True):
        for name, value in measurements(plane, mask).items():
            is_shape = name.startswith("shape_")
            found[name if is_shape or len(channels) == 1 else f"{channel}_{name}"] = value
    return _with_um(found, pixel_size_um)


def _with_um(values: Mapping[str, float], pixel_size_um: float | None) -> dict[str, float | None]:
    """The same, with a column in micrometres beside each in pixels, None where the pixel size is unknown."""
    found: dict[str, float | None] = {}
    for name, value in values.items():
        found[name] = value
        for ending, (other, power) in LENGTHS.items():
            if name.endswith(ending):
                found[name.removesuffix(ending) + other] = value * pixel_size_um**power if pixel_size_um else None
    return found


def table(rows: Iterable[Row], notes: Sequence[str] = ()) -> Table:
    """Rows as a table; all have the columns of the first."""
    listed = list(rows)
    columns = tuple(listed[0]) if listed else ()
    return Table(columns=columns, rows=tuple(tuple(row[name] for name in columns) for row in listed), notes=tuple(notes))


def save(table: Table, path: Path | str) -> None:
    """Write a CSV that appears whole or not at all; numbers with seven digits, unknown ones empty.

    Raises
    ------
    InputInvalid
        It does not end in .csv, or cannot be written there.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        raise InputInvalid(f"out={str(path)!r}: the table is a CSV, so let its name end in .csv.")
    make_folder(path.parent)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_cell(value) for value in row] for row in table.rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
