"""What export found out about a network, as the description states it (``config.zooready``) and as it is read back from a stranger's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from zooready.records import Measured, Part
from zooready.tensors import Operator

NO_PART = "none"  # where nothing is normalised, or nothing finishes the outputs
LARGEST = 2**16  # px; a minimum or a stride beyond is none


def measured_facts(measured: Measured) -> dict[str, Any]:
    """What probing found, as plain data; an unbounded halo is said in words."""
    facts = {key: value for key, value in asdict(measured).items() if key in ("stride", "minimum", "fixed") and value}
    if measured.strides:
        facts |= {"strides": list(measured.strides), "minimums": list(measured.minimums)}
    if measured.tile_step > 1:
        facts["tile_step"] = measured.tile_step
    if measured.compared:
        facts["compared"] = list(measured.compared)
    return {**facts, "halo": "whole image" if measured.halo is None else measured.halo, "notes": list(measured.notes)}


def inside_facts(parts: Mapping[str, Part | None]) -> dict[str, Any]:
    """The parts around what has weights, by the name of their class; "none" where there is none."""
    return {place: {"name": part.path.rpartition(".")[2], **part.kwargs} if part else {"name": NO_PART} for place, part in parts.items()}


def measured_halo_px(measured: object) -> int | Literal["whole image"] | None:
    """The halo that export measured; None in a bundle from elsewhere."""
    halo = measured.get("halo") if isinstance(measured, Mapping) else None
    if halo == "whole image":
        return "whole image"
    return halo if isinstance(halo, int) else None


def measured_px(measured: object, name: str, *others: str) -> int | None:
    """A number that export measured, px, and others if they are there: the least that suits all; None in a bundle from elsewhere."""
    values = [measured.get(name), *(measured[other] for other in others if other in measured)] if isinstance(measured, Mapping) else []
    given = [number for value in values for number in (value if isinstance(value, list) else [value])]
    numbers = [number for number in given if isinstance(number, int) and number > 0]
    return math.lcm(*numbers) if numbers and len(numbers) == len(given) and max(numbers) <= LARGEST else None


def inside(stated: object) -> dict[str, Operator]:
    """The parts of the network around what has weights; empty in a bundle that does not say."""
    parts = stated if isinstance(stated, Mapping) else {}
    named = {str(place): dict(part) for place, part in parts.items() if isinstance(part, Mapping) and isinstance(part.get("name"), str)}
    return {place: Operator(name=part.pop("name"), kwargs=part) for place, part in named.items()}
