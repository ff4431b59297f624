"""``zooready explain``: why a network says what it says of an image."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from zooready import explanation
from zooready.commands import runs, switches
from zooready.commands.console import CONSOLE, print_line, print_notes
from zooready.commands.export import bundle_of
from zooready.commands.listing import result_stem
from zooready.commands.numbers import from_zero
from zooready.explanation import Explained
from zooready.images.loading import as_image, as_plane
from zooready.records import Array, Image


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready explain``."""
    add = parser.add_argument
    runs.takes_family(add("bundle", help="zip, folder, run, or a family with shipped weights"))
    add("image", type=Path, help="TIFF, OME-TIFF, OME-Zarr, PNG or JPEG; one plane")
    add("-o", "--out", type=Path, required=True, help="folder for the results")
    add("--class", dest="class_name", default=SUPPRESS, metavar="NAME", help="class to explain (default: that with the highest score)")
    add("--mask", type=Path, default=SUPPRESS, metavar="FILE", help="image whose pixels are not 0 inside the cell")
    add("--blur", dest="blur_px", type=float, default=SUPPRESS, metavar="PX", help="wavelength / (NA x pixel size), for the map of doubt")
    add("--seed", type=from_zero, default=0, help="seed of the added noise")
    switches.add_size(parser)
    switches.add_channel(parser)
    switches.add_axes(parser)
    switches.add_time_limit(parser)
    switches.add_trust_code(parser, " for gradients, if it has no TorchScript")


def explain(
    bundle: Path | str,
    image: Path | str | Image | Array,
    out: Path | str | None = None,
    *,
    class_name: str | None = None,
    mask: Path | str | Array | None = None,
    channel: int | str | None = None,
    axes: str | None = None,
    seed: int = 0,
    blur_px: float | None = None,
    pixel_size: float | Literal["auto"] | None = None,
    diameter: float | None = None,
    trust_code: bool = False,
    time_limit_s: float | None = None,
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
        Where the cell is, other than 0; with it, the share of each class map inside the cell is measured.
    channel
        The one channel to take, by name or by number from 1.
    axes
        Letters of ``tzcyx``: the axes of the array, or of the file's if it does not name them.
    seed
        Of the noise that is added.
    blur_px
        Blur of the microscope, wavelength / (NA x pixel size), px of the image; if None, that of the bundle's range which
        suits the image best.
    pixel_size, diameter
        As for :func:`zooready.predict`; the image is explained with the pixels that the network then sees.
    trust_code
        Whether the bundle's own Python may be run, for gradients where it has no TorchScript.
    time_limit_s
        How long the network may take for one image, s; an hour if None.

    Raises
    ------
    InputInvalid
        The image, the class or the bundle's outputs do not suit; the message says why.
    BundleInvalid
        The bundle cannot be read safely.
    ConsumerMissing
        captum is not installed.
    """
    loaded = as_image(image, axes=axes)
    with bundle_of(bundle, trust_code=trust_code, time_limit_s=time_limit_s) as opened_bundle:
        cell = None if mask is None else as_plane(mask)
        options: dict[str, Any] = {"class_name": class_name, "mask": cell, "channel": channel, "seed": seed, "blur_px": blur_px}
        options |= {"pixel_size": pixel_size, "diameter": diameter}
        result = explanation.explain(opened_bundle, loaded, **options)
    if out is not None:
        stem = result_stem(Path(image)) if isinstance(image, str | Path) else "image"
        result = replace(result, files=explanation.save(result, out, stem))
    return result


def run(bundle: str, image: Path, out: Path, **options: Any) -> None:
    """Explain, and print what was explained, how much of it lies in the cell, and where the files are."""
    with CONSOLE.status(f"explaining {image.name} ..."):
        result = explain(bundle, image, out, **options)
    print_notes(result.notes)
    if "class" in result.facts:
        best = sorted(result.facts["scores"].items(), key=lambda item: -item[1])[:3]
        scores = ", ".join(f"{name} {score:.3g}" for name, score in best)
        print_line(f"explained: {result.facts['class']}; highest scores: {scores}")
    for explained in result.explanations:
        if "share_inside" in explained.facts:
            inside, box = explained.facts["share_inside"], explained.facts["share_box"]
            print_line(f"{explained.name}: {inside:.0%} inside the cell, {box:.0%} in a box of its area in the middle")
        if explained.name == "doubt":
            print_line(explained.title)
    for path in result.files:
        print_line(path)
