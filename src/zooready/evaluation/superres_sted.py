"""The card of confocal to STED."""

from __future__ import annotations

from zooready.evaluation.superres import evaluation
from zooready.families import superres

EVALUATION = evaluation(
    superres.STED_FAMILY,
    superres.CONFOCAL_TO_STED,
    (120.0, 150.0, 180.0, 240.0),
    "Single planes of thin specimens in a confocal microscope whose points are 250 to 330 nm wide at half maximum, 30 nm pixels.",
)
