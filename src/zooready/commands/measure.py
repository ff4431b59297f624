"""``zooready measure``: the objects of images become rows of a table."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from zooready import measurement, prediction
from zooready.bundle.specs import trained_objects
from zooready.commands import runs, switches
from zooready.commands.console import CONSOLE, print_line, print_notes
from zooready.commands.export import bundle_of
from zooready.commands.listing import listed, names, paired, stems
from zooready.commands.numbers import positive
from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid, amount
from zooready.images.files import write_png
from zooready.images.geojson import write_geojson
from zooready.images.loading import as_image, as_plane
from zooready.images.plates import field_of
from zooready.images.rois import write_rois
from zooready.measurement import Table
from zooready.measurement.cutouts import Background
from zooready.records import Array, Bundle, Image

CLASS_IMAGE = "classes"  # the output of a network that finds objects of several classes


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready measure``."""
    add = parser.add_argument
    runs.takes_family(add("bundle", help="zip, folder, run, or a family with shipped weights; it classifies objects, or finds them"))
    add(
        "images",
        type=Path,
        nargs="+",
        metavar="IMAGE-or-DIR",
        help="TIFF, OME-TIFF, OME-Zarr, PNG, JPEG, or a folder of them; one plane each, or one stack if the bundle finds objects in stacks",
    )
    add("-o", "--out", type=Path, required=True, metavar="TABLE.csv", help="table to write")
    add(
        "--labels",
        type=Path,
        nargs="+",
        action="extend",
        default=SUPPRESS,
        metavar="FILE",
        help="label images, one per image, called after it or in the same order",
    )
    add("--segment", default=SUPPRESS, metavar="BUNDLE", help="find the objects by the labels of this bundle")
    add("--outlines", type=Path, default=SUPPRESS, metavar="DIR", help="also draw each image with the outlines of its objects, as PNG")
    add("--geojson", type=Path, default=SUPPRESS, metavar="DIR", help="also write each image's objects, with their numbers, for QuPath")
    add("--rois", type=Path, default=SUPPRESS, metavar="DIR", help="also write them as regions for ImageJ's ROI Manager, to correct")
    add("--background", choices=("keep", "zero", "lowest"), default="keep", help="pixels around an object in the input of the network")
    add("--crop", dest="crop_px", type=positive, default=SUPPRESS, metavar="PX", help="side of the crop around an object, pixels")
    switches.add_size(parser)
    switches.add_channel(parser, "of the classifier")
    add("--segment-channel", default=SUPPRESS, help="the segmentation's channel")
    switches.add_axes(parser)
    switches.add_time_limit(parser)
    switches.add_trust_code(parser)


def measure(
    bundle: Path | str,
    images: Sequence[Path | str | Image | Array],
    out: Path | str | None = None,
    *,
    labels: Sequence[Path | str | Array] | None = None,
    segment: Path | str | None = None,
    outlines: Path | str | None = None,
    geojson: Path | str | None = None,
    rois: Path | str | None = None,
    background: Background = "keep",
    crop_px: int | None = None,
    pixel_size: float | Literal["auto"] | None = None,
    diameter: float | None = None,
    channel: int | str | None = None,
    segment_channel: int | str | None = None,
    axes: str | None = None,
    trust_code: bool = False,
    time_limit_s: float | None = None,
) -> Table:
    """A row for each object of some images; see docs/measure.md.

    A classifier gives embedding, class scores, shape, intensity and texture; a bundle that finds objects their box, shape and intensity; in
    stacks their volume.

    Parameters
    ----------
    bundle
        A classifier, or a bundle with a label output: a zip, a folder, the folder of a finished run, or a family with shipped weights.
    images
        Files, folders of them, images or arrays; one plane each, or one stack if the bundle finds objects in stacks. One that cannot be
        used does not stop the others: it is in the table's ``faults``. Files are called by their names, in the table, with as many of
        their folders as tell them apart.
    out
        The CSV; nothing is written if None.
    labels
        A label image for each image, called after it (``a_labels.tif``), or in the same order. Without it, and without ``segment``, each
        image is one object.
    segment
        A bundle whose label output finds the objects.
    outlines
        A folder for a PNG of each image with the outlines of its objects; nothing is drawn if None.
    geojson
        A folder for a GeoJSON file of each image, which QuPath opens: the outlines of its objects, with their numbers; none if None.
    rois
        A folder for a zip of each image, which ImageJ's ROI Manager opens, with a region of each object, in stacks one in each of its
        planes; none if None. Training takes such a zip as a mask.
    background
        What the network sees around an object: "keep", "zero" or "lowest".
    crop_px
        Side of the piece that it is given; what the bundle states, else the object's own size, if None.
    pixel_size
        The side of the images' pixels, µm, or "auto" for what each image states: the segmentation sees the image resampled into its
        bundle's range. Objects are measured in the image as it is.
    diameter
        Width of a typical object, px: the segmentation sees the image resampled to the middle of the sizes that it was trained on.
    channel, segment_channel
        The one channel that the classifier and the segmentation take, by name or by number from 1.
    axes
        Letters of ``tzcyx``: the axes of the arrays, or of the files' if these do not name them.
    trust_code
        Whether the bundle's own Python may be run; measuring needs none, exporting a run implies it.
    time_limit_s
        How long each network may take for one image, s; an hour if None.

    Raises
    ------
    InputInvalid
        No image has an object or can be used, labels and images do not match, or the bundle neither finds objects nor is a classifier
        with ONNX.
    ConsumerFailed
        The network failed on an image, and no other has an object.
    BundleInvalid
        A bundle cannot be read safely.
    """
    given = listed(images)
    named = names(given)
    found = None if labels is None else _labels(labels, segment, given)
    with ExitStack() as stack:
        opened_bundle = stack.enter_context(bundle_of(bundle, trust_code=trust_code, time_limit_s=time_limit_s))
        segmentation = stack.enter_context(bundle_of(segment, time_limit_s=time_limit_s)) if segment is not None else None
        finds = "labels" in dict(opened_bundle.kinds).values()
        if finds and not (labels is None and segmentation is None):
            raise InputInvalid(f"{opened_bundle.path.name} finds objects itself: give no labels and no other segmentation.")
        segmentation = opened_bundle if finds else segmentation
        if diameter is not None and segmentation is None:
            raise InputInvalid(
                f"a diameter of {diameter:g} px is for finding objects, and here nothing finds them: leave it out, or segment."
            )
        rows_of = measurement.object_rows if finds else measurement.Measurer.of(opened_bundle, crop_px=crop_px, background=background).rows
        way = _Way(
            rows_of=rows_of, segmentation=segmentation, finds=finds, axes=axes, pixel_size=pixel_size, diameter=diameter, channel=channel,
            taken=channel if finds else segment_channel, outlines=outlines, geojson=geojson, rois=rois,
        )  # fmt: skip
        result = _of_all(way, named, given, found)
    if out is not None:
        measurement.save(result, out)
    return result


