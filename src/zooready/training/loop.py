"""Training: a family and a folder for the run, out comes a checkpoint. Killed at any point, the same call goes on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace as changed
from pathlib import Path

import numpy as np
import torch

from zooready.errors import InputInvalid
from zooready.records import Family, Pair, Recipe
from zooready.training import checkpoint
from zooready.training.checkpoint import Checkpoint
from zooready.training.devices import chosen, precision
from zooready.training.module import HELD_OUT, Task
from zooready.training.pairs import Pairs, classes_of, pairs_of

CHUNK, LEAST = 50, 10  # most steps between two checkpoints, and the fewest, for writing them takes time
EVALUATED = 24  # held-out pairs behind the metrics of the record


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

    Leaves in ``out``: ``weights.safetensors``, ``run.json``, ``log.csv``, ``curve.png``, and ``last.ckpt`` to resume from.
    A run that was killed and resumed ends with exactly the weights of an unbroken one (on the same machine, on the CPU).

    Parameters
    ----------
    family
        What to train; its recipe holds unless ``steps`` or ``batch`` say otherwise.
    out
        Folder of the run; made if missing.
    steps, batch
        Optimiser steps, and pairs in each.
    seed
        Of weights, data and augmentation.
    device
        "auto", "cpu", "cuda" or "mps".
    data
        Files in a layout that :func:`zooready.training.pairs.pairs_of` knows, or pairs; the family's simulation if None.
    resume
        Go on from ``last.ckpt`` if it is there; False demands a folder without one.
    chunk
        Most steps between checkpoints; the largest divisor of the steps below it is taken.
    is_quiet
        Show no progress bar.

    Raises
    ------
    InputInvalid
        The folder holds another run or cannot be written, the device is missing, the data or a number cannot be used.
    ZooreadyError
        The loss became infinite or not a number.
    """
    device = chosen(device)
    recipe = recipe_of(family, steps, batch)
    if seed < 0:
        raise InputInvalid(f"--seed {seed}: give a whole number from 0.")
    chunk = chunk_of(recipe.steps, chunk)
    pairs = data if isinstance(data, Pairs) else pairs_of(family, data, seed)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputInvalid(f"cannot make the folder {out} ({error.strerror}): choose one that you may write to.") from None
    begun = Checkpoint(
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
    if _is_finished(begun, resume):
        return checkpoint.read(out)
    begun.write()
    task = Task(family, recipe, source=pairs.source, held_out=pairs.held_out, seed=seed, chunk=chunk, folder=out)
    seconds = _fit(task, begun, is_quiet)
    checkpoint.write_weights(task.network.state_dict(), begun.weights)
    done = changed(begun, is_finished=True, seconds=round(seconds, 1), metrics=held_out_metrics(task, pairs.judged))
    done.write()
    return done


def recipe_of(family: Family, steps: int | None, batch: int | None) -> Recipe:
    """The family's recipe with other numbers of steps and pairs, where they are given.

    Raises
    ------
    InputInvalid
        A number below 1.
    """
    for name, value in (("steps", steps), ("batch", batch)):
        if value is not None and value < 1:
            raise InputInvalid(f"--{name} {value}: give a whole number from 1.")
    recipe = family.training.recipe
    return changed(recipe, steps=recipe.steps if steps is None else steps, batch=recipe.batch if batch is None else batch)


def chunk_of(steps: int, most: int = CHUNK) -> int:
    """Steps between two checkpoints: the largest divisor of ``steps`` that is not above ``most``, so that resuming is exact.

    >>> chunk_of(20), chunk_of(120), chunk_of(6000)
    (20, 40, 50)

    Raises
    ------
    InputInvalid
        There are only small ones; the message names the nearest number of steps that has a larger one.
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
            f"--steps {steps} has no divisor from {least} to {most}, after which training could write a checkpoint: "
            f"give --steps {nearest}, or a multiple of {most}."
        )
    return largest(steps)


def _is_finished(begun: Checkpoint, resume: bool) -> bool:
    """Whether the folder already holds this very run, to its end; it may hold no other."""
    if not (begun.folder / checkpoint.RECORD).exists():
        return False
    if not resume:
        raise InputInvalid(f"{begun.folder} already holds a run: give another --out, or let it resume.")
    before = checkpoint.read(begun.folder)
    for name in ("family", "seed", "steps", "batch", "optimizer", "data_sha256"):
        if getattr(before, name) != getattr(begun, name):
            raise InputInvalid(
                f"{begun.folder} holds a run with {name} = {getattr(before, name)!r}, not {getattr(begun, name)!r}: "
                "give the same settings to go on with it, or another --out."
            )
    return before.is_finished


def _fit(task: Task, run: Checkpoint, is_quiet: bool) -> float:
    """Run Lightning from the last checkpoint to the last step; the seconds spent, those of earlier sessions included."""
    import lightning

    from zooready.training.callbacks import LAST, Bar, Log, WholeCheckpoints

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
        except SystemExit as end:  # what Lightning makes of Ctrl-C
            if isinstance(end.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
    return log.seconds


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Lightning's advice on workers, devices and logging intervals is for other programs."""
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
    """Means of the family's metrics over pairs that training never saw, in float32: those ``judged`` by, or some held-out ones.

    Pairs without metrics do not count; nothing if there are no others.
    """
    if task.family.training.metrics is None:
        return {}
    found: list[dict[str, float]] = []
    task.eval().cpu()
    pair_of, count = judged or (lambda index: task.held_out(task.seed + HELD_OUT, index), EVALUATED)
    for index in range(count):
        pair = pair_of(index)
        with torch.no_grad():
            image = torch.as_tensor(pair.input)[None]
            offset, scale = task.statistics(image)
            output = task.network((image - offset) / scale)
        if measured := task.family.training.metrics(output, pair):
            found.append(dict(measured))
    return checkpoint.plain({name: np.mean([one[name] for one in found]) for name in found[0]}) if found else {}
