"""``zooready data``: public data sets listed and explained, and folders of data looked through for what is wrong with which file."""

from __future__ import annotations

import csv
import io
from argparse import SUPPRESS, ArgumentParser
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from zooready.commands.console import CONSOLE, print_line, print_notes
from zooready.commands.numbers import from_zero
from zooready.data import (
    SETS,
    Classified,
    Folder,
    class_folders,
    examine_biosr,
    examine_classes,
    examine_folder,
    examine_npz,
    examine_pairs,
    examine_set,
    named_set,
    npz_files,
    planned,
    subfolder,
    views,
)
from zooready.data import splits as splitting
from zooready.errors import InputInvalid
from zooready.families import FAMILIES, for_folder
from zooready.images.coco import coco_file
from zooready.images.whole_files import whole_file
from zooready.records import Array, Family
from zooready.training.pairs import object_classes

UNREADABLE = 2  # the exit code where files cannot be used


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What lies in a folder of data.

    ``counts`` are images by class, or pairs; ``sizes`` how many have which ("382x382 px"); ``lists`` the lengths of a published split;
    ``contents`` says what is in each mask, ``faults`` what is wrong with files, ``notes`` what to know of the others.
    """

    title: str
    counts: Mapping[str, int]
    sizes: Mapping[str, int]
    lists: Mapping[str, int]
    channels: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready data``."""
    add = parser.add_argument
    add("source", nargs="?", default=SUPPRESS, metavar="SET-or-DIR", help="name of a set, or your own folder (without it: list the sets)")
    add("folder", nargs="?", default=SUPPRESS, metavar="DIR", help="folder of the set, to examine it")
    add("--splits", type=Path, default=SUPPRESS, metavar="FILE", help="write the paper's splits as CSV (sets with classes)")
    add("--seed", type=from_zero, default=0, help="seed of the splits")


def data(source: str, folder: Path | None = None, *, splits: Path | None = None, seed: int = 0) -> Examined:
    """Look through a public set, or through a folder of a person's own; faulty files are named and the rest goes on.

    Parameters
    ----------
    source
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
        return _own_data(Path(source), splits, seed)
    public = named_set(source)
    if public.classes:
        return _of_classes(public.title, examine_set(public, folder), splits, seed)
    _demand_classes(splits)
    return _of_pairs(public.title, examine_pairs(public, folder, _pair_of_planes()))


def _demand_classes(splits: Path | None) -> None:
    if splits:
        raise InputInvalid(f"splits={str(splits)!r}: only images with classes are split; pairs are split when training starts.")


def _own_data(folder: Path, splits: Path | None, seed: int) -> Examined:
    """Data of a person's own, in whichever layout it is."""
    if not folder.exists():
        raise InputInvalid(f"{str(folder)!r} is neither a data set nor a folder: `zooready data` lists the sets.")
    has_images = bool(subfolder(folder, "images") or coco_file(folder))
    if class_folders(folder) and not has_images and not npz_files(folder):
        return _of_classes("a folder a class", examine_classes(folder), splits, seed)
    _demand_classes(splits)
    if has_images:
        return _of_images(folder)
    if npz_files(folder):
        return _of_pairs("npz pairs", examine_npz(folder, _pair_of_planes()))
    if views(folder):
        return _of_pairs("cells of BioSR", examine_biosr(folder, _pair_of_planes()))
    raise InputInvalid(f"{folder} holds no images/, npz files, cells of BioSR or folders of classes: see docs/data.md for the layouts.")


def _of_images(folder: Path) -> Examined:
    """A folder of images with partners, read as each family that can, reported as of the one with the fewest faults."""
    readers = [family for family in FAMILIES.values() if family.training.pair_of]
    fitting = [family for family in readers if subfolder(folder, family.training.partner) or (coco_file(folder) and family.objects)]
    if not fitting:
        partners = sorted({f"{family.training.partner}/" for family in readers})
        raise InputInvalid(f"{folder} has images/ but no partner folder: add {' or '.join(partners)}.")
    read = [(family, _as_family(folder, family)) for family in (for_folder(family, folder) for family in fitting)]
    first, pairs = min(read, key=lambda both: len(both[1].faults))  # planes and stacks lie in folders of the same names
    reading = (first.training.partner, first.input.axes, pairs.faults)
    names = [family.name for family, found in read if (family.training.partner, family.input.axes, found.faults) == reading]
    return _of_pairs(f"images/ and {first.training.partner}/, for {', '.join(names)}", pairs)


