"""Plates of wells as OME-Zarr holds them (HCS): their fields are images, in the order of the plate, and results become such plates too.

    plate.ome.zarr/A/1/0    the first field of well A1

Versions 0.4 and 0.5 are read. What is written is 0.4, as single images are; it says that it is a plate once all of it is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooready.errors import InputInvalid
from zooready.images.ome_zarr import write_store
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Image

PART = re.compile(r"[A-Za-z0-9._-]*[A-Za-z0-9_-]")  # of a path; the format itself allows letters and digits only
GROUP = b'{"zarr_format": 2}\n'
VERSION = "0.4"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One image of a plate: ``inside`` is its path in the plate, of row, column and field, such as ("A", "1", "0")."""

    plate: Path
    inside: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Of the image."""
        return self.plate.joinpath(*self.inside)

    @property
    def well(self) -> str:
        """Name of its well, such as ``A1``."""
        return "".join(self.inside[:2])

    @property
    def name(self) -> str:
        """Name of the field in its well, such as ``0``."""
        return self.inside[2]


def fields_of(path: Path) -> tuple[Field, ...]:
    """The fields of a plate, in its order; none for a path that is no plate.

    Raises
    ------
    InputInvalid
        The plate, or one of its wells, does not say what is inside, or names a folder outside itself.
    """
    plate = _stated(path).get("plate")
    if plate is None:
        return ()
    found = []
    try:
        for well in plate["wells"]:
            row, column = _parts(well["path"], 2)
            images = _stated(path / row / column)["well"]["images"]
            found += [Field(plate=path, inside=(row, column, *_parts(image["path"], 1))) for image in images]
    except (KeyError, TypeError, ValueError) as error:
        raise InputInvalid(f"{path} is a plate that does not say what its wells hold ({error!r}): copy or convert it again.") from None
    if not found:
        raise InputInvalid(f"{path} is a plate without a field: copy or convert it again.")
    return tuple(found)


def field_of(path: Path) -> Field | None:
    """The field of a plate that a path names; None if it names something else."""
    if len(path.parts) < 4 or "plate" not in _stated(path.parents[2]):
        return None
    return Field(plate=path.parents[2], inside=path.parts[-3:])


def write_field(image: Image, field: Field) -> Path:
    """Write an image into a plate, whose folders are made as they are needed; it is whole or not there.

    Raises
    ------
    InputInvalid
        As :func:`zooready.images.ome_zarr.write_store`.
    """
    for folder in (field.plate, *(field.plate.joinpath(*field.inside[:depth]) for depth in (1, 2))):
        make_folder(folder)
        _write(folder / ".zgroup", GROUP)
    write_store(image, field.path)
    return field.path


def finish(plate: Path, fields: Iterable[Field], name: str) -> None:
    """Let a folder to which fields were written say that it is a plate, and its wells what they hold.

    Raises
    ------
    InputInvalid
        No permission, or disk full.
    """
    wells: dict[tuple[str, ...], list[str]] = {}
    for field in fields:
        wells.setdefault(field.inside[:2], []).append(field.name)
    for well, images in wells.items():
        stated = {"images": [{"path": image} for image in images], "version": VERSION}
        _write(plate.joinpath(*well, ".zattrs"), _json({"well": stated}))
    rows, columns = (sorted({well[axis] for well in wells}, key=_in_order) for axis in (0, 1))
    whole: dict[str, Any] = {
        "name": name,
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": column} for column in columns],
        "wells": [{"path": f"{row}/{column}", "rowIndex": rows.index(row), "columnIndex": columns.index(column)} for row, column in wells],
        "field_count": max(map(len, wells.values())),
        "version": VERSION,
    }
    _write(plate / ".zattrs", _json({"plate": whole}))


def _in_order(name: str) -> tuple[int, str]:
    """What rows and columns are sorted by: A before AA, 2 before 10."""
    return (int(name), "") if name.isdecimal() else (len(name), name)


def _parts(path: object, count: int) -> tuple[str, ...]:
    """The parts of a path inside a plate; ValueError if it leads elsewhere."""
    parts = tuple(str(path).split("/"))
    if len(parts) != count or not all(PART.fullmatch(part) for part in parts):
        raise ValueError(f"the path {path}")
    return parts


def _stated(path: Path) -> Mapping[str, Any]:
    """What a folder of Zarr says of itself by OME's rules; nothing if it is none."""
    for mark, inside in (("zarr.json", ("attributes", "ome")), (".zattrs", ())):
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads((path / mark).read_text(encoding="utf-8"))
            for key in inside:
                found = found[key]
            return found if isinstance(found, Mapping) else {}
    return {}


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)
