"""The training pairs of a run: simulated, or read from files in one of several layouts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from zooready.data import (
    Classified,
    Folder,
    Split,
    alike,
    mark,
    notes_on_points,
    npz_files,
    objects_in,
    read_biosr,
    read_classes,
    read_folder,
    read_npz,
    share,
    subfolder,
    views,
)
from zooready.data.augmentation import PLAIN
from zooready.errors import InputInvalid, amount
from zooready.records import Augmentation, Family, Image, Pair
from zooready.tensors import Objects
from zooready.training.sample import as_sample, window

if TYPE_CHECKING:
    from zooready.training.ahead import Source

SHOWN = 10  # notes that are logged
CROP_PX, CROP_PX_OF_STACKS = 160, 64  # largest side of the crops of a user's images
TRAINED_ON = 0.8  # share of a user's labelled images to train on
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Training and held-out pairs of a run, a description of the data, and the hash of its files.

    ``judged`` gives the pairs for the metrics and their number; None uses some of ``held_out``. ``pixel_size_um`` is the smallest and the
    largest pixel size of the images, empty if unknown. ``sample`` is a held-out image, which the bundle of the run will carry, and
    ``objects`` are those that the images show, None if they show none. ``crops`` is how many training crops the images have room for, 0
    if there is no end of them. ``trained_on`` are the marks of the training images, of a folder with partners. ``has_held_out`` is false
    if the held-out pairs are those of the one image that is trained on.
    """

    source: Source
    held_out: Source
    words: str
    sha256: str = ""
    judged: tuple[Callable[[int], Pair], int] | None = None
    pixel_size_um: tuple[float, ...] = ()
    sample: Image | None = None
    objects: Objects | None = None
    crops: float = 0.0
    trained_on: tuple[str, ...] = ()
    has_held_out: bool = True


def pairs_of(family: Family, data: Path | None, seed: int, validation: Path | None = None) -> Pairs:
    """A family's simulated pairs, or those of files: npz files, folders of classes for a classifier, or a folder of images.

    ``validation`` holds the images to hold out, in the same layout; without it, it is a fifth of those of ``data``.

    Notes on readable files, such as saturated images, are logged as warnings.

    Raises
    ------
    InputInvalid
        The data cannot be used, or the family trains on its simulation only.
    """
    if validation is not None and (data is None or classes_of(family)):
        what = "folders of classes" if data else "simulated pairs, of which there is no end"
        raise InputInvalid(f"validation={str(validation)!r} cannot be held out beside {what}: leave it out.")
    if data is None:
        return Pairs(source=family.training.pair, held_out=family.training.pair, words="simulated")
    if classes := classes_of(family):
        labelled = read_classes(data)
        if labelled.classes != classes or len(labelled.channels) != len(family.input.channels):
            raise InputInvalid(
                f"{data} has the classes {', '.join(labelled.classes)} and {amount(len(labelled.channels), 'channel')}, but this "
                f"family {family.name} is for {', '.join(classes)} and {len(family.input.channels)}: "
                "make the family for the folder's classes."
            )
        split = share(labelled.labels, TRAINED_ON, seed)
        return classified(labelled, split, f"the folder {data.resolve().name!r}", family.training.recipe.augmentation)
    if family.training.pair_of is None:
        raise InputInvalid(f"data={str(data)!r}: {family.name} trains on its simulation only. Leave data out.")
    is_stack = "z" in family.input.axes
    if data.suffix.lower() == ".npz" or (npz_files(data) and not subfolder(data, "images")):
        if not family.network.restores or is_stack:
            raise InputInvalid(
                f"data={str(data)!r}: npz pairs are blurred and sharp single planes, and {family.name} does not restore those. "
                "Train mrbcr on them."
            )
        return _in_crops(partial(read_npz, pair_of=family.training.pair_of), family, data, validation, seed)
    if views(data):
        if not family.network.restores or is_stack:
            raise InputInvalid(
                f"data={str(data)!r}: BioSR's pairs are of single planes, and {family.name} does not restore those. Train superres-tirfsim "
                "on them."
            )
        return _in_crops(partial(read_biosr, pair_of=family.training.pair_of), family, data, validation, seed)
    make, partner, classes = family.training.pair_of, family.training.partner, object_classes(family)
    read = partial(read_folder, pair_of=make, channels=len(family.input.channels), partner=partner, is_stack=is_stack, classes=classes)
    return _in_crops(read, family, data, validation, seed)


def classes_of(family: Family) -> tuple[str, ...]:
    """The classes of a classifier; none for other families."""
    return next((spec.channels for spec in family.outputs if spec.kind == "scores"), ())


def object_classes(family: Family) -> tuple[str, ...]:
    """The kinds of objects that a network finds; none for other families."""
    if family.outputs[-1].name == "classes":
        return family.outputs[0].channels[2:]
    return next((spec.channels for spec in family.outputs if spec.kind == "labels"), ())


