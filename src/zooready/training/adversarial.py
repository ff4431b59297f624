"""Adversarial training: the network and a discriminator are trained in turn, each with an optimiser of its own.

    loss = the family's terms + weight x (-log D(output))        discriminator's loss = -log D(target) - log(1 - D(output))

D is the probability that the discriminator gives to "this is a target". It judges the form of an image, not its brightness: every image
has mean 0 and standard deviation 1 before it.
Goodfellow et al., NeurIPS 2014, arXiv:1406.2661
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from zooready.records import Adversary
from zooready.training.module import Batch, Task, in_float32

LEAST_SPREAD = 0.3  # of an image, in standard deviations of the network's input; one that varies less is not stretched further


class AdversarialTask(Task):
    """A network in training against a discriminator; the held-out loss has the family's terms only."""

    def __init__(self, adversary: Adversary, weight: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False  # with which Lightning trains one optimiser only
        self.adversary, self.weight = adversary, weight
        self.discriminator: torch.nn.Module = adversary.discriminator.build().to(memory_format=self.memory)

    def configure_optimizers(self) -> Any:
        """The network's optimiser with its learning rate, and the discriminator's."""
        other = torch.optim.AdamW(self.discriminator.parameters(), lr=self.adversary.learning_rate, weight_decay=0.0)
        return [super().configure_optimizers(), {"optimizer": other}]

    def terms(self, output: Any, target: Tensor) -> dict[str, Tensor]:
        """The family's terms of the loss, in float32."""
        with torch.autocast(target.device.type, enabled=False):
            return dict(self.adversary.terms(in_float32(output), target))

    def loss(self, batch: Batch) -> Tensor:
        """The sum of the family's terms, without the adversarial one."""
        image, target = self.prepared(batch)
        return torch.stack(tuple(self.terms(self.network(image), target).values())).sum()

    def training_step(self, batch: Batch, number: int) -> dict[str, Any]:
        """Train both networks by one step: ``loss`` of the network, and ``terms``, what it consists of and the discriminator's own.

        Raises
        ------
        ZooreadyError
            The loss is not finite; the batch is saved in the run's folder.
        """
        own, other = self.optimizers()  # type: ignore[attr-defined]
        image, target = self.prepared(batch)
        with self.toggled_optimizer(own):
            output = self.network(image)
            terms = self.terms(output, target)
            if self.weight:
                terms["adversarial"] = self.weight * softplus(-self.logit(output)).mean()
            loss = torch.stack(tuple(terms.values())).sum()
            self.demand_finite(loss, batch)
            self.take_step(own, loss)
        self.lr_schedulers().step()  # type: ignore[union-attr]
        if self.weight:
            with self.toggled_optimizer(other):
                terms["discriminator"] = (softplus(-self.logit(target)) + softplus(self.logit(output.detach()))).mean()
                self.take_step(other, terms["discriminator"])
        return {"loss": loss, "terms": {name: float(value.detach()) for name, value in terms.items()}}

    def take_step(self, optimizer: Any, loss: Tensor) -> None:
        """One step of an optimiser; only those of the network are counted as steps of the training."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(optimizer, gradient_clip_val=self.recipe.clip, gradient_clip_algorithm="norm")
        counted = optimizer if optimizer is self.optimizers()[0] else optimizer.optimizer  # type: ignore[index]
        counted.step()

    def logit(self, image: Tensor) -> Tensor:
        """What the discriminator thinks of images (b, 1, y, x): (b, 1) float32, positive for "a target"."""
        with torch.autocast(image.device.type, enabled=False):
            image = image.float()
            spread, mean = torch.std_mean(image, (1, 2, 3), keepdim=True)
            image = (image - mean) / spread.clamp(min=LEAST_SPREAD)
        logit: Tensor = self.discriminator(image)
        return logit.float()
