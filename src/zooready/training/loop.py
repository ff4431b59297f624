"""The training loop: a family is trained into a checkpoint. If the process is killed, the same call resumes."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch.nn import functional

from zooready.data.augmentation import PLAIN
from zooready.data.folder import STEP_PX
from zooready.errors import InputInvalid
from zooready.images.files import write_image, write_png
from zooready.nets.normalization import normalised
from zooready.processes import locked
from zooready.records import Augmentation, Family, Pair, Recipe
from zooready.training import checkpoint
from zooready.training.adversarial import AdversarialTask
from zooready.training.ahead import made_ahead, suited_workers
from zooready.training.callbacks import LAST, Bar, HeldOut, Log, Pictures, WholeCheckpoints, boards
from zooready.training.checkpoint import Checkpoint
from zooready.training.contact_sheet import SHEET, sheet
from zooready.training.devices import chosen, precision
from zooready.training.freezing import freezing
from zooready.training.module import HELD_OUT, Task
from zooready.training.pairs import Pairs, classes_of, object_classes, pairs_of
from zooready.training.recipes import recipe_of
from zooready.training.sample import SAMPLE
from zooready.training.together import counted, demand_divisible, is_first, joined
from zooready.training.warm_start import Start, begin

BATCHES = 2  # that workers make ahead: one to be taken at once, and one in the making
CHUNK, LEAST = 50, 10  # most and fewest steps between two checkpoints; writing them takes time
PATIENCE = 3  # the share of the steps without a lower held-out loss after which training on files stops: a third
SEEN, FEWEST = 100, 200  # times that each part of a person's images is seen; fewest steps
COMPARED = (  # what a run that goes on must share with the one that was stopped
    *("family", "seed", "steps", "batch", "optimizer", "learning_rate", "augmentation", "adversary", "freeze"),
    *("data_sha256", "start_sha256"),
)
IN_USE = ".in-use"  # in a run's folder as long as a process trains there
EVALUATED = 24  # held-out pairs for the metrics of the record


def train(
    family: Family,
    out: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    data: Path | Pairs | None = None,
    validation: Path | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    adversary: float | None = None,
    freeze: float | None = None,
    start: Start | None = None,
    keeps_best: bool | None = None,
    resume: bool = True,
    chunk: int = CHUNK,
    is_quiet: bool = False,
    devices: int | None = None,
    nodes: int | None = None,
    workers: int | None = None,
) -> Checkpoint:
    """Train a family's network.

    Writes into ``out``: ``weights.safetensors``, ``run.json``, ``log.csv``, ``curve.png``, ``last.ckpt`` to resume from, of outputs that
    are images ``predictions.png``, of files ``augmentation.png``: the first pairs as training sees them, and ``tensorboard/`` if
    tensorboard is installed.
    A run that was killed and resumed gives exactly the weights of an uninterrupted one (on the same machine, on the CPU).

    Parameters
    ----------
    family
        Family to train, with its recipe unless ``steps`` or ``batch`` are given.
    out
        Folder of the run; created if missing.
    steps, batch, learning_rate
        Number of optimiser steps, and of pairs per step, and the highest rate; the recipe's where None, but on few files fewer steps.
    seed
        Seed of weights, data and augmentation.
    device
        "auto", "cpu", "cuda" or "mps".
    adversary
        Weight of the adversarial term, for a family with an adversary, whose terms then replace its loss; the recipe's if None. At 0
        there are the terms, and no adversary.
    freeze
        Share of the steps in which the encoder stays as ``start`` has it, 0 to below 1; the recipe's if None.
    data
        Files in a layout that :func:`zooready.training.pairs.pairs_of` knows, or pairs; the family's simulation if None.
    validation
        Files to hold out, in the same layout; a fifth of ``data`` if None.
    start
        Weights to begin with; random ones if None.
    keeps_best
        Keep the weights with the lowest held-out loss, and stop when it has not fallen for a third of the steps. If None, so it is for
        files; simulated pairs and given pairs keep the last weights.
    resume
        Resume from ``last.ckpt`` if it exists; False requires a folder without a run.
    chunk
        Most steps between checkpoints; the largest divisor of ``steps`` up to it is used.
    is_quiet
        Show no progress bar.
    devices, nodes
        Processes on each machine, one a GPU, and machines that share each batch; those that torchrun started, or one, if None. All but
        the first return before the run is finished.
    workers
        Processes that make the next pairs meanwhile; if None, none beside a CPU, else one a core that is left, up to eight. The pairs are
        the same.

    Raises
    ------
    InputInvalid
        The folder contains another run or cannot be written, the device is missing, or the data or a number cannot be used.
    ZooreadyError
        The loss became infinite or not a number.
    """
    device = chosen(device)
    given = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "adversary": adversary, "freeze": freeze}
    recipe = recipe_of(family, **given)
    if seed < 0:
        raise InputInvalid(f"seed={seed}: give a whole number from 0.")
    pairs = data if isinstance(data, Pairs) else pairs_of(family, data, seed, validation)
    recipe = recipe if steps is not None else replace(recipe, steps=suited_steps(pairs.crops, recipe))
    processes = counted(devices, nodes)
    demand_divisible(recipe, math.prod(processes))
    chunk = chunk_of(recipe.steps, chunk)
    keeps_best = isinstance(data, Path) if keeps_best is None else keeps_best
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputInvalid(f"cannot make the folder {out} ({error.strerror}): choose one that you may write to.") from None
    record = _record(family, recipe, pairs, start, out=out, seed=seed, device=device)
    with alone(out) if is_first() else nullcontext():
        if _is_finished(record, resume):
            return checkpoint.read(out)
        with made_ahead(pairs.source, suited_workers(workers, device, processes[0]), BATCHES * recipe.batch) as source:
            task = _task(family, recipe, replace(pairs, source=source), seed=seed, chunk=chunk, folder=out)
            fresh = begin(task.network, start) if start else None
            task.freezing = freezing(task.network, recipe.freeze, recipe.steps, fresh)
            held_out = HeldOut(max(1, recipe.steps // PATIENCE) if keeps_best else None, task.freezing.steps)
            return _trained(task, record, pairs, held_out, is_quiet, processes)


def _trained(task: Task, record: Checkpoint, pairs: Pairs, held_out: HeldOut, is_quiet: bool, processes: tuple[int, int]) -> Checkpoint:
    """Train, and write everything that a run leaves; of several processes, the first does."""
    if not is_first():
        _fit(task, record, held_out, True, processes)
        return record
    record.write()
    if pairs.crops:
        write_png(sheet(pairs.source, record.seed), record.folder / SHEET)
    seconds = _fit(task, record, held_out, is_quiet, processes)
    if held_out.best:
        task.network.load_state_dict(held_out.best)
    checkpoint.write_weights(task.network.state_dict(), record.weights)
    if pairs.sample:
        write_image(pairs.sample, record.folder / SAMPLE)
    finished = replace(
        record,
        best_step=held_out.best_step,
        is_finished=True,
        seconds=round(seconds, 1),
        metrics=held_out_metrics(task, pairs.judged),
    )
    finished.write()
    return finished


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a run's folder, so that no other process writes into it meanwhile; without a word where the system has no locks.

    Raises
    ------
    InputInvalid
        Another process holds it, or one may not write there.
    """
    path = folder / IN_USE
    try:
        held = path.open("ab")
    except OSError as error:
        raise InputInvalid(f"cannot write into {folder} ({error.strerror}): choose a folder that you may write to.") from None
    with held as file:
        if locked(file) is False:
            raise InputInvalid(f"another process is training in {folder}: wait for its end, stop it, or choose another folder.")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _task(family: Family, recipe: Recipe, pairs: Pairs, **settings: Any) -> Task:
    """The network in training, against its adversary if the recipe gives it a weight."""
    settings |= {"family": family, "recipe": recipe, "source": pairs.source, "held_out": pairs.held_out}
    if recipe.adversary is None or family.training.adversary is None:
        return Task(**settings)
    return AdversarialTask(family.training.adversary, recipe.adversary, **settings)


