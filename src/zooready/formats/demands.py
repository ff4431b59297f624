"""What is asked of a file that is written from a recording, the same for every such format."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zooready.records import TOLERANCE, Format

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Demands:
    """How a network may be recorded, and how closely the file must compute what the network computes.

    Attributes
    ----------
    fixed
        Axes that take one length only, e.g. ``{"z": 7}``; ``b``, ``z``, ``y``, ``x`` are free otherwise.
    others
        Further images to record on if the file for the example is wrong: of sizes at which a network that pads inside does pad.
    labels
        Numbers of the outputs that are label images, compared by objects.
    tolerance
        Largest difference / range that the file may show on a trial image; that of the format if None.
    """

    fixed: Mapping[str, int] = field(default_factory=dict)
    others: Sequence[Tensor] = ()
    labels: Collection[int] = ()
    tolerance: float | None = None

    def allowed(self, format: Format) -> float:
        """The tolerance, or that of the format."""
        return TOLERANCE[format] if self.tolerance is None else self.tolerance
