"""A folder of images with their masks or other partner images, as pairs for training.

DIR/images/a.tif, DIR/images/b.png, …        images
DIR/masks/a.tif,  DIR/masks/b_mask.tif, …    the partner of each, with the same name before the dot, or with _mask, _label, … after it

Single planes, or stacks for a family that takes stacks. ``labels/`` will do for ``masks/``, in capitals or not. A mask may
also be the regions that somebody outlined in ImageJ, DIR/masks/a.zip, or in QuPath, DIR/masks/a.geojson. Objects of several classes have a
folder of masks each, DIR/masks/nuclei/a.tif and DIR/masks/spots/a.tif. In place of masks/ there may be one file of COCO annotations,
DIR/annotations.json, and then the images may lie beside it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy

from zooready.data.augmentation import PLAIN, augmented
from zooready.data.classes import class_folders, images_in
from zooready.data.faults import notes_on, refuse
from zooready.data.masks import Mask, examined, examined_stack, nothing_to_learn, unfit
from zooready.errors import InputInvalid, amount
from zooready.images import coco, geojson, rois, vendors
from zooready.images.files import read_image, read_mask
from zooready.images.loading import as_grey, demand_order
from zooready.records import Array, Augmentation, Image, Pair

MASKS = "masks"  # the partners that are looked through for what is wrong with masks
OTHER_NAMES = {"images": ("images", "image"), MASKS: (MASKS, "labels", "mask", "label")}  # folders, in order of preference
ENDS = re.compile(r"[-_ .]?(masks?|labels?|labelled|seg|segmentation)$", re.IGNORECASE)  # of names of masks, after that of the image
PLANES = 16  # most planes of a crop
STEP_PX = 32  # sides of crops are multiples of it, as every network here accepts
OUTLINES = {**dict.fromkeys(rois.SUFFIXES, rois.read_rois), **dict.fromkeys(geojson.SUFFIXES, geojson.read_geojson)}  # by suffix
Source = Callable[[int, int], Pair]
PairOf = Callable[[Array, Array, float], Pair]


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Images read from a folder: ``names`` (file stems), their whole ``pairs`` in the same order, and the files' ``sha256``.

    ``pixel_sizes_um`` are 0 where a file states none; empty if files of this kind never do. ``training`` and ``held_out`` are a published
    split (indices of images), empty if there is none. ``masks`` says what is in each mask,
    empty if the partners are none. ``faults`` describe files that are not among the pairs; ``notes`` are warnings about the others.
    """

    names: tuple[str, ...]
    pairs: tuple[Pair, ...]
    sha256: str
    pixel_sizes_um: tuple[float, ...] = ()
    training: tuple[int, ...] = ()
    held_out: tuple[int, ...] = ()
    masks: tuple[Mask, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def split(self, seed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Indices of the images to train on, and of those to hold out.

        The published split if there is one, else a random fifth (at least one image) drawn with ``seed``; a single image serves as both.
        Images of the same pixels stay together.
        """
        if self.training:
            return self.training, self.held_out
        groups = alike(self.pairs)
        order = np.random.default_rng(seed).permutation(len(groups))
        kept = len(order) // 5 or int(len(order) > 1)
        held_out, training = (sorted(member for group in part for member in groups[group]) for part in (order[:kept], order[kept:]))
        return tuple(training), tuple(held_out or training)

    def source(self, members: Sequence[int], crop: int, how: Augmentation = PLAIN) -> Source:
        """``source(seed, index)``: an augmented crop of ``crop`` px of one of these images; the same arguments give the same pair.

        Crops of stacks have as many planes as the thinnest stack, but no more than 16.
        """
        planes = min(PLANES, *(pair.input.shape[1] for pair in self.pairs)) if self.pairs[0].input.ndim == 4 else None

        def pair(seed: int, index: int) -> Pair:
            rng = np.random.default_rng((seed, index))
            return augmented(self.pairs[members[int(rng.integers(len(members)))]], rng, crop, planes, how)

        return pair

    def crop(self, wanted: int) -> int:
        """Side of the crops, px: ``wanted``, or less if the smallest image is smaller; a multiple of 32.

        Raises
        ------
        InputInvalid
            An image is smaller than 32 px.
        """
        sides = [min(map(int, pair.input.shape[-2:])) for pair in self.pairs]
        if min(sides) < STEP_PX:
            name = self.names[int(np.argmin(sides))]
            raise InputInvalid(f"'{name}' is only {min(sides)} px wide or high: training needs images of at least {STEP_PX} px.")
        return min(wanted, min(sides)) // STEP_PX * STEP_PX


def alike(pairs: Sequence[Pair]) -> list[list[int]]:
    """Indices of the images, those of the same pixels together, in the order of the first; blank images are never alike."""
    groups: dict[str | int, list[int]] = {}
    for index, pair in enumerate(pairs):
        groups.setdefault(mark(pair.input) or index, []).append(index)
    return list(groups.values())


def mark(pixels: Array) -> str:
    """What tells an image's pixels from those of others; empty if it is blank."""
    return "" if pixels.min() == pixels.max() else hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:16]


def read_folder(
    folder: Path, pair_of: PairOf, *, channels: int = 1, partner: str = "masks", is_stack: bool = False, classes: tuple[str, ...] = ()
) -> Folder:
    """Read every image of ``folder/images`` with its partner.

    Parameters
    ----------
    folder
        Contains ``images`` and ``masks`` (or another name, see ``partner``), TIFF or PNG files with equal stems.
    pair_of
        Makes a pair from an image (c, y, x), its partner (y, x) or (c, y, x), and the pixel size in micrometres (1 if unknown); for
        stacks from (c, z, y, x) and (z, y, x) or (c, z, y, x).
    channels
        Number of channels that each image must have.
    partner
        Name of the folder with the partner of each image, e.g. its mask.
    is_stack
        Whether the files are stacks; else they are single planes.
    classes
        Names of the classes that objects have, if there are several: ``pair_of`` is then given label images (classes, y, x).

    Raises
    ------
    InputInvalid
        One message with all faults: no images, a missing partner, different sizes, wrong channels, NaN, unreadable files.
    """
    data = examine_folder(folder, pair_of, channels=channels, partner=partner, is_stack=is_stack, classes=classes)
    refuse(folder, data.faults)
    return data


def examine_folder(
    folder: Path, pair_of: PairOf, *, channels: int = 1, partner: str = "masks", is_stack: bool = False, classes: tuple[str, ...] = ()
) -> Folder:
    """Like :func:`read_folder`, but faulty files are listed in ``faults`` and the others are returned.

    Raises
    ------
    InputInvalid
        A folder is missing or empty, or contains two files with the same stem.
    """
    images = _files(folder, "images")
    partners = _partners(folder, partner, images, classes)
    kept_in = next((path.name for paths in partners.values() for path in paths if path and path.suffix == coco.SUFFIX), f"{partner}/")
    faults = [_lone(images[name], kept_in, partner) for name in sorted(images.keys() - partners.keys())]
    faults += [f"{_named(_first(partners[name]))} has no image in images/" for name in sorted(partners.keys() - images.keys())]
    names, pairs, sizes_um, digest = [], [], [], hashlib.sha256()
    notes: list[str] = []
    masks: list[Mask] = []
    first_names: tuple[str, ...] = ()
    for name in sorted(images.keys() & partners.keys()):
        try:
            array, partner_array, pixel_size_um, channel_names = _read(images[name], partners[name], channels, is_stack, classes)
            first_names = first_names or channel_names
            demand_order(_named(images[name]), channel_names, first_names)
            looked_at = _each(partner_array, partners[name], classes) if partner == MASKS else []
            for path, mask in looked_at:
                if not is_stack and (why := unfit(mask)):
                    raise InputInvalid(f"{_named(path)} {why}.")
            pairs.append(pair_of(array.astype(np.float32), partner_array, pixel_size_um or 1.0))
            sizes_um.append(pixel_size_um)
            notes += notes_on(array, "czyx" if is_stack else "cyx", _named(images[name]))
            if partner != MASKS and np.array_equal(array.squeeze(), partner_array.squeeze()):
                notes.append(f"{_named(images[name])} and its partner are equal, so that there is nothing to learn from them.")
            names.append(name)
            mask = _together(partner_array) if looked_at and len(classes) > 1 else partner_array
            if looked_at and mask.ndim == 2 and min(mask.shape) >= STEP_PX:  # training refuses smaller ones
                masks.append(examined(mask, array[0], _named(looked_at[0][0]), _named(images[name])))
            elif looked_at and is_stack and mask.ndim == 3:
                masks.append(examined_stack(mask, _named(looked_at[0][0])))
        except InputInvalid as error:
            faults.append(str(error))
        for file in (images[name], *filter(None, partners[name])):
            content = file.read_bytes() if file.exists() else b""  # a link to nothing, which is a fault already
            digest.update(f"{file.parent.name}/{file.name} {len(content)}\n".encode() + content)
    if fault := nothing_to_learn(masks):
        faults.append(fault)
    notes += _copies(pairs, [_named(images[name]) for name in names])
    return Folder(
        names=tuple(names),
        pairs=tuple(pairs),
        sha256=digest.hexdigest(),
        pixel_sizes_um=tuple(sizes_um),
        masks=tuple(masks),
        faults=tuple(faults),
        notes=(*(mask.problem for mask in masks if mask.problem), *notes),
    )


def _copies(pairs: Sequence[Pair], names: Sequence[str]) -> list[str]:
    """A note on each image that has the pixels of one before it."""
    return [
        f"{names[again]} has the pixels of {names[first]}, so both are trained on or both held out: keep one."
        for first, *others in alike(pairs)
        for again in others
    ]


def contents(folder: Path, partner: str = MASKS) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the classes of a folder's masks, none if they are not told apart, and names of the channels of its first image.

    Raises
    ------
    InputInvalid
        No images, or they or their annotations cannot be read.
    """
    first = next(iter(_files(folder, "images").values()))
    image = as_grey(read_image(first))
    count = image.array.shape[image.axes.index("c")] if "c" in image.axes else 1
    names = image.channels if len(image.channels) == count else tuple(f"channel_{number}" for number in range(1, count + 1))
    inside = subfolder(folder, partner)
    if inside is None:
        annotations = coco.coco_file(folder)
        return coco.read_coco(annotations).classes if annotations else (), names
    return tuple(path.name for path in _class_folders(inside)), names


def _class_folders(masks: Path) -> list[Path]:
    """The folder of each class, by name; none where the masks lie in the folder itself."""
    return [] if _masks_in(masks) else [path for path in class_folders(masks) if _masks_in(path)]


def _masks_in(folder: Path) -> list[Path]:
    """Images, and files of outlines."""
    return images_in(folder) + sorted(p for p in folder.iterdir() if p.suffix.lower() in OUTLINES and not p.name.startswith("."))


def _partners(folder: Path, kind: str, images: Mapping[str, Path], classes: Sequence[str]) -> dict[str, tuple[Path | None, ...]]:
    """The files that hold the partners of each image: one, or one of each class, None where a class has none."""
    inside = subfolder(folder, kind)
    if kind == MASKS and inside is None and (annotations := coco.coco_file(folder)):
        known = coco.read_coco(annotations).images
        return {stem: (annotations,) for stem, path in images.items() if path.name in known}
    if kind != MASKS or inside is None or len(classes) < 2:
        only = _class_folders(inside) if kind == MASKS and inside else []
        files = _by_stem(only[0], _masks_in(only[0])) if len(only) == 1 else _files(folder, kind)
        return {stem: (path,) for stem, path in (_renamed(files, images) if kind == MASKS else files).items()}
    by_class = [_renamed(_by_stem(inside / name, _masks_in(inside / name)), images) for name in classes]
    return {stem: tuple(files.get(stem) for files in by_class) for stem in sorted({stem for files in by_class for stem in files})}


def _lone(image: Path, kept_in: str, partner: str) -> str:
    """The fault of an image without a partner, and how to say that it shows no object."""
    if partner != MASKS:
        cure = ""
    elif kept_in.endswith("/"):
        cure = f" (if it shows no object, save zeros of its size as {kept_in}{vendors.stem(image)}.tif)"
    else:
        cure = " (if it shows no object, list it there without annotations)"
    return f"images/{image.name} has no partner in {kept_in}{cure}"


def _first(paths: Sequence[Path | None]) -> Path:
    return next(path for path in paths if path)


def _each(mask: Array, paths: Sequence[Path | None], classes: Sequence[str]) -> list[tuple[Path, Array]]:
    """The masks of an image with their files; of a class that has no file there is none."""
    if len(classes) < 2:
        return [(_first(paths), mask)]
    files = paths if len(paths) == len(classes) else [_first(paths)] * len(classes)
    return [(path, plane) for path, plane in zip(files, mask, strict=True) if path]


def _together(masks: Array) -> Array:
    """The objects of several classes, (classes, y, x), as one mask (y, x): what is bright belongs to objects of one class or another."""
    together = np.zeros(masks.shape[1:], np.int64)
    for plane in masks:
        numbered = scipy.ndimage.label(plane)[0] if len(np.unique(plane)) == 2 else plane.astype(np.int64)
        together = np.where(numbered > 0, numbered + together.max(), together)
    return together


def subfolder(folder: Path, kind: str) -> Path | None:
    """The folder of images or of their partners, under one of its names, in capitals or not; None if there is none."""
    lower = {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True) if path.is_dir()} if folder.is_dir() else {}
    return next((lower[name] for name in OTHER_NAMES.get(kind, (kind,)) if name in lower), None)


def _files(folder: Path, kind: str) -> dict[str, Path]:
    """Images in a sub-folder by stem, without the ``.ome`` of OME-TIFF."""
    inside = subfolder(folder, kind)
    if inside is None and kind == "images" and (annotations := coco.coco_file(folder)):
        inside = folder if images_in(folder) else annotations.parent
    if inside is None:
        raise InputInvalid(
            f"{folder} has no folder '{kind}': put images into images/ and their partners, under the same names, into {kind}/."
        )
    paths = _masks_in(inside) if kind == MASKS else images_in(inside)
    if not paths:
        raise InputInvalid(f"{inside} holds no images: put TIFF, PNG or JPEG files there.")
    return _by_stem(inside, paths)


def _by_stem(inside: Path, paths: Sequence[Path]) -> dict[str, Path]:
    """Files by stem, in composed letters whatever system wrote them; InputInvalid if two share one."""
    stems = [unicodedata.normalize("NFC", vendors.stem(path)) for path in paths]
    if repeated := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise InputInvalid(f"{inside} holds several files called {repeated[0]!r}: keep one of each name.")
    return dict(zip(stems, paths, strict=True))


def _renamed(masks: Mapping[str, Path], images: Mapping[str, Path]) -> dict[str, Path]:
    """The masks under their images' stems: those of the same name, and ``a_mask``, ``a_masks``, ``a_label`` … for ``a``."""
    renamed = {}
    for stem, path in masks.items():
        bare = ENDS.sub("", stem)
        is_free = bare in images and bare not in masks and bare not in renamed
        renamed[bare if stem not in images and is_free else stem] = path
    return renamed


def _read(
    image: Path, partners: Sequence[Path | None], channels: int, is_stack: bool, classes: tuple[str, ...]
) -> tuple[Array, Array, float, tuple[str, ...]]:
    """One image with its partner, which fit each other, the pixel size in micrometres (0 if unknown), and the names of its channels."""
    stored = read_image(image)
    array, pixel_size_um = _planes(image, stored, channels, is_stack)
    facts = (pixel_size_um or 0.0, stored.channels if len(stored.channels) == channels else ())
    if len(array) != channels:
        raise InputInvalid(f"images/{image.name} has {amount(len(array), 'channel')} instead of {channels}: split or merge channels first.")
    partner = _first(partners)
    if partner.suffix.lower() == coco.SUFFIX:
        several = classes if len(classes) > 1 else ()
        return array, coco.labels_of(partner, image.name, (array.shape[-2], array.shape[-1]), several), *facts
    if len(classes) > 1:
        blank = np.zeros(array.shape[1:], np.int32)
        masks = [_read(image, (path,), channels, is_stack, ())[1] if path else blank for path in partners]
        return array, np.stack(masks), *facts
    partner_array, _ = _planes(partner, _partner(partner, array.shape), 1, is_stack)
    if array.shape[1:] != partner_array.shape[1:]:
        sizes = " and ".join("x".join(map(str, planes.shape[1:])) for planes in (array, partner_array))
        raise InputInvalid(f"images/{image.name} and {partner.parent.name}/{partner.name} differ in size ({sizes} px)")
    return array, partner_array[0] if len(partner_array) == 1 else partner_array, *facts


def _partner(path: Path, shape: tuple[int, ...]) -> Image:
    """A mask, a file of regions, or another image; ``shape`` is that of its image, (c, y, x) or (c, z, y, x)."""
    if path.suffix.lower() in OUTLINES:
        return Image(array=OUTLINES[path.suffix.lower()](path, shape[1:]), axes="zyx"[-len(shape[1:]) :])
    return read_mask(path) if path.parent.name.lower() in OTHER_NAMES[MASKS] else read_image(path)


def _named(path: Path) -> str:
    """A file with its folder."""
    return f"{path.parent.name}/{path.name}"


def _planes(path: Path, image: Image, channels: int, is_stack: bool) -> tuple[Array, float | None]:
    """A file's pixels, (c, y, x) or, for a stack, (c, z, y, x), and the pixel size in micrometres; grey in colour is one channel."""
    image = as_grey(image) if channels == 1 else image
    name = f"{path.parent.name}/{path.name}"
    if is_stack and ("z" not in image.axes or "t" in image.axes):
        raise InputInvalid(f"{name} is not a stack ({image.axes}): give stacks of planes (z) with a single time point.")
    if not is_stack and set(image.axes) - set("cyx"):
        raise InputInvalid(f"{name} is a stack ({image.axes}): give single planes.")
    channel = image.axes.find("c")
    return np.moveaxis(image.array, channel, 0) if channel >= 0 else image.array[None], image.pixel_size_um
