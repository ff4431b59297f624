"""A z-stack from one image (Deep-Z): 21 planes from 5 um above the image to 5 um below it.

    image (b, 1, y, x) counts  -- mean and spread out, network, back in -->  stack (b, 1, 21, y, x) counts

The weights are those of :mod:`zooready.families.deepz`; the distances are constants, and the image is encoded once for all of them.
Wu et al., Nature Methods 16, 1323 (2019), doi:10.1038/s41592-019-0622-5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from zooready.families import deepz, mrbcr
from zooready.records import Family, Image, Network, Pair, Part, Recipe, Training
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

PLANES_UM = tuple(deepz.Z_STEP_UM * step for step in range(-deepz.FURTHEST, deepz.FURTHEST + 1))


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: the middle plane of a series (1, 96, 96) and the whole series (21, 96, 96), float32 counts."""
    rng = np.random.default_rng((seed, index))
    planes = deepz.turned(rng, deepz.series(seed, deepz.number_of(index)))
    camera, photons, background = deepz.exposure(rng)
    image = camera.exposed(planes[deepz.FURTHEST] * photons + background, rng)
    target = camera.expected(planes * photons + background)
    return Pair(input=image[None].astype(np.float32), target=target.astype(np.float32), pixel_size_um=deepz.PIXEL_UM)


def metrics(output: Tensor, pair: Pair) -> Mapping[str, float]:
    """Means over the planes of PSNR (dB) and SSIM, each after one fit to the plane's truth, and those of the image itself."""
    return metrics_of_planes(output, pair, [0] * len(pair.target))


def metrics_of_planes(output: Tensor, pair: Pair, nearest: Sequence[int]) -> dict[str, float]:
    """The same, where each plane is compared with a channel of the image, its number given by `nearest`."""
    planes = [
        mrbcr.metrics(output[:, plane : plane + 1], replace(pair, input=pair.input[[channel]], target=pair.target[plane : plane + 1]))
        for plane, channel in enumerate(nearest)
    ]
    return {key: float(np.mean([scores[key] for scores in planes if scores])) for key in next(filter(None, planes), {})}


def sample() -> Image:
    """Simulated neurites and beads, 192 x 192 uint16, 0.325 um pixels; the same at every call."""
    image = deepz.sample()
    return Image(array=image.array[0].astype(np.uint16), axes="yx", pixel_size_um=image.pixel_size_um)


FAMILY = Family(
    name="deepz-stack",
    title="Deep-Z stack from one image",
    description=(
        f"Makes a stack of {len(PLANES_UM)} planes, {deepz.Z_STEP_UM:g} um apart, out of one wide-field fluorescence image (20x/0.75, 600 "
        f"nm emission, 0.325 um pixels): from {PLANES_UM[-1]:g} um above it to {PLANES_UM[-1]:g} um below. {deepz.TRAINED_ON}"
    ),
    cite=deepz.FAMILY.cite,
    input=TensorSpec(name="image", axes="bcyx", channels=("intensity",), description="Raw camera counts of one plane."),
    outputs=(
        TensorSpec(
            name="stack",
            axes="bczyx",
            channels=("intensity",),
            planes_um=PLANES_UM,
            description=(
                f"{len(PLANES_UM)} refocused planes in counts, {deepz.Z_STEP_UM:g} um apart, the deepest last; the plane in the "
                "middle is that of the image."
            ),
        ),
    ),
    network=Network(
        architecture=Part(
            path="zooready.nets.deepz.Stack", kwargs={"distances": tuple(um / deepz.UNIT_UM for um in PLANES_UM), **deepz.DESIGN}
        ),
        normalization=Part(path="zooready.nets.normalization.MeanStd"),
        head=Part(path="zooready.nets.deepz.AsStack"),
        restores=True,
    ),
    training=Training(
        pair=pair,
        loss=deepz.loss,
        guard=deepz.guard,
        recipe=Recipe(steps=2000, batch=2, optimizer="Muon", learning_rate=2e-3),
        metrics=metrics,
    ),
    pixel_size_um=deepz.FAMILY.pixel_size_um,
    tags=deepz.FAMILY.tags,
    sample=sample,
    torchscript="plain",  # with channels last, libtorch 2.0.0 gives NaN for an image of one pixel when several planes are decoded at once
    quality="PSNR 2 to 5 um away on simulated specimens {psnr:.1f} dB (input {psnr_input:.1f}), on unseen ones {psnr_unseen:.1f} "
    "({psnr_unseen_input:.1f})",
    weights="deepz",
    evaluation="deepz_stack",
)
