"""The card of m-rBCR for stacks: held-out and unseen specimens with depth, other microscopes than its own, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from zooready.evaluation import deconvolution, deconvolution_cards, microscope_range
from zooready.evaluation.contract import Evaluation, Weights
from zooready.families import mrbcr, mrbcr3d
from zooready.simulate import microscopes
from zooready.simulate.fields import Field
from zooready.simulate.unseen import UNSEEN_VOLUMES

STACK_PX = (16, 48, 48)  # (z, y, x) of a stack that is measured
STACKS, UNSEEN_STACKS = 12, 5
BLURS_PX, PER_BLUR = (4.0, 5.5, 7.5, 10.0, 13.0, 16.0), 6  # a stack of each kind that training knows
OTHERS, OTHERS_SEED = "other microscopes", 4_150_011


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


def measure(weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data."""
    restore = deconvolution_cards.restoring(mrbcr3d.FAMILY, weights)
    measured = deconvolution_cards.measure(mrbcr3d.FAMILY, sets, MEASURED_ON, weights)
    made = {blur: microscope_range.stacks(mrbcr3d.SPECIMENS, OTHERS_SEED, blur, PER_BLUR, STACK_PX) for blur in BLURS_PX}
    return {**measured, "tables": {**measured["tables"], OTHERS: microscope_range.by_blur(restore, made)}}


MEASURED_ON: Mapping[str, str] = {
    "held-out": f"{STACKS} simulated stacks of {'x'.join(map(str, STACK_PX))} voxels, kinds of specimens used in training; "
    f"{deconvolution_cards.METHOD}",
    "unseen": f"{UNSEEN_STACKS} stacks of hollow spheres, not used for training or tuning; {deconvolution_cards.METHOD}",
    OTHERS: f"{PER_BLUR} stacks for each blur, wavelength / (NA x pixel size), kinds of specimens used in training; random NA, wavelength, "
    f"immersion, spherical aberration up to {microscopes.SPHERICAL_WAVES:g} waves rms, distance of planes (as many as sample the images, "
    f"{microscopes.ASPECTS[0]:g} to {microscopes.ASPECTS[1]:g} px), camera, and {microscopes.PHOTONS[0]:g} to "
    f"{microscopes.PHOTONS[1]:,.0f} photons in the brightest voxel: none of it as in training. Richardson-Lucy knows the camera offset and "
    "a PSF, and its iteration is chosen with the truth; in turns the wrong PSF is a fifth too wide and a fifth too narrow, and too wide "
    "where a narrower one would break a sampling limit",
}
EVALUATION = Evaluation(
    measure=measure,
    spot=partial(deconvolution_cards.spot, mrbcr3d.FAMILY, sets),
    draw=partial(deconvolution_cards.draw, mrbcr3d.FAMILY, sets),
    data=f"simulated threads, puncta, balls, tubes and clouds with depth ({'x'.join(map(str, mrbcr3d.SHAPE))} voxels, "
    f"{mrbcr.OPTICS.pixel_size_um:g} um pixels, planes {mrbcr3d.Z_STEP_UM:g} um apart); no real stacks were used",
    suited=(f"Wide-field stacks with planes {mrbcr3d.Z_STEP_UM:g} um apart and pixels of {mrbcr.OPTICS.pixel_size_um:g} um.",),
    unsuited=deconvolution_cards.UNSUITED,
    limits=(
        *deconvolution_cards.LIMITS,
        "Other wide-field microscopes: it gains less there, and single stacks fall below their input (table of other microscopes).",
        "It takes smooth light for light of other planes and removes it. In stacks of microscopes that keep such light out it harms (table "
        "of real images: pollen); `mrbcr3d-confocal` is for those.",
    ),
)
