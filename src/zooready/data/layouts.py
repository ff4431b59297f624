"""Folder layouts of the public protein data sets: from a folder to its image files with their classes.

Every function takes the folder and returns a :class:`Layout`. Besides a set's own layout each accepts the plain one, a folder per class.
"Verified" facts were read in published code that reads these files; none of the archives was opened for this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zooready.data.classes import Item, class_folders, images_in
from zooready.errors import InputInvalid, amount

HELA_ANTIBODIES = {  # part of the folder's name: class
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
    """Files with their classes; ``lists`` are published splits as names of items; ``faults`` and ``notes`` are sentences."""

    items: tuple[Item, ...]
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plain(folder: Path, classes: tuple[str, ...], other_names: Mapping[str, str]) -> Layout:
    """One folder per class, directly in ``folder`` or one level deeper; images may be in subfolders of these.

    Parameters
    ----------
    classes
        Class names of the set.
    other_names
        Other names of these classes, in the form that :func:`key` returns.

    Raises
    ------
    InputInvalid
        No folder has the name of a class.
    """
    label_of = _labels(classes, other_names)
    bases = [folder, *class_folders(folder)]
    base = next((base for base in bases if any(key(class_folder.name) in label_of for class_folder in class_folders(base))), None)
    if base is None:
        present = ", ".join(class_folder.name for class_folder in class_folders(folder)) or "no folders"
        raise InputInvalid(
            f"{folder} has no folder named after a class (it holds {present}): give one folder per class: {', '.join(classes)}."
        )
    items, faults, notes = [], [], []
    for class_folder in class_folders(base):
        label = label_of.get(key(class_folder.name))
        files = _deep(class_folder)
        if label is None:
            notes.append(f"{class_folder.name}/ is none of the classes and was left out ({amount(len(files), 'image')}).")
            continue
        items += [_item(path, folder, label) for path in files]
        faults += [] if files else [f"{class_folder.name}/ holds no images: put TIFF, PNG or JPEG files there"]
    return Layout(items=tuple(items), faults=tuple(faults), notes=tuple(notes))


def hela(folder: Path, classes: tuple[str, ...], other_names: Mapping[str, str]) -> Layout:
    """2D HeLa, as the Murphy lab or the IICBU 2008 collection publishes it.

    Murphy lab: ``<folder of an antibody>/prot/*`` shows the protein and ``dna/*`` the nucleus of the same cells; the class DNA consists of
    the ``dna`` images of the DAPI folder. Verified: the parts of the folders' names, ``prot`` and ``dna``, one image per cell.
    IICBU: ``<class>/*.tif``. Verified: the class names, file name extensions in upper and lower case.
    """
    by_antibody = []
    for base in (folder, *class_folders(folder)):
        for antibody_folder in class_folders(base):
            name = next((name for fragment, name in HELA_ANTIBODIES.items() if fragment in antibody_folder.name.lower()), None)
            image_folder = antibody_folder / ("dna" if name == "dna" else "prot")
            if name and image_folder.is_dir():
                by_antibody += [_item(path, folder, classes.index(name)) for path in images_in(image_folder)]
    return Layout(items=tuple(by_antibody)) if by_antibody else plain(folder, classes, other_names)


def locate(folder: Path, classes: tuple[str, ...], other_names: Mapping[str, str]) -> Layout:
    """LOCATE: all files in one folder, with the class in the name.

    ``<number>_<number>_NOMX_<class>_myc.tif`` shows the protein, ``…_dapi.tif`` the nuclei. Verified: the pattern; class
    ``Nuclear_DAPI`` may have an image of the nuclei only; some programs keep the same files in one folder per class. Assumed: the
    spelling of the other classes, so several spellings are accepted.
    """
    label_of = _labels(classes, other_names)
    paths = images_in(folder) if folder.is_dir() else []
    named = [(path, match) for path in paths if (match := LOCATE_NAME.match(path.name))]
    if not named:
        return plain(folder, classes, other_names)
    proteins = {path.name for path, match in named if match["stain"].lower() == "myc"}
    items, faults = [], []
    for path, match in named:
        is_protein = path.name in proteins
        twin = re.sub("dapi(?=[.])", "myc", path.name, flags=re.IGNORECASE)
        if not is_protein and (twin in proteins or "dapi" not in match["tag"].lower()):
            continue
        label = label_of.get(key(match["tag"]))
        if label is None:
            faults.append(
                f"{path.name}: {match['tag']!r} is none of the classes {', '.join(classes)}: rename it, or make one folder per class"
            )
        else:
            items.append(_item(path, folder, label))
    others = len(paths) - len(named)
    notes = (f"{amount(others, 'image')} not named like <number>_<number>_NOMX_<class>_myc.tif, left out.",) if others else ()
    return Layout(items=tuple(items), faults=tuple(faults), notes=notes)


def yeast(folder: Path, classes: tuple[str, ...], other_names: Mapping[str, str]) -> Layout:
    """DeepYeast: ``main/plate01/*.png`` … and, beside ``main``, three lists with a path and a class number in every line.

    Verified: the lists ``HOwt_train.txt``, ``HOwt_val.txt`` and ``HOwt_test.txt`` (read in the authors' repository: 65,000, 12,500 and
    12,500 lines), the order of the classes, and that the first two of a PNG's three channels are used. Without lists: one folder per class.
    """
    lists = {name: folder / file for name, file in YEAST_LISTS.items() if (folder / file).is_file()}
    if not lists:
        return plain(folder, classes, other_names)
    base = folder / "main" if (folder / "main").is_dir() else folder
    items: dict[str, Item] = {}
    members: dict[str, tuple[str, ...]] = {}
    faults = [f"{file} is missing beside the other lists" for name, file in YEAST_LISTS.items() if name not in lists]
    for name, path in lists.items():
        names = []
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            words = line.rsplit(maxsplit=1)
            if len(words) != 2 or not words[1].isdecimal() or int(words[1]) >= len(classes):
                faults.append(f"{path.name}, line {number}: {line[:80]!r} is not a path and a class from 0 to {len(classes) - 1}")
            elif Path(words[0]).is_absolute() or ".." in Path(words[0]).parts:
                faults.append(f"{path.name}, line {number}: {words[0]!r} leads out of the folder")
            elif words[0] in items:
                faults.append(f"{path.name}, line {number}: {words[0]!r} was listed before; an image belongs to one list")
            else:
                items[words[0]] = Item(name=words[0], path=base / words[0], label=int(words[1]))
                names.append(words[0])
        members[name] = tuple(names)
    return Layout(items=tuple(items.values()), lists=members, faults=tuple(faults))


def key(name: str) -> str:
    """A name reduced to lower-case letters and digits, so that different spellings match.

    >>> key("Actin-Cytoskeleton"), key("Nuclear_DAPI")
    ('actincytoskeleton', 'nucleardapi')
    """
    return re.sub("[^a-z0-9]", "", name.lower())


def _labels(classes: Sequence[str], other_names: Mapping[str, str]) -> dict[str, int]:
    """Index of the class for each of its names, singular and plural."""
    names = {**{key(name): name for name in classes}, **other_names}
    labels = {name: classes.index(target) for name, target in names.items()}
    return {f"{name}s": label for name, label in labels.items()} | labels


def _deep(folder: Path) -> list[Path]:
    """Images of a class in its folder and subfolders: only those in ``prot`` folders if there are any, and no nuclei of protein images."""
    files = sorted(path for base in (folder, *sorted(p for p in folder.rglob("*") if p.is_dir())) for path in images_in(base))
    proteins = [path for path in files if "prot" in (part.lower() for part in path.relative_to(folder).parts[:-1])]
    files = proteins or files
    stained = {path.name for path in files if LOCATE_NAME.match(path.name)}
    return [path for path in files if not (path.name in stained and path.name.replace("_dapi.", "_myc.") in stained - {path.name})]


def _item(path: Path, folder: Path, label: int) -> Item:
    return Item(name=path.relative_to(folder).as_posix(), path=path, label=label)
