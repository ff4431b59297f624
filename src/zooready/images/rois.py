"""Regions that somebody outlined in ImageJ, ``.roi`` or ``.zip``, become a label image."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.images import outlines

if TYPE_CHECKING:
    from roifile import ImagejRoi

SUFFIXES = (".roi", ".zip")
LARGEST = 64 * 2**20  # bytes of one region; a region is some kilobytes


def read_rois(path: Path, shape: tuple[int, int]) -> NDArray[np.int32]:
    """The regions of a file as labels.

    Parameters
    ----------
    path
        A ``.roi`` file, or the ``.zip`` that ImageJ's ROI Manager saves.
    shape
        (y, x) of the image, px. Of an outline across the rim, what lies outside is cut off.

    Returns
    -------
    ndarray
        ``shape``, 0 for background and 1, 2, ... for the regions in their order in the file; where two overlap, the later one. A pixel
        belongs to a region if its centre does; outlines along pixels, as ImageJ's wand and macros draw them, come back exactly, slanted
        ones within 2 % of the area that ImageJ fills. A composite region, such as an object with a hole, is one object. Every point of a
        point or multi-point region is an object of one pixel.

    Raises
    ------
    InputInvalid
        The file cannot be read, holds no regions, or regions that enclose nothing, such as lines, or lie outside the image.
    """
    from roifile import ROI_TYPE

    labels, number, missing = np.zeros(shape, np.int32), 0, 0
    regions = list(_regions(path))
    if not regions:
        raise InputInvalid(f"{path.name} holds no regions: add the outlines to the ROI Manager and save them there with More > Save.")
    for name, region in regions:
        for inside in _points(region, shape) if region.roitype == ROI_TYPE.POINT else _outlined(path, name, region, shape):
            number += 1
            missing += inside is None
            if inside is not None:
                labels[inside] = number
    outlines.demand_inside(missing, number, f"regions of {path.name}", shape, where=" in the ROI Manager")
    return labels


def _points(region: ImagejRoi, shape: tuple[int, int]) -> Iterator[tuple[int, int] | None]:
    """The pixel of each point, as an index; None for one outside the image."""
    for x, y in np.floor(np.atleast_2d(region.coordinates())).astype(np.int64).tolist():
        yield (y, x) if 0 <= y < shape[0] and 0 <= x < shape[1] else None


def _outlined(path: Path, name: str, region: ImagejRoi, shape: tuple[int, int]) -> Iterator[NDArray[np.bool_] | None]:
    """The pixels (y, x) of the one region; None for one outside the image."""
    inside = _inside(path, name, region, shape)
    box = np.array([[region.left, region.top], [region.right, region.bottom]])
    yield None if outlines.is_outside(box, shape) else inside


def _regions(path: Path) -> list[tuple[str, ImagejRoi]]:
    """Names and regions, in the order of the file."""
    from roifile import ImagejRoi

    try:
        if path.suffix.lower() == ".roi":
            return [(path.stem, ImagejRoi.frombytes(path.read_bytes()))]
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.lower().endswith(".roi")]
            if large := [member.filename for member in members if member.file_size > LARGEST]:
                raise InputInvalid(f"{large[0]!r} in {path.name} has more than {LARGEST // 2**20} MiB, so it is no region of ImageJ.")
            return [(member.filename.removesuffix(".roi"), ImagejRoi.frombytes(archive.read(member))) for member in members]
    except InputInvalid:
        raise
    except Exception as error:  # roifile and zipfile raise many kinds on damaged files
        raise InputInvalid(
            f"{path.name} cannot be read as regions of ImageJ ({type(error).__name__}: {error}): save them again from the ROI Manager."
        ) from None


def _inside(path: Path, name: str, region: ImagejRoi, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (y, x) whose centres lie inside a region."""
    from roifile import ROI_TYPE

    area = (ROI_TYPE.POLYGON, ROI_TYPE.RECT, ROI_TYPE.OVAL, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED)
    if region.roitype not in area:
        raise InputInvalid(f"region {name!r} of {path.name} is a {region.roitype.name.lower()}, which encloses nothing: outline objects.")
    if region.roitype == ROI_TYPE.OVAL:
        y, x = np.ogrid[: shape[0], : shape[1]]
        ellipse = ((y + 0.5 - (region.top + region.bottom) / 2) / max((region.bottom - region.top) / 2, 0.5)) ** 2
        ellipse = ellipse + ((x + 0.5 - (region.left + region.right) / 2) / max((region.right - region.left) / 2, 0.5)) ** 2
        return np.asarray(ellipse <= 1)
    pieces = region.coordinates(multi=True)
    inside = np.zeros(shape, bool)
    for piece in pieces if isinstance(pieces, list) else [pieces]:
        inside ^= outlines.inside(np.asarray(piece, np.float64), shape)
    return inside
