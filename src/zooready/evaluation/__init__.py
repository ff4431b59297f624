"""Shipped networks beside classical methods, against truth: the numbers and pictures of the model cards.

In: weights. Out: plain data for ``weights/<family>.json``, which cards are written from. One :class:`Evaluation` a family.

May import: drawing, pictures, features, families, nets, simulate, training, prediction, matching, similarity, wrapping
"""

from collections.abc import Mapping

from zooready.evaluation import nuclei, patterns, restoration
from zooready.evaluation.contract import Evaluation
from zooready.evaluation.recording import record

__all__ = ["EVALUATIONS", "Evaluation", "record"]

EVALUATIONS: Mapping[str, Evaluation] = {
    "segmentation": nuclei.EVALUATION,
    "mrbcr": restoration.PICTURES,
    "mrbcr3d": restoration.STACKS_OF_PLANES,
    "plcnn": patterns.EVALUATION,
}
