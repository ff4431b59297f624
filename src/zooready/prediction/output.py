"""A Prediction becomes files: a TIFF that ImageJ opens for each image, a CSV for each table."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from zooready.images.files import is_beyond_imagej, write_image
from zooready.images.whole_files import make_folder, whole_file
from zooready.prediction.whole import Prediction, Scores


def save(prediction: Prediction, folder: Path | str, stem: str) -> tuple[Path, ...]:
    """Write ``<stem>_<output id>.tif`` (``.ome.tif`` beyond 4 GB, which ImageJ's own TIFF cannot have) and ``.csv``.

    Parameters
    ----------
    prediction
        Label images are written as uint16, or as float32 beyond 65,535 objects (exact to 16 million); others as float32.
    folder
        Made if it is missing. Files of the same name are replaced.
    stem
        Usually the image's file name without its ending.

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
        written.append(folder / f"{stem}_{name}{'.ome.tif' if is_beyond_imagej(image) else '.tif'}")
        write_image(image, written[-1])
    for name, scores in prediction.scores.items():
        written.append(folder / f"{stem}_{name}.csv")
        _write_table(scores, written[-1])
    return tuple(written)


def _write_table(scores: Scores, path: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(scores.columns)
    places = sum(column in ("t", "z") for column in scores.columns)
    writer.writerows([*map(int, row[:places]), *(f"{value:.7g}" for value in row[places:])] for row in scores.rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())
