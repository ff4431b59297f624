"""Lightning callbacks: the log, the loss curve, the checkpoint, the progress bar."""

from __future__ import annotations

import csv
import io
import math
import pickle
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from zooready.errors import InputInvalid
from zooready.images.files import write_png
from zooready.training.checkpoint import Checkpoint, replace
from zooready.training.contact_sheet import PREDICTIONS, predicted
from zooready.training.module import HELD_OUT, Task

COLUMNS = ("step", "loss", "held_out_loss", "learning_rate", "seconds")  # followed by the terms of a loss that tells them
LAST = "last.ckpt"


class HeldOut(lightning.Callback):
    """Computes the held-out loss after each epoch and, where asked, keeps the weights that had the lowest; all is in every checkpoint.

    ``patience`` is the number of steps without a lower loss after which training stops; None keeps the last weights and never stops.
    They count from ``first`` on, before which a part of the network is frozen and the loss may have nowhere to fall to.
    """

    def __init__(self, patience: int | None = None, first: int = 0) -> None:
        self.patience, self.first = patience, first
        self.loss, self.best_loss, self.best_step = math.inf, math.inf, 0
        self.best: dict[str, torch.Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """The state that a checkpoint stores."""
        return {"best_loss": self.best_loss, "best_step": self.best_step, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the state in a checkpoint."""
        self.best_loss, self.best_step, self.best = (state_dict[key] for key in ("best_loss", "best_step", "best"))

    def on_train_start(self, trainer: lightning.Trainer, task: lightning.LightningModule) -> None:
        """Stop a resumed run that had already stopped."""
        self._stop(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, task: lightning.LightningModule) -> None:
        """Compute the loss, keep the weights if it is the lowest, and stop if it has long not been."""
        if not isinstance(task, Task):
            raise TypeError(f"{type(task).__name__}: held-out pairs belong to a Task.")
        self.loss = held_out_loss(task, trainer)
        if self.patience is not None and self.loss < self.best_loss:
            self.best_loss, self.best_step = self.loss, trainer.global_step
            self.best = {name: value.detach().cpu().clone() for name, value in task.network.state_dict().items()}
        self._stop(trainer)

    def _stop(self, trainer: lightning.Trainer) -> None:
        if self.patience is not None and self.best and trainer.global_step - max(self.best_step, self.first) >= self.patience:
            trainer.should_stop = True


class Log(lightning.Callback):
    """Collects the rows of ``log.csv``. They are part of every checkpoint, so the log of a resumed run has no gaps or repeated rows."""

    def __init__(self, run: Checkpoint, held_out: HeldOut) -> None:
        self.folder, self.held_out = run.folder, held_out
        self.label = "held out" if run.has_held_out else "the same image"
        self.rows: list[list[float | str]] = []
        self.terms: list[str] = []
        self.seconds = 0.0
        self.since = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """The state that a checkpoint stores."""
        return {"rows": self.rows, "terms": self.terms, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the state in a checkpoint."""
        self.rows, self.terms, self.seconds = list(state_dict["rows"]), list(state_dict["terms"]), state_dict["seconds"]

    def on_train_batch_start(self, trainer: lightning.Trainer, task: lightning.LightningModule, batch: Any, batch_idx: int) -> None:
        """Store the learning rate of this step."""
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: lightning.Trainer, task: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add a row."""
        now = time.monotonic()
        self.seconds, self.since = self.seconds + now - self.since, now
        terms = {name: round(value, 6) for name, value in outputs.get("terms", {}).items()}
        self.terms = list(terms)
        loss = float(trainer.strategy.reduce(outputs["loss"].detach(), reduce_op="mean"))
        row = [trainer.global_step, round(loss, 6), "", round(self.rate, 9), round(self.seconds, 2)]
        self.rows.append([*row, *terms.values()])

    def on_train_start(self, trainer: lightning.Trainer, task: lightning.LightningModule) -> None:
        """Start the clock."""
        self.since = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, task: lightning.LightningModule) -> None:
        """Write log, curve and checkpoint, each complete or not at all; of several processes, the first does."""
        self.rows[-1][2] = round(self.held_out.loss, 6)
        if trainer.is_global_zero:
            self._write(trainer)
        trainer.save_checkpoint(self.folder / LAST)

    def _write(self, trainer: lightning.Trainer) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([[*COLUMNS, *self.terms], *self.rows])
        replace(self.folder / "log.csv", text.getvalue().encode())
        curve(self.rows, self.folder / "curve.png", self.label)
        for row in self.rows[-int(trainer.num_training_batches) :]:
            named = dict(zip((*COLUMNS, *self.terms), row, strict=True))
            for logger in trainer.loggers:
                logger.log_metrics({name: float(value) for name, value in named.items() if value != ""}, step=int(float(row[0])))


class Pictures(lightning.Callback):
    """Draws held-out pairs beside what the network makes of them, about ``TIMES`` times in a training, the last time at its end."""

    TIMES, SHOWN = 20, 4

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: lightning.Trainer, task: lightning.LightningModule) -> None:
        """Write ``predictions.png``, complete or not at all, and hand it to the loggers that show images."""
        epochs, done = int(trainer.max_epochs or 1), trainer.current_epoch + 1
        if not (isinstance(task, Task) and trainer.is_global_zero) or (done % max(1, epochs // self.TIMES) and done < epochs):
            return
        pairs = [task.held_out(task.seed + HELD_OUT, index) for index in range(self.SHOWN)]
        task.eval()
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            images = [task.prepared((torch.as_tensor(p.input)[None], torch.as_tensor(p.target)[None]))[0].to(task.device) for p in pairs]
            outputs = [task.network(image) for image in images]
        task.train()
        first = [output[0] if isinstance(output, tuple | list) else output for output in outputs]
        drawn = predicted(pairs, [output[0].float().cpu().numpy() for output in first])
        if drawn is None:
            return
        write_png(drawn, self.folder / PREDICTIONS)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("predictions", drawn, trainer.global_step, dataformats="HWC")


def boards(folder: Path) -> list[TensorBoardLogger]:
    """Lightning's log for TensorBoard in the folder of a run; none if tensorboard is not installed."""
    return [TensorBoardLogger(folder, name="tensorboard", version="")] if find_spec("tensorboard") else []


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, written complete or not at all, with an error that explains an unreadable file."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint; for errors see :func:`zooready.training.checkpoint.replace`."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        replace(Path(path), content.getvalue())

    def load_checkpoint(self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint.

        Raises
        ------
        InputInvalid
            The file is cut off or damaged.
        """
        try:
            return super().load_checkpoint(path, map_location, weights_only)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            reason = str(error).strip().split("\n")[0]
            raise InputInvalid(
                f"{path} is cut off or damaged ({reason}): remove it, and training starts again from its first step."
            ) from None


def held_out_loss(task: Task, trainer: lightning.Trainer) -> float:
    """Mean loss over pairs that training never sees, in evaluation mode."""
    task.eval()
    with torch.no_grad(), trainer.precision_plugin.forward_context():
        losses = [float(task.loss((image.to(task.device), target.to(task.device)))) for image, target in task.held_out_batches()]
    task.train()
    return sum(losses) / len(losses)


def curve(rows: list[list[float | str]], path: Path, label: str) -> None:
    """Draw loss and held-out loss, called ``label``, over steps as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss")
    axes.plot([float(row[0]) for row in rows], [float(row[1]) for row in rows], linewidth=0.6, label="training")
    held_out = [(float(row[0]), float(row[2])) for row in rows if row[2] != ""]
    axes.plot(*zip(*held_out, strict=True), marker=".", label=label)
    axes.legend()
    image = io.BytesIO()
    FigureCanvasAgg(figure).print_png(image)
    replace(path, image.getvalue())


class Bar(lightning.Callback):
    """A progress bar over all steps, with the loss and the time left."""

    def __init__(self, steps: int) -> None:
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"))
        self.progress = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(elapsed_when_finished=True))
        self.steps = steps

    def on_train_start(self, trainer: lightning.Trainer, task: lightning.LightningModule) -> None:
        """Show the bar, starting at the step from which the run resumes."""
        self.number = self.progress.add_task("", total=self.steps, completed=trainer.global_step, loss="")
        self.progress.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, task: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance the bar."""
        self.progress.update(self.number, completed=trainer.global_step, loss=f"{float(outputs['loss']):.4f}")

    def teardown(self, trainer: lightning.Trainer, task: lightning.LightningModule, stage: str) -> None:
        """Restore the terminal."""
        self.progress.stop()
