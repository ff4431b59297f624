"""OME-Zarr: reads an image's full resolution chunk by chunk, and writes one with smaller copies for viewers, whole or not at all.

Versions 0.1 to 0.5 are read. What is written is 0.4, which most programs open; smaller copies have every second pixel of the larger one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np

from zooready.errors import InputInvalid
from zooready.images.chunked import Chunked
from zooready.images.lengths import micrometres, seconds, square_side
from zooready.images.mapped import BLOCK, Lazily, blocks, in_a_file, release
from zooready.images.tiff import LAZY_BYTES, ORDER, in_order
from zooready.images.whole_files import whole_folder
from zooready.records import Array, Image

MARKS = ("zarr.json", ".zattrs", ".zgroup", ".zarray")  # files of which a Zarr folder has one
CHUNK = 1024  # px, side of the chunks that are written
LARGEST = 2**24  # pixels of a chunk up to which it may be unpacked for each tile that it touches
SMALLEST = 1024  # px, side up to which no smaller copy is made
KINDS = {"t": "time", "c": "channel", **dict.fromkeys("zyx", "space")}
AT_ONCE = 2  # chunks that are packed or unpacked side by side: each takes memory of its own, which stays with its thread
BEFORE_NAMES = "tczyx"  # axes of version 0.2 and older


def is_store(path: Path) -> bool:
    """Whether a path is a folder of Zarr."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def read_store(path: Path, axes: str | None, *, lazily: Lazily = False) -> Image:
    """Read the first image of an OME-Zarr folder at full resolution.

    Parameters
    ----------
    axes
        Letters of ``tzcyx`` for the axes of the stored array, where the folder does not name them.
    lazily
        Leave the pixels of a large image in their chunks until they are used. Where a chunk holds several planes, or is large, all are
        unpacked once, to a file for temporary use, in this folder if it is one.

    Raises
    ------
    InputInvalid
        The package zarr is missing, the folder is damaged or holds no image at its top, its axes are unknown, or its pixels not square.
    """
    with _explained(path):
        import zarr

        array, letters, scales, names = _first_image(path, zarr.open(path, mode="r"))
        letters = (axes or letters).lower()
        dropped = [axis for axis, length in zip(letters, array.shape, strict=False) if length == 1 and axis not in "yx"]
        kept = [axis for axis in letters if axis not in dropped]
        fits = len(letters) == array.ndim == len(set(letters)) and set(kept) <= set(ORDER) and {"y", "x"} <= set(kept)
        if not fits:
            raise InputInvalid(
                f"{path}, an array of shape {array.shape}, has axes {letters!r}: name them by {array.ndim} different letters of "
                f"'{ORDER}', e.g. axes 'zyx'."
            )
        is_large = lazily and array.nbytes > LAZY_BYTES
        pixels = _chunked(array, path) if is_large and _is_by_planes(array, letters) else _unpacked(array, is_large and lazily)
    pixels = pixels.squeeze(tuple(n for n, axis in enumerate(letters) if axis in dropped))
    pixels, letters = in_order(pixels, "".join(kept))
    count = pixels.shape[letters.index("c")] if "c" in letters else 1
    return Image(
        array=pixels, axes=letters, pixel_size_um=square_side(scales.get("x"), scales.get("y"), path), z_um=scales.get("z"),
        frame_s=scales.get("t") if "t" in letters else None,
        channels=names if len(names) == count and all(names) and len(set(names)) == count else (),
    )  # fmt: skip


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever zarr raises within the block into InputInvalid; within it, few chunks are worked on at a time."""
    try:
        import zarr

        with zarr.config.set({"async.concurrency": AT_ONCE, "threading.max_workers": AT_ONCE}):
            yield
    except InputInvalid:
        raise
    except ImportError:
        raise InputInvalid(f"{path} is OME-Zarr, and the package zarr is not here: pip install 'zooready[zarr]'.") from None
    except MemoryError:
        raise InputInvalid(f"{path} does not fit into memory: cut it into smaller images, or use a machine with more memory.") from None
    except Exception as error:  # damaged metadata and chunks raise nearly anything: KeyError, TypeError, errors of every codec
        raise InputInvalid(f"{path} is damaged or no OME-Zarr ({type(error).__name__}: {error}): copy or save it again.") from error


def _first_image(path: Path, node: Any) -> tuple[Any, str, Mapping[str, float], tuple[str, ...]]:
    """Array of the first image at full resolution, its axes, the steps along them, µm or s, and the names of its channels."""
    if hasattr(node, "shape"):  # an array by itself, which says nothing
        return node, "", {}, ()
    stated = dict(node.attrs)
    stated = stated.get("ome", stated)
    if not stated.get("multiscales"):
        inside = sorted(node.group_keys())
        raise InputInvalid(
            f"{path} holds no image at its top" + (f", but {', '.join(inside[:4])}: name the image inside it." if inside else ".")
        )
    image = stated["multiscales"][0]
    largest = image["datasets"][0]
    named = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in image.get("axes", BEFORE_NAMES)]
    letters = "".join(str(axis["name"]).lower() if len(str(axis["name"])) == 1 else "?" for axis in named)
    factors = [1.0] * len(named)
    for transformation in (*largest.get("coordinateTransformations", ()), *image.get("coordinateTransformations", ())):
        if transformation["type"] == "scale":
            factors = [have * float(more) for have, more in zip(factors, transformation["scale"], strict=True)]
    lengths = [(str(axis["name"]).lower(), factor, axis.get("unit")) for axis, factor in zip(named, factors, strict=True)]
    sides = ((axis, (seconds if axis == "t" else micrometres)(factor, unit)) for axis, factor, unit in lengths)
    channels = (stated.get("omero") or {}).get("channels", ())
    names = tuple(str(channel.get("label") or "") for channel in channels)
    return node[largest["path"]], letters, {axis: side for axis, side in sides if side}, names


def _is_by_planes(array: Any, letters: str) -> bool:
    """Whether reading some pixels of a plane unpacks few others; not of numbers that are converted when they are read."""
    each = {axis: min(ends) for axis, *ends in zip(letters, array.chunks, array.shape, strict=True)}
    is_as_stored = array.dtype.kind in "iuf" and array.dtype != np.float16
    return is_as_stored and each["y"] * each["x"] == math.prod(each.values()) <= LARGEST


def _chunked(array: Any, path: Path) -> Array:
    """The pixels of an array as they lie in its chunks."""

    def read(region: tuple[slice, ...]) -> Array:
        with _explained(path):
            pixels: Array = array[region]
            return pixels

    seen, order = tuple((0, length) for length in array.shape), tuple(range(array.ndim))
    return cast(Array, Chunked(read=read, dtype=array.dtype, chunks=tuple(array.chunks), seen=seen, order=order))


def _unpacked(array: Any, lazily: Lazily) -> Array:
    pixels = in_a_file(array.shape, array.dtype, lazily) if lazily else np.empty(array.shape, array.dtype)
    for region in _regions(array.shape, array.shards or array.chunks):
        pixels[region] = array[region]
        release(pixels)
    return pixels


def _regions(shape: Sequence[int], chunk: Sequence[int], share: int = 1) -> Iterator[tuple[slice, ...]]:
    """Places of whole chunks that cover an array once, of about :data:`BLOCK` / ``share`` values each, or one chunk."""
    step = list(chunk)
    for axis in reversed(range(len(step))):
        more = min(BLOCK // share // max(1, math.prod(step)), -(-shape[axis] // step[axis]))
        step[axis] *= max(1, more)
    for index in np.ndindex(*(-(-length // size) for length, size in zip(shape, step, strict=True))):
        yield tuple(slice(n * size, min((n + 1) * size, length)) for n, size, length in zip(index, step, shape, strict=True))


def write_store(image: Image, path: Path) -> None:
    """Write an OME-Zarr folder, chunk by chunk; it is complete or not there at all, and replaces one of the same name.

    Parameters
    ----------
    image
        Any real pixels with y and x; in memory or in a file.

    Raises
    ------
    InputInvalid
        The package zarr is missing, the folder is missing or read-only, or the disk is full.
    """
    array, axes = in_order(image.array, image.axes)
    order = "".join(axis for axis in BEFORE_NAMES if axis in axes)  # which the format demands
    array = array.transpose([axes.index(axis) for axis in order])
    with _explained(path), whole_folder(path) as part:
        import zarr

        group = zarr.create_group(part, zarr_format=2)
        level, paths = _level(group, "0", array.shape, array.dtype), ["0"]
        for region in _regions(array.shape, level.chunks):
            level[region] = array[region]
            release(array)
        while max(level.shape[-2:]) > SMALLEST:
            level = _halved(group, str(len(paths)), level)
            paths.append(str(len(paths)))
        group.attrs.update(_metadata(image, order, array, paths))


def _level(group: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    chunks = (*(1,) * (len(shape) - 2), *(min(CHUNK, length) for length in shape[-2:]))
    return group.create_array(
        name, shape=shape, dtype=dtype.newbyteorder("="), chunks=chunks, fill_value=0, chunk_key_encoding={"name": "v2", "separator": "/"}
    )


def _halved(group: Any, name: str, level: Any) -> Any:
    """The next smaller copy, with every second pixel."""
    shape = (*level.shape[:-2], *(-(-length // 2) for length in level.shape[-2:]))
    smaller = _level(group, name, shape, level.dtype)
    for region in _regions(shape, smaller.chunks, 4):  # of four times as many values
        y, x = (slice(2 * side.start, 2 * side.stop) for side in region[-2:])
        smaller[region] = level[(*region[:-2], y, x)][..., ::2, ::2]
    return smaller


def _metadata(image: Image, axes: str, array: Array, paths: Sequence[str]) -> dict[str, Any]:
    """What version 0.4 states of an image: axes and their units, the size of a pixel in each copy, the names of channels."""
    sides = {"t": image.frame_s, "z": image.z_um, "y": image.pixel_size_um, "x": image.pixel_size_um}
    units = {axis: "second" if axis == "t" else "micrometer" for axis, side in sides.items() if side}
    named = [{"name": axis, "type": KINDS[axis], **({"unit": units[axis]} if axis in units else {})} for axis in axes]
    datasets = []
    for number, path in enumerate(paths):
        scale = [(sides.get(axis) or 1.0) * (2**number if axis in "yx" else 1) for axis in axes]
        datasets.append({"path": path, "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    metadata: dict[str, Any] = {"multiscales": [{"version": "0.4", "axes": named, "datasets": datasets, "type": "nearest"}]}
    if "c" in axes and image.channels:
        channels = zip(image.channels, np.moveaxis(array, axes.index("c"), 0), strict=True)
        metadata["omero"] = {"channels": [_shown(name, channel) for name, channel in channels]}
    return metadata


def _shown(name: str, channel: Array) -> dict[str, Any]:
    """A channel's name, and how viewers show it: from its smallest value to its largest."""
    ends = [(channel[block].min(), channel[block].max()) for block in blocks(channel)]
    low, high = float(min(end[0] for end in ends)), float(max(end[1] for end in ends))
    return {"label": name, "color": "FFFFFF", "active": True, "window": {"min": low, "max": high, "start": low, "end": high}}
