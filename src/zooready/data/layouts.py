"""How the files of the public protein sets lie: from a folder to files with a class each.

Every finder takes the folder and gives a :class:`Layout`. All of them also take the plain layout, a folder a class, whatever the
set's own is. Verified means: read in code that was published to read those very files. None of the archives was opened here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zooready.data.classes import Item, class_folders, images_in
from zooready.errors import InputInvalid

HELA_ANTIBODIES = {  # a piece of the folder's name: class
    "dap": "dna",
    "erdak": "er",
    "giant": "golgia",
    "gpp130": "golgpp",
    "h4b4": "lysosome",
    "mc151": "mitochondria",
    "nucle": "nucleolus",
    "phal": "actin",
    "tfr": "endosome",
    "tubul": "microtubules",
}
LOCATE_NAME = re.compile(r"\d+_\d+_NOMX_(?P<tag>.+)_(?P<stain>dapi|myc)\.tiff?$", re.IGNORECASE)
YEAST_LISTS = {"train": "HOwt_train.txt", "val": "HOwt_val.txt", "test": "HOwt_test.txt"}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Files with their class; ``lists`` are published splits as items' names; ``faults`` and ``notes`` in words."""

    items: tuple[Item, ...]
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plain(folder: Path, classes: tuple[str, ...], other_names: Mapping[str, str]) -> Layout:
    """A folder a class, in ``folder`` or in the one folder inside it that has them; images may lie deeper.

    Parameters
    ----------
    classes
        Names of the set.
    other_names
        Further names of its classes, in plain small letters, as :func:`key` makes them.

    Raises
    ------
    InputInvalid
        No folder is named after a class.
    """
    label_of = _labels(classes, other_names)
    bases = [folder, *class_folders(folder)]
    base = next((base for base in bases if any(key(place.name) in label_of for place in class_folders(base))), None)
    if base is None:
        there = ", ".join(place.name for place in class_folders(folder)) or "no folders"
        raise InputInvalid(f"{folder} has no folder named after a class (it holds {there}): give one folder a class: {', '.join(classes)}.")
    items, faults, notes = [], [], []
    for place in class_folders(base):
        label = label_of.get(key(place.name))
        files = _deep(place)
        if label is None:
            notes.append(f"{place.name}/ is none of the classes and was left out ({len(files)} images).")
            continue
        items += [_item(path, folder, label) for path in files]
        faults += [] if files else [f"{place.name}/ holds no images: put TIFF, PNG or JPEG files there"]
    return Layout(items=tuple(items), faults=tuple(faults), notes=tuple(notes))


def hela(folder: Path, classes: tuple[str, ...], other_names: Mapping[str, str]) -> Layout:
    """2D HeLa, as the Murphy lab or the IICBU 2008 collection publishes it.

    Murphy lab: ``<folder of an antibody>/prot/*`` with the protein and ``dna/*`` with the nucleus of the same cells; class DNA are the
    ``dna`` images of the folder of DAPI. Verified: the pieces of the folders' names, ``prot`` and ``dna``, one image a cell.
    IICBU: ``<class>/*.tif``. Verified: the names of the classes, endings in both cases.
    """
    by_antibody = []
    for base in (folder, *class_folders(folder)):
        for place in class_folders(base):
            name = next((name for piece, name in HELA_ANTIBODIES.items() if piece in place.name.lower()), None)
            part = place / ("dna" if name == "dna" else "prot")
            if name and part.is_dir():
                by_antibody += [_item(path, folder, classes.index(name)) for path in images_in(part)]
    return Layout(items=tuple(by_antibody)) if by_antibody else plain(folder, classes, other_names)


