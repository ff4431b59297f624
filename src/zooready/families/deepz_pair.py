"""A z-stack from two planes (Deep-Z): 21 planes from 5 um above the middle between them to 5 um below it.

    upper, lower (b, 2, y, x) counts  -- mean and spread of both out, network, back in -->  stack (b, 1, 21, y, x) counts

The two are 2 um apart. What lies above looks sharper in the upper one and what lies below in the lower one, so the side can be told without
any aberration, which one plane cannot (:mod:`zooready.families.deepz`); training draws aberrations of both signs, and none.
Wu et al., Nature Methods 16, 1323 (2019), doi:10.1038/s41592-019-0622-5
Huang et al., Light: Science & Applications 10, 62 (2021), doi:10.1038/s41377-021-00506-9: volumes from a few planes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from zooready.families import deepz, deepz_stack
from zooready.records import Family, Image, Pair, Part, Recipe, Training
from zooready.simulate.camera import Camera

if TYPE_CHECKING:
    from torch import Tensor

RECORDED = (8, 12)  # planes of a series that are the image, the upper one first
APART_UM = deepz.Z_STEP_UM * (RECORDED[1] - RECORDED[0])
PLANES_UM = deepz_stack.PLANES_UM
ABERRATION = (-0.15, -0.075, 0.0, 0.075, 0.15)  # waves rms of primary spherical aberration
NEAREST = tuple(int(um >= 0) for um in PLANES_UM)  # channel of the image that is nearest to each plane


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: two planes of a series (2, 96, 96) and the whole series (21, 96, 96), float32 counts."""
    rng = np.random.default_rng((seed, index))
    planes = deepz.turned(rng, deepz.series(seed, deepz.number_of(index), ABERRATION))
    camera, photons, background = deepz.exposure(rng)
    image = camera.exposed(planes[list(RECORDED)] * photons + background, rng)
    target = camera.expected(planes * photons + background)
    return Pair(input=image.astype(np.float32), target=target.astype(np.float32), pixel_size_um=deepz.PIXEL_UM)


def guard(output: Tensor, target: Tensor, image: Tensor) -> Tensor:
    """Nepers by which planes (b, 21, y, x) are worse than the nearest one of the image; see :func:`zooready.families.mrbcr.guard`."""
    return deepz.guard_of_planes(output, target, image[:, list(NEAREST)])


def metrics(output: Tensor, pair: Pair) -> Mapping[str, float]:
    """Means over the planes of PSNR (dB) and SSIM, each after one fit to the plane's truth, and those of the nearest recorded plane."""
    return deepz_stack.metrics_of_planes(output, pair, NEAREST)


def sample() -> Image:
    """Simulated neurites and beads in two planes, 2 x 192 x 192 uint16, 0.325 um pixels, no aberration; the same at every call."""
    rng = np.random.default_rng(20210323)
    focus = np.array(RECORDED) - deepz.FURTHEST
    planes = deepz.focused(rng, deepz.sample_specimen, 192, focus, 0.0, is_thick=False)
    image = Camera().exposed(planes * 1500.0 + 10.0, rng).astype(np.uint16)
    return Image(array=image, axes="cyx", pixel_size_um=deepz.PIXEL_UM)


FAMILY = Family(
    name="deepz-pair",
    title="Deep-Z stack from two planes",
    description=(
        f"Makes a stack of {len(PLANES_UM)} planes, {deepz.Z_STEP_UM:g} um apart, out of two wide-field fluorescence images (20x/0.75, 600 "
        f"nm emission, 0.325 um pixels) {APART_UM:g} um apart: from {PLANES_UM[-1]:g} um above the middle between them to "
        f"{PLANES_UM[-1]:g} um below. Trained on simulated specimens, with spherical aberration of either sign and without."
    ),
    cite=deepz.CITE,
    input=replace(
        deepz_stack.FAMILY.input,
        channels=("upper", "lower"),
        description=f"Raw camera counts of two planes, {APART_UM:g} um apart; the second one is focused deeper.",
    ),
    outputs=(
        replace(
            deepz_stack.FAMILY.outputs[0],
            description=(
                f"{len(PLANES_UM)} refocused planes in counts, {deepz.Z_STEP_UM:g} um apart, the deepest last; the plane in the "
                "middle lies between the two of the image."
            ),
        ),
    ),
    network=replace(
        deepz_stack.FAMILY.network,
        architecture=Part(
            path="zooready.nets.deepz.Stack", kwargs={**deepz_stack.FAMILY.network.architecture.kwargs, "recorded": len(RECORDED)}
        ),
        normalization=Part(path="zooready.nets.normalization.JointMeanStd"),
    ),
    training=Training(
        pair=pair,
        loss=deepz.loss,
        guard=guard,
        recipe=Recipe(steps=1000, batch=4, optimizer="Muon", learning_rate=2e-3),
        metrics=metrics,
    ),
    pixel_size_um=deepz.FAMILY.pixel_size_um,
    tags=deepz.FAMILY.tags,
    sample=sample,
    torchscript=deepz_stack.FAMILY.torchscript,
    quality=deepz_stack.FAMILY.quality,
    evaluation="deepz_pair",
)
