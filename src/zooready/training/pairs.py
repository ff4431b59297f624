"""Where a run's pairs come from: a simulation, or files in whatever layout they are found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from zooready.data import Classified, Folder, Split, npz_files, read_classes, read_folder, read_npz, share
from zooready.errors import InputInvalid
from zooready.records import Family, Pair

if TYPE_CHECKING:
    from zooready.training.module import Source

SHOWN = 10  # notes
CROP_PX, CROP_PX_OF_STACKS = 160, 64  # of what is in a folder
TRAINED_ON = 0.8  # of a person's own classes
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What a run learns from and is judged by: two sources, the data in words, and the hash of its files.

    ``judged`` gives the pairs behind the metrics and their number; None takes some of ``held_out``. ``pixel_size_um`` is the smallest and
    the largest side of the images' pixels, empty where that is unknown.
    """

    source: Source
    held_out: Source
    words: str
    sha256: str = ""
    judged: tuple[Callable[[int], Pair], int] | None = None
    pixel_size_um: tuple[float, ...] = ()


def pairs_of(family: Family, data: Path | None, seed: int) -> Pairs:
    """A family's simulated pairs, or those of files: npz files, folders of classes for a classifier, else a folder of images.

    What a person should know of readable files, such as saturated images, is logged as a warning.

    Raises
    ------
    InputInvalid
        The data cannot be used, or the family reads none.
    """
    if data is None:
        return Pairs(source=family.training.pair, held_out=family.training.pair, words="simulated")
    if classes := classes_of(family):
        given = read_classes(data)
        if given.classes != classes or len(given.channels) != len(family.input.channels):
            raise InputInvalid(
                f"{data} has the classes {', '.join(given.classes)} and {len(given.channels)} channels, but this record of "
                f"{family.name} is for {', '.join(classes)} and {len(family.input.channels)}: make the record for the folder's classes."
            )
        return classified(given, share(given.labels, TRAINED_ON, seed), f"the folder {data.resolve().name!r}")
    if family.training.pair_of is None:
        raise InputInvalid(f"--data {data}: {family.name} trains on its simulation only. Leave --data out.")
    is_stack = "z" in family.input.axes
    if data.suffix.lower() == ".npz" or (npz_files(data) and not (data / "images").is_dir()):
        if not family.network.restores or is_stack:
            raise InputInvalid(
                f"--data {data}: npz pairs are blurred and sharp single planes, and {family.name} restores none. Train mrbcr on them."
            )
        return _in_crops(read_npz(data, family.training.pair_of), data, seed, CROP_PX)
    channels, partner = len(family.input.channels), family.training.partner
    found = read_folder(data, family.training.pair_of, channels=channels, partner=partner, is_stack=is_stack)
    return _in_crops(found, data, seed, CROP_PX_OF_STACKS if is_stack else CROP_PX)


def classes_of(family: Family) -> tuple[str, ...]:
    """The classes that a family tells apart; none if it is no classifier."""
    return next((spec.channels for spec in family.outputs if spec.kind == "scores"), ())


def classified(found: Classified, split: Split, words: str) -> Pairs:
    """Pairs of images with classes: crops of the training side to learn from, every held-out image once and whole to be judged by."""
    _warn(found.notes)
    side = found.side()
    return Pairs(
        source=found.source(split.training, side),
        held_out=found.source(split.held_out, side),
        words=f"{len(split.training)} images of {words}, {len(split.held_out)} held out",
        sha256=sha256(f"{found.sha256} {split.training} {split.held_out}".encode()).hexdigest(),
        judged=(lambda number: found.whole(split.held_out[number]), len(split.held_out)),
        pixel_size_um=(min(found.pixel_sizes_um), max(found.pixel_sizes_um)) if all(found.pixel_sizes_um) else (),
    )


def _in_crops(folder: Folder, data: Path, seed: int, most_px: int) -> Pairs:
    """Crops of images with partners, of which some are held out."""
    _warn(folder.notes)
    crop = folder.crop(most_px)
    training, held_out = folder.split(seed)
    kind = "file" if data.is_file() else "folder"
    words = f"{len(training)} images of the {kind} {data.resolve().name!r}, {len(held_out)} held out"
    return Pairs(source=folder.source(training, crop), held_out=folder.source(held_out, crop), words=words, sha256=folder.sha256)


def _warn(notes: Sequence[str]) -> None:
    for note in notes[:SHOWN]:
        LOG.warning(note)
    if len(notes) > SHOWN:
        LOG.warning("and %d more notes on images; `zooready data` shows all.", len(notes) - SHOWN)
