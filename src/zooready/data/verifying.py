"""A folder read as a public set, and compared with what is published about it."""

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


def examine_set(data: PublicSet, folder: Path) -> Classified:
    """Read a set with classes; everything that is wrong is in its ``faults``, what differs from the books in its ``notes``.

    Raises
    ------
    InputInvalid
        Not such a folder at all.
    """
    if not data.classes:
        raise InputInvalid(f"{data.title} holds pairs of images, not classes: train mrbcr on it.")
    if not folder.is_dir():
        raise InputInvalid(f"there is no folder {folder}: {where(data)}")
    layout = data.find(folder, data.classes, data.other_names)
    found = read_items(
        layout.items,
        data.classes,
        channels=data.channels,
        has_more=data.has_more,
        lists=layout.lists,
        faults=layout.faults,
        notes=layout.notes,
    )
    faults, notes = _against_the_books(data, found)
    return replace(found, faults=(*found.faults, *faults), notes=(*found.notes, *notes))


def read_set(data: PublicSet, folder: Path) -> Classified:
    """Like :func:`examine_set`, for training: faulty files are refused, while counts that differ from the books stay notes.

    Raises
    ------
    InputInvalid
        One message with all faults.
    """
    found = examine_set(data, folder)
    faults, _ = _against_the_books(data, found)
    refuse(folder, [fault for fault in found.faults if fault not in faults])
    return replace(found, faults=(), notes=(*found.notes, *faults))


def examine_pairs(data: PublicSet, folder: Path, pair_of: Callable[[Array, Array, float], Pair]) -> Folder:
    """Read a set of pairs; see :func:`zooready.data.examine_npz`.

    Raises
    ------
    InputInvalid
        There is no npz file; the message says where the set lives.
    """
    if not folder.exists():
        raise InputInvalid(f"there is no {folder}: {where(data)}")
    return examine_npz(folder, pair_of)


def where(data: PublicSet) -> str:
    """Where a set lives, in a sentence."""
    return f"{data.title} is at {'; or '.join(data.addresses)}." if data.addresses else f"no address of {data.title} is known."


def _against_the_books(data: PublicSet, found: Classified) -> tuple[list[str], list[str]]:
    """What differs from what is published, as faults where that is confirmed and as notes where it is not."""
    faults: list[str] = []
    notes: list[str] = []

    def told(fact: Fact, sentence: str) -> None:
        if fact in data.confirmed:
            faults.append(sentence)
        else:
            notes.append(f"{sentence} The book value is not confirmed.")

    if absent := [name for name, count in found.counts.items() if not count]:
        told("classes", f"No images of {', '.join(absent)}: {data.title} has {len(data.classes)} classes.")
    if data.images is not None and len(found.names) != data.images:
        told("images", f"{len(found.names)} images, and {data.title} has {data.images}.")
    for name, members in found.lists.items():
        if len(members) != data.lists.get(name, len(members)):
            told("lists", f"{len(members)} images in the list {name!r}, and {data.title} has {data.lists[name]}.")
    sizes = [array.shape[-2:] for array in found.arrays]
    odd = [place for place, size in enumerate(sizes) if data.size is not None and size != data.size]
    if odd and data.size is not None:
        example = f"{found.names[odd[0]]} is {sizes[odd[0]][1]}x{sizes[odd[0]][0]}"
        told("size", f"{len(odd)} of {len(sizes)} images are not {data.size[1]}x{data.size[0]} px, e.g. {example}.")
    return faults, notes
