"""Splits into training and held-out images: stratified, and reproducible from a seed.

Every class is shuffled and divided by itself, so that each side of a split has the classes in the same proportions as the whole set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zooready.errors import InputInvalid, amount

FOLDS = 10
SHARES = (0.9, 0.8, 0.7, 0.6, 0.5)  # shares of the images to train on


@dataclass(frozen=True, kw_only=True)
class Split:
    """Indices of the training images and of the held-out ones, each sorted; no image is in both."""

    name: str
    training: tuple[int, ...]
    held_out: tuple[int, ...]


def folds(labels: Sequence[int], count: int = FOLDS, seed: int = 0) -> tuple[Split, ...]:
    """Cross-validation: every image is held out in exactly one split.

    Parameters
    ----------
    labels
        Class of each image.
    count
        Number of folds.
    seed
        Seed of the shuffle.

    Returns
    -------
    tuple of Split
        ``fold-01`` …; the numbers of held-out images differ by at most one, in total and in each class.

    Raises
    ------
    InputInvalid
        Fewer than two folds, or fewer images than folds.
    """
    if not 2 <= count <= len(labels):
        raise InputInvalid(f"{amount(count, 'fold')} of {amount(len(labels), 'image')}: give a number from 2 to the number of images.")
    fold = np.empty(len(labels), int)
    dealt = 0
    for members in _shuffled(labels, seed):
        fold[members] = (dealt + np.arange(len(members))) % count
        dealt += len(members)
    return tuple(_split(f"fold-{number + 1:02d}", fold == number) for number in range(count))


def share(labels: Sequence[int], training: float, seed: int = 0) -> Split:
    """Train on a share of every class, and hold out the rest.

    Parameters
    ----------
    labels
        Class of each image.
    training
        Share to train on, between 0 and 1, e.g. 0.9; a class with at least two images has at least one on each side.
    seed
        Seed of the shuffle.

    Returns
    -------
    Split
        Named after the two shares, e.g. ``90-10``.

    Raises
    ------
    InputInvalid
        The share is not between 0 and 1, or nothing would be held out.
    """
    if not 0 < training < 1:
        raise InputInvalid(f"a training share of {training:g}: give a number between 0 and 1, e.g. 0.9.")
    is_held_out = np.zeros(len(labels), bool)
    for members in _shuffled(labels, seed):
        kept = min(max(round(training * len(members)), 1), max(len(members) - 1, 1))
        is_held_out[members[kept:]] = True
    if not is_held_out.any():
        raise InputInvalid("every class has a single image, so none can be held out: give at least two of some class.")
    percent = round(100 * training)
    return _split(f"{percent}-{100 - percent}", is_held_out)


def planned(
    labels: Sequence[int],
    lists: Mapping[str, Sequence[int]],
    *,
    seed: int = 0,
    repeats: int = 1,
    count: int = FOLDS,
    shares: Sequence[float] = SHARES,
) -> list[tuple[str, Split]]:
    """Every split of the PLCNN paper's protocol with its kind: cross-validation, then shares; published lists replace both.

    Parameters
    ----------
    labels
        Class of each image.
    lists
        Published splits, including "train" and "test", or empty; validation images are on neither side.
    seed
        Seed of the first split of each kind.
    repeats
        Number of splits of each share.
    count, shares
        Number of folds, and shares to train on.

    Raises
    ------
    InputInvalid
        A list is empty, or a number is out of range.
    """
    if lists:
        if not all(lists.get(name) for name in ("train", "test")):
            raise InputInvalid(
                "the published lists name no images to train or to test on: check that the lists and the images are complete."
            )
        return [("published", Split(name="published", training=tuple(lists["train"]), held_out=tuple(lists["test"])))]
    plan = [(f"{count}-fold", split) for split in folds(labels, count, seed)]
    for training in shares:
        for number in range(repeats):
            split = share(labels, training, seed + number)
            plan.append((split.name, replace(split, name=f"{split.name}-run-{number + 1:02d}")))
    return plan


def table(names: Sequence[str], classes: Sequence[str], splits: Sequence[Split]) -> list[list[str]]:
    """Rows of a table for other programs: an image, its class, and for each split "train", "test" or nothing."""
    sides = [dict.fromkeys(split.training, "train") | dict.fromkeys(split.held_out, "test") for split in splits]
    lines = [
        [name, class_name, *(side.get(index, "") for side in sides)]
        for index, (name, class_name) in enumerate(zip(names, classes, strict=True))
    ]
    return [["image", "class", *(split.name for split in splits)], *lines]


def _shuffled(labels: Sequence[int], seed: int) -> list[np.ndarray]:
    """Indices of each class's images in random order."""
    rng, array = np.random.default_rng(seed), np.asarray(labels)
    return [rng.permutation(np.flatnonzero(array == label)) for label in np.unique(array)]


def _split(name: str, is_held_out: np.ndarray) -> Split:
    training, held_out = (tuple(np.flatnonzero(side).tolist()) for side in (~is_held_out, is_held_out))
    return Split(name=name, training=training, held_out=held_out)
