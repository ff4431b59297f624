"""Confocal sections from one wide-field image (Deep-Z+): 21 sections from 5 um above the image to 5 um below it.

    image (b, 1, y, x) counts  -- mean and spread out, network, back in -->  sections (b, 1, 21, y, x) counts

A section holds what lies in its plane, as much light of it as the wide-field image of that plane would, and little of what lies above and
below. The network is that of :mod:`zooready.families.deepz_stack`, narrower.
Wu et al., Nature Methods 16, 1323 (2019), doi:10.1038/s41592-019-0622-5
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from zooready.families import deepz, deepz_stack
from zooready.records import Pair, Part, Recipe, Training
from zooready.simulate import thick
from zooready.simulate.focusing import focal_series

PLANES_UM = deepz_stack.PLANES_UM
FOCUS = np.arange(-deepz.FURTHEST, deepz.FURTHEST + 1)
DESIGN = {**deepz.DESIGN, "widths": (24, 40, 64)}


def both(
    rng: np.random.Generator, specimen: thick.Thick, size: int, aberration: float, *, is_thick: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One specimen: its wide-field image (size, size), brightest pixel 1, and its confocal sections (21, size, size) in the same unit."""
    volume, middle = deepz.placed(rng, specimen, size, is_thick=is_thick)
    image = deepz.light(volume, np.array([middle]), aberration)[0]
    optics = deepz.optics_of(aberration)
    sections = focal_series(volume, optics, deepz.Z_STEP_UM, FOCUS + middle, deepz.BINNING, is_confocal=True)
    brightest = max(float(image.max()), 1e-12)
    return image / brightest, sections / brightest


@lru_cache(maxsize=2 * deepz.SERIES)  # held-out pairs in between must not displace those that come next
def series(seed: int, number: int) -> NDArray[np.float32]:
    """Series `number` of training: (22, 128, 128), the wide-field image and then the sections."""
    rng = np.random.default_rng((seed, number, deepz.FIELD))
    specimen = deepz.SPECIMENS[int(rng.integers(len(deepz.SPECIMENS)))]
    aberration = float(rng.choice(deepz.ABERRATION))
    image, sections = both(rng, specimen, deepz.FIELD, aberration, is_thick=specimen in deepz.DENSE)
    return np.concatenate((image[None], sections))


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: a wide-field image (1, 96, 96) and the sections (21, 96, 96), float32 counts."""
    rng = np.random.default_rng((seed, index))
    image, *sections = deepz.turned(rng, series(seed, deepz.number_of(index)))
    camera, photons, background = deepz.exposure(rng)
    seen = camera.exposed(image[None] * photons + background, rng)
    target = camera.expected(np.stack(sections) * photons + background)
    return Pair(input=seen.astype(np.float32), target=target.astype(np.float32), pixel_size_um=deepz.PIXEL_UM)


FAMILY = replace(
    deepz_stack.FAMILY,
    name="deepz-confocal",
    title="Deep-Z confocal sections from one image",
    description=(
        f"Makes {len(PLANES_UM)} confocal sections, {deepz.Z_STEP_UM:g} um apart, out of one wide-field fluorescence image (20x/0.75, 600 "
        f"nm emission, 0.325 um pixels): from {PLANES_UM[-1]:g} um above it to {PLANES_UM[-1]:g} um below, each without most of the light "
        f"from other planes. {deepz.TRAINED_ON}"
    ),
    outputs=(
        replace(
            deepz_stack.FAMILY.outputs[0],
            description=(
                f"{len(PLANES_UM)} confocal sections in counts, {deepz.Z_STEP_UM:g} um apart, the deepest last; the one in the middle is "
                "the plane of the image."
            ),
        ),
    ),
    network=replace(
        deepz_stack.FAMILY.network,
        architecture=Part(path="zooready.nets.deepz.Stack", kwargs={**deepz_stack.FAMILY.network.architecture.kwargs, **DESIGN}),
    ),
    training=Training(
        pair=pair,
        loss=deepz.loss,
        guard=deepz.guard,
        recipe=Recipe(steps=3500, batch=2, optimizer="Muon", learning_rate=2e-3),
        metrics=deepz_stack.metrics,
    ),
    quality="PSNR of the sections of simulated specimens {psnr:.1f} dB (input {psnr_input:.1f}), of unseen ones {psnr_unseen:.1f} "
    "({psnr_unseen_input:.1f})",
    weights="",
    evaluation="deepz_confocal",
)
