"""The card of the published topology: measured as m-rBCR's is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from zooready.evaluation import deconvolution_cards, mrbcr
from zooready.families.mrbcr_released import FAMILY

EVALUATION = replace(
    mrbcr.EVALUATION,
    measure=partial(mrbcr.measure, FAMILY),
    spot=partial(deconvolution_cards.spot, FAMILY, mrbcr.sets),
    draw=partial(mrbcr.draw, FAMILY),
)
