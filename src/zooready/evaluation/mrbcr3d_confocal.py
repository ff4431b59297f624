"""The card of m-rBCR for stacks without light of other planes: confocal microscopes, Gaussian points of every size, failures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from zooready.evaluation import deconvolution, deconvolution_cards, microscope_range
from zooready.evaluation.contract import Evaluation, Weights
from zooready.families import mrbcr3d_confocal as family
from zooready.simulate import microscopes
from zooready.simulate.fields import Field
from zooready.simulate.thick import Thick
from zooready.simulate.unseen import NEW_VOLUMES

STACK_PX = (16, 64, 64)  # (z, y, x) of a stack that is measured
STACKS, UNSEEN_STACKS = 10, 6  # each kind once, and three times
BLURS_PX, WIDTHS_PX, PER_ROW = (4.5, 6.0, 8.0, 11.0), (0.6, 0.9, 1.3, 2.0), 5
CONFOCAL, GAUSSIAN = "confocal microscopes", "Gaussian points"  # tables beside those of held-out and unseen specimens
SEEDS = {CONFOCAL: 4_150_021, GAUSSIAN: 4_150_022}  # never used in training, whose seeds are small
SMOOTHER = family.Dye(share=0.4, unevenness=(0.1, 0.6), patches_px=(0.5, 6.0))  # than in training, and as in the cards before
KINDS: tuple[Thick, ...] = tuple(dict.fromkeys(family.SPECIMENS))


def stacks(kinds: Sequence[Thick], seed: int, count: int) -> list[Field]:
    """By confocal microscopes that are not those of training, each kind of specimen in turn; made again from the seed."""
    made = []
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        blur = microscopes.log_uniform(rng, microscopes.CONFOCAL_BLUR_PX)
        made.append(family.scene(rng, STACK_PX, kinds[index % len(kinds)], microscopes.confocal(rng, blur), SMOOTHER))
    return made


def rows(name: str) -> dict[float, list[Field]]:
    """The stacks of each row of a table: by confocal microscopes of one blur, or with Gaussian points of one width."""
    drawn, values = {CONFOCAL: (microscopes.confocal, BLURS_PX), GAUSSIAN: (microscopes.gaussian, WIDTHS_PX)}[name]
    made = {}
    for row, value in enumerate(values):
        rngs = [np.random.default_rng((SEEDS[name], round(10 * value), index)) for index in range(PER_ROW)]
        kinds = [KINDS[(row * PER_ROW + index) % len(KINDS)] for index in range(PER_ROW)]
        made[value] = [family.scene(rng, STACK_PX, kind, drawn(rng, value), SMOOTHER) for rng, kind in zip(rngs, kinds, strict=True)]
    return made


def sets(most: int | None = None) -> dict[str, list[Field]]:
    """Held-out and unseen stacks of the card; the first ``most`` of each, all if None."""
    return {
        "held-out": stacks(KINDS, deconvolution.HELD_OUT_SEED, min(STACKS, most or STACKS)),
        "unseen": stacks(NEW_VOLUMES, deconvolution.UNSEEN_SEED, min(UNSEEN_STACKS, most or UNSEEN_STACKS)),
    }


def measure(weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data."""
    restore = deconvolution_cards.restoring(family.FAMILY, weights)
    measured = deconvolution_cards.measure(family.FAMILY, sets, MEASURED_ON, weights)
    further = {
        CONFOCAL: microscope_range.by_blur(restore, rows(CONFOCAL)),
        GAUSSIAN: microscope_range.by_blur(restore, rows(GAUSSIAN), "standard deviation of {blur:g} px across"),
    }
    return {**measured, "tables": {**measured["tables"], **further}}


VOXELS = "x".join(map(str, STACK_PX))
LUCY = (
    f"{PER_ROW} stacks a row, kinds of specimens used in training in turn; {microscopes.PHOTONS[0]:g} to {microscopes.PHOTONS[1]:,.0f} "
    "photons in the brightest voxel. Richardson-Lucy knows the offset of the detector and a PSF, and its iteration is chosen with the "
    "truth; in turns the wrong PSF is a fifth too wide and a fifth too narrow"
)
MEASURED_ON = {
    "held-out": f"{STACKS} simulated stacks of {VOXELS} voxels by confocal microscopes, kinds of specimens used in training; "
    f"{deconvolution_cards.METHOD}",
    "unseen": f"{UNSEEN_STACKS} stacks of walls of cells and of coils, not used for training or tuning; {deconvolution_cards.METHOD}",
    CONFOCAL: f"blur of the lens, wavelength / (NA x pixel size); random NA, wavelength, immersion, spherical aberration up to "
    f"{microscopes.SPHERICAL_WAVES:g} waves rms, pinhole of {microscopes.PINHOLE_AU[0]:g} to {microscopes.PINHOLE_AU[1]:g} Airy units and "
    f"distance of planes; {LUCY}",
    GAUSSIAN: f"as light sheets and two photons give nearly; along the axis {microscopes.ALONG_PLANES[0]:g} to "
    f"{microscopes.ALONG_PLANES[1]:g} planes; {LUCY}",
}
EVALUATION = Evaluation(
    measure=measure,
    spot=partial(deconvolution_cards.spot, family.FAMILY, sets),
    draw=partial(deconvolution_cards.draw, family.FAMILY, sets),
    data=f"simulated threads, puncta, tubes, bodies, sheets, nets and clouds with depth ({'x'.join(map(str, family.SHAPE))} voxels), "
    f"{family.GAUSSIAN:.0%} with a Gaussian point, the others by confocal microscopes; no real stacks were used",
    suited=("Stacks by confocal, spinning-disk, two-photon and light-sheet microscopes, in fluorescence.",),
    unsuited=(
        "Wide-field stacks, whose planes hold light of all others: take `mrbcr3d`, or `mrbcr` plane by plane.",
        "Single planes.",
        *deconvolution_cards.UNSUITED[1:],
    ),
    limits=(
        f"Light: the brightest voxel has {microscopes.PHOTONS[0]:g} to {microscopes.PHOTONS[1]:,.0f} photons above a background of "
        f"{microscopes.BACKGROUND[0]:g} to {microscopes.BACKGROUND[1]:g}; noise is that of cameras, not of photomultipliers.",
        *deconvolution_cards.LIMITS[2:],
        "Richardson-Lucy that knows the true PSF, and when to stop, is better on unseen kinds of specimens and in most rows of the tables "
        "above, by up to 1.4 dB; single stacks fall below their input, by up to 2.3 dB.",
    ),
)
