"""What a family's evaluation gives to the pages: numbers, images, and plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Weights: TypeAlias = "Mapping[str, Tensor]"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How the weights of one family are judged.

    ``measure(weights)`` gives ``tables`` (title to rows, each with ``method`` and numbers), ``measured_on`` (title to words) and
    ``metrics`` (flat numbers), all plain data. ``spot(weights)`` is a small part of it, exactly repeatable within seconds, by which a test
    finds out that a card and its weights have parted. ``draw(weights, folder)`` writes PNG images and yields (file name, caption).
    ``data``, ``suited``, ``unsuited`` and ``limits`` are sentences for the card.
    """

    measure: Callable[[Weights], dict[str, Any]]
    spot: Callable[[Weights], dict[str, float]]
    draw: Callable[[Weights, Path], list[tuple[str, str]]]
    data: str
    suited: tuple[str, ...]
    unsuited: tuple[str, ...]
    limits: tuple[str, ...]


def digits(value: Any, count: int = 4) -> float:
    """A number as a record keeps it."""
    return round(float(value), count)
