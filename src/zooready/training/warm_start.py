"""Weights to begin with: those of another network of the same kind become the first ones of a run."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from zooready.errors import InputInvalid

LEAST = 0.5  # share of a network's numbers that must be found; fewer are no start
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Start:
    """Tensors by name, and ``words`` that say whose they are, e.g. "segmentation, as shipped"."""

    weights: Mapping[str, Tensor]
    words: str

    @property
    def sha256(self) -> str:
        """Hash of the names and numbers, by which a run knows its start again."""
        digest = hashlib.sha256()
        for name, value in sorted(self.weights.items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().view(-1).float().numpy().tobytes())
        return digest.hexdigest()


def begin(network: nn.Module, start: Start) -> list[str]:
    """Put the weights into a network, in place; the names of the tensors of another size, such as those of other classes.

    These keep their random numbers.

    Raises
    ------
    InputInvalid
        Less than half of the network's numbers are among the weights.
    """
    state = network.state_dict()
    fitting = {name: value for name, value in start.weights.items() if name in state and state[name].shape == value.shape}
    found, all_of_them = (sum(tensors[name].numel() for name in tensors) for tensors in (fitting, state))
    if found < LEAST * all_of_them:
        raise InputInvalid(
            f"{start.words}: only {found} of this network's {all_of_them} numbers are there in the same shape, so it is another "
            "network. Start from one of the same family, or from nothing."
        )
    network.load_state_dict({**state, **fitting})
    if missing := sorted(state.keys() - fitting.keys()):
        LOG.warning("these layers start from random weights, because %s has none of their size: %s.", start.words, ", ".join(missing))
    return missing
