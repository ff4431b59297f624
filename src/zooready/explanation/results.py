"""What came of an explanation, and its files."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from zooready.explanation.figures import draw
from zooready.images.files import write_image
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Array, Image

PACKAGES = ("zooready", "torch", "captum", "onnxruntime", "numpy", "scipy")


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One way to look at an output.

    ``values`` are float32 with one axis for each letter of ``axes`` (of ``czyx``), in ``unit``; ``scale`` is how they are coloured.
    ``facts`` are the numbers to read with them. ``marks`` are half sides and radii, px, of what is drawn round the image's middle.
    """

    name: str
    title: str
    values: Array
    axes: str
    unit: str
    scale: Literal["signed", "positive", "log"]
    channels: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Explained:
    """All explanations of one output for one image.

    ``image`` is what the network was given. ``facts`` tell the output and, of a classifier, the class that was explained and the score
    of every class. ``notes`` are sentences to read first. ``files`` are those that were written.
    """

    explanations: tuple[Explanation, ...]
    image: Image
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def save(explained: Explained, folder: Path | str, stem: str) -> tuple[Path, ...]:
    """Write ``<stem>_<name>.png`` and ``.tif`` for each explanation, and ``<stem>_explanation.json``.

    Parameters
    ----------
    explained
        TIFFs are float32 with the image's calibration; figures show at most four channels.
    folder
        Made if it is missing. Files of the same name are replaced.
    stem
        Usually the image's file name without its ending.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    InputInvalid
        No permission, or the disk is full; a file appears whole or not at all.
    """
    folder = make_folder(Path(folder))
    written, listed = [], {}
    for one in explained.explanations:
        figure, values = (folder / f"{stem}_{one.name}.{ending}" for ending in ("png", "tif"))
        with whole_file(figure) as file:
            file.write(draw(one, explained.image))
        write_image(_image(one, explained.image), values)
        listed[one.name] = {"title": one.title, "unit": one.unit, **one.facts, "files": [figure.name, values.name]}
        written += [figure, values]
    facts = {"image": stem, **explained.facts, "explanations": listed, "notes": list(explained.notes), "versions": versions()}
    written.append(folder / f"{stem}_explanation.json")
    with whole_file(written[-1]) as file:
        file.write((json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())
    return tuple(written)


def versions() -> dict[str, str]:
    """Of Python and of the packages that computed, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _image(explanation: Explanation, source: Image) -> Image:
    """The values with the calibration of what they explain."""
    return Image(
        array=explanation.values,
        axes=explanation.axes,
        pixel_size_um=source.pixel_size_um,
        z_um=source.z_um if "z" in explanation.axes and "z" in source.axes else None,
        channels=explanation.channels,
    )
