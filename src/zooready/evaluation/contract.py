"""What a family's evaluation gives to its model card: numbers, images, and sentences."""

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
    """How the weights of one family are measured, and the words of its card.

    ``measure(weights)`` gives ``tables`` (title to rows, each with ``method`` and numbers), ``measured_on`` (title to words) and
    ``metrics`` (flat numbers), all plain data. ``spot(weights)`` is a small part of it that takes seconds, by which a test
    notices a card that does not belong to its weights. ``draw(weights, folder)`` writes PNG images and yields (file name, caption).
    ``judge(family, weights, folder of images, folder of the page)`` judges on a person's own images, None where nothing can.
    ``data``, ``suited``, ``unsuited`` and ``limits`` are sentences for the card.
    """

    measure: Callable[[Weights], dict[str, Any]]
    spot: Callable[[Weights], dict[str, float]]
    draw: Callable[[Weights, Path], list[tuple[str, str]]]
    data: str
    suited: tuple[str, ...]
    unsuited: tuple[str, ...]
    limits: tuple[str, ...]
    judge: Callable[..., Path] | None = None


def digits(value: Any, count: int = 4) -> float:
    """A number, rounded as in a record."""
    return round(float(value), count)
