"""The card of m-rBCR for stacks: six blurs, held-out and unseen specimens with depth by the reference microscope, failures."""

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
from zooready.simulate.unseen import NEW_VOLUMES, UNSEEN_VOLUMES

STACK_PX = (16, 48, 48)  # (z, y, x) of a stack that is measured
STACKS, UNSEEN_STACKS = 12, 5
BLURS_PX, PER_BLUR, UNSEEN_PER_BLUR = (4.0, 5.5, 7.5, 10.0, 13.0, 16.0), 12, 6  # stacks, of each kind equally many
NEW = (*UNSEEN_VOLUMES, *NEW_VOLUMES)
BLUR, BLUR_UNSEEN = "six blurs, held-out", "six blurs, unseen"
BLUR_SEED, BLUR_UNSEEN_SEED = 4_150_011, 4_150_012  # never used in training, whose seeds are small


def stacks(kinds: Sequence[Any], seed: int, count: int) -> list[Field]:
    """Simulated stacks, each kind of specimen in turn, made again from the seed."""
    return [mrbcr3d.scene(np.random.default_rng((seed, index)), STACK_PX, kinds[index % len(kinds)]) for index in range(count)]


def sets(most: int | None = None) -> dict[str, list[Field]]:
    """Held-out and unseen stacks of the reference microscope; the first ``most`` of each, all if None."""

    def first(count: int) -> int:
        return min(count, most or count)

    return {
        "held-out": stacks(mrbcr3d.SPECIMENS, deconvolution.HELD_OUT_SEED, first(STACKS)),
        "unseen": stacks(UNSEEN_VOLUMES, deconvolution.UNSEEN_SEED, first(UNSEEN_STACKS)),
    }


def measure(weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data."""
    restore = deconvolution_cards.restoring(mrbcr3d.FAMILY, weights)
    tables = {
        name: microscope_range.by_blur(restore, {blur: microscope_range.stacks(kinds, seed, blur, count, STACK_PX) for blur in BLURS_PX})
        for name, kinds, seed, count in (
            (BLUR, mrbcr3d.SPECIMENS, BLUR_SEED, PER_BLUR),
            (BLUR_UNSEEN, NEW, BLUR_UNSEEN_SEED, UNSEEN_PER_BLUR),
        )
    }
    measured = deconvolution_cards.measure(mrbcr3d.FAMILY, sets, MEASURED_ON, weights)
    metrics = {**measured["metrics"], **microscope_range.means(tables[BLUR])}
    return {**measured, "tables": {**tables, **measured["tables"]}, "metrics": metrics}


_LOW, _HIGH = microscopes.BLUR_PX
_RANGE = (
    f"random NA, wavelength, immersion, spherical aberration up to {microscopes.SPHERICAL_WAVES:g} waves rms, distance of planes (as many "
    f"as sample the images, {microscopes.ASPECTS[0]:g} to {microscopes.ASPECTS[1]:g} px), camera, and {microscopes.PHOTONS[0]:g} to "
    f"{microscopes.PHOTONS[1]:,.0f} photons in the brightest voxel. The network is told nothing. Richardson-Lucy knows the camera offset "
    "and a PSF, and its iteration is chosen with the truth; in turns the wrong PSF is a fifth too wide and a fifth too narrow, and too "
    "wide where a narrower one would break a sampling limit"
)
_SIZE = "x".join(map(str, STACK_PX))
_REFERENCE = (
    f"one microscope: NA {mrbcr.OPTICS.na:g}, {mrbcr.OPTICS.wavelength_nm:g} nm, pixels of {mrbcr.OPTICS.pixel_size_um:g} um, planes "
    f"{mrbcr3d.Z_STEP_UM:g} um apart, no aberration, which the network is not told"
)
MEASURED_ON: Mapping[str, str] = {
    BLUR: f"{PER_BLUR} stacks of {_SIZE} voxels for each blur, wavelength / (NA x pixel size), kinds of specimens used in training; "
    f"{_RANGE}",
    BLUR_UNSEEN: f"{UNSEEN_PER_BLUR} stacks for each blur, of hollow spheres, foam and coils, not used for training or tuning; otherwise "
    "as above",
    "held-out": f"{STACKS} simulated stacks of {_SIZE} voxels, kinds of specimens used in training; {_REFERENCE}; "
    f"{deconvolution_cards.METHOD}",
    "unseen": f"{UNSEEN_STACKS} stacks of hollow spheres, not used for training or tuning; {_REFERENCE}; {deconvolution_cards.METHOD}",
}


EVALUATION = Evaluation(
    measure=measure,
    spot=partial(deconvolution_cards.spot, mrbcr3d.FAMILY, sets),
    draw=partial(deconvolution_cards.draw, mrbcr3d.FAMILY, sets),
    data=f"simulated threads, puncta, balls, tubes and clouds with depth ({'x'.join(map(str, mrbcr3d.SHAPE))} voxels) in "
    f"{microscopes.STACKS} random wide-field microscopes with blurs of {_LOW:g} to {_HIGH:g} px; no real stacks were used",
    suited=(
        f"Wide-field stacks, any objective, dye and camera for which wavelength / (NA x pixel size) is {_LOW:g} to {_HIGH:g} px, with "
        f"planes {microscopes.ASPECTS[0]:g} to {microscopes.ASPECTS[1]:g} pixels apart. Nothing need be known or told of the microscope.",
    ),
    unsuited=(
        "Confocal, light-sheet or bright-field images: their blur is different.",
        f"Pixels so coarse that the blur is below {_LOW:g} px, or magnification so high that it is above {_HIGH:g} px.",
        "Counting photons: intensities are restored up to one scale and offset.",
        "Diagnosis.",
    ),
    limits=(
        f"Point spread function: wide-field, blur of {_LOW:g} to {_HIGH:g} px, spherical aberration up to {microscopes.SPHERICAL_WAVES:g} "
        "waves rms.",
        f"Light: the brightest voxel has {microscopes.PHOTONS[0]:g} to {microscopes.PHOTONS[1]:,.0f} photons, read noise "
        f"{microscopes.READ_NOISE[0]:g} to {microscopes.READ_NOISE[1]:g} photons.",
        "It can invent structures: details finer than the microscope's resolution are guesses based on its training images.",
    ),
)
