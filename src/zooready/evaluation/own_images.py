"""A trained network judged on a lab's own images with label images: a table beside classical methods, every image by itself, a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zooready.data import Folder, mark, read_folder
from zooready.errors import amount
from zooready.evaluation import cards, label_images
from zooready.evaluation.contract import Weights, digits
from zooready.evaluation.grids import grid
from zooready.images.drawing import coloured, grey
from zooready.images.matching import match
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Array, Family
from zooready.training.pairs import object_classes

SHOWN, SHOWN_PX = 3, 320  # images with the lowest F1, and the largest side of what is drawn of them
Methods = Mapping[str, Callable[[Array, Array], Array]]  # of an image and its truth, at which only a best threshold looks


@dataclass(frozen=True, kw_only=True)
class Judging:
    """How the objects that a family finds are compared with the true ones.

    ``methods`` of a network are that network, called ``network``, the classical method that is drawn beside it, and others. ``counts`` of
    truth and labels are numbers that add up over images, and ``scores`` those of a table, of such sums; ``f1`` names the one by which
    images are ranked. ``words`` say when an object is found.
    """

    methods: Callable[[label_images.Segmenter], Methods]
    counts: Callable[[Array, Array], tuple[float, ...]]
    scores: Callable[..., dict[str, float]]
    f1: str
    words: str = ""


def by_overlap(network: label_images.Segmenter) -> Methods:
    """The network, and the classical methods, which see the first channel, by name: (c, y, x) or (c, z, y, x) -> labels each."""

    def classical(image: Array, truth: Array, rule: str) -> Array:
        return label_images.classical(image[0], rule)

    return {"network": lambda image, truth: network(image), **{rule: partial(classical, rule=rule) for rule in ("otsu", "li")}}


def overlaps(truth: Array, labels: Array) -> tuple[float, ...]:
    """True and found objects, those matched at an IoU of 0.5 and of 0.75, and the sum of their overlaps."""
    half, strict = match(truth, labels), match(truth, labels, 0.75)
    return half.n_first, half.n_second, len(half.pairs), len(strict.pairs), float(half.iou.sum())


def scores_of_overlaps(true: float, found: float, half: float, strict: float, overlap: float) -> dict[str, float]:
    """Scores of sums of :func:`overlaps`."""
    total = true + found
    f1_50, f1_75 = (2 * matched / total if total else 1.0 for matched in (half, strict))
    mean_iou = overlap / half if half else 0.0
    return {"objects": true, "found": found, "f1_50": digits(f1_50), "f1_75": digits(f1_75), "mean_iou": digits(mean_iou)}


OVERLAP = Judging(methods=by_overlap, counts=overlaps, scores=scores_of_overlaps, f1="f1_50")


def write(
    family: Family,
    weights: Weights,
    data: Path,
    out: Path,
    *,
    data_sha256: str = "",
    seed: int = 0,
    trained_on: Sequence[str] = (),
    judging: Judging = OVERLAP,
) -> Path:
    """Judge, and write ``<family>-on-<folder>.md`` with its picture; returns the page.

    Parameters
    ----------
    family, weights
        A family that finds objects, and a state dict of its network.
    data
        A folder of images and label images, or of stacks of both, as for training.
    out
        Folder of the page; made if missing.
    data_sha256, seed, trained_on
        Those of the run: images that it was trained on, wherever they lie, are not judged unless there are no others. Runs of before
        have no ``trained_on``, and are known by the folder as a whole.
    judging
        How the family's objects are compared with the true ones.

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
    members, seen = _unseen(folder, set(trained_on), folder.split(seed)[0] if folder.sha256 == data_sha256 else ())
    network, names = label_images.Segmenter(weights, family=family), family.outputs[0].channels[2:]
    methods = judging.methods(network)
    rows = [judged(folder, member, methods, judging) for member in members]
    of_classes = {name: [of_class(folder, member, network, number, judging) for member in members] for number, name in enumerate(names, 1)}
    make_folder(out)
    name = f"{family.name}-on-{data.resolve().name}"
    _draw(folder, [member for _, member in sorted(zip((row["f1"] for row in rows), members, strict=True))], methods, out / f"{name}.png")
    words = f"{amount(len(members), 'image')} of the folder {data.resolve().name!r}{seen}"
    words += f". {judging.words}" if judging.words else ""
    page = out / f"{name}.md"
    with whole_file(page) as file:
        file.write("\n".join(_page(family, rows, of_classes, judging, words, f"{name}.png")).encode())
    return page


