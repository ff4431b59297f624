"""The training loop: a family is trained into a checkpoint. If the process is killed, the same call resumes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import lightning
import numpy as np
import torch

from zooready.errors import InputInvalid
from zooready.nets.normalization import normalised
from zooready.records import Family, Pair, Recipe
from zooready.training import checkpoint
from zooready.training.callbacks import LAST, Bar, Log, WholeCheckpoints
from zooready.training.checkpoint import Checkpoint
from zooready.training.devices import chosen, precision
from zooready.training.module import HELD_OUT, Task
from zooready.training.pairs import Pairs, classes_of, pairs_of

CHUNK, LEAST = 50, 10  # most and fewest steps between two checkpoints; writing them takes time
EVALUATED = 24  # held-out pairs for the metrics of the record


def train(
    family: Family,
    out: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    data: Path | Pairs | None = None,
    batch: int | None = None,
    resume: bool = True,
    chunk: int = CHUNK,
    is_quiet: bool = False,
) -> Checkpoint:
    """Train a family's network.

    Writes into ``out``: ``weights.safetensors``, ``run.json``, ``log.csv``, ``curve.png``, and ``last.ckpt`` to resume from.
    A run that was killed and resumed gives exactly the weights of an uninterrupted one (on the same machine, on the CPU).

    Parameters
    ----------
    family
        Family to train, with its recipe unless ``steps`` or ``batch`` are given.
    out
        Folder of the run; created if missing.
    steps, batch
        Number of optimiser steps, and of pairs per step.
    seed
        Seed of weights, data and augmentation.
    device
        "auto", "cpu", "cuda" or "mps".
    data
        Files in a layout that :func:`zooready.training.pairs.pairs_of` knows, or pairs; the family's simulation if None.
    resume
        Resume from ``last.ckpt`` if it exists; False requires a folder without a run.
    chunk
        Most steps between checkpoints; the largest divisor of ``steps`` up to it is used.
    is_quiet
        Show no progress bar.

    Raises
    ------
    InputInvalid
        The folder contains another run or cannot be written, the device is missing, or the data or a number cannot be used.
    ZooreadyError
        The loss became infinite or not a number.
    """
    device = chosen(device)
    recipe = recipe_of(family, steps, batch)
    if seed < 0:
        raise InputInvalid(f"seed={seed}: give a whole number from 0.")
    chunk = chunk_of(recipe.steps, chunk)
    pairs = data if isinstance(data, Pairs) else pairs_of(family, data, seed)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputInvalid(f"cannot make the folder {out} ({error.strerror}): choose one that you may write to.") from None
    record = Checkpoint(
        folder=out,
        family=family.name,
        seed=seed,
        steps=recipe.steps,
        batch=recipe.batch,
        optimizer=recipe.optimizer,
        data=pairs.words,
        data_sha256=pairs.sha256,
        classes=classes_of(family),
        channels=family.input.channels,
        pixel_size_um=pairs.pixel_size_um,
        git=checkpoint.git_commit(),
        device=device,
        precision=precision(device),
        versions=checkpoint.versions(),
    )
    if _is_finished(record, resume):
        return checkpoint.read(out)
    record.write()
    task = Task(family, recipe, source=pairs.source, held_out=pairs.held_out, seed=seed, chunk=chunk, folder=out)
    seconds = _fit(task, record, is_quiet)
    checkpoint.write_weights(task.network.state_dict(), record.weights)
    finished = replace(record, is_finished=True, seconds=round(seconds, 1), metrics=held_out_metrics(task, pairs.judged))
    finished.write()
    return finished


def recipe_of(family: Family, steps: int | None, batch: int | None) -> Recipe:
    """The family's recipe, with ``steps`` and ``batch`` replaced where they are given.

    Raises
    ------
    InputInvalid
        A number below 1.
    """
    for name, value in (("steps", steps), ("batch", batch)):
        if value is not None and value < 1:
            raise InputInvalid(f"{name}={value}: give a whole number from 1.")
    recipe = family.training.recipe
    return replace(recipe, steps=recipe.steps if steps is None else steps, batch=recipe.batch if batch is None else batch)


def chunk_of(steps: int, most: int = CHUNK) -> int:
    """Steps between two checkpoints: the largest divisor of ``steps`` up to ``most``, so that resuming is exact.

    >>> chunk_of(20), chunk_of(120), chunk_of(6000)
    (20, 40, 50)

    Raises
    ------
    InputInvalid
        All divisors are too small; the message gives the nearest number of steps that has a larger one.
    """

    def largest(number: int) -> int:
        return next(divisor for divisor in range(most, 0, -1) if number % divisor == 0)

    if steps <= most:
        return steps
    least = min(LEAST, most)
    good = [number for number in range(max(1, steps - most), steps + most) if largest(number) >= least]
    nearest = min(good, key=lambda number: abs(number - steps))
    if nearest != steps:
        raise InputInvalid(
            f"steps={steps} has no divisor from {least} to {most}, so that checkpoints cannot be written at equal intervals: "
            f"give steps={nearest}, or a multiple of {most}."
        )
    return largest(steps)


def _is_finished(record: Checkpoint, resume: bool) -> bool:
    """Whether the folder already contains this run, finished; a different run there is an error."""
    if not (record.folder / checkpoint.RECORD).exists():
        return False
    if not resume:
        raise InputInvalid(f"{record.folder} already holds a run: give another folder as out, or let it resume.")
    previous = checkpoint.read(record.folder)
    for name in ("family", "seed", "steps", "batch", "optimizer", "data_sha256"):
        if getattr(previous, name) != getattr(record, name):
            raise InputInvalid(
                f"{record.folder} holds a run with {name} = {getattr(previous, name)!r}, not {getattr(record, name)!r}: "
                "give the same settings to resume it, or another folder as out."
            )
    return previous.is_finished


def _fit(task: Task, run: Checkpoint, is_quiet: bool) -> float:
    """Train with Lightning from the last checkpoint to the last step; return the time in seconds, including that of interrupted runs."""
    log = Log(run.folder)
    last = run.folder / LAST
    with _without_chatter():
        trainer = lightning.Trainer(
            accelerator={"cuda": "gpu"}.get(run.device, run.device),
            devices=1,
            precision=run.precision,  # type: ignore[arg-type]
            max_epochs=run.steps // task.chunk,  # not max_steps, with which Lightning repeats a batch after a restart
            gradient_clip_val=task.recipe.clip,
            reload_dataloaders_every_n_epochs=1,
            plugins=[WholeCheckpoints()],
            callbacks=[log] if is_quiet else [log, Bar(run.steps)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        try:
            trainer.fit(task, ckpt_path=last if last.exists() else None, weights_only=True)
        except SystemExit as end:  # Lightning turns Ctrl-C into SystemExit
            if isinstance(end.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
    return log.seconds


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Silence Lightning's advice on workers, devices and logging intervals, which does not apply here."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def held_out_metrics(task: Task, judged: tuple[Callable[[int], Pair], int] | None = None) -> dict[str, float]:
    """Means of the family's metrics over held-out pairs, in float32: those of ``judged``, or some of the run's own.

    Pairs without metrics are left out; the result is empty if no pair has any.
    """
    if task.family.training.metrics is None:
        return {}
    measurements: list[dict[str, float]] = []
    task.eval().cpu()
    pair_of, count = judged or (lambda index: task.held_out(task.seed + HELD_OUT, index), EVALUATED)
    for index in range(count):
        pair = pair_of(index)
        with torch.no_grad():
            image = torch.as_tensor(pair.input)[None]
            output = task.network(normalised(image, task.statistics(image)))
        if values := task.family.training.metrics(output, pair):
            measurements.append(dict(values))
    names = measurements[0] if measurements else {}
    return checkpoint.plain({name: np.mean([measurement[name] for measurement in measurements]) for name in names})
