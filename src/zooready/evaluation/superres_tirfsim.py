"""The card of TIRF to TIRF with structured illumination."""

from __future__ import annotations

from zooready.evaluation.superres import evaluation
from zooready.families import superres

EVALUATION = evaluation(
    superres.TIRFSIM_FAMILY,
    superres.TIRF_TO_SIM,
    (105.0, 125.0, 150.0, 200.0),
    "TIRF images whose points are 160 to 215 nm wide at half maximum, 40 nm pixels.",
)
