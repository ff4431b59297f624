"""A Prediction becomes files: a TIFF that ImageJ opens, or an OME-Zarr, for each image, a CSV for each table."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from zooready.errors import InputInvalid
from zooready.images.files import is_beyond_imagej, write_image
from zooready.images.ome_zarr import write_store
from zooready.images.whole_files import make_folder, whole_file
from zooready.prediction.whole import Prediction, Scores
from zooready.records import Image


def save(prediction: Prediction, folder: Path | str, stem: str, *, as_zarr: bool = False) -> tuple[Path, ...]:
    """Write ``<stem>_<output id>.tif`` (``.ome.tif`` beyond 4 GB, which ImageJ's own TIFF cannot have) and ``.csv``.

    Parameters
    ----------
    prediction
        Label images are written as uint16, or as float32 beyond 65,535 objects (exact to 16 million); others as float32.
    folder
        Made if it is missing. Files of the same name are replaced.
    stem
        Usually the image's file name without its ending.
    as_zarr
        Write images as ``.ome.zarr`` instead.

    Returns
    -------
    tuple of Path
        The files, in the bundle's order, images first.

    Raises
    ------
    InputInvalid
        No permission, or disk full; a file appears whole or not at all.
    """
    folder = make_folder(Path(folder))
    written = []
    for name, image in prediction.images.items():
        ending = ".ome.zarr" if as_zarr else ".ome.tif" if is_beyond_imagej(image) else ".tif"
        written.append(folder / f"{stem}_{name}{ending}")
        (write_store if as_zarr else write_image)(image, written[-1])
    for name, scores in prediction.scores.items():
        written.append(folder / f"{stem}_{name}.csv")
        _write_table(scores, written[-1])
    return tuple(written)


def save_one(prediction: Prediction, file: Path) -> tuple[Path, ...]:
    """Write the one output of a prediction to a file of this name: an image to ``.tif`` or ``.zarr``, a table to ``.csv``.

    Raises
    ------
    InputInvalid
        There are several outputs, the ending is another, or the file cannot be written.
    """
    outputs: dict[str, Image | Scores] = {**prediction.images, **prediction.scores}
    if len(outputs) != 1:
        raise InputInvalid(f"{file} is one file, and there are {len(outputs)} outputs ({', '.join(outputs)}): name a folder for them.")
    ((name, output),) = outputs.items()
    what, endings = ("a table", (".csv",)) if isinstance(output, Scores) else ("an image", (".tif", ".tiff", ".zarr"))
    if file.suffix.lower() not in endings:
        raise InputInvalid(f"'{name}' is {what}: let the file's name end in {endings[0]}, not as {file}.")
    make_folder(file.absolute().parent)
    if isinstance(output, Scores):
        _write_table(output, file)
    else:
        (write_store if file.suffix.lower() == ".zarr" else write_image)(output, file)
    return (file,)


def _write_table(scores: Scores, path: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(scores.columns)
    places = sum(column in ("t", "z") for column in scores.columns)
    writer.writerows([*map(int, row[:places]), *(f"{value:.7g}" for value in row[places:])] for row in scores.rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())
