"""The images that a person named, folders opened, and what tables and files call them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

from zooready.data import images_in
from zooready.errors import InputInvalid
from zooready.images.ome_zarr import is_store
from zooready.images.plates import Field, field_of, fields_of
from zooready.images.vendors import stem, within


def listed(images: Iterable[Any]) -> list[Any]:
    """The images; for each folder those in it, sorted by name, and for each plate its fields.

    A folder without any stays, and is named when it is read.

    Raises
    ------
    InputInvalid
        A plate does not say what is inside.
    """
    found: list[Any] = []
    for image in images:
        path = Path(image) if isinstance(image, str | Path) else None
        if path is None or not path.is_dir():
            found.append(image)
        elif is_store(path):
            found += [field.path for field in fields_of(path)] or [image]
        else:
            inside = sorted([*images_in(path), *filter(is_store, path.iterdir())])
            found += listed(inside) if inside else [image]
    return found


def names(images: Sequence[Any]) -> list[str]:
    """A name for each image that tells it from the others: the file's, with as many of its folders as are needed.

    Raises
    ------
    InputInvalid
        One file is given twice.
    """
    paths = [Path(image).absolute() if isinstance(image, str | Path) else None for image in images]
    if repeated := sorted(str(path) for path, count in Counter(paths).items() if path is not None and count > 1):
        raise InputInvalid(f"{', '.join(repeated)} is given more than once: name each image once.")
    lengths = [0 if path is None else _shortest(path) for path in paths]
    while True:
        ways = zip(paths, lengths, strict=True)
        found = [f"image_{number:03d}" if path is None else "/".join(path.parts[-length:]) for number, (path, length) in enumerate(ways)]
        counts = Counter(found)
        if max(counts.values(), default=1) == 1:
            return found
        lengths = [length + (counts[name] > 1) for name, length in zip(found, lengths, strict=True)]


def _shortest(path: Path) -> int:
    """How many parts of a path its name has at least: of what lies inside a file or a plate, that too."""
    inside = within(path)[1]
    return 1 + (len(inside.split("/")) if inside else 3 if field_of(path) else 0)


def stems(named: Sequence[str]) -> list[str]:
    """What files about these images are called, without an ending: none twice.

    >>> stems(["a.tif", "b.tif", "b.png", "x/c.ome.tif"])
    ['a', 'b.tif', 'b.png', 'x_c']
    """
    flat = [name.replace("/", "_") for name in named]
    short = [stem(Path(name)) for name in flat]
    apart = [whole if short.count(name) > 1 else name for name, whole in zip(short, flat, strict=True)]
    return [f"{number}_{name}" if apart.count(name) > 1 else name for number, name in enumerate(apart)]


def paired(images: Sequence[Any], labels: Sequence[Any]) -> list[Any]:
    """The label images in the order of their images, as many as these.

    Names tell, if there is one label image for each image: ``a.tif`` and ``a_labels.tif`` belong together, wherever they stand, since
    ``img1.tif`` comes before ``img10.tif``, and ``img10_labels.tif`` before ``img1_labels.tif``. Where names tell nothing, the order does.

    Raises
    ------
    InputInvalid
        An image has a label image of its name, and stands beside another one.
    """
    known = [_plain_stem(image) for image in images]
    of = [_images_meant(_plain_stem(label), known) for label in labels]
    owned = [[number for number, meant in enumerate(of) if index in meant] for index in range(len(images))]
    strays = [index for index, own in enumerate(owned) if own and index not in own]
    if not strays:
        return list(labels)
    if all(len(own) == 1 for own in owned) and all(len(meant) == 1 for meant in of):
        return [labels[own[0]] for own in owned]
    first = strays[0]
    raise InputInvalid(
        f"{images[first]} would be measured with {labels[first]}, and {labels[owned[first][0]]} seems to be its own label image. Give one "
        "label image for each image, with its name or in the same order."
    )


def _plain_stem(file: Any) -> str:
    """What a file is called, in composed letters; an array is called nothing."""
    return normalize("NFC", result_stem(Path(file))) if isinstance(file, str | Path) else ""


def _images_meant(label: str, images: Sequence[str]) -> set[int]:
    """Indices of the images after which a label image is called: with its name, or with that and more words, the longest of such names."""
    meant = [image for image in images if image and label.startswith(image) and not label[len(image) :][:1].isalnum()]
    return {index for index, image in enumerate(images) if meant and image == max(meant, key=len)}


def result_stem(image: Path) -> str:
    """What names of an image's results begin with."""
    if field := field_of(image):
        return "_".join((result_stem(field.plate), field.well, field.name))
    return stem(image)


def whole_plates(found: Sequence[Any]) -> dict[Path, tuple[Field, ...]]:
    """The plates all of whose fields are among these images, each with its fields."""
    fields = [field for image in found if isinstance(image, Path) and (field := field_of(image))]
    plates = dict.fromkeys(field.plate for field in fields)
    held = {field.path for field in fields}
    inside = {plate: fields_of(plate) for plate in plates}
    return {plate: fields for plate, fields in inside.items() if held.issuperset(field.path for field in fields)}
