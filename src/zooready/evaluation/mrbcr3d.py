"""The card of m-rBCR for stacks: held-out and unseen specimens with depth, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from zooready.evaluation import deconvolution, deconvolution_cards
from zooready.evaluation.contract import Evaluation
from zooready.families import mrbcr, mrbcr3d
from zooready.simulate.fields import Field
from zooready.simulate.unseen import UNSEEN_VOLUMES

STACK_PX = (16, 48, 48)  # (z, y, x) of a stack that is measured
STACKS, UNSEEN_STACKS = 12, 5


def stacks(kinds: Sequence[Any], seed: int, count: int) -> list[Field]:
    """Simulated stacks, each kind of specimen in turn, made again from the seed."""
    return [mrbcr3d.scene(np.random.default_rng((seed, index)), STACK_PX, kinds[index % len(kinds)]) for index in range(count)]


def sets(most: int | None = None) -> dict[str, list[Field]]:
    """Held-out and unseen stacks of the card; the first ``most`` of each, all if None."""

    def first(count: int) -> int:
        return min(count, most or count)

    return {
        "held-out": stacks(mrbcr3d.SPECIMENS, deconvolution.HELD_OUT_SEED, first(STACKS)),
        "unseen": stacks(UNSEEN_VOLUMES, deconvolution.UNSEEN_SEED, first(UNSEEN_STACKS)),
    }


MEASURED_ON: Mapping[str, str] = {
    "held-out": f"{STACKS} simulated stacks of {'x'.join(map(str, STACK_PX))} voxels, kinds of specimen known from training; "
    f"{deconvolution_cards.METHOD}",
    "unseen": f"{UNSEEN_STACKS} stacks of hollow spheres, never trained or tuned on; {deconvolution_cards.METHOD}",
}
EVALUATION = Evaluation(
    measure=partial(deconvolution_cards.measure, mrbcr3d.FAMILY, sets, MEASURED_ON),
    spot=partial(deconvolution_cards.spot, mrbcr3d.FAMILY, sets),
    draw=partial(deconvolution_cards.draw, mrbcr3d.FAMILY, sets),
    data=f"simulated threads, puncta, balls, tubes and clouds with depth ({'x'.join(map(str, mrbcr3d.SHAPE))} voxels, "
    f"{mrbcr.OPTICS.pixel_size_um:g} um pixels, planes {mrbcr3d.Z_STEP_UM:g} um apart); no real stack was seen",
    suited=(f"Wide-field stacks with planes {mrbcr3d.Z_STEP_UM:g} um apart and pixels of {mrbcr.OPTICS.pixel_size_um:g} um.",),
    unsuited=deconvolution_cards.UNSUITED,
    limits=deconvolution_cards.LIMITS,
)
