"""The card of a 10x to a 20x objective."""

from __future__ import annotations

from zooready.evaluation.superres import evaluation
from zooready.families import superres

EVALUATION = evaluation(
    superres.WIDEFIELD_FAMILY,
    superres.LOW_TO_HIGH_NA,
    (400.0, 480.0, 570.0, 700.0),
    "Single planes of thin specimens in wide-field fluorescence, objectives near 10x/0.4, resampled to 160 nm pixels.",
)