def _record(family: Family, recipe: Recipe, pairs: Pairs, start: Start | None, *, out: Path, seed: int, device: str) -> Checkpoint:
    """What is known of a run before its first step."""
    return Checkpoint(
        folder=out,
        family=family.name,
        seed=seed,
        steps=recipe.steps,
        batch=recipe.batch,
        optimizer=recipe.optimizer,
        data=pairs.words,
        data_sha256=pairs.sha256,
        trained_on=pairs.trained_on,
        classes=classes_of(family) or object_classes(family),
        channels=family.input.channels,
        pixel_size_um=pairs.pixel_size_um,
        objects=pairs.objects,
        has_held_out=pairs.has_held_out,
        learning_rate=recipe.learning_rate,
        augmentation=stated(family.training.recipe.augmentation),
        adversary=recipe.adversary,
        freeze=recipe.freeze,
        start=start.words if start else "",
        start_sha256=start.sha256 if start else "",
        git=checkpoint.git_commit(),
        device=device,
        precision=precision(device),
        versions=checkpoint.versions(),
    )


def stated(how: Augmentation) -> dict[str, Any]:
    """What an augmentation changes, as JSON has it; empty if nothing."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(how).items() if value != getattr(PLAIN, key)}


def suited_steps(crops: float, recipe: Recipe) -> int:
    """Steps in which images with room for so many crops are seen about ``SEEN`` times, at most the recipe's; its own without files.

    >>> [suited_steps(crops, Recipe(steps=2400, batch=4)) for crops in (0, 2, 20, 1000)]
    [2400, 200, 500, 2400]
    """
    if not crops:
        return recipe.steps
    return min(recipe.steps, max(FEWEST, math.ceil(SEEN * crops / recipe.batch / CHUNK) * CHUNK))


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
    for name in COMPARED:
        if getattr(previous, name) != getattr(record, name):
            raise InputInvalid(
                f"{record.folder} holds a run with {name} = {getattr(previous, name)!r}, not {getattr(record, name)!r}: "
                "give the same settings to resume it, or another folder as out."
            )
    return previous.is_finished


def _fit(task: Task, run: Checkpoint, held_out: HeldOut, is_quiet: bool, processes: tuple[int, int]) -> float:
    """Train with Lightning from the last checkpoint to the last step; return the time in seconds, including that of interrupted runs."""
    log, (devices, nodes) = Log(run, held_out), processes
    is_shared = devices * nodes > 1
    if is_shared:
        joined(task.network)
    last = run.folder / LAST
    with _without_chatter():
        trainer = lightning.Trainer(
            accelerator={"cuda": "gpu"}.get(run.device, run.device),
            devices=devices,
            num_nodes=nodes,
            strategy="ddp_find_unused_parameters_true" if is_shared else "auto",
            use_distributed_sampler=False,  # the pairs of each process are its task's
            precision=run.precision,  # type: ignore[arg-type]
            max_epochs=run.steps // task.chunk,  # not max_steps, with which Lightning repeats a batch after a restart
            gradient_clip_val=task.recipe.clip if task.automatic_optimization else None,
            reload_dataloaders_every_n_epochs=1,
            plugins=[WholeCheckpoints()],
            callbacks=[held_out, log, Pictures(run.folder), *([] if is_quiet else [Bar(run.steps)])],
            logger=boards(run.folder),
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
    """Means of the family's metrics over held-out pairs, in float32: whole ones of ``judged``, or some of the run's own crops.

    Pairs without metrics are left out, and so is a value that is not finite, as PSNR is where an image equals the truth: JSON has none.
    The result is empty if no pair has any.
    """
    if task.family.training.metrics is None:
        return {}
    measured: dict[str, list[float]] = {}
    task.eval().cpu()
    pair_of, count = judged or (lambda index: task.held_out(task.seed + HELD_OUT, index), EVALUATED)
    for index in range(count):
        pair = pair_of(index)
        with torch.no_grad():
            image = torch.as_tensor(pair.input)[None]
            output = _whole(task, normalised(image, task.statistics(image)))
        for name, value in task.family.training.metrics(output, pair).items():
            if math.isfinite(value):
                measured.setdefault(name, []).append(value)
    return checkpoint.plain({name: np.mean(values) for name, values in measured.items()})


def _whole(task: Task, image: torch.Tensor) -> Any:
    """The network's own output for a normalised image (1, c, y, x); a network that finds objects takes any size, its edges repeated."""
    if task.family.objects is None:
        return task.network(image)
    height, width = image.shape[-2:]
    padded = functional.pad(image, (0, -width % STEP_PX, 0, -height % STEP_PX), mode="replicate")
    return task.network(padded)[..., :height, :width]