def locate(folder: Path, classes: tuple[str, ...], other_names: Mapping[str, str]) -> Layout:
    """LOCATE: flat, the class in the name: ``<number>_<number>_NOMX_<class>_myc.tif`` the protein, ``…_dapi.tif`` its nuclei.

    Verified: the pattern; that a name of class ``Nuclear_DAPI`` may have no protein image, in which case its nuclei are the image;
    that some readers keep the same files in a folder a class. Assumed: how the other classes are spelt, so several spellings are taken.
    """
    label_of = _labels(classes, other_names)
    paths = images_in(folder) if folder.is_dir() else []
    named = [(path, found) for path in paths if (found := LOCATE_NAME.match(path.name))]
    if not named:
        return plain(folder, classes, other_names)
    proteins = {path.name for path, found in named if found["stain"].lower() == "myc"}
    items, faults = [], []
    for path, found in named:
        is_protein = path.name in proteins
        twin = re.sub("dapi(?=[.])", "myc", path.name, flags=re.IGNORECASE)
        if not is_protein and (twin in proteins or "dapi" not in found["tag"].lower()):
            continue
        label = label_of.get(key(found["tag"]))
        if label is None:
            faults.append(f"{path.name}: {found['tag']!r} is none of the classes {', '.join(classes)}: rename it, or make a folder a class")
        else:
            items.append(_item(path, folder, label))
    strangers = len(paths) - len(named)
    notes = (f"{strangers} images are not named like <number>_<number>_NOMX_<class>_myc.tif and were left out.",) if strangers else ()
    return Layout(items=tuple(items), faults=tuple(faults), notes=notes)


def yeast(folder: Path, classes: tuple[str, ...], other_names: Mapping[str, str]) -> Layout:
    """DeepYeast: ``main/plate01/*.png`` … and, beside ``main``, three lists with a path and the number of its class in every line.

    Verified: the lists ``HOwt_train.txt``, ``HOwt_val.txt`` and ``HOwt_test.txt`` (read in the authors' repository: 65,000, 12,500 and
    12,500 lines), the order of the classes, and that the first two of a PNG's three channels are used. Without lists: a folder a class.
    """
    lists = {name: folder / file for name, file in YEAST_LISTS.items() if (folder / file).is_file()}
    if not lists:
        return plain(folder, classes, other_names)
    base = folder / "main" if (folder / "main").is_dir() else folder
    items: dict[str, Item] = {}
    members: dict[str, tuple[str, ...]] = {}
    faults = [f"{file} is missing beside the other lists" for name, file in YEAST_LISTS.items() if name not in lists]
    for name, path in lists.items():
        found = []
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            words = line.rsplit(maxsplit=1)
            if len(words) != 2 or not words[1].isdecimal() or int(words[1]) >= len(classes):
                faults.append(f"{path.name}, line {number}: {line[:80]!r} is no path and class from 0 to {len(classes) - 1}")
            elif Path(words[0]).is_absolute() or ".." in Path(words[0]).parts:
                faults.append(f"{path.name}, line {number}: {words[0]!r} leads out of the folder")
            elif words[0] in items:
                faults.append(f"{path.name}, line {number}: {words[0]!r} was listed before; an image belongs to one list")
            else:
                items[words[0]] = Item(name=words[0], path=base / words[0], label=int(words[1]))
                found.append(words[0])
        members[name] = tuple(found)
    return Layout(items=tuple(items.values()), lists=members, faults=tuple(faults))


def key(name: str) -> str:
    """A name in small letters alone, so that spellings meet.

    >>> key("Actin-Cytoskeleton"), key("Nuclear_DAPI")
    ('actincytoskeleton', 'nucleardapi')
    """
    return re.sub("[^a-z0-9]", "", name.lower())


def _labels(classes: Sequence[str], other_names: Mapping[str, str]) -> dict[str, int]:
    """Place of a class by each of its names, singular and plural."""
    names = {**{key(name): name for name in classes}, **other_names}
    found = {name: classes.index(target) for name, target in names.items()}
    return {f"{name}s": label for name, label in found.items()} | found


def _deep(place: Path) -> list[Path]:
    """Images in a class's folder and below it; only those in folders called ``prot`` if there are such, and no nuclei of proteins."""
    files = sorted(path for base in (place, *sorted(p for p in place.rglob("*") if p.is_dir())) for path in images_in(base))
    proteins = [path for path in files if "prot" in (part.lower() for part in path.relative_to(place).parts[:-1])]
    files = proteins or files
    stained = {path.name for path in files if LOCATE_NAME.match(path.name)}
    return [path for path in files if not (path.name in stained and path.name.replace("_dapi.", "_myc.") in stained - {path.name})]


def _item(path: Path, folder: Path, label: int) -> Item:
    return Item(name=path.relative_to(folder).as_posix(), path=path, label=label)
