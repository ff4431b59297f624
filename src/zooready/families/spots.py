"""Spots: one fluorescence image in, the chance of a spot at each pixel and a label image that marks every spot out.

    image (b, 1, y, x)  -- U-Net at half size -->  foreground, distance (b, 2, y, x)  -- Peaks -->  the same, and labels (b, 1, y, x)

The mark of a spot is a disc of 2 px around its middle, whatever its width: it says where a spot is, not how large. ``zooready measure``
makes a table of it with places and intensities. Network, labels and loss are those of nuclei (:mod:`zooready.families.segmentation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from zooready.errors import InputInvalid
from zooready.families import segmentation
from zooready.images.matching import match_middles, middles
from zooready.records import Array, Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate import spots
from zooready.simulate.camera import Camera
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    import torch

SIZE, SAMPLE_PX = 128, 256  # px, side of a training pair and of the sample
WITHIN_PX = 3.0  # distance of two middles up to which they are one spot
HEAD = Part(path="zooready.nets.peaks.Peaks", kwargs={"foreground": 0.5, "core": 0.4})


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: image (1, 128, 128), foreground and distance (2, 128, 128); made again from the two numbers."""
    return field(np.random.default_rng((seed, index)), SIZE)


def field(rng: np.random.Generator, size: int) -> Pair:
    """A simulated field of any size, in px, as a pair."""
    image, labels = spots.field(rng, size)
    return segmentation.pair_of(image[None], labels)


def pair_of(image: Array, labels: Array, pixel_size_um: float = 1.0) -> Pair:
    """An image (c, y, x) and somebody's labels (y, x) as a pair; what is drawn around a spot, or a single pixel, becomes the mark here.

    Raises
    ------
    InputInvalid
        Labels have channels, are negative, or are not whole numbers.
    """
    drawn = segmentation.pair_of(image, labels, pixel_size_um)
    marks = spots.labels(middles(np.asarray(drawn.truth)), labels.shape)
    return segmentation.pair_of(image, marks, pixel_size_um)


def metrics(output: torch.Tensor, pair: Pair) -> Mapping[str, float]:
    """F1 of spots whose middles are at most 3 px apart; ``output`` (1, 2, y, x), all 0..1."""
    if pair.truth is None:
        raise InputInvalid("a pair without a label image cannot be scored: give masks.")
    labels = HEAD.build()(output)[1][0, 0].numpy().astype(np.int32)
    return {"f1": match_middles(labels, pair.truth, WITHIN_PX)[0]}


def sample() -> Image:
    """Simulated spots of three brightnesses over the haze of a few cells, 256 x 256 uint16; the same at every call."""
    rng = np.random.default_rng(20261128)
    at = rng.uniform(6, SAMPLE_PX - 6, (90, 2))
    points = spots.Spots(at=at, height=rng.choice((0.3, 0.6, 1.0), len(at)), width_px=np.full(len(at), 1.4))
    light = 150.0 * spots.rendered(points, SAMPLE_PX) + 20.0 * spots.surroundings(rng, SAMPLE_PX)
    return Image(array=Camera().exposed(light, rng), axes="yx", pixel_size_um=0.1)


FAMILY = Family(
    name="spots",
    title="Spots in fluorescence images",
    description=(
        "Finds spots in one fluorescence image, such as single molecules of RNA, telomeres, foci and vesicles, with a standard deviation "
        "of 0.8 to 2.6 px: probabilities, and a label image that marks each spot by a disc of 2 px. Trained on simulated spots."
    ),
    cite=segmentation.FAMILY.cite,
    input=TensorSpec(name="image", axes="bcyx", channels=("fluorescence",), description="Raw camera counts of spots."),
    outputs=(
        replace(
            segmentation.FAMILY.outputs[0],
            description="Foreground: chance that a pixel is within 2 px of a spot, 0..1. Distance: 1 in a spot's middle, 0 beyond it.",
        ),
        TensorSpec(name="labels", axes="bcyx", channels=("spots",), kind="labels", description="0 background, 1…n spots."),
    ),
    network=Network(
        architecture=Part(path="zooready.nets.halfsize.HalfSizeUNet", kwargs={"channels_out": 2, "levels": 4, "widest": 64}),
        normalization=Part(path="zooready.nets.normalization.Percentiles", kwargs={"low": 10.0, "high": 99.8, "brightest": 3.0}),
        head=HEAD,
    ),
    training=Training(
        pair=pair,
        loss=segmentation.loss,
        recipe=Recipe(steps=1600, batch=8, optimizer="Muon", learning_rate=2e-3),
        metrics=metrics,
        pair_of=pair_of,
    ),
    pixel_size_um=(),
    tags=("fluorescence", "spots", "instance segmentation", "2d"),
    sample=sample,
    quality="F1 of simulated spots within 3 px {f1:.2f} (Laplacian of a Gaussian, at the best of its thresholds, {f1_log_best:.2f})",
    evaluation="spots",
)
