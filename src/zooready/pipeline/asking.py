"""A bundle asked: why does it say so (explain), and what does it see in each object (measure)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zooready.errors import BundleInvalid, InputInvalid
from zooready.pipeline.making import export_trained
from zooready.pipeline.using import as_image
from zooready.records import Array, Bundle, Image

if TYPE_CHECKING:
    from zooready.explanation import Explained
    from zooready.measurement import Table
    from zooready.measurement.crops import Background


def explain(
    bundle: Path | str,
    image: Path | str | Image | Array,
    out: Path | str | None = None,
    *,
    class_name: str | None = None,
    mask: Path | str | Array | None = None,
    channel: int | str | None = None,
    seed: int = 0,
    trust_code: bool = False,
) -> Explained:
    """Explain what a network says of an image; see docs/explain.md.

    Parameters
    ----------
    bundle
        A zip, a folder, the folder of a finished run, or a family with shipped weights.
    image
        A file, an image, or an array (y, x) or (c, y, x).
    out
        Folder for figures, TIFFs and numbers; nothing is written if None.
    class_name
        The class to explain; the winning one if None.
    mask
        Where the cell is, other than 0; then the share of each class map inside is told.
    channel
        The one channel to take, by name or by number from 1.
    seed
        Of the noise that is added.
    trust_code
        Whether the bundle's own Python may be run, for gradients where it has no TorchScript.

    Raises
    ------
    InputInvalid
        The image, the class or the bundle's outputs do not suit; the message says why.
    BundleInvalid
        The bundle cannot be read safely.
    ConsumerMissing
        captum is not installed.
    """
    from zooready import explanation

    loaded = as_image(image)
    with bundle_of(bundle, trust_code=trust_code) as opened:
        inside = None if mask is None else _plane(mask)
        found = explanation.explain(opened, loaded, class_name=class_name, mask=inside, channel=channel, seed=seed)
    if out is not None:
        stem = Path(image).stem if isinstance(image, str | Path) else "image"
        found = replace(found, files=explanation.save(found, out, stem))
    return found


def measure(
    bundle: Path | str,
    images: Sequence[Path | str | Image | Array],
    out: Path | str | None = None,
    *,
    labels: Sequence[Path | str | Array] | None = None,
    segment: Path | str | None = None,
    background: Background = "keep",
    crop_px: int | None = None,
    channel: int | str | None = None,
    segment_channel: int | str | None = None,
    trust_code: bool = False,
) -> Table:
    """A row for each object of some images: embedding, class scores, shape, intensity, texture; see docs/measure.md.

    Parameters
    ----------
    bundle
        A classifier: a zip, a folder, the folder of a finished run, or a family with shipped weights.
    images
        Files, images or arrays; one plane each.
    out
        The CSV; nothing is written if None.
    labels
        A label image for each image. Without it, and without ``segment``, each image is one object.
    segment
        A bundle whose label output finds the objects.
    background
        What the network sees around an object: "keep", "zero" or "lowest".
    crop_px
        Side of the piece that it is given; what the bundle states, else the object's own size, if None.
    channel, segment_channel
        The one channel that the classifier and the segmentation take, by name or by number from 1.
    trust_code
        Whether the bundle's own Python may be run; measuring needs none, exporting a run implies it.

    Raises
    ------
    InputInvalid
        An image cannot be used, labels and images do not match, or the bundle is no classifier with ONNX.
    BundleInvalid
        A bundle cannot be read safely.
    """
    from zooready import measurement

    if labels is not None and segment is not None:
        raise InputInvalid("labels and a segmentation were both given: the objects come from one of them.")
    if labels is not None and len(labels) != len(images):
        raise InputInvalid(f"{len(labels)} label images for {len(images)} images: give one for each, in the same order.")
    names = [Path(image).name if isinstance(image, str | Path) else f"image_{place:03d}" for place, image in enumerate(images)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputInvalid(f"several images are called {', '.join(twice)}, and the table could not tell them apart: rename them.")
    rows, notes = [], []
    with ExitStack() as stack:
        opened = stack.enter_context(bundle_of(bundle, trust_code=trust_code))
        finder = stack.enter_context(bundle_of(segment)) if segment is not None else None
        measurer = measurement.Measurer.of(opened, crop_px=crop_px, background=background)
        for place, (name, image) in enumerate(zip(names, images, strict=True)):
            loaded = as_image(image)
            where = _plane(labels[place]) if labels is not None else None
            if finder is not None:
                where = _found(finder, loaded, segment_channel)
                if not where.any():
                    notes.append(f"{name}: no object was found.")
                    continue
            try:
                found, said = measurer.rows(name, loaded, where, channel=channel)
            except InputInvalid as error:
                raise InputInvalid(f"{name}: {error}") from None
            rows += found
            notes += said
    if not rows:
        raise InputInvalid(f"no object was found in {', '.join(names)}: look at the segmentation, or give --labels.")
    result = measurement.table(rows, notes)
    if out is not None:
        measurement.save(result, out)
    return result


@contextmanager
def bundle_of(source: Path | str, *, trust_code: bool = False) -> Iterator[Bundle]:
    """A bundle, opened; of a run or of a family, one that is made for this and gone afterwards.

    Raises
    ------
    InputInvalid
        The run is not finished.
    BundleInvalid
        The bundle cannot be read safely.
    """
    from zooready.bundle.reading import opened
    from zooready.families import FAMILIES
    from zooready.training.checkpoint import RECORD

    is_run = (Path(source) / RECORD).exists()
    if not is_run and (Path(source).exists() or str(source) not in FAMILIES):
        with opened(source, trust_code=trust_code) as bundle:
            yield bundle
        return
    with tempfile.TemporaryDirectory(prefix="zooready-") as folder:
        name = Path(source).resolve().name if is_run else str(source)
        made = export_trained(source, Path(folder) / f"{name}.zip", torchscript="plain")
        with opened(made.path, trust_code=True) as bundle:
            yield bundle


def _plane(image: Path | str | Array) -> Array:
    """The one plane (y, x) of a mask or label image."""
    loaded = as_image(image)
    if loaded.axes != "yx":
        raise InputInvalid(f"a mask or label image has axes {loaded.axes!r}: give one plane of one channel.")
    return loaded.array


def _found(finder: Bundle, image: Image, channel: int | str | None) -> Array:
    """Labels (y, x) by a segmentation bundle."""
    from zooready import prediction

    name = next((name for name, kind in finder.kinds if kind == "labels"), None)
    if name is None:
        held = ", ".join(f"{name} ({kind})" for name, kind in finder.kinds)
        raise BundleInvalid(f"{finder.path.name} gives {held} and no labels, which would find objects: take a segmentation bundle.")
    labels = prediction.predict(finder, image, channel=channel).images[name]
    if labels.axes != "yx":
        raise InputInvalid(f"'{name}' of {finder.path.name} has axes {labels.axes!r}, and one plane of labels is needed.")
    return labels.array
