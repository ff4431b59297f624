"""Numbers that a network draws while it runs: two runs may agree by luck, and with a seed of its own always do, which no file keeps."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zooready.exporting.trying import Trial, agree
from zooready.formats.watching import watched

if TYPE_CHECKING:
    from torch import Tensor

DRAWN = ("rand", "randn", "randint", "rand_like", "randn_like", "randint_like", "normal", "bernoulli", "poisson", "multinomial")
FILLED = ("uniform_", "normal_", "bernoulli_", "random_", "exponential_", "geometric_", "cauchy_", "log_normal_")
BELOW_1 = 1 - 1e-7  # the most that a number from 0 to 1 is
FAR = 6.0  # standard deviations


def draws(trial: Trial, outputs: tuple[Tensor, ...]) -> str:
    """What a network draws that its outputs depend on, by name; empty if nothing.

    Each draw is replaced by the least and by the most that it may give.

    Parameters
    ----------
    outputs
        Those for the example.
    """
    before = (random.getstate()[1], _numpy_state())
    seen: list[str] = []

    def fixed(is_most: bool, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        result = func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        if name == "randperm":
            seen.append(name)
            return result.sort(descending=is_most).values
        if name not in DRAWN and name not in FILLED:
            return result
        seen.append(name.rstrip("_"))
        if "norm" in name or "randn" in name:
            return result.fill_(FAR if is_most else -FAR)
        if not is_most or not result.numel():
            return result.zero_()
        return result.fill_(BELOW_1) if result.is_floating_point() else result.fill_(result.max())

    for is_most in (False, True):
        try:
            with watched(partial(fixed, is_most)):
                other = trial.run(trial.example)
        except Exception:  # some operations cannot be watched, and some networks insist on what they draw
            return ""
        if seen and not agree(outputs, other, 1e-5):
            return ", ".join(dict.fromkeys(f"torch.{name}" for name in seen))
    names = ("random.random", "numpy.random")
    return ", ".join(name for name, was, now in zip(names, before, (random.getstate()[1], _numpy_state()), strict=True) if was != now)


def _numpy_state() -> tuple[bytes, int]:
    """Where NumPy's own generator stands."""
    _, numbers, place, *_ = np.random.get_state()  # noqa: NPY002 (what somebody's network may draw from)
    return np.asarray(numbers).tobytes(), int(place)