@dataclass(frozen=True, kw_only=True)
class _Way:
    """How objects are found and measured; ``taken`` is the segmentation's channel."""

    rows_of: Callable[..., tuple[list[Any], list[str]]]
    segmentation: Bundle | None
    finds: bool
    axes: str | None
    pixel_size: float | Literal["auto"] | None
    diameter: float | None
    channel: int | str | None
    taken: int | str | None
    outlines: Path | str | None
    geojson: Path | str | None
    rois: Path | str | None

    def measured(self, name: str, stem: str, image: Any, labels: Any) -> tuple[list[Any], list[str], Any]:
        """The rows of one image, notes, and a row with the columns that its objects have, also if there are none."""
        loaded = prediction.sized(as_image(image, axes=self.axes), self.pixel_size)
        objects, classes, notes = as_plane(labels) if labels is not None else None, None, []
        if self.segmentation is not None:
            options = {"pixel_size": self.pixel_size, "diameter": self.diameter, "channel": self.taken}
            objects, classes, said = _segmented(self.segmentation, loaded, **options)
            notes += [f"{name}: {note}" for note in said]
            if not objects.any():
                notes += [] if trained_objects(self.segmentation) else [f"{name}: no object was found."]
                notes += [
                    f"{name}: {path} is from before, and now no object was found: delete it if it is not wanted."
                    for path in self._drawings(stem).values()
                    if path.exists()
                ]
                return [], notes, self._rows(name, loaded, _one_pixel(objects), classes)[0][0]
        rows, said_of_rows = self._rows(name, loaded, objects, classes)
        said_of_files = self._draw(stem, loaded, objects, rows) if objects is not None else []
        return rows, [*notes, *said_of_rows, *(f"{name}: {said}" for said in said_of_files)], rows[0]

    def _rows(self, name: str, image: Image, objects: Array | None, classes: tuple[Array, tuple[str, ...]] | None) -> tuple[Any, list[str]]:
        """The rows of these objects, with the names of their classes if there are some, and notes."""
        rows, notes = self.rows_of(name, image, objects, channel=self.channel)
        if self.finds and classes is not None and objects is not None:
            rows = measurement.with_classes(rows, objects, *classes)
        return rows, notes

    def _draw(self, stem: str, image: Image, objects: Array, rows: Sequence[Any]) -> list[str]:
        """Write the outlines of an image's objects, as far as they are asked for; notes."""
        if objects.ndim == 3 and self.outlines is not None:
            raise InputInvalid(
                "outlines are drawn on single planes, and the labels are a stack: leave them out, or have them as regions for ImageJ."
            )
        drawings = self._drawings(stem)
        if "png" in drawings:
            write_png(measurement.outlined(image, objects), drawings["png"])
        if "geojson" in drawings:
            write_geojson(objects, drawings["geojson"], measurement.numbers(rows))
        if "zip" in drawings:
            has_channels = "c" in image.axes and image.array.shape[image.axes.index("c")] > 1
            return _regions(objects, drawings["zip"], has_channels=has_channels)
        return []

    def _drawings(self, stem: str) -> dict[str, Path]:
        """The files of an image's outlines that are asked for, by their endings."""
        folders = {"png": self.outlines, "geojson": self.geojson, "zip": self.rois}
        return {ending: Path(folder) / f"{stem}.{ending}" for ending, folder in folders.items() if folder is not None}


