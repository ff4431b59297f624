"""Shipped networks beside classical methods, against truth: the numbers and images of the model cards.

In: weights. Out: plain data for ``weights/<family>.json``, which cards are written from. One :class:`Evaluation` a family.

May import: nets, images, simulate, data, training, families, measurement, pipeline
"""

from collections.abc import Mapping

from zooready.evaluation import mrbcr, plcnn, segmentation
from zooready.evaluation.contract import Evaluation
from zooready.evaluation.recording import record

__all__ = ["EVALUATIONS", "Evaluation", "record"]

EVALUATIONS: Mapping[str, Evaluation] = {
    "segmentation": segmentation.EVALUATION,
    "mrbcr": mrbcr.IMAGES,
    "mrbcr3d": mrbcr.STACKS_OF_PLANES,
    "plcnn": plcnn.EVALUATION,
}
