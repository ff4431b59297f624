"""The protocol of the PLCNN paper, run on a public set."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zooready.data import Classified, PublicSet, Split, named_set, planned, read_set
from zooready.data.splits import FOLDS, SHARES
from zooready.evaluation.classifiers import classical, features
from zooready.families import for_classes
from zooready.images.whole_files import whole_file
from zooready.records import Array, Family

if TYPE_CHECKING:
    from zooready.training.checkpoint import Checkpoint

CONFUSION, OF_FOREST = "confusion.csv", "confusion-forest.csv"  # in a run's folder; rows are true classes, columns predicted ones
MEASURED = "features.npz"  # beside the runs
TABLE = "protocol"  # .csv and .md, beside the runs


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the protocol's table: a kind of split, its runs, and percent correct on held-out images."""

    split: str
    runs: int
    trained_on: int
    held_out: int
    correct: float
    deviation: float | None  # standard deviation over runs; None for a single one
    forest: float | None  # percent correct of classical features and a random forest on the same splits; None if not asked for
    largest_class: float  # percent correct of always predicting the largest class
    claimed: float | None  # by the paper

    def cells(self) -> tuple[str, ...]:
        """The line as text."""
        numbers = (self.correct, self.deviation, self.forest, self.largest_class, self.claimed)
        words = ("" if number is None else f"{number:.1f}" for number in numbers)
        return (self.split, str(self.runs), str(self.trained_on), str(self.held_out), *words)


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished run, its split, and the confusion matrices of network and forest, (classes, classes) int."""

    run: Checkpoint
    split: Split
    counts: Array
    forest: Array | None


COLUMNS = (
    *("split", "runs", "trained on", "held out", "PLCNN correct, %", "deviation", "features and forest, %"),
    *("always the largest class, %", "the paper claims, %"),
)


def protocol(
    data: str,
    folder: Path,
    out: Path,
    *,
    steps: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    device: str = "auto",
    repeats: int = 1,
    shrink: int = 1,
    with_forest: bool = True,
    count: int = FOLDS,
    shares: Sequence[float] = SHARES,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[Row, ...]:
    """Train and test PLCNN on a public set as the paper did: cross-validation and five training shares, or the set's own lists.

    Leaves a run for every split, ``protocol.csv`` and ``protocol.md`` in ``out``. After an interruption, a second call continues.

    Parameters
    ----------
    data, folder
        Name of a public set with classes, and the folder that holds it.
    out
        Folder for the runs and the table.
    steps, batch, seed, device
        Settings of every run; those of the family's recipe if None.
    repeats
        Runs of every training share, each with a split of its own.
    shrink
        Number of pixels along y and x that are averaged to one first, which makes training quicker.
    with_forest
        Also classify by measurements of intensity, shape and texture with a random forest, on the same splits.
    count, shares
        Folds of the cross-validation, and shares to train on.
    progress
        Called with the number of finished runs, of all runs, and the name of the next one.

    Raises
    ------
    InputInvalid
        The data cannot be used, or ``out`` holds runs with other settings.
    """
    from zooready.training import loop, pairs  # they load Lightning, which takes seconds

    public_set = named_set(data)
    images = read_set(public_set, folder).shrunk(shrink)
    family = for_classes("plcnn", images.classes, images.channels)
    plan = planned(images.labels, images.lists, seed=seed, repeats=repeats, count=count, shares=shares)
    without_notes = replace(images, notes=())  # they stand once, below the table
    results: dict[str, list[Result]] = {}
    measured = partial(_measured, images, out / MEASURED)
    for number, (kind, split) in enumerate(plan):
        if progress:
            progress(number, len(plan), split.name)
        training_data = pairs.classified(without_notes, split, f"{public_set.title}, split {split.name}")
        run = loop.train(family, out / split.name, steps=steps, batch=batch, seed=seed, device=device, data=training_data)
        counts = _confusion(run.folder / CONFUSION, images, split, partial(_answers, family, run, images, split))
        forest = _confusion(run.folder / OF_FOREST, images, split, partial(_of_forest, measured, images, split)) if with_forest else None
        results.setdefault(kind, []).append(Result(run=run, split=split, counts=counts, forest=forest))
    if progress:
        progress(len(plan), len(plan), "")
    rows = tuple(_row(kind, results[kind], public_set) for kind in results)
    _write(out, public_set, images, rows, results)
    return rows


def _confusion(path: Path, images: Classified, split: Split, answers: Callable[[], Iterable[int]]) -> Array:
    """Confusion matrix, (classes, classes) int, rows the true classes, on the held-out images; counted once and kept in a file."""
    if path.exists():
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]
        return np.array([[int(value) for value in row[1:]] for row in rows])
    counts = np.zeros((len(images.classes),) * 2, int)
    for member, answer in zip(split.held_out, answers(), strict=True):
        counts[images.labels[member], answer] += 1
    _save(path, _csv([["true class", *images.classes], *([name, *row] for name, row in zip(images.classes, counts.tolist(), strict=True))]))
    return counts


def _answers(family: Family, run: Checkpoint, images: Classified, split: Split) -> Iterator[int]:
    """The class that the trained network predicts for each held-out image."""
    import torch

    network = family.network.architecture.build().eval()
    network.load_state_dict(run.state_dict())
    normalization = family.network.normalization.build() if family.network.normalization else torch.nn.Identity()
    for member in split.held_out:
        with torch.no_grad():
            answer = network(normalization(torch.as_tensor(images.whole(member).input)[None]))
        yield int((answer[0] if isinstance(answer, tuple) else answer)[0].argmax())


def _of_forest(measured: Callable[[], Array], images: Classified, split: Split) -> Iterator[int]:
    """The class that a forest, fitted to measurements of the training images, predicts for each held-out image."""
    table, labels = measured(), np.array(images.labels)
    forest = classical(table[list(split.training)], labels[list(split.training)], "forest")
    yield from map(int, forest.predict(table[list(split.held_out)]))


def _measured(images: Classified, path: Path) -> Array:
    """Measurements of every image, (n, measurements); kept in a file, because they take minutes."""
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["sha256"]) == images.sha256:
                table: Array = stored["features"]
                return table
    table = features(images.arrays)
    with whole_file(path) as file:
        np.savez(file, features=table, sha256=np.array(images.sha256))
    return table


def _row(kind: str, results: Sequence[Result], public_set: PublicSet) -> Row:
    """A row of the table: means over the runs."""

    def right(counts: Array) -> float:
        return 100 * float(np.trace(counts)) / float(counts.sum())

    correct = [right(result.counts) for result in results]
    forests = [right(result.forest) for result in results if result.forest is not None]
    return Row(
        split=kind,
        runs=len(results),
        trained_on=round(float(np.mean([len(result.split.training) for result in results]))),
        held_out=round(float(np.mean([len(result.split.held_out) for result in results]))),
        correct=float(np.mean(correct)),
        deviation=float(np.std(correct, ddof=1)) if len(correct) > 1 else None,
        forest=float(np.mean(forests)) if forests else None,
        largest_class=float(np.mean([100 * result.counts.sum(1).max() / result.counts.sum() for result in results])),
        claimed=public_set.claims.get(kind),
    )


def _write(out: Path, public_set: PublicSet, images: Classified, rows: Sequence[Row], results: Mapping[str, Sequence[Result]]) -> None:
    """The table as CSV, and as a page with the notes needed to read it."""
    _save(out / f"{TABLE}.csv", _csv([COLUMNS, *(row.cells() for row in rows)]))
    kind, first = next(iter(results.items()))
    run, summed = first[0].run, sum((result.counts for result in first[1:]), first[0].counts)
    recall = [
        (name, str(int(total)), f"{100 * right / total:.1f}" if total else "")
        for name, right, total in zip(images.classes, summed.diagonal(), summed.sum(1), strict=True)
    ]
    notes = [f"- {note}" for note in (*images.notes, *([public_set.remark] if public_set.remark else []))]
    text = [
        f"# PLCNN on {public_set.title}, after the paper's protocol",
        "",
        f"{len(images.names)} images of {len(images.classes)} classes, SHA-256 {images.sha256[:16]}. Every number is of images that the",
        "network of that run never saw. The paper does not tell how it trained; these runs took",
        f"{run.steps} steps of {run.batch} images, seed {run.seed}, with zooready {run.versions.get('zooready', '')} and "
        f"PyTorch {run.versions.get('torch', '')}.",
        "",
        *_markdown(COLUMNS, [row.cells() for row in rows]),
        "",
        f"Of each class, over the held-out images of {kind}:",
        "",
        *_markdown(("class", "images", "found, %"), recall),
        *(["", "To know:", "", *notes] if notes else []),
    ]
    _save(out / f"{TABLE}.md", "\n".join(text) + "\n")


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _save(path: Path, text: str) -> None:
    with whole_file(path) as file:
        file.write(text.encode())
