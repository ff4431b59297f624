"""Data sets looked at: what is there, what is wrong with which file, and what to know of the others."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooready.data import (
    Classified,
    Folder,
    class_folders,
    examine_classes,
    examine_folder,
    examine_npz,
    examine_pairs,
    examine_set,
    named_set,
    npz_files,
    planned,
)
from zooready.data.splits import table
from zooready.errors import InputInvalid
from zooready.families import named
from zooready.images.whole_files import whole_file
from zooready.records import Array, Family


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What was found in a folder of data.

    ``counts`` are images by class, or pairs; ``sizes`` how many have which ("382x382 px"); ``lists`` the lengths of a published split;
    ``faults`` what is wrong with files, ``notes`` what to know of the others.
    """

    title: str
    counts: Mapping[str, int]
    sizes: Mapping[str, int]
    lists: Mapping[str, int]
    channels: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def examined(data: str, folder: Path | None = None, *, splits: Path | None = None, seed: int = 0) -> Examined:
    """Look through a public set, or through a folder of a person's own; faulty files are named and the rest goes on.

    Parameters
    ----------
    data
        Name of a public set, or without ``folder`` the path to data of one's own.
    folder
        Where the set lies.
    splits
        A CSV file to write the paper's splits to: for each readable image and split "train" or "test".
    seed
        Of the splits.

    Raises
    ------
    InputInvalid
        No such set or folder, nothing in it that could be read as data, or splits of data without classes.
    """
    if folder is None:
        return _own(Path(data), splits, seed)
    known = named_set(data)
    if known.classes:
        return _of_classes(known.title, examine_set(known, folder), splits, seed)
    _demand_classes(splits)
    return _of_pairs(known.title, examine_pairs(known, folder, _pair_of("mrbcr")))


def _demand_classes(splits: Path | None) -> None:
    if splits:
        raise InputInvalid("--splits: only images with classes are split; pairs are split when training starts.")


def _own(place: Path, splits: Path | None, seed: int) -> Examined:
    """Data of a person's own, in whichever layout it is."""
    from zooready.families import FAMILIES

    if not place.exists():
        raise InputInvalid(f"{str(place)!r} is neither a data set nor a folder: `zooready data` lists the sets.")
    if class_folders(place) and not (place / "images").is_dir() and not npz_files(place):
        return _of_classes("a folder a class", examine_classes(place), splits, seed)
    _demand_classes(splits)
    if (place / "images").is_dir():
        fitting = [family for family in FAMILIES.values() if family.pair_of and (place / family.partner).is_dir()]
        if fitting:  # planes and stacks lie in folders of the same names
            family, found = min(((one, _for_family(place, one)) for one in fitting), key=lambda both: len(both[1].faults))
            return _of_pairs(f"images/ and {family.partner}/, for {family.name}", found)
        partners = sorted({f"{family.partner}/" for family in FAMILIES.values() if family.pair_of})
        raise InputInvalid(f"{place} has images/ but no partner folder: add {' or '.join(partners)}.")
    if npz_files(place):
        return _of_pairs("npz pairs", examine_npz(place, _pair_of("mrbcr")))
    raise InputInvalid(f"{place} holds no images/, no npz files and no folders of classes: see docs/data.md for the layouts.")


def _for_family(place: Path, family: Family) -> Folder:
    """A folder of pairs, read as a family would."""
    channels, is_stack = len(family.input.channels), "z" in family.input.axes
    return examine_folder(place, _pair_of(family.name), channels=channels, partner=family.partner, is_stack=is_stack)


def _pair_of(name: str) -> Callable[..., Any]:
    pair_of = named(name).pair_of
    if pair_of is None:
        raise InputInvalid(f"{name} reads no files.")
    return pair_of


def _of_classes(title: str, found: Classified, path: Path | None, seed: int) -> Examined:
    if path:
        plan = [split for _, split in planned(found.labels, found.lists, seed=seed)]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(table(found.names, [found.classes[label] for label in found.labels], plan))
        with whole_file(path) as file:
            file.write(text.getvalue().encode())
    return Examined(
        title=title,
        counts=found.counts,
        sizes=_sizes(found.arrays),
        lists={name: len(members) for name, members in found.lists.items()},
        channels=found.channels,
        faults=found.faults,
        notes=found.notes,
    )


def _of_pairs(title: str, found: Folder) -> Examined:
    lists = {"train": len(found.training), "held out": len(found.held_out)} if found.training else {}
    sizes = _sizes([pair.input for pair in found.pairs])
    return Examined(title=title, counts={"pairs": len(found.pairs)}, sizes=sizes, lists=lists, faults=found.faults, notes=found.notes)


def _sizes(arrays: Sequence[Array]) -> dict[str, int]:
    """How many images have which size, the most frequent first."""
    return dict(Counter(f"{array.shape[-1]}x{array.shape[-2]} px" for array in arrays).most_common())
