"""Shipped networks beside classical methods, against truth: the numbers and images of the model cards.

In: weights. Out: plain data for ``weights/<family>.json``, which cards are written from. One :class:`Evaluation` a family.

May import: nets, images, simulate, data, training, families, measurement
"""

from __future__ import annotations

import importlib
from typing import cast

from zooready.errors import InputInvalid
from zooready.evaluation.contract import Evaluation
from zooready.evaluation.recording import record
from zooready.families import FAMILIES
from zooready.records import Family

__all__ = ["Evaluation", "evaluation_of", "record"]


def evaluation_of(family: Family) -> Evaluation:
    """How a family's weights are judged, imported now: its record names the module, and ``EVALUATION`` or another name in it.

    Raises
    ------
    InputInvalid
        The family has no evaluation.
    """
    if not family.evaluation:
        judged = ", ".join(name for name, known in FAMILIES.items() if known.evaluation)
        raise InputInvalid(f"{family.name} has no evaluation: choose from {judged}.")
    module, _, name = family.evaluation.partition(".")
    return cast(Evaluation, getattr(importlib.import_module(f"zooready.evaluation.{module}"), name or "EVALUATION"))
