"""Shipped networks beside classical methods, against truth: the numbers, images and words of the model cards.

In: weights. Out: plain data for ``weights/<family>.json``, from which ``cards`` writes the pages. One file per family, of the family's
name, holds its :class:`Evaluation`; ``label_images``, ``classifiers``, ``deconvolution`` and ``deconvolution_cards`` measure for them.
``protocols`` repeats the protocol of the PLCNN paper on public sets.

May import: nets, images, simulate, data, training, families, measurement
"""

from collections.abc import Mapping
from importlib import import_module

from zooready.evaluation.contract import Evaluation
from zooready.evaluation.recording import record
from zooready.families import FAMILIES

__all__ = ["EVALUATIONS", "Evaluation", "record"]

EVALUATIONS: Mapping[str, Evaluation] = {name: import_module(f"{__name__}.{name}").EVALUATION for name in FAMILIES}
