"""The table of measurements: one row per object, columns with fixed names that contain the unit."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from zooready.bundle.specs import channel_limits, input_spec, known_kind, output_specs, pixel_range_um, stated_crop_px
from zooready.errors import BundleInvalid, InputInvalid, ZooreadyError, amount
from zooready.images.calibration import RESCALE, beyond, demand_small, outside
from zooready.images.loading import rounded
from zooready.images.notebook import notes_html, table_html
from zooready.images.whole_files import make_folder, whole_file
from zooready.measurement.cutouts import Background, crops, joined, several_planes
from zooready.measurement.features import measurements
from zooready.prediction import as_input
from zooready.prediction.embedding import Seen, strangers, watched
from zooready.prediction.suitability import of_another_kind
from zooready.prediction.whole import margins
from zooready.records import Array, Bundle, Image, as_float32
from zooready.tensors import KnownKind, TensorSpec

Row = Mapping[str, Any]
LENGTHS = {"_px": ("_um", 1), "_px2": ("_um2", 2)}  # ending of a name -> ending in micrometres, power of the pixel size
DIGITS = 7  # of a float32


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns and rows, None where a value is unknown; ``notes`` are warnings to read before using the numbers.

    ``faults`` are the images that have no rows since they could not be used, with the reason.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()
    faults: Mapping[str, ZooreadyError] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """What a notebook shows: which images are left out, notes, and the first rows."""
        left_out = [f"{name} is left out: {error}" for name, error in self.faults.items()]
        return notes_html([*left_out, *self.notes]) + table_html(self.columns, self.rows)

    def column(self, name: str) -> list[Any]:
        """The values of a column.

        Raises
        ------
        InputInvalid
            There is no column of that name.
        """
        if name not in self.columns:
            raise InputInvalid(f"the table has no column {name!r}: it has {', '.join(self.columns[:12])}, ...")
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def matrix(self, *beginnings: str) -> Array:
        """(rows, columns) float64 of all columns whose names start with one of ``beginnings``, e.g. ``matrix("embedding_")``."""
        indices = [index for index, name in enumerate(self.columns) if name.startswith(beginnings)]
        return np.array([[row[index] for index in indices] for row in self.rows], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Measurer:
    """A classifier loaded once for many images; :meth:`of` makes it.

    ``scores_index`` is the index of the output with class scores; ``size`` that of the crops, (y, x) px, None for each object's own size;
    ``known`` tells objects of another kind, None if the bundle does not say.
    """

    bundle: Bundle
    spec: TensorSpec
    classes: tuple[str, ...]
    scores_index: int
    see: Callable[[Array], Seen]
    size: tuple[int, int] | None
    background: Background
    known: KnownKind | None = None

    @classmethod
    def of(cls, bundle: Bundle, *, crop_px: int | None = None, background: Background = "keep") -> Measurer:
        """Load a classifier.

        Parameters
        ----------
        bundle
            An opened bundle with class scores and ONNX weights.
        crop_px
            Side of the crop around each object, px. If None: the only size that the network takes, or ``config.zooready.crop_px``, or each
            object's own size.
        background
            As for :func:`zooready.measurement.crops`.

        Raises
        ------
        InputInvalid
            The bundle has no class scores or no ONNX weights, takes stacks, or does not take crops of this size.
        BundleInvalid
            The weights do not load or have no last layer.
        """
        see = watched(bundle)
        spec, outputs = input_spec(bundle), output_specs(bundle)
        if spec.axes != "bcyx":
            raise InputInvalid(
                f"{bundle.path.name} takes {spec.axes[1:]!r}, and only planes (c, y, x) can be measured: use another bundle."
            )
        scores_index, scores = next((index, output) for index, output in enumerate(outputs) if output.kind == "scores")
        if scores.axes != "bc":
            raise BundleInvalid(f"{bundle.path.name}: '{scores.name}' has axes {scores.axes!r}, and scores need b and c.")
        size = _size(bundle, spec, crop_px)
        return cls(
            bundle=bundle,
            spec=spec,
            classes=scores.channels,
            scores_index=scores_index,
            see=see,
            size=size,
            background=background,
            known=known_kind(bundle),
        )

    def rows(self, name: str, image: Image, labels: Array | None, *, channel: int | str | None = None) -> tuple[list[Row], list[str]]:
        """One row for each object of an image, by column, and notes.

        Parameters
        ----------
        name
            Name of the image in the table.
        image
            One plane.
        labels
            (y, x), see :func:`zooready.measurement.crops`; None measures the whole image as one object, at its own size.
        channel
            The only channel to use, by name or by number from 1.
        """
        inputs = as_input(image, self.spec, channel=channel)
        if any(length != 1 for length in inputs.lengths):
            raise several_planes(name, image.axes)
        array = next(iter(inputs))[0]
        demand_small(array)
        notes = [f"{name}: {note}"] if (note := outside(image.pixel_size_um, pixel_range_um(self.bundle), RESCALE)) else []
        notes += [f"{name}: {note}" for note in beyond(array, self.spec.axes[1:], self.spec.channels, channel_limits(self.bundle))]
        notes += [f"{name}: {note}"] if (note := rounded(inputs.array)) else []
        size = self.size if labels is not None else None
        objects = np.ones(array.shape[1:], np.int64) if labels is None else labels
        rows: list[Row] = []
        cut = 0
        for crop in crops(array, objects, size, self.background):
            cut += crop.is_cut
            mask = objects[crop.box] == crop.label
            rows.append(
                {
                    **position(name, crop.label, crop.box, mask, image.pixel_size_um, crop.is_at_edge),
                    **self._predicted(crop.image),
                    **by_channel(measurements, array[:, crop.box[0], crop.box[1]], mask, self.spec.channels, image.pixel_size_um),
                }
            )
        if self.known is not None:
            others = sum(row["other_kind"] for row in rows)
            notes += [f"{name}: {note}"] if (note := of_another_kind(others, len(rows), "objects", self.known)) else []
        notes += [f"{name}: {note}"] if (note := joined(objects)) else []
        if cut and size:
            notes.append(f"{name}: {amount(cut, 'object')} cut to the {size[1]} x {size[0]} px that the network is given.")
        return rows, notes

    def _predicted(self, crop: Array) -> dict[str, Any]:
        """Class, scores and embedding of a crop (c, h, w)."""
        network_input = as_float32(np.pad(crop[None], margins((1, *crop.shape), self.bundle), mode="edge"))
        seen = self.see(network_input)
        scores = seen.outputs[self.scores_index][0]
        if scores.shape != (len(self.classes),):
            raise BundleInvalid(
                f"{self.bundle.path.name} declares {amount(len(self.classes), 'class', 'classes')} and returned {scores.size}. "
                "Export it again."
            )
        return {
            "class": self.classes[int(scores.argmax())],
            **({"other_kind": int(strangers(seen.embedding, self.known, self.bundle)[0])} if self.known is not None else {}),
            **{f"score_{name}": float(score) for name, score in zip(self.classes, scores, strict=True)},
            **{f"embedding_{index:03d}": float(value) for index, value in enumerate(seen.embedding[0])},
        }


def _size(bundle: Bundle, spec: TensorSpec, crop_px: int | None) -> tuple[int, int] | None:
    """Size of the crops, (y, x) px; None for each object's own size."""
    if spec.sizes:
        height, width = spec.sizes.get("y", crop_px), spec.sizes.get("x", crop_px)
        if height is None or width is None or (crop_px and (crop_px, crop_px) != (height, width)):
            raise InputInvalid(f"{bundle.path.name} takes only crops of {dict(spec.sizes)} px: give a crop of that size, or leave it out.")
        return height, width
    side = crop_px if crop_px is not None else stated_crop_px(bundle)
    if side is None:
        return None
    if not isinstance(side, int) or side < 1:
        raise InputInvalid(f"crop_px={side!r} is not a size: give 1 or more.")
    return side, side


