"""Shipped networks beside classical methods, against truth: the numbers, images and words of the model cards.

In: weights. Out: plain data for ``weights/<family>.json``, from which ``cards`` writes the pages. One file per family, of the family's
name, holds its :class:`Evaluation`; ``label_images``, ``classifiers``, ``deconvolution`` and ``deconvolution_cards`` measure for them.
``protocols`` repeats the protocol of the PLCNN paper on public sets.

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
    """How a family's weights are judged: ``EVALUATION`` of the module that its record names, imported when it is asked for.

    Raises
    ------
    InputInvalid
        The family has no evaluation.
    """
    if not family.evaluation:
        judged = ", ".join(name for name, known in FAMILIES.items() if known.evaluation)
        raise InputInvalid(f"{family.name} has no evaluation: choose from {judged}.")
    return cast(Evaluation, importlib.import_module(f"zooready.evaluation.{family.evaluation}").EVALUATION)
