"""A trained network judged on a lab's own images with label images: a table beside classical methods, every image by itself, a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zooready.data import Folder, read_folder
from zooready.evaluation import cards, label_images
from zooready.evaluation.contract import Weights, digits
from zooready.evaluation.grids import grid
from zooready.images.drawing import coloured, grey
from zooready.images.matching import match
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Array, Family
from zooready.training.pairs import object_classes

SHOWN, SHOWN_PX = 3, 320  # images with the lowest F1, and the largest side of what is drawn of them
Methods = Mapping[str, label_images.Method]


def write(family: Family, weights: Weights, data: Path, out: Path, *, data_sha256: str = "", seed: int = 0) -> Path:
    """Judge, and write ``<family>-on-<folder>.md`` with its picture; returns the page.

    Parameters
    ----------
    family, weights
        A family that finds objects, and a state dict of its network.
    data
        A folder of images and label images, or of stacks of both, as for training.
    out
        Folder of the page; made if missing.
    data_sha256, seed
        Those of the run: if it was trained on this folder, only the images that it held out are judged.

    Raises
    ------
    InputInvalid
        The images cannot be read.
    """
    assert family.training.pair_of is not None
    is_stack, partner, classes = "z" in family.input.axes, family.training.partner, object_classes(family)
    folder = read_folder(
        data, family.training.pair_of, channels=len(family.input.channels), partner=partner, is_stack=is_stack, classes=classes
    )
    is_known = bool(data_sha256) and folder.sha256 == data_sha256
    members = folder.split(seed)[1] if is_known else tuple(range(len(folder.pairs)))
    network, names = label_images.Segmenter(weights, family=family), family.outputs[0].channels[2:]
    methods = methods_of(network)
    rows = [judged(folder, member, methods) for member in members]
    of_classes = {name: [of_class(folder, member, network, number) for member in members] for number, name in enumerate(names, 1)}
    make_folder(out)
    name = f"{family.name}-on-{data.resolve().name}"
    _draw(folder, [member for _, member in sorted(zip((row["f1_50"] for row in rows), members, strict=True))], methods, out / f"{name}.png")
    words = f"{len(members)} {'image' if len(members) == 1 else 'images'} of the folder {data.resolve().name!r}"
    words += ", those that training held out" if is_known else ""
    page = out / f"{name}.md"
    with whole_file(page) as file:
        file.write("\n".join(_page(family, rows, of_classes, methods, words, f"{name}.png")).encode())
    return page


def methods_of(network: label_images.Segmenter) -> Methods:
    """The network, and the classical methods, which see the first channel, by name: (c, y, x) or (c, z, y, x) -> labels each."""

    def classical(image: Array, rule: str) -> label_images.Labels:
        return label_images.classical(image[0], rule)

    return {"network": network, **{rule: partial(classical, rule=rule) for rule in ("otsu", "li")}}


def of_class(folder: Folder, member: int, network: label_images.Segmenter, number: int) -> tuple[float, ...]:
    """Counts, as in :func:`judged`, of one image's true objects of class ``number`` from 1, and of those that the network says to be."""
    labels, classes = network.classed(folder.pairs[member].input)
    return _counts(_truth(folder, member) * (folder.pairs[member].target[1 + number] > 0), labels * (classes == number))


def judged(folder: Folder, member: int, methods: Methods) -> dict[str, Any]:
    """One image: ``image``, its number of true ``objects``, ``f1_50`` of the network, and the ``counts`` of every method.

    Counts are true and found objects, those matched at an IoU of 0.5 and of 0.75, and the sum of their overlaps.
    """
    pair, truth = folder.pairs[member], _truth(folder, member)
    counts: dict[str, tuple[float, ...]] = {}
    for name, method in methods.items():
        counts[name] = _counts(truth, method(pair.input))
    return {"image": folder.names[member], "f1_50": _scores([counts["network"]])["f1_50"], "counts": counts}


def _counts(truth: Array, labels: Array) -> tuple[float, ...]:
    half, strict = match(truth, labels), match(truth, labels, 0.75)
    return half.n_first, half.n_second, len(half.pairs), len(strict.pairs), float(half.iou.sum())


def _truth(folder: Folder, member: int) -> Array:
    truth = folder.pairs[member].truth
    assert truth is not None
    return truth


def _scores(counts: Sequence[tuple[float, ...]]) -> dict[str, float]:
    """Scores over the objects of some images together."""
    true, found, half, strict, overlap = (sum(values) for values in zip(*counts, strict=True))
    total = true + found
    f1_50, f1_75 = (2 * matched / total if total else 1.0 for matched in (half, strict))
    mean_iou = overlap / half if half else 0.0
    return {"objects": true, "found": found, "f1_50": digits(f1_50), "f1_75": digits(f1_75), "mean_iou": digits(mean_iou)}


def _page(
    family: Family,
    rows: Sequence[Mapping[str, Any]],
    of_classes: Mapping[str, Sequence[tuple[float, ...]]],
    methods: Methods,
    words: str,
    picture: str,
) -> list[str]:
    """The lines of the page, Markdown."""
    together = {name: _scores([row["counts"][name] for row in rows]) for name in methods}
    alone = [{"method": row["image"], **_scores([row["counts"]["network"]])} for row in rows]
    means = {name: digits(np.mean([row[name] for row in alone])) for name in alone[0] if name != "method"}
    alone = [*alone, {"method": "mean of the images", **means}] if len(alone) > 1 else alone
    caption = f"The images with the lowest F1 (at most {SHOWN}), parts of up to {SHOWN_PX} px, of stacks the middle plane."
    each = [{"method": name, **_scores(counts)} for name, counts in of_classes.items()]
    tables = {"all objects together": together, **({"each class": each} if each else {}), "this network, image by image": alone}
    return [
        f"# {family.title}: judged on images of your own",
        "",
        *cards.tables({"tables": tables, "measured_on": {"all objects together": words}}),
        f"![{caption}]({picture})",
        "",
        caption,
        "",
    ]


def _draw(folder: Folder, worst: Sequence[int], methods: Methods, path: Path) -> None:
    """The first of these images: as they are, by Otsu's threshold, by the network, and the truth; of stacks the middle planes."""

    def part(image: Array) -> Array:
        plane = image[len(image) // 2] if image.ndim == 3 else image
        return plane[:SHOWN_PX, :SHOWN_PX]

    rows = []
    for member in worst[:SHOWN]:
        image = folder.pairs[member].input
        found = [coloured(part(methods[name](image))) for name in ("otsu", "network")]
        rows.append((folder.names[member], [grey(part(image[0])), *found, coloured(part(_truth(folder, member)))]))
    grid(path, ("image", cards.METHODS["otsu"], cards.METHODS["network"], "truth"), rows)