def classified(images: Classified, split: Split, words: str, how: Augmentation = PLAIN) -> Pairs:
    """Pairs of images with classes: crops of the training images, and for the metrics every held-out image once, uncropped.

    Raises
    ------
    InputInvalid
        A zoom is asked for, which images of single cells have already.
    """
    if how.zoom != PLAIN.zoom:
        raise InputInvalid(f"zoom {list(how.zoom)}: images with a class are always scaled by up to 15 %, and by no more. Leave zoom out.")
    _warn(images.notes)
    trained = {mark(images.arrays[member]) for member in split.training} - {""}
    if copies := [images.names[member] for member in split.held_out if mark(images.arrays[member]) in trained]:
        listed = ", ".join(copies[:SHOWN]) + (f" and {len(copies) - SHOWN} more" if len(copies) > SHOWN else "")
        _warn([f"held out and trained on too, pixel for pixel, so that metrics flatter the network: {listed}. Keep one of each."])
    side, shown = images.side(), split.held_out[0]
    return Pairs(
        source=images.source(split.training, side, how),
        held_out=images.source(split.held_out, side),
        crops=len(split.training),
        words=f"{amount(len(split.training), 'image')} of {words}, {len(split.held_out)} held out",
        sha256=sha256(f"{images.sha256} {split.training} {split.held_out}".encode()).hexdigest(),
        judged=(lambda number: images.whole(split.held_out[number]), len(split.held_out)),
        pixel_size_um=_range(images.pixel_sizes_um),
        sample=as_sample(images.arrays[shown], images.channels, images.pixel_sizes_um[shown] or None),
    )


def _range(sizes_um: Sequence[float]) -> tuple[float, ...]:
    """The smallest and the largest, or nothing if one is 0, which stands for unknown."""
    return (min(sizes_um), max(sizes_um)) if sizes_um and all(sizes_um) else ()


def _in_crops(read: Callable[[Path], Folder], family: Family, data: Path, validation: Path | None, seed: int) -> Pairs:
    """Crops of images with partners; some images are held out."""
    folder = read(data)
    _warn(folder.notes)
    training, held_out = folder.split(seed)
    kind = "file" if data.is_file() else "folder"
    judges, words = folder, f"of the {kind} {data.resolve().name!r}"
    if validation is not None:
        training, judges = tuple(range(len(folder.pairs))), read(validation)
        held_out = tuple(range(len(judges.pairs)))
        _demand_apart(folder, judges, validation)
        _warn(judges.notes)
        words = f"{words} and of {validation.resolve().name!r}"
    has_held_out = judges is not folder or not set(training) & set(held_out)
    kept = f"{len(held_out)} held out" if has_held_out else "none held out: its metrics are of that image"
    if not has_held_out:
        _warn(["the one image is trained on and measured, so that the metrics say little about others: give more images."])
    if family.objects:
        _warn(notes_on_points((*folder.pairs, *judges.pairs)))
    most = CROP_PX_OF_STACKS if "z" in family.input.axes else CROP_PX
    crop = min(folder.crop(most), judges.crop(most))
    if family.objects and not any(judges.pairs[member].target.any() for member in held_out):
        _warn(["the images held out show no object, so that the metrics say only whether none was found there: hold out others."])
    shown, size_um = _shown(((judges, held_out), (folder, training)))
    hashes = folder.sha256 if validation is None else sha256(f"{folder.sha256} {judges.sha256}".encode()).hexdigest()
    return Pairs(
        source=folder.source(training, crop, family.training.recipe.augmentation),
        crops=sum(folder.pairs[member].input.shape[-2] * folder.pairs[member].input.shape[-1] for member in training) / crop**2,
        held_out=judges.source(held_out, crop),
        judged=(lambda number: judges.pairs[held_out[number]], len(held_out)) if family.objects else None,
        words=f"{amount(len(training), 'image')} {words}, {kept}",
        sha256=hashes,
        pixel_size_um=_range((*folder.pixel_sizes_um, *judges.pixel_sizes_um)),
        sample=as_sample(window(shown.input, shown.target), family.input.channels, size_um or None),
        objects=objects_in((*folder.pairs, *judges.pairs)) if family.objects else None,
        trained_on=tuple(sorted(filter(None, {mark(folder.pairs[member].input) for member in training}))),
        has_held_out=has_held_out,
    )


def _demand_apart(folder: Folder, judges: Folder, validation: Path) -> None:
    """Refuse images to hold out that are trained on, pixel for pixel."""
    count = len(folder.pairs)
    together = [group for group in alike((*folder.pairs, *judges.pairs)) if group[0] < count <= group[-1]]
    if together:
        first, last = folder.names[together[0][0]], judges.names[together[0][-1] - count]
        raise InputInvalid(
            f"{validation}: {amount(len(together), 'image')} to hold out would be trained on too, pixel for pixel, such as {last!r} "
            f"({first!r} there), and metrics of these say nothing about others. Take them out of one of the two folders."
        )


def _shown(candidates: Iterable[tuple[Folder, Sequence[int]]]) -> tuple[Pair, float]:
    """The pair whose image the bundle will carry, and its pixel size, 0 if unknown: the first that shows something, else the first."""
    members = [(folder, member) for folder, chosen in candidates for member in chosen]
    folder, member = next((one for one in members if one[0].pairs[one[1]].target.any()), members[0])
    return folder.pairs[member], folder.pixel_sizes_um[member] if folder.pixel_sizes_um else 0.0


def _warn(notes: Sequence[str]) -> None:
    for note in notes[:SHOWN]:
        LOG.warning(note)
    if len(notes) > SHOWN:
        LOG.warning("and %d more notes on images; `zooready data` shows all of them.", len(notes) - SHOWN)
