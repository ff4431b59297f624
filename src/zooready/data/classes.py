"""Images with one class each, as pairs for training a classifier.

DIR/actin/a.tif, DIR/actin/b.png, …       one folder per class, named after the class
DIR/nucleus/a.tif, …

A pair's input is an image (c, y, x); its target is the class as a one-hot vector (classes,) float32.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from zooready.data.augmentation import PLAIN, degraded, placed
from zooready.data.faults import notes_on, refuse
from zooready.errors import InputInvalid, amount
from zooready.images.files import read_image
from zooready.images.loading import as_grey, demand_order
from zooready.records import Array, Augmentation, Pair

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".czi", ".lif", ".nd2")
STEP_PX = 32  # sides are multiples of it, as every network here accepts
WHOLE_PX = 384  # training uses images up to this side whole, and crops of this side of larger ones
CANDIDATES = 4  # random crops of which the brightest is used, because fields of several cells have empty corners
Source = Callable[[int, int], Pair]


@dataclass(frozen=True, kw_only=True)
class Item:
    """A file with its class: ``name`` is its path relative to the data's folder, ``label`` the index of its class."""

    name: str
    path: Path
    label: int


@dataclass(frozen=True, kw_only=True)
class Classified:
    """Images with one class each.

    ``arrays`` are (c, y, x) as stored; ``labels`` are indices into ``classes``; ``pixel_sizes_um`` are 0 where a file has no pixel size.
    ``lists`` are published splits, by name, as indices of images. ``faults`` describe files that could not be read and are not among
    ``names``; ``notes`` are warnings about the others.
    """

    classes: tuple[str, ...]
    channels: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[int, ...]
    arrays: tuple[Array, ...]
    pixel_sizes_um: tuple[float, ...]
    sha256: str
    lists: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each class."""
        counts = Counter(self.labels)
        return {name: counts[label] for label, name in enumerate(self.classes)}

    def shrunk(self, factor: int) -> Classified:
        """The same images, ``factor`` x ``factor`` pixels averaged to one (float32); remaining rows and columns are dropped.

        Raises
        ------
        InputInvalid
            The factor is below 1, or nothing would be left of an image.
        """
        smallest = min((int(extent) for array in self.arrays for extent in array.shape[-2:]), default=factor)
        if not 1 <= factor <= smallest:
            raise InputInvalid(f"images shrunk by {factor}: give a whole number from 1 to {smallest}, the shortest side in pixels.")
        if factor == 1:
            return self
        return replace(
            self,
            arrays=tuple(_averaged(array, factor) for array in self.arrays),
            pixel_sizes_um=tuple(factor * side for side in self.pixel_sizes_um),
            sha256=hashlib.sha256(f"{self.sha256} shrunk by {factor}".encode()).hexdigest(),
            notes=(*self.notes, f"Images were shrunk: {factor} x {factor} pixels averaged to one."),
        )

    def side(self, wanted: int = WHOLE_PX) -> int:
        """Side of the training crops, px: that of the largest image, at most ``wanted``, as a multiple of 32."""
        longest = max(int(extent) for array in self.arrays for extent in array.shape[-2:])
        return min(-(-longest // STEP_PX), max(1, wanted // STEP_PX)) * STEP_PX

    def source(self, members: Sequence[int], side: int, how: Augmentation = PLAIN) -> Source:
        """``source(seed, index)``: an augmented square (c, side, side) of one of these images; the same arguments give the same pair."""

        def pair(seed: int, index: int) -> Pair:
            rng = np.random.default_rng((seed, index))
            member = members[int(rng.integers(len(members)))]
            image = placed(squared(self.arrays[member], rng, side), rng)
            return self._pair(member, image if how == PLAIN else degraded(image, rng, how))

        return pair

    def whole(self, member: int) -> Pair:
        """An unchanged image with its class."""
        return self._pair(member, self.arrays[member])

    def _pair(self, member: int, array: Array) -> Pair:
        target = np.zeros(len(self.classes), np.float32)
        target[self.labels[member]] = 1.0
        side = self.pixel_sizes_um[member]
        return Pair(input=array.astype(np.float32), target=target, pixel_size_um=side or 1.0, truth=np.asarray(self.labels[member]))


def _averaged(array: Array, factor: int) -> Array:
    """Means over squares of pixels: (c, y, x) -> (c, y // factor, x // factor) float32."""
    channels, height, width = array.shape[0], array.shape[1] // factor, array.shape[2] // factor
    blocks = array[:, : height * factor, : width * factor].reshape(channels, height, factor, width, factor)
    return np.asarray(blocks.mean((2, 4), dtype=np.float64), np.float32)


def squared(array: Array, rng: np.random.Generator, side: int) -> Array:
    """A square of an image.

    Parameters
    ----------
    array
        (c, y, x).
    rng
        Draws the position.
    side
        Side of the square, px. A longer axis is cropped, at the brightest of four random positions; a shorter one is padded by
        repeating the image's edge, as bundles do themselves, with the image at a random position.

    Returns
    -------
    (c, side, side)
        The dtype of ``array``.
    """
    spare = [max(0, extent - side) for extent in array.shape[-2:]]
    crops = []
    for _ in range(CANDIDATES if any(spare) else 1):
        top, left = (int(rng.integers(extent + 1)) for extent in spare)
        crops.append(array[..., top : top + side, left : left + side])
    best = max(crops, key=lambda crop: float(crop.sum(dtype=np.float64)))
    before = [int(rng.integers(side - extent + 1)) for extent in best.shape[-2:]]
    margins = [(first, side - extent - first) for first, extent in zip(before, best.shape[-2:], strict=True)]
    return np.pad(best, [(0, 0), *margins], mode="edge")


def read_classes(folder: Path) -> Classified:
    """Read a folder with one subfolder per class.

    Parameters
    ----------
    folder
        Contains at least two folders of TIFF, PNG or JPEG files, all with the same number of channels.

    Returns
    -------
    Classified
        Without faults; notes name saturated and constant images.

    Raises
    ------
    InputInvalid
        One message with all faults.
    """
    data = examine_classes(folder)
    refuse(folder, data.faults)
    return data


def examine_classes(folder: Path) -> Classified:
    """Like :func:`read_classes`, but faulty files are listed in ``faults`` and the others are returned.

    Raises
    ------
    InputInvalid
        There is no such folder, or it contains fewer than two folders.
    """
    if not folder.is_dir():
        raise InputInvalid(f"there is no folder {folder}: check the name. It should hold one folder per class.")
    folders = class_folders(folder)
    if len(folders) < 2:
        raise InputInvalid(
            f"{folder} holds {amount(len(folders), 'folder')} with images: give one folder per class, at least two, "
            "e.g. DIR/actin/a.tif and DIR/nucleus/b.tif."
        )
    items, faults = [], []
    for label, class_folder in enumerate(folders):
        files = images_in(class_folder)
        items += [Item(name=path.relative_to(folder).as_posix(), path=path, label=label) for path in files]
        faults += [] if files else [f"{class_folder.name}/ holds no images: put TIFF, PNG or JPEG files there, or remove it"]
    return read_items(items, tuple(class_folder.name for class_folder in folders), faults=faults)


def class_folders(folder: Path) -> list[Path]:
    """Subfolders sorted by name, without hidden ones; none if the folder does not exist."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def images_in(folder: Path) -> list[Path]:
    """Image files of a folder (by file name extension), sorted by name; without hidden ones, as macOS leaves them (``._a.tif``)."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return [path for path in files if not path.is_dir()]


def read_items(
    items: Iterable[Item],
    classes: tuple[str, ...],
    *,
    channels: tuple[str, ...] = (),
    has_more: bool = False,
    lists: Mapping[str, Sequence[str]] | None = None,
    faults: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Classified:
    """Read image files with their classes; a file that cannot be used becomes a fault, and reading continues.

    Parameters
    ----------
    items
        Files, in the order of the result.
    classes
        Class names; the items' labels are indices into them.
    channels
        Channel names of every image; if empty, the most frequent number of channels is expected.
    has_more
        Files may have further channels after these, which are dropped, e.g. an RGB file that uses two channels.
    lists
        Published splits as names of items; names that were not read are left out.
    faults, notes
        Faults and notes that are already known; the result includes them.
    """
    faults, notes, digest = list(faults), list(notes), hashlib.sha256()
    entries: list[tuple[Item, Array, tuple[str, ...], float]] = []
    first_names: tuple[str, ...] = ()
    for item in items:
        try:
            content = item.path.read_bytes()
            array, names, side = _plane(item)
            first_names = first_names or names
            demand_order(item.name, names, first_names)
        except (InputInvalid, OSError) as error:
            faults.append(str(error))
            continue
        digest.update(f"{classes[item.label]} {item.name} {len(content)}\n".encode() + content)
        array = array[: len(channels)] if has_more else array
        notes += notes_on(array, "cyx", item.name)
        entries.append((item, array, names, side))
    usual = len(channels) or _usual([len(array) for _, array, _, _ in entries])
    kept = [entry for entry in entries if len(entry[1]) == usual]
    faults += [
        f"{item.name} has {amount(len(array), 'channel')}, and {usual} {'are' if usual > 1 else 'is'} expected: "
        "split or merge channels first"
        for item, array, _, _ in entries
        if len(array) != usual
    ]
    index_of = {item.name: index for index, (item, _, _, _) in enumerate(kept)}
    return Classified(
        classes=classes,
        channels=channels or _names(first_names, usual),
        names=tuple(item.name for item, _, _, _ in kept),
        labels=tuple(item.label for item, _, _, _ in kept),
        arrays=tuple(array for _, array, _, _ in kept),
        pixel_sizes_um=tuple(side for _, _, _, side in kept),
        sha256=digest.hexdigest(),
        lists={name: tuple(index_of[member] for member in members if member in index_of) for name, members in (lists or {}).items()},
        faults=tuple(faults),
        notes=tuple(notes),
    )


def _plane(item: Item) -> tuple[Array, tuple[str, ...], float]:
    """An image as (c, y, x), its channels' names, and the side of a pixel in micrometres (0 if unknown)."""
    image = as_grey(read_image(item.path))
    if set(image.axes) - set("cyx"):
        raise InputInvalid(f"{item.name} is a stack ({image.axes}): give single planes")
    return image.array if "c" in image.axes else image.array[None], image.channels, image.pixel_size_um or 0.0


def _usual(counts: Sequence[int]) -> int:
    return Counter(counts).most_common(1)[0][0] if counts else 1


def _names(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Names of channels: the file's, "protein" for a single one, else numbers."""
    if count == 1:
        return ("protein",)
    return names if len(names) == count else tuple(f"channel_{number}" for number in range(1, count + 1))
