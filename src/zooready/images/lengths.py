"""Lengths as image files state them, in micrometres."""

from __future__ import annotations

import re
import unicodedata
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
    name = unicodedata.normalize("NFKC", ESCAPED.sub(lambda code: chr(int(code[1], 16)), str(unit)))
    try:
        length = abs(float(str(value))) * MICROMETRES[name.strip().lower()]
    except (ValueError, KeyError):
        return None
    return length if 0 < length < float("inf") else None
