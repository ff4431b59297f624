"""Results of a plate: a plate for each output that is an image, and a table with a row for each field; a run that was stopped goes on.

What is written is ``<stem>_labels.ome.zarr``, a plate with the wells and fields of the one that was run, and ``<stem>_fields.csv`` with
well, field, number of objects and scores. Meanwhile ``.<stem>.fields.json`` says which fields are done, and what they are results of.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zooready.images.ome_zarr import is_store
from zooready.images.plates import Field, finish, write_field
from zooready.images.whole_files import make_folder, whole_file
from zooready.prediction.parts import fingerprint
from zooready.prediction.whole import Prediction, Scores
from zooready.records import Image

GOES_ON = "was done by a run that was stopped."


@dataclass(frozen=True, kw_only=True)
class Done:
    """What is known of a field whose results are written: a hash of what they are results of, its images, scores and numbers of objects."""

    key: str
    images: tuple[str, ...] = ()
    scores: dict[str, Scores] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)


class PlateResults:
    """The results of the fields of one plate.

    Parameters
    ----------
    folder, stem
        Where they are written, and what their names begin with.
    fields
        Of the plate, in its order.
    facts, weights
        Whatever decides on the results besides an image: options as they print, and the hash of the weights.
    """

    def __init__(self, folder: Path, stem: str, fields: Sequence[Field], facts: object, weights: str) -> None:
        self._folder, self._stem, self._fields, self._facts, self._weights = make_folder(folder), stem, fields, facts, weights
        self._record = folder / f".{stem}.fields.json"
        self._done: dict[str, Done] = {}
        with suppress(OSError, ValueError, TypeError, KeyError):
            listed = json.loads(self._record.read_text(encoding="utf-8"))
            self._done = {inside: _read(entry) for inside, entry in listed.items()}
        self._now: dict[str, Done] = {}

    def run(self, place: Field, image: Image, compute: Callable[[], Prediction]) -> Prediction:
        """Write the results of a field; those that a run which was stopped has written stay, and are not computed again.

        Parameters
        ----------
        place, image
            The field, and the image that it is.
        compute
            Gives its results.

        Returns
        -------
        Prediction
            What was computed; without images, if that was before.

        Raises
        ------
        InputInvalid
            No permission, or disk full; an image appears whole or not at all. And whatever ``compute`` raises.
        """
        inside, key = "/".join(place.inside), self._key(image)
        done = self._done.get(inside)
        if done and done.key == key and all(is_store(self._place(name, place).path) for name in done.images):
            self._now[inside] = done
            return Prediction(scores=done.scores, notes=(GOES_ON,))
        prediction = compute()
        for name, result in prediction.images.items():
            target = self._place(name, place)
            (target.plate / ".zattrs").unlink(missing_ok=True)  # of an earlier run: it is no whole plate any more
            write_field(result, target)
        objects = {name: int(found.array.max()) for name, found in prediction.images.items() if _is_labels(found)}
        self._now[inside] = Done(key=key, images=tuple(prediction.images), scores=dict(prediction.scores), objects=objects)
        with whole_file(self._record) as file:
            file.write(json.dumps({name: asdict(entry) for name, entry in (self._done | self._now).items()}).encode())
        return prediction

    def finish(self) -> tuple[Path, ...]:
        """Let what was written be whole plates, and write the table; the files. Fields that failed are left out, and run again next time.

        Raises
        ------
        InputInvalid
            As for :meth:`run`.
        """
        fields = [place for place in self._fields if "/".join(place.inside) in self._now]
        written = []
        for name in dict.fromkeys(name for done in self._now.values() for name in done.images):
            plate = self._place(name, fields[0]).plate
            finish(plate, fields, plate.name.removesuffix(".ome.zarr"))
            written.append(plate)
        if rows := [row for place in fields for row in self._rows(place)]:
            written.append(self._folder / f"{self._stem}_fields.csv")
            columns = list(dict.fromkeys(name for row in rows for name in row))
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            with whole_file(written[-1]) as file:
                file.write(text.getvalue().encode())
        if len(fields) == len(self._fields):
            self._record.unlink(missing_ok=True)
        return tuple(written)

    def _rows(self, place: Field) -> list[dict[str, Any]]:
        """The rows of a field: one, or one for each of its planes that has scores; none if there are neither objects nor scores."""
        done = self._now["/".join(place.inside)]
        start = {"well": place.well, "field": place.name, **{f"{name}_objects": count for name, count in done.objects.items()}}
        found = [
            {column: int(value) if column in ("t", "z") else f"{value:.7g}" for column, value in zip(scores.columns, row, strict=True)}
            for scores in done.scores.values()
            for row in scores.rows
        ]
        return [start | row for row in found] if found else [start] if done.objects else []

    def _place(self, name: str, place: Field) -> Field:
        """Where one output of a field is written."""
        return replace(place, plate=self._folder / f"{self._stem}_{name}.ome.zarr")

    def _key(self, image: Image) -> str:
        return fingerprint((self._facts, replace(image, array=np.zeros(0))), self._weights, image.array)


def _is_labels(image: Image) -> bool:
    """Whether an output is one plane of labels, which are numbered from 1."""
    return image.axes == "yx" and np.issubdtype(image.array.dtype, np.integer)


def _read(entry: dict[str, Any]) -> Done:
    scores = {
        name: Scores(columns=tuple(table["columns"]), rows=tuple(tuple(row) for row in table["rows"]))
        for name, table in entry["scores"].items()
    }
    objects = {name: int(count) for name, count in entry["objects"].items()}
    return Done(key=str(entry["key"]), images=tuple(entry["images"]), scores=scores, objects=objects)