def position(name: str, label: int, box: tuple[slice, slice], mask: Array, pixel_size_um: float | None, edge: bool) -> dict[str, Any]:
    """Which object it is, and its centre; ``mask`` is that of the object in its ``box``, and ``edge`` says whether it touches the edge."""
    y, x = (float(middle.mean() + extent.start) for middle, extent in zip(np.nonzero(mask), box, strict=True))
    centroid = {"centroid_y_px": y, "centroid_x_px": x}
    return {"image": name, "label": label, "pixel_size_um": pixel_size_um, **_with_um(centroid, pixel_size_um), "touches_edge": int(edge)}


def by_channel(
    measure: Callable[[Array, Array], Mapping[str, float]],
    image: Array,
    mask: Array,
    channels: Sequence[str],
    pixel_size_um: float | None,
) -> dict[str, Any]:
    """Features of each channel of ``image`` (c, y, x), prefixed by its name if there are several; shape features only once."""
    features: dict[str, float] = {}
    for channel, plane in zip(channels, image, strict=True):
        for name, value in measure(plane, mask).items():
            is_shape = name.startswith("shape_")
            features[name if is_shape or len(channels) == 1 else f"{channel}_{name}"] = value
    return _with_um(features, pixel_size_um)


def _with_um(values: Mapping[str, float], pixel_size_um: float | None) -> dict[str, float | None]:
    """``values``, with a column in micrometres after each one in pixels; None where the pixel size is unknown."""
    lengths: dict[str, float | None] = {}
    for name, value in values.items():
        lengths[name] = value
        for ending, (other, power) in LENGTHS.items():
            if name.endswith(ending):
                lengths[name.removesuffix(ending) + other] = value * pixel_size_um**power if pixel_size_um else None
    return lengths


def table(
    rows: Iterable[Row],
    notes: Sequence[str] = (),
    faults: Mapping[str, ZooreadyError] = MappingProxyType({}),
    *,
    columns: Iterable[str] = ("image", "label"),
) -> Table:
    """Rows as a table, with the columns of all of them in the order in which they first occur; ``columns`` where there is no row."""
    listed = list(rows)
    names = tuple(dict.fromkeys(name for row in listed for name in row)) or tuple(dict.fromkeys(columns))
    values = tuple(tuple(row.get(name) for name in names) for row in listed)
    return Table(columns=names, rows=values, notes=tuple(notes), faults=dict(faults))


def numbers(rows: Iterable[Row]) -> dict[int, dict[str, float]]:
    """What was measured of each object, by its label: the columns that hold finite numbers; without embedding and pixel size."""
    return {
        row["label"]: {
            name: float(value)
            for name, value in row.items()
            if isinstance(value, int | float) and np.isfinite(value) and not name.startswith(("embedding_", "pixel_size", "label"))
        }
        for row in rows
    }


def save(table: Table, path: Path | str) -> None:
    """Write a CSV, complete or not at all; numbers have seven digits, unknown values are empty.

    Raises
    ------
    InputInvalid
        The path does not end in .csv, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        raise InputInvalid(f"out={str(path)!r}: the table is a CSV file: use a name that ends in .csv.")
    make_folder(path.parent)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_cell(value) for value in row] for row in table.rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
