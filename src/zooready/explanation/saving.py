"""The files of an explanation: a figure and a TIFF of values for each method, and one JSON for all."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path

from zooready.explanation.figures import draw
from zooready.explanation.results import Explained, Explanation
from zooready.images.files import write_image
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Image

PACKAGES = ("zooready", "torch", "captum", "onnxruntime", "numpy", "scipy")


def save(explained: Explained, folder: Path | str, stem: str) -> tuple[Path, ...]:
    """Write ``<stem>_<name>.png`` and ``.tif`` for each explanation, and ``<stem>_explanation.json``.

    Parameters
    ----------
    explained
        TIFFs are float32 with the image's calibration; figures show at most four channels.
    folder
        Created if it is missing. Files of the same name are replaced.
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
    for explanation in explained.explanations:
        figure, values = (folder / f"{stem}_{explanation.name}.{ending}" for ending in ("png", "tif"))
        with whole_file(figure) as file:
            file.write(draw(explanation, explained.image))
        write_image(_calibrated(explanation, explained.image), values)
        entry = {"title": explanation.title, "unit": explanation.unit, **explanation.facts, "files": [figure.name, values.name]}
        listed[explanation.name] = entry
        written += [figure, values]
    facts = {"image": stem, **explained.facts, "explanations": listed, "notes": list(explained.notes), "versions": versions()}
    written.append(folder / f"{stem}_explanation.json")
    with whole_file(written[-1]) as file:
        file.write((json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())
    return tuple(written)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that were used, as far as they are installed."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _calibrated(explanation: Explanation, source: Image) -> Image:
    """The values with the calibration of the image that they explain."""
    return Image(
        array=explanation.values,
        axes=explanation.axes,
        pixel_size_um=source.pixel_size_um,
        z_um=source.z_um if "z" in explanation.axes else None,
        channels=explanation.channels,
    )
