"""Outlines of objects as GeoJSON, which QuPath reads and writes: files become label images, and label images files.

Coordinates are (x, y) in pixels, the corner of the image at (0, 0) and the middle of its first pixel at (0.5, 0.5). A pixel belongs to an
object if its middle lies inside, so that labels which were written come back exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import skimage
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.images import outlines
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Array

SUFFIXES = (".geojson",)
TOUCHING = np.ones((3, 3), bool)  # pixels that touch at a corner are one piece


def read_geojson(path: Path, shape: tuple[int, int]) -> NDArray[np.int32]:
    """The areas of a file as labels.

    Parameters
    ----------
    path
        A FeatureCollection, a Feature, or a list of features, whose geometries are polygons with any holes, one or several.
    shape
        (y, x) of the image, px. What lies outside is cut off.

    Returns
    -------
    ndarray
        ``shape``, 0 for background and 1, 2, ... for the features in their order; where two overlap, the later one.

    Raises
    ------
    InputInvalid
        The file cannot be read, holds no features, one that encloses nothing, such as a line or a point, or some outside the image.
    """
    try:
        content = json.loads(path.read_bytes())
        features = content.get("features", [content]) if isinstance(content, dict) else list(content)
        areas = [list(_polygons(feature["geometry"])) for feature in features]
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise InputInvalid(
            f"{path.name} cannot be read as outlines ({type(error).__name__}: {error}): export objects from QuPath with File > Export "
            "objects as GeoJSON; lines and points enclose nothing."
        ) from None
    if not areas:
        raise InputInvalid(f"{path.name} holds no objects: outline them, and export them again.")
    missing = sum(all(outlines.is_outside(ring, shape) for polygon in polygons for ring in polygon) for polygons in areas)
    outlines.demand_inside(missing, len(areas), f"objects of {path.name}", shape)
    labels = np.zeros(shape, np.int32)
    for number, polygons in enumerate(areas, 1):
        inside = np.zeros(shape, bool)
        for ring in (ring for polygon in polygons for ring in polygon):
            inside ^= outlines.inside(ring, shape)
        labels[inside] = number
    return labels


def _polygons(geometry: Mapping[str, Any]) -> Iterator[list[outlines.Corners]]:
    """The rings of each polygon; ValueError for what is none."""
    kind = geometry["type"]
    if kind not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"a {kind} is no polygon")
    for polygon in [geometry["coordinates"]] if kind == "Polygon" else geometry["coordinates"]:
        rings = [np.array([position[:2] for position in ring], np.float64) for ring in polygon]
        if not rings or any(ring.shape[0] < 3 or not np.isfinite(ring).all() for ring in rings):
            raise ValueError("a polygon needs three corners or more")
        yield rings


def write_geojson(labels: Array, path: Path, measurements: Mapping[int, Mapping[str, float]] | None = None) -> None:
    """Write the outlines of a label image for QuPath, complete or not at all; each object is a detection with its number as name.

    Parameters
    ----------
    labels
        (y, x) whole numbers, 0 is background.
    path
        The file; its folder is made if missing.
    measurements
        Numbers of each object by name, which QuPath shows in its table.
    """
    features = [
        {
            "type": "Feature",
            "geometry": _geometry(labels[box] == number, (box[1].start, box[0].start)),
            "properties": {"objectType": "detection", "name": str(number), "measurements": dict((measurements or {}).get(number, {}))},
        }
        for number, box in enumerate(scipy.ndimage.find_objects(np.asarray(labels).astype(np.int64)), 1)
        if box is not None
    ]
    make_folder(path.parent)
    with whole_file(path) as file:
        file.write(json.dumps({"type": "FeatureCollection", "features": features}, allow_nan=False).encode())


def _geometry(mask: NDArray[np.bool_], corner: Sequence[int]) -> dict[str, Any]:
    """The outlines of a mask, whose first pixel is at ``corner`` (x, y), as polygons with holes."""
    polygons = []
    pieces, count = scipy.ndimage.label(mask, TOUCHING)
    for piece in range(1, count + 1):
        rings = [
            ring[:, ::-1] - 0.5 + corner for ring in skimage.measure.find_contours(np.pad(pieces == piece, 1), 0.5, fully_connected="high")
        ]
        rings.sort(key=lambda ring: -np.ptp(ring[:, 0]) * np.ptp(ring[:, 1]))  # the outline is wider than any hole in it
        polygons.append([ring.tolist() for ring in rings])
    return {"type": "Polygon", "coordinates": polygons[0]} if count == 1 else {"type": "MultiPolygon", "coordinates": polygons}