def _regions(objects: Array, path: Path, *, has_channels: bool) -> list[str]:
    """Write the regions of ImageJ, unless the file is there and holds others, which somebody may have corrected; then a note."""
    if not path.exists():
        write_rois(objects, path, has_channels=has_channels)
        return []
    with TemporaryDirectory() as folder:
        new = Path(folder) / path.name
        write_rois(objects, new, has_channels=has_channels)
        if new.read_bytes() == path.read_bytes():
            return []
    return [f"{path} holds other regions than were found now, corrected ones perhaps, and was kept. Move it, or take another folder."]


def _one_pixel(labels: Array) -> Array:
    """The same label image with one object, its first pixel."""
    lone = np.zeros_like(labels)
    lone.flat[0] = 1
    return lone


def _with_well(image: Any, rows: Sequence[Any]) -> list[Any]:
    """The rows of an image; those of a field of a plate with the names of its well and of itself after the image's."""
    field = field_of(Path(image)) if isinstance(image, str | Path) else None
    place = {"well": field.well, "field": field.name} if field else {}
    return [{"image": row["image"], **place, **row} for row in rows]


def _of_all(way: _Way, named: Sequence[str], images: Sequence[Any], labels: Sequence[Any] | None) -> Table:
    """The rows of all images; one that cannot be used does not stop the others."""
    rows: list[Any] = []
    columns: list[str] = []
    notes: list[str] = []
    faults: dict[str, InputInvalid | ConsumerFailed] = {}
    for index, (name, stem, image) in enumerate(zip(named, stems(named), images, strict=True)):
        try:
            found, said, like = way.measured(name, stem, image, labels[index] if labels is not None else None)
        except (InputInvalid, ConsumerFailed) as error:
            faults[name] = error
            continue
        rows += _with_well(image, found)
        columns += _with_well(image, [like])[0]
        notes += said
    if len(faults) < len(named):
        return measurement.table(rows, notes, faults, columns=columns)
    kind = ConsumerFailed if any(isinstance(error, ConsumerFailed) for error in faults.values()) else InputInvalid
    raise kind("\n".join(f"{name}: {error}" for name, error in faults.items()))


def _labels(labels: Sequence[Any], segment: Path | str | None, images: Sequence[Any]) -> list[Any]:
    """The label image of each image; InputInvalid if it is not clear what finds the objects."""
    if segment is not None:
        raise InputInvalid("labels and a segmentation were both given: the objects come from one of them.")
    found = listed(labels)
    if len(found) != len(images):
        raise InputInvalid(f"{amount(len(found), 'label image')} for {amount(len(images), 'image')}: give one for each, in the same order.")
    return paired(images, found)


def _segmented(bundle: Bundle, image: Image, **options: Any) -> tuple[Array, tuple[Array, tuple[str, ...]] | None, tuple[str, ...]]:
    """Labels (y, x) or (z, y, x) by a segmentation bundle; the classes of its objects with their names, None without; and its notes."""
    name = next((name for name, kind in bundle.kinds if kind == "labels"), None)
    if name is None:
        outputs = ", ".join(f"{name} ({kind})" for name, kind in bundle.kinds)
        raise BundleInvalid(f"{bundle.path.name} gives {outputs} and no labels, which would find objects: take a segmentation bundle.")
    predicted = prediction.predict(bundle, image, **options)
    labels = predicted.images[name]
    made_of = "zyx" if any("z" in output.axes for output in bundle.outputs if output.name == name) else "yx"
    if labels.axes != made_of:  # planes of a stack are numbered one by one, so equal numbers are not one object
        raise InputInvalid(
            f"'{name}' of {bundle.path.name} has axes {labels.axes!r} for this image, and one plane or one stack is measured at a time: "
            "save each time point or plane as an image of its own, in Fiji with Image > Duplicate."
        )
    classes = predicted.images.get(CLASS_IMAGE)
    names = predicted.images[bundle.outputs[0].name].channels[2:]
    return labels.array, (classes.array, names) if classes is not None and names else None, tuple(predicted.notes)


def run(bundle: str, images: Sequence[Path], out: Path, **options: Any) -> int:
    """Measure, and print how many objects each image has and where the table is; images that cannot be used are named."""
    with CONSOLE.status("measuring ..."):
        table = measure(bundle, images, out, **options)
    print_notes(table.notes)
    counts, of_classes = Counter(table.column("image")), "class" in table.columns and not any("score_" in name for name in table.columns)
    for name in names(listed(images)):
        if name in table.faults:
            print_line(f"{name}: {table.faults[name]}", "red")
            continue
        kinds = Counter(row[table.columns.index("class")] for row in table.rows if row[0] == name) if of_classes else {}
        print_line(f"{name}: {amount(counts[name], 'object')}{''.join(f', {count} {kind}' for kind, count in sorted(kinds.items()))}")
    print_line(f"{out}: {amount(len(table.rows), 'object')}, {len(table.columns)} columns")
    return max((2 if isinstance(error, InputInvalid) else 1 for error in table.faults.values()), default=0)
