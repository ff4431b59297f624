"""Regions of ImageJ, ``.roi`` or ``.zip``: what somebody outlined becomes a label image, and a label image becomes regions.

In stacks a region lies in one plane, and an object has one in each of its planes, named by its number (``0007-z012``).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.images import outlined_stacks, outlines
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Array

if TYPE_CHECKING:
    from roifile import ImagejRoi

SUFFIXES = (".roi", ".zip")
LARGEST = 64 * 2**20  # bytes of one region; a region is some kilobytes


def read_rois(path: Path, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """The regions of a file as labels.

    Parameters
    ----------
    path
        A ``.roi`` file, or the ``.zip`` that ImageJ's ROI Manager saves.
    shape
        (y, x) of the image, or (z, y, x) of a stack, px. Of an outline across the rim, what lies outside is cut off.

    Returns
    -------
    ndarray
        ``shape``, 0 for background and 1, 2, ... for the regions in their order in the file; where two overlap, the later one. A pixel
        belongs to a region if its centre does; outlines along pixels, as ImageJ's wand and macros draw them, come back exactly, slanted
        ones within 2 % of the area that ImageJ fills. A composite region, such as an object with a hole, is one object. Every point of a
        point or multi-point region is an object of one pixel.
        Objects of a stack have the numbers of :func:`zooready.images.outlined_stacks.label_stack`.

    Raises
    ------
    InputInvalid
        The file cannot be read, holds no regions, or regions that enclose nothing, such as lines, or lie outside the image; in a
        stack, points, or regions without a plane.
    """
    from roifile import ROI_TYPE

    regions = list(_regions(path))
    if not regions:
        raise InputInvalid(
            f"{path.name} holds no regions: add the outlines to the ROI Manager and save them there with More > Save; if there are none, "
            "put a TIFF of zeros there instead."
        )
    if len(shape) == 3:
        return _stack(path, regions, (shape[0], shape[1], shape[2]))
    plane = (shape[0], shape[1])
    labels, number, missing = np.zeros(plane, np.int32), 0, 0
    for name, region in regions:
        for inside in _points(region, plane) if region.roitype == ROI_TYPE.POINT else _outlined(path, name, region, plane):
            number += 1
            missing += inside is None
            if inside is not None:
                labels[inside] = number
    outlines.demand_inside(missing, number, f"regions of {path.name}", plane, where=" in the ROI Manager")
    return labels


def _stack(path: Path, regions: Sequence[tuple[str, ImagejRoi]], shape: tuple[int, int, int]) -> NDArray[np.int32]:
    """The label stack of regions in planes."""
    found, missing = [], 0
    for name, region in regions:
        plane = region.z_position or region.position  # from 1; the second of a stack in one channel
        if not 1 <= plane <= shape[0]:
            where = f"in plane {plane} of {shape[0]}" if plane else "in all planes at once"
            raise InputInvalid(
                f"region {name!r} of {path.name} lies {where}, and each outline in a stack belongs to a plane: show its plane, select it "
                "in the ROI Manager, and press Update, or delete it."
            )
        inside = next(_outlined(path, name, region, shape[1:]))
        missing += inside is None
        if inside is not None:
            found.append(outlined_stacks.cut(name, plane - 1, inside))
    outlines.demand_inside(missing, len(regions), f"regions of {path.name}", shape[1:], where=" in the ROI Manager")
    return outlined_stacks.label_stack(found, shape, path.name)


def write_rois(labels: Array, path: Path, *, has_channels: bool = False) -> int:
    """Write a label image as the ``.zip`` that ImageJ's ROI Manager opens, complete or not at all.

    Outlines run along the edges of pixels, so that :func:`read_rois` gives the very pixels back; an object with holes, or in pieces that
    touch at most at corners, is a composite region, which ImageJ shows and counts as one.

    Parameters
    ----------
    labels
        (y, x) or (z, y, x) whole numbers, 0 is background. Regions are called by them; in a stack each has its plane, and its name, too.
    path
        The file; its folder is made if missing.
    has_channels
        Whether the image of a stack has several channels: planes are then those of a hyperstack, and count for every channel.

    Returns
    -------
    int
        Number of regions.
    """
    stack = np.asarray(labels).astype(np.int64)
    stack = stack if stack.ndim == 3 else stack[None]
    count = 0
    make_folder(path.parent)
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, box in enumerate(scipy.ndimage.find_objects(stack), 1):
            for plane in range(box[0].start, box[0].stop) if box else ():
                mask = stack[plane, box[1], box[2]] == number
                if not mask.any():
                    continue
                region = _region(mask, (box[2].start, box[1].start))
                region.name = f"{number:04d}" if labels.ndim == 2 else f"{number:04d}-z{plane + 1:03d}"
                if labels.ndim == 3:
                    setattr(region, "z_position" if has_channels else "position", plane + 1)
                archive.writestr(zipfile.ZipInfo(f"{region.name}.roi"), region.tobytes())
                count += 1
    return count


def _region(mask: NDArray[np.bool_], corner: tuple[int, int]) -> ImagejRoi:
    """The region of a mask, whose first pixel is at ``corner`` (x, y): as ImageJ's wand traces it, or composite."""
    from roifile import ROI_TYPE, ImagejRoi

    rings = [ring + corner for ring in outlines.around(mask)]
    (left, top), (right, bottom) = np.concatenate(rings).min(0).astype(int), np.concatenate(rings).max(0).astype(int)
    if len(rings) == 1:
        region = ImagejRoi.frompoints(rings[0].astype(np.int64))
        region.roitype = ROI_TYPE.TRACED
    else:
        path: list[float] = []  # 0 moves to a point, 1 draws a line to one, 4 closes the ring
        for ring in rings:
            path += [number for index, point in enumerate(ring.tolist()) for number in (min(index, 1), *point)] + [4]
        region = ImagejRoi()
        region.roitype, region.multi_coordinates, region.shape_roi_size = ROI_TYPE.RECT, np.array(path, np.float32), len(path)
    region.left, region.top, region.right, region.bottom = int(left), int(top), int(right), int(bottom)
    return region


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