def _as_family(folder: Path, family: Family) -> Folder:
    """A folder of pairs, read as a family would that reads files."""
    channels, is_stack, pair_of = len(family.input.channels), "z" in family.input.axes, family.training.pair_of
    assert pair_of is not None
    classes = object_classes(family)
    return examine_folder(folder, pair_of, channels=channels, partner=family.training.partner, is_stack=is_stack, classes=classes)


def _pair_of_planes() -> Callable[..., Any]:
    """How npz files and BioSR are read: as the first family does that restores single planes."""
    makers = (family.training.pair_of for family in FAMILIES.values() if family.network.restores and "z" not in family.input.axes)
    return next(make for make in makers if make)


def _of_classes(title: str, images: Classified, path: Path | None, seed: int) -> Examined:
    if path:
        plan = [split for _, split in planned(images.labels, images.lists, seed=seed)]
        rows = splitting.table(images.names, [images.classes[label] for label in images.labels], plan)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        with whole_file(path) as file:
            file.write(text.getvalue().encode())
    return Examined(
        title=title,
        counts=images.counts,
        sizes=_sizes(images.arrays),
        lists={name: len(members) for name, members in images.lists.items()},
        channels=images.channels,
        faults=images.faults,
        notes=images.notes,
    )


def _of_pairs(title: str, folder: Folder) -> Examined:
    lists = {"train": len(folder.training), "held out": len(folder.held_out)} if folder.training else {}
    sizes = _sizes([pair.input for pair in folder.pairs])
    contents = tuple(map(str, folder.masks))
    return Examined(
        title=title,
        counts={"pairs": len(folder.pairs)},
        sizes=sizes,
        lists=lists,
        contents=contents,
        faults=folder.faults,
        notes=folder.notes,
    )


def _sizes(arrays: Sequence[Array]) -> dict[str, int]:
    """How many images (c, y, x), or stacks (c, z, y, x), have which size, x, y and planes, the most frequent first."""
    sizes = ("x".join(map(str, reversed(array.shape[-3:] if array.ndim > 3 else array.shape[-2:]))) for array in arrays)
    return dict(Counter(f"{size} px" for size in sizes).most_common())


def run(source: str = "", folder: str = "", splits: Path | None = None, seed: int = 0) -> int:
    """List the public sets, explain one, or look through a folder; the exit code is 2 if files cannot be used."""
    if not source:
        _print_sets()
        return 0
    if not folder and not Path(source).exists():
        for line in named_set(source).explained():
            print_line(line)
        return 0
    with CONSOLE.status(f"reading {folder or source} ..."):
        examined = data(source, Path(folder) if folder else None, splits=splits, seed=seed)
    _print_examined(examined)
    if splits:
        print_line(splits)
    return UNREADABLE if examined.faults else 0


def _print_sets() -> None:
    table = Table("set", "what", "classes", "images", "size", "address", box=None, header_style="bold")
    for public in SETS.values():
        size = f"{public.size[1]}x{public.size[0]}" if public.size else ""
        known = "yes" if public.addresses else "none known"
        table.add_row(public.name, public.title, str(len(public.classes) or "pairs"), str(public.images or ""), size, known)
    CONSOLE.print(table)
    CONSOLE.print("Next: zooready data SET, or zooready data SET DIR")


def _print_examined(examined: Examined) -> None:
    """Counts, sizes, notes and faults of a folder of data."""
    table = Table(examined.title, "images", box=None, header_style="bold")
    for name, count in (*examined.counts.items(), *((f"list {name}", count) for name, count in examined.lists.items())):
        table.add_row(name, str(count))
    CONSOLE.print(table)
    sizes = [f"{size} ({count})" for size, count in examined.sizes.items()]
    print_line(f"sizes: {', '.join(sizes[:5])}{f' and {len(sizes) - 5} others' if len(sizes) > 5 else ''}")
    if examined.channels:
        print_line(f"channels: {', '.join(examined.channels)}")
    for line in examined.contents:
        print_line(line)
    print_notes(examined.notes)
    for fault in examined.faults:
        print_line(f"fault: {fault}", "red")
