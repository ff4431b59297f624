"""The encoder of a network that begins with trained weights, held as it is for the first steps, in which only what follows it learns.

What follows begins with weights that fit worse, random ones for other classes, and its first, large gradients leave the encoder alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from zooready.errors import InputInvalid, amount

NAMES = ("encoder", "backbone")  # of a submodule, in networks that state no ENCODER: segmentation_models.pytorch's, torchvision's


@dataclass(frozen=True, kw_only=True, eq=False)
class Freezing:
    """Parts of a network that do not change in the first ``steps`` steps.

    Their normalisations are in evaluation mode meanwhile: they use their running statistics and do not change these either, so that the
    held part computes the very function that was trained.
    """

    parts: tuple[nn.Module, ...] = ()
    parameters: tuple[nn.Parameter, ...] = ()
    steps: int = 0

    def before(self, step: int) -> None:
        """Hold or release the parts before a step, counted from 0; called before every one, since Lightning sets modes anew."""
        if step > self.steps:
            return
        is_free = step == self.steps
        for part in self.parts:
            part.train(is_free)
        for parameter in self.parameters:
            parameter.requires_grad_(is_free)


def freezing(network: nn.Module, share: float, steps: int, fresh: Sequence[str] | None) -> Freezing:
    """How the encoder of a network is held for a share of the steps.

    Parameters
    ----------
    network
        In training, its weights in place. It names its encoder in ``ENCODER``, paths of submodules; of one that does not, submodules
        called encoder or backbone are taken.
    share, steps
        Of the steps, 0 to below 1, and steps in all.
    fresh
        Names of the tensors that begin with random numbers; None if all do.

    Raises
    ------
    InputInvalid
        There are no weights to hold, the network has no encoder that is known by name, nothing after it, or parts of it are random.
    """
    if not share:
        return Freezing()
    if fresh is None:
        raise InputInvalid(f"freeze={share:g} holds the encoder as it begins, and here it begins with random weights: give a start, too.")
    paths = encoder(network)
    if not paths:
        raise InputInvalid(
            f"freeze={share:g}: {type(network).__name__} names no encoder that could be held. Leave freeze out, or name its parts in "
            f"ENCODER, such as ENCODER = ('down',); submodules called {' or '.join(NAMES)} are found without."
        )
    within = tuple(f"{path}." for path in paths)
    if unfit := [name for name in fresh if name.startswith(within)]:
        raise InputInvalid(
            f"freeze={share:g}: {amount(len(unfit), 'tensor')} of the encoder would be held at random numbers, because the start has none "
            f"of their size: {', '.join(unfit[:3])}{', ...' if len(unfit) > 3 else ''}. Leave freeze out."
        )
    held = [parameter for name, parameter in network.named_parameters() if name.startswith(within) and parameter.requires_grad]
    if len(held) == sum(parameter.requires_grad for parameter in network.parameters()):
        raise InputInvalid(f"freeze={share:g}: all of {type(network).__name__} is its encoder, so nothing would learn. Leave freeze out.")
    steps_held = min(round(share * steps), steps - 1)  # of few steps, too, the encoder learns in the last
    return Freezing(parts=tuple(network.get_submodule(path) for path in paths), parameters=tuple(held), steps=steps_held)


def encoder(network: nn.Module) -> tuple[str, ...]:
    """Paths of the submodules that lead from the image to the most condensed features; empty if a network does not name them.

    >>> from zooready.nets.unet import UNet
    >>> encoder(UNet(1, 1)), encoder(nn.Sequential(UNet(1, 1), nn.ReLU())), encoder(nn.Linear(2, 2))
    (('down',), ('0.down',), ())
    """
    for path, module in network.named_modules():
        stated = getattr(module, "ENCODER", None) or tuple(name for name, _ in module.named_children() if name in NAMES)
        if stated:
            return tuple(f"{path}.{name}" if path else name for name in stated)
    return ()
