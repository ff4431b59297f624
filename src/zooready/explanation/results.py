"""What an explanation gives: values, axes, units and facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from zooready.records import Array, Image


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The result of one method.

    ``values`` are float32 with one axis for each letter of ``axes`` (of ``czyx``), in ``unit``; ``scale`` is how they are coloured.
    ``facts`` are numbers that belong to them. ``marks`` are named half sides and radii, px, of shapes drawn round the image's middle.
    """

    name: str
    title: str
    values: Array
    axes: str
    unit: str
    scale: Literal["signed", "positive", "log"]
    channels: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Explained:
    """All explanations of one output for one image.

    ``image`` is the input of the network, with the distance of planes of the stack that it makes if it is given none. ``facts`` name the
    output and, for a classifier, the class that was explained and the score of every class. ``notes`` are warnings to read first.
    ``files`` are the files that were written.
    """

    explanations: tuple[Explanation, ...]
    image: Image
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