def _unseen(folder: Folder, marks: set[str], trained: Sequence[int]) -> tuple[list[int], str]:
    """The images that training did not see, or all if it saw each, and words about that.

    ``marks`` are those of the images that it saw; ``trained`` are their indices if there are no marks.
    """
    everyone = range(len(folder.pairs))
    saw = {member for member in everyone if mark(folder.pairs[member].input) in marks} if marks else set(trained)
    unseen = [member for member in everyone if member not in saw]
    if not unseen:
        return list(everyone), ", **all of which training saw, so that the numbers say little about others**"
    return unseen, f", those that training did not see, without {len(saw)} that it saw" if saw else ""


def of_class(folder: Folder, member: int, network: label_images.Segmenter, number: int, judging: Judging) -> tuple[float, ...]:
    """Counts of one image's true objects of class ``number`` from 1, and of those that the network says to be."""
    labels, classes = network.classed(folder.pairs[member].input)
    return judging.counts(_truth(folder, member) * (folder.pairs[member].target[1 + number] > 0), labels * (classes == number))


def judged(folder: Folder, member: int, methods: Methods, judging: Judging = OVERLAP) -> dict[str, Any]:
    """One image: ``image``, ``f1`` of the network, and the ``counts`` of every method."""
    pair, truth = folder.pairs[member], _truth(folder, member)
    counts = {name: judging.counts(truth, method(pair.input, truth)) for name, method in methods.items()}
    return {"image": folder.names[member], "f1": _scores([counts["network"]], judging)[judging.f1], "counts": counts}


def _truth(folder: Folder, member: int) -> Array:
    truth = folder.pairs[member].truth
    assert truth is not None
    return truth


def _scores(counts: Sequence[tuple[float, ...]], judging: Judging) -> dict[str, float]:
    """Scores over the objects of some images together."""
    return judging.scores(*(sum(values) for values in zip(*counts, strict=True)))


def _page(
    family: Family,
    rows: Sequence[Mapping[str, Any]],
    of_classes: Mapping[str, Sequence[tuple[float, ...]]],
    judging: Judging,
    words: str,
    picture: str,
) -> list[str]:
    """The lines of the page, Markdown."""
    together = {name: _scores([row["counts"][name] for row in rows], judging) for name in rows[0]["counts"]}
    alone: list[dict[str, Any]] = [{"method": row["image"], **_scores([row["counts"]["network"]], judging)} for row in rows]
    columns = dict.fromkeys(name for row in alone for name in row if name != "method")
    means = {name: digits(np.mean([row[name] for row in alone if name in row])) for name in columns}
    alone = [*alone, {"method": "mean of the images", **means}] if len(alone) > 1 else alone
    caption = f"The images with the lowest F1 (at most {SHOWN}), parts of up to {SHOWN_PX} px, of stacks the middle plane."
    each = [{"method": name, **_scores(counts, judging)} for name, counts in of_classes.items()]
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
    """The first of these images: as they are, by the first classical method, by the network, and the truth; of stacks middle planes."""

    def part(image: Array) -> Array:
        plane = image[len(image) // 2] if image.ndim == 3 else image
        return plane[:SHOWN_PX, :SHOWN_PX]

    rows, shown = [], list(reversed(list(methods)[:2]))
    for member in worst[:SHOWN]:
        image, truth = folder.pairs[member].input, _truth(folder, member)
        found = [coloured(part(methods[name](image, truth))) for name in shown]
        rows.append((folder.names[member], [grey(part(image[0])), *found, coloured(part(truth))]))
    grid(path, ("image", *(cards.METHODS.get(name, name) for name in shown), "truth"), rows)
