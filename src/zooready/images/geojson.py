"""Outlines of objects as GeoJSON, which QuPath reads and writes: files become label images, and label images files.

Coordinates are (x, y) in pixels, the corner of the image at (0, 0) and the middle of its first pixel at (0.5, 0.5). A pixel belongs to an
object if its middle lies inside, so that labels which were written come back exactly. QuPath's objects are flat: one in a stack has an
outline in each of its planes, which all have its number as name, and are as many objects there.
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
from zooready.images import outlined_stacks, outlines
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Array

SUFFIXES = (".geojson",)
TOUCHING = np.ones((3, 3), bool)  # pixels that touch at a corner are one piece


def read_geojson(path: Path, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """The areas of a file as labels.

    Parameters
    ----------
    path
        A FeatureCollection, a Feature, or a list of features, whose geometries are polygons with any holes, one or several.
    shape
        (y, x) of the image, or (z, y, x) of a stack, px. What lies outside is cut off.

    Returns
    -------
    ndarray
        ``shape``, 0 for background and 1, 2, ... for the features in their order; where two overlap, the later one. Objects
        of a stack have the numbers of :func:`zooready.images.outlined_stacks.label_stack`.

    Raises
    ------
    InputInvalid
        The file cannot be read, holds no features, one that encloses nothing, such as a line or a point, or some outside the image.
    """
    try:
        content = json.loads(path.read_bytes())
        features = content.get("features", [content]) if isinstance(content, dict) else list(content)
        areas = [list(_polygons(feature["geometry"])) for feature in features]
        places = [_place(feature) for feature in features]
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise InputInvalid(
            f"{path.name} cannot be read as outlines ({type(error).__name__}: {error}): export objects from QuPath with File > Export "
            "objects as GeoJSON; lines and points enclose nothing."
        ) from None
    if not areas:
        raise InputInvalid(
            f"{path.name} holds no objects: outline them, and export them again; if there are none, put a TIFF of zeros there instead."
        )
    *above, height, width = shape
    plane = (height, width)
    missing = sum(all(outlines.is_outside(ring, plane) for polygon in polygons for ring in polygon) for polygons in areas)
    outlines.demand_inside(missing, len(areas), f"objects of {path.name}", plane)
    if above:
        return _stack(path, areas, places, (above[0], *plane))
    labels = np.zeros(plane, np.int32)
    for number, polygons in enumerate(areas, 1):
        labels[_inside(polygons, plane)] = number
    return labels


def _stack(path: Path, areas: Sequence[Any], places: Sequence[tuple[str, int]], shape: tuple[int, int, int]) -> NDArray[np.int32]:
    """The label stack of areas, with the name and the plane of each."""
    if beyond := [plane for _, plane in places if not 0 <= plane < shape[0]]:
        raise InputInvalid(
            f"{path.name} has outlines in plane {beyond[0] + 1} of an image that has {shape[0]}: they were drawn on another image. Draw "
            "them on this one, or delete these."
        )
    found = [outlined_stacks.cut(name, plane, _inside(polygons, shape[1:])) for polygons, (name, plane) in zip(areas, places, strict=True)]
    return outlined_stacks.label_stack(found, shape, path.name)


def _inside(polygons: Sequence[Sequence[outlines.Corners]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (y, x) inside the rings of an object; those of a hole are outside."""
    inside = np.zeros(shape, bool)
    for ring in (ring for polygon in polygons for ring in polygon):
        inside ^= outlines.inside(ring, shape)
    return inside


def _place(feature: Mapping[str, Any]) -> tuple[str, int]:
    """Name and plane, from 0, of an object, as QuPath writes them."""
    return str((feature.get("properties") or {}).get("name") or ""), int((feature["geometry"].get("plane") or {}).get("z", 0))


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
        (y, x) or (z, y, x) whole numbers, 0 is background.
    path
        The file; its folder is made if missing.
    measurements
        Numbers of each object by name, which QuPath shows in its table, in a stack beside each of its outlines.
    """
    stack = np.asarray(labels).astype(np.int64)
    stack = stack if stack.ndim == 3 else stack[None]
    features = [
        {
            "type": "Feature",
            "geometry": {**_geometry(mask, (box[2].start, box[1].start)), **({"plane": {"c": -1, "z": z, "t": 0}} if z else {})},
            "properties": {"objectType": "detection", "name": str(number), "measurements": dict((measurements or {}).get(number, {}))},
        }
        for number, box in enumerate(scipy.ndimage.find_objects(stack), 1)
        for z in (range(box[0].start, box[0].stop) if box else ())
        if (mask := stack[z, box[1], box[2]] == number).any()
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
