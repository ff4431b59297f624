"""The protocol of the PLCNN paper, run on a public set."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zooready.data import Classified, PublicSet, Split, named_set, planned, read_set
from zooready.data.splits import FOLDS, SHARES
from zooready.families import plcnn
from zooready.images.files import whole_file
from zooready.records import Array, Family
from zooready.training.pairs import classified
from zooready.training.sample import keep_sample

if TYPE_CHECKING:
    from zooready.training.checkpoint import Checkpoint

CONFUSION, OF_FOREST = "confusion.csv", "confusion-forest.csv"  # in the folder of a run: a row a true class, a column an answer
MEASURED = "features.npz"  # beside the runs
TABLE = "protocol"  # .csv and .md, beside the runs


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the protocol's table: a kind of split, its runs, and percent correct on images that no run had trained on."""

    split: str
    runs: int
    trained_on: int
    held_out: int
    correct: float
    deviation: float | None  # standard deviation over runs; None for a single one
    forest: float | None  # percent correct of classical features and a random forest on the same splits; None if not asked for
    largest_class: float  # percent correct of naming the largest class, always
    claimed: float | None  # by the paper

    def cells(self) -> tuple[str, ...]:
        """The line as text."""
        numbers = (self.correct, self.deviation, self.forest, self.largest_class, self.claimed)
        words = ("" if number is None else f"{number:.1f}" for number in numbers)
        return (self.split, str(self.runs), str(self.trained_on), str(self.held_out), *words)


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished run, its split, and what it and the forest answered, (classes, classes) int."""

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

    Leaves a run for every split, ``protocol.csv`` and ``protocol.md`` in ``out``. Stopped and called again, it goes on.

    Parameters
    ----------
    data, folder
        Name of a public set with classes, and where it lies.
    out
        Folder for the runs and the table.
    steps, batch, seed, device
        Of every run; the family's recipe if None.
    repeats
        Runs of every training share, each with a split of its own.
    shrink
        So many pixels in y and x are averaged to one first, which makes training quicker.
    with_forest
        Also classify by measurements of intensity, shape and texture with a random forest, on the same splits.
    count, shares
        Folds of the cross-validation, and shares to train on.
    progress
        Called with runs done, runs in all, and what comes next.

    Raises
    ------
    InputInvalid
        The data cannot be used, or ``out`` holds runs with other settings.
    """
    from zooready.training.loop import train as fit

    known = named_set(data)
    found = read_set(known, folder).shrunk(shrink)
    family = plcnn.family(found.classes, found.channels)
    plan = planned(found.labels, found.lists, seed=seed, repeats=repeats, count=count, shares=shares)
    quiet = replace(found, notes=())  # told once, in the table
    results: dict[str, list[Result]] = {}
    measured = partial(_measured, found, out / MEASURED)
    for number, (kind, split) in enumerate(plan):
        if progress:
            progress(number, len(plan), split.name)
        pairs = classified(quiet, split, f"{known.title}, split {split.name}")
        run = fit(family, out / split.name, steps=steps, batch=batch, seed=seed, device=device, data=pairs)
        keep_sample(found, split.held_out[0], run.folder)
        counts = _confusion(run.folder / CONFUSION, found, split, partial(_answers, family, run, found, split))
        forest = _confusion(run.folder / OF_FOREST, found, split, partial(_of_forest, measured, found, split)) if with_forest else None
        results.setdefault(kind, []).append(Result(run=run, split=split, counts=counts, forest=forest))
    if progress:
        progress(len(plan), len(plan), "")
    rows = tuple(_row(kind, results[kind], known) for kind in results)
    _write(out, known, found, rows, results)
    return rows


def _confusion(path: Path, found: Classified, split: Split, answers: Callable[[], Iterable[int]]) -> Array:
    """How often which class was given which answer, (classes, classes) int, on the held-out images; found once and kept in a file."""
    import numpy as np

    if path.exists():
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]
        return np.array([[int(value) for value in row[1:]] for row in rows])
    counts = np.zeros((len(found.classes),) * 2, int)
    for member, answer in zip(split.held_out, answers(), strict=True):
        counts[found.labels[member], answer] += 1
    _save(path, _csv([["true class", *found.classes], *([name, *row] for name, row in zip(found.classes, counts.tolist(), strict=True))]))
    return counts


def _answers(family: Family, run: Checkpoint, found: Classified, split: Split) -> Iterator[int]:
    """What the trained network says of each held-out image."""
    import torch

    network = family.network.architecture.build().eval()
    network.load_state_dict(run.state_dict())
    normalization = family.network.normalization.build() if family.network.normalization else torch.nn.Identity()
    for member in split.held_out:
        with torch.no_grad():
            answer = network(normalization(torch.as_tensor(found.whole(member).input)[None]))
        yield int((answer[0] if isinstance(answer, tuple) else answer)[0].argmax())


def _of_forest(measured: Callable[[], Array], found: Classified, split: Split) -> Iterator[int]:
    """What a forest, grown on the measurements of the training side, says of each held-out image."""
    import numpy as np

    from zooready.evaluation.classifiers import classical

    table, labels = measured(), np.array(found.labels)
    forest = classical(table[list(split.training)], labels[list(split.training)], "forest")
    yield from map(int, forest.predict(table[list(split.held_out)]))


def _measured(found: Classified, path: Path) -> Array:
    """Measurements of every image, (n, measurements); kept in a file, for they take a while."""
    import numpy as np

    from zooready.evaluation.classifiers import features

    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["sha256"]) == found.sha256:
                table: Array = kept["features"]
                return table
    table = features(found.arrays)
    with whole_file(path) as file:
        np.savez(file, features=table, sha256=np.array(found.sha256))
    return table


def _row(kind: str, results: Sequence[Result], known: PublicSet) -> Row:
    """A line of the table: means over the runs."""
    import numpy as np

    def right(counts: Array) -> float:
        return 100 * float(np.trace(counts)) / float(counts.sum())

    correct = [right(one.counts) for one in results]
    forests = [right(one.forest) for one in results if one.forest is not None]
    return Row(
        split=kind,
        runs=len(results),
        trained_on=round(float(np.mean([len(one.split.training) for one in results]))),
        held_out=round(float(np.mean([len(one.split.held_out) for one in results]))),
        correct=float(np.mean(correct)),
        deviation=float(np.std(correct, ddof=1)) if len(correct) > 1 else None,
        forest=float(np.mean(forests)) if forests else None,
        largest_class=float(np.mean([100 * one.counts.sum(1).max() / one.counts.sum() for one in results])),
        claimed=known.claims.get(kind),
    )


def _write(out: Path, known: PublicSet, found: Classified, rows: Sequence[Row], results: Mapping[str, Sequence[Result]]) -> None:
    """The table as CSV, and as a page with what one must know to read it."""
    _save(out / f"{TABLE}.csv", _csv([COLUMNS, *(row.cells() for row in rows)]))
    kind, first = next(iter(results.items()))
    run, summed = first[0].run, sum((one.counts for one in first[1:]), first[0].counts)
    recall = [
        (name, str(int(total)), f"{100 * right / total:.1f}" if total else "")
        for name, right, total in zip(found.classes, summed.diagonal(), summed.sum(1), strict=True)
    ]
    notes = [f"- {note}" for note in (*found.notes, *([known.remark] if known.remark else []))]
    text = [
        f"# PLCNN on {known.title}, after the paper's protocol",
        "",
        f"{len(found.names)} images of {len(found.classes)} classes, SHA-256 {found.sha256[:16]}. Every number is of images that the",
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
