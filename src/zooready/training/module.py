"""The Lightning module: a family's network with its normalisation."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from zooready.errors import ZooreadyError
from zooready.nets.normalization import normalised
from zooready.records import Family, Recipe
from zooready.training.ahead import Ahead, Source
from zooready.training.checkpoint import replace
from zooready.training.freezing import Freezing
from zooready.training.optimizers import optimizer_of

Batch = tuple[torch.Tensor, torch.Tensor]
HELD_OUT = 1_000_003  # added to the seed for the held-out pairs


class Indexed(Dataset[Batch]):
    """Pairs ``first``, …, ``first + count − 1`` of a source, as tensors (c, y, x) float32."""

    def __init__(self, source: Source, seed: int, first: int, count: int) -> None:
        self.source, self.seed, self.first, self.count = source, seed, first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> Batch:
        pair = self.source(self.seed, self.first + position)
        return torch.as_tensor(pair.input), torch.as_tensor(pair.target)


def in_float32(output: Any) -> Any:
    """A network's output, a tensor or a tuple of them, in float32."""
    return output.float() if isinstance(output, torch.Tensor) else tuple(tensor.float() for tensor in output)


class Task(lightning.LightningModule):
    """A network in training. Step s uses pairs s·batch, …, and an epoch is ``chunk`` steps, after which training can be resumed.

    ``source(seed, index)`` gives the training pairs, ``held_out(seed, index)`` the held-out ones. If a network has outputs at several
    scales, its method ``scales`` returns them all for the loss.
    """

    def __init__(self, family: Family, recipe: Recipe, *, source: Source, held_out: Source, seed: int, chunk: int, folder: Path) -> None:
        super().__init__()
        self.family, self.recipe, self.source, self.held_out = family, recipe, source, held_out
        self.seed, self.chunk, self.folder = seed, chunk, folder
        self.freezing = Freezing()
        torch.manual_seed(seed)
        self.memory = torch.channels_last_3d if "z" in family.input.axes else torch.channels_last
        self.network: nn.Module = family.network.architecture.build().to(memory_format=self.memory)
        self.normalization: Any = family.network.normalization.build() if family.network.normalization else None

    def train_dataloader(self) -> DataLoader[Batch]:
        """The pairs of this epoch, in order; of several processes, those of this one."""
        size = self.chunk * self.recipe.batch
        pairs = Indexed(self.source, self.seed, self.current_epoch * size, size)
        own = self.recipe.batch // self.trainer.world_size  # of each batch, the part that this process computes
        first = own * self.trainer.global_rank
        positions = [step + first + number for step in range(0, size, self.recipe.batch) for number in range(own)]
        if isinstance(self.source, Ahead):
            self.source.expect(self.seed, (pairs.first + position for position in positions))
        return DataLoader(Subset(pairs, positions), batch_size=own)

    def held_out_batches(self) -> DataLoader[Batch]:
        """Two batches of pairs that training never sees."""
        return DataLoader(Indexed(self.held_out, self.seed + HELD_OUT, 0, 2 * self.recipe.batch), batch_size=self.recipe.batch)

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser; the learning rate rises over the first twentieth of the steps and then falls as a cosine to 0."""
        steps, rise = self.recipe.steps, max(1, self.recipe.steps // 20)
        optimizer = optimizer_of(self.network.parameters(), self.recipe)
        rate = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (step + 1) / rise) * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Seed the epoch, so that its random numbers do not depend on earlier interruptions."""
        torch.manual_seed(self.seed * 100_003 + self.current_epoch)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Hold the encoder as long as it is frozen."""
        self.freezing.before(self.global_step)

    def prepared(self, batch: Batch) -> Batch:
        """A batch (input, target) as the network and the loss take it: normalised, (b, c, y, x) each."""
        image, target = batch
        with torch.autocast(image.device.type, enabled=False):
            statistics = self.statistics(image)
            image = normalised(image, statistics).contiguous(memory_format=self.memory)
            if self.family.network.restores:
                target = normalised(target, tuple(values[:, : target.shape[1]] for values in statistics))
        return image, target

    def loss(self, batch: Batch) -> torch.Tensor:
        """The family's loss, in float32, of one batch (input, target), (b, c, y, x) each."""
        image, target = self.prepared(batch)
        output = getattr(self.network, "scales", self.network)(image)
        with torch.autocast(image.device.type, enabled=False):
            loss: torch.Tensor = self.family.training.loss(in_float32(output), target)
            if self.family.training.guard is not None:
                loss = loss + self.family.training.guard(in_float32(output), target, image)
        return loss

    def statistics(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Offsets and scale of each image, (b, c, 1, 1); 0 and 1 for a family without normalisation."""
        if self.normalization is None:
            return torch.zeros_like(image[:, :, :1, :1]), torch.ones_like(image[:, :, :1, :1])
        statistics: tuple[torch.Tensor, ...] = self.normalization.statistics(image)
        return statistics

    def training_step(self, batch: Batch, number: int) -> Any:
        """The loss of one batch; errors are those of :meth:`demand_finite`."""
        loss = self.loss(batch)
        self.demand_finite(loss, batch)
        return loss

    def demand_finite(self, loss: torch.Tensor, batch: Batch) -> None:
        """Stop training at a loss that is none.

        Raises
        ------
        ZooreadyError
            The loss is not finite; the batch is saved in the run's folder.
        """
        if not bool(torch.isfinite(loss)):
            path = self.folder / f"not-finite-step-{self.global_step}.npz"
            content = io.BytesIO()
            np.savez(content, input=batch[0].cpu().numpy(), target=batch[1].cpu().numpy())
            replace(path, content.getvalue())
            raise ZooreadyError(
                f"the loss is {float(loss)} at step {self.global_step}: training stopped. The batch is in {path}: "
                f"look for pixels that are not finite; if there are none, halve the learning rate ({self.recipe.learning_rate})."
            )
