"""Reads a folder as a public data set, and compares it with the published facts about that set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from zooready.data.classes import Classified, read_items
from zooready.data.faults import refuse
from zooready.data.folder import Folder
from zooready.data.npz import examine_npz
from zooready.data.sets import Fact, PublicSet
from zooready.errors import InputInvalid
from zooready.records import Array, Pair


def examine_set(public_set: PublicSet, folder: Path) -> Classified:
    """Read a set with classes; ``faults`` and ``notes`` include where it differs from the published facts.

    Raises
    ------
    InputInvalid
        The set has no classes, there is no such folder, or its layout is not that of the set.
    """
    if not public_set.classes:
        raise InputInvalid(f"{public_set.title} holds pairs of images, not classes: train mrbcr on it.")
    if not folder.is_dir():
        raise InputInvalid(f"there is no folder {folder}: {where(public_set)}")
    layout = public_set.find(folder, public_set.classes, public_set.other_names)
    images = read_items(
        layout.items,
        public_set.classes,
        channels=public_set.channels,
        has_more=public_set.has_more,
        lists=layout.lists,
        faults=layout.faults,
        notes=layout.notes,
    )
    faults, notes = _differences(public_set, images)
    return replace(images, faults=(*images.faults, *faults), notes=(*images.notes, *notes))


def read_set(public_set: PublicSet, folder: Path) -> Classified:
    """Like :func:`examine_set`, for training: faulty files are refused, while differences from the published facts become notes.

    Raises
    ------
    InputInvalid
        One message with all faults.
    """
    images = examine_set(public_set, folder)
    faults, _ = _differences(public_set, images)
    refuse(folder, [fault for fault in images.faults if fault not in faults])
    return replace(images, faults=(), notes=(*images.notes, *faults))


def examine_pairs(public_set: PublicSet, folder: Path, pair_of: Callable[[Array, Array, float], Pair]) -> Folder:
    """Read a set of pairs; see :func:`zooready.data.examine_npz`.

    Raises
    ------
    InputInvalid
        There is no npz file; the message gives the set's addresses.
    """
    if not folder.exists():
        raise InputInvalid(f"there is no {folder}: {where(public_set)}")
    return examine_npz(folder, pair_of)


def where(public_set: PublicSet) -> str:
    """The addresses of a set, in a sentence."""
    return (
        f"{public_set.title} is at {'; or '.join(public_set.addresses)}."
        if public_set.addresses
        else f"no address of {public_set.title} is known."
    )


def _differences(public_set: PublicSet, images: Classified) -> tuple[list[str], list[str]]:
    """Differences from the published facts: faults where a fact is confirmed, notes where it is not."""
    faults: list[str] = []
    notes: list[str] = []

    def record(fact: Fact, sentence: str) -> None:
        if fact in public_set.confirmed:
            faults.append(sentence)
        else:
            notes.append(f"{sentence} The published value is not confirmed.")

    if empty_classes := [name for name, count in images.counts.items() if not count]:
        record("classes", f"No images of {', '.join(empty_classes)}: {public_set.title} has {len(public_set.classes)} classes.")
    if public_set.images is not None and len(images.names) != public_set.images:
        record("images", f"{len(images.names)} images, and {public_set.title} has {public_set.images}.")
    for name, members in images.lists.items():
        if len(members) != public_set.lists.get(name, len(members)):
            record("lists", f"{len(members)} images in the list {name!r}, and {public_set.title} has {public_set.lists[name]}.")
    sizes = [array.shape[-2:] for array in images.arrays]
    different = [index for index, size in enumerate(sizes) if public_set.size is not None and size != public_set.size]
    if different and public_set.size is not None:
        example = f"{images.names[different[0]]} is {sizes[different[0]][1]}x{sizes[different[0]][0]}"
        record("size", f"{len(different)} of {len(sizes)} images are not {public_set.size[1]}x{public_set.size[0]} px, e.g. {example}.")
    return faults, notes
