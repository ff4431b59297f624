"""Lengths and times as image files state them, in micrometres and seconds."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from zooready.errors import InputInvalid

MICROMETRES = {  # micrometres per unit, by the unit's name in ImageJ, OME-XML and TIFF tags; the sign for micro is the Greek mu (NFKC)
    **dict.fromkeys(("μm", "um", "micron", "microns", "micrometer", "micrometre", "micrometers", "micrometres"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("inch", "in", "inches"), 25_400.0),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    "pm": 1e-6,
}
SECONDS = {  # seconds per unit, by the unit's name in ImageJ, OME-XML and OME-Zarr
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("μs", "us", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}
ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")  # how ImageJ writes letters beyond ASCII


def square_side(x: float | None, y: float | None, path: Path) -> float | None:
    """The side of a pixel whose width and height are given, µm; InputInvalid if it is not square."""
    if x and y and abs(x - y) > 0.01 * max(x, y):
        raise InputInvalid(f"{path} has pixels of {x:.4g} x {y:.4g} µm: networks need square ones. In Fiji use Image > Scale, and save it.")
    return x if y is None or x is None else (x + y) / 2


def micrometres(value: object, unit: object) -> float | None:
    """A length in micrometres without its sign; None if there is none, if it is zero or not finite, or if the unit is none of length.

    ImageJ writes a negative distance of planes where they were taken downwards.
    """
    return _in_units(value, unit, MICROMETRES)


def seconds(value: object, unit: object) -> float | None:
    """A time in seconds; None if there is none, if it is zero or not finite, or if the unit is none of time.

    >>> seconds("0.5", "min"), seconds(250, "ms"), seconds(1, "pixel")
    (30.0, 0.25, None)
    """
    return _in_units(value, unit, SECONDS)


def _in_units(value: object, unit: object, units: Mapping[str, float]) -> float | None:
    name = unicodedata.normalize("NFKC", ESCAPED.sub(lambda code: chr(int(code[1], 16)), str(unit)))
    try:
        size = abs(float(str(value))) * units[name.strip().lower()]
    except (ValueError, KeyError):
        return None
    return size if 0 < size < float("inf") else None
