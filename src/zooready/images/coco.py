"""Outlines of objects in COCO's format, one JSON file for a folder of images: label images, one for each class where several are asked for.

Polygons and run lengths that are written out as numbers are read here; run lengths that are packed into a text need pycocotools.
Coordinates are (x, y) in pixels, the corner of the image at (0, 0). Lin et al. 2014, doi:10.1007/978-3-319-10602-1_48.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.images import outlines

SUFFIX = ".json"
FOLDERS = (".", "annotations")  # beside the images where the file may lie
CURE = "export the annotations again, as COCO with segmentations"


@dataclass(frozen=True, kw_only=True)
class Coco:
    """What a file says: ``names`` of categories by id, ``images`` by file name, ``objects`` by the id of their image, crowds left out."""

    names: Mapping[Any, str]
    images: Mapping[str, Mapping[str, Any]]
    objects: Mapping[Any, Sequence[Mapping[str, Any]]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the categories that any object has, in the order of the file."""
        used = {entry["category_id"] for entries in self.objects.values() for entry in entries}
        return tuple(name for number, name in self.names.items() if number in used)


def coco_file(folder: Path) -> Path | None:
    """The annotations of a folder of images, in it or in ``annotations/``; None if there are none.

    Raises
    ------
    InputInvalid
        There are several.
    """
    if not folder.is_dir():
        return None
    files = [path for place in FOLDERS for path in sorted((folder / place).glob(f"*{SUFFIX}")) if _is_coco(path)]
    if len(files) > 1:
        raise InputInvalid(f"{folder} holds several files of COCO annotations ({', '.join(path.name for path in files)}): keep one.")
    return files[0] if files else None


def read_coco(path: Path) -> Coco:
    """The content of a file of annotations.

    Raises
    ------
    InputInvalid
        It cannot be read, or an object has no category.
    """
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read(path: Path, time_ns: int, size: int) -> Coco:
    """The same; time and size tell a file that has changed."""
    try:
        content = json.loads(path.read_bytes())
        names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        images = {Path(entry["file_name"]).name: entry for entry in content["images"]}
        objects: dict[Any, list[Mapping[str, Any]]] = {}
        for entry in content["annotations"]:
            if not entry.get("iscrowd"):
                names[entry["category_id"]]
                objects.setdefault(entry["image_id"], []).append(entry)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputInvalid(f"{path.name} cannot be read as COCO annotations ({type(error).__name__}: {error}): {CURE}.") from None
    return Coco(names=names, images=images, objects=objects)


def labels_of(path: Path, image: str, shape: tuple[int, int], classes: Sequence[str] = ()) -> NDArray[np.int32]:
    """The objects of one image as labels.

    Parameters
    ----------
    path
        The file of annotations.
    image
        Name of the image's file, without folders.
    shape
        (y, x) of the image, px. What lies outside is cut off.
    classes
        Names of categories; without them, objects of all categories are numbered together.

    Returns
    -------
    ndarray
        ``shape``, 0 for background and 1, 2, ... for the objects in their order, the later one where two overlap; with ``classes``
        (classes, y, x), each numbered by itself.

    Raises
    ------
    InputInvalid
        The image is not in the file or has another size there, or an object has no outline or lies outside.
    """
    coco = read_coco(path)
    if image not in coco.images:
        raise InputInvalid(f"{path.name} does not name {image}: take the image out, or annotate it.")
    entry = coco.images[image]
    size = tuple(entry.get(side) or length for side, length in zip(("height", "width"), shape, strict=True))
    if size != shape:
        raise InputInvalid(f"{image} has {shape[1]}x{shape[0]} px, and {size[1]}x{size[0]} in {path.name}: annotate the image as it is.")
    labels = np.zeros((max(len(classes), 1), *shape), np.int32)
    counts, missing = [0] * len(labels), 0
    for number, annotation in enumerate(coco.objects.get(entry["id"], ()), 1):
        name = coco.names[annotation["category_id"]]
        if classes and name not in classes:
            continue
        place = classes.index(name) if classes else 0
        counts[place] += 1
        found = _inside(annotation.get("segmentation"), shape, f"object {number} of {image} in {path.name}")
        missing += found is None
        if found is not None:
            labels[place][found] = counts[place]
    outlines.demand_inside(missing, sum(counts), f"objects of {image} in {path.name}", shape)
    return labels if classes else labels[0]


def _is_coco(path: Path) -> bool:
    """Whether a JSON file has COCO's parts; other files of that ending lie beside images too."""
    try:
        with path.open("rb") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def _inside(segmentation: Any, shape: tuple[int, int], name: str) -> NDArray[np.bool_] | None:
    """The pixels (y, x) of an object: of any of its polygons, or of its run lengths, which go down the columns; None if all lie outside."""
    try:
        if isinstance(segmentation, dict):
            return _runs(segmentation, shape, name)
        polygons = [np.array(polygon, np.float64).reshape(-1, 2) for polygon in segmentation or ()]
        if not polygons or any(len(polygon) < 3 or not np.isfinite(polygon).all() for polygon in polygons):
            raise ValueError("no polygon of three corners or more")
    except (ValueError, TypeError, KeyError) as error:
        raise InputInvalid(f"{name} has no outline ({error}); a box alone does not say where it is: {CURE}.") from None
    if all(outlines.is_outside(polygon, shape) for polygon in polygons):
        return None
    inside = np.zeros(shape, bool)
    for polygon in polygons:
        inside |= outlines.inside(polygon, shape)
    return inside


def _runs(segmentation: Mapping[str, Any], shape: tuple[int, int], name: str) -> NDArray[np.bool_]:
    """The pixels of run lengths: background and object in turn, down the columns of an image of ``size``."""
    counts, size = segmentation["counts"], tuple(segmentation["size"])
    if size != shape:
        raise ValueError(f"run lengths of {size}, and the image is {shape}")
    if isinstance(counts, str | bytes):
        try:
            from pycocotools import mask
        except ImportError:
            raise InputInvalid(f"{name} is packed as COCO's tools do: pip install pycocotools, or export polygons.") from None
        return np.asarray(mask.decode({"size": list(size), "counts": counts}), bool)
    lengths = np.array(counts, np.int64)
    if lengths.min(initial=0) < 0 or lengths.sum() != shape[0] * shape[1]:
        raise ValueError("run lengths that do not fill the image")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(shape[::-1]).T
