"""Nuclei in stacks: one fluorescence stack in, probabilities and a stack of labels out, in which an object keeps its number through planes.

    stack (b, 1, z, y, x)  -- U-Net, half of y and x -->  foreground, distance (b, 2, z, y, x)  -- StackInstances -->  and labels

As :mod:`zooready.families.segmentation`, with depth: foreground, the distance to an object's surface over the largest one in it (counted in
voxels, so that the distance of planes need not be known), and labels made inside the network. Trained on simulated stacks only
(:mod:`zooready.simulate.nuclei_stacks`): nuclei of 8 to 50 px, planes 1 to 6 px apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zooready.data.augmentation import augmented
from zooready.families import segmentation
from zooready.records import Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate import nuclei_stacks
from zooready.simulate.volumes import Shape
from zooready.tensors import TensorSpec
from zooready.training.losses import cross_entropy, dice

if TYPE_CHECKING:
    import torch

# The core was chosen on simulated stacks that are neither for training nor for the card.
HEAD = Part(path="zooready.nets.labelling_stacks.StackInstances", kwargs={"foreground": 0.5, "core": 0.4, "smallest": 3})
FIELDS, SHAPE = 300, (24, 96, 96)  # simulated stacks per seed, voxels of each
CROP = (16, 64, 64)  # voxels of a training crop
SEAM_PLANES = 1  # as segmentation.SEAM_PX, along the axis
SAMPLE_DIAMETER_PX, SAMPLE_ASPECT, SAMPLE_SHAPE = 20.0, 3.0, (20, 112, 112)


def pair(seed: int, index: int) -> Pair:
    """Training pair ``index``: a turned crop of one of ``FIELDS`` simulated stacks of nuclei, made again from the two numbers."""
    rng = np.random.default_rng((seed, index))
    return augmented(_field(seed, int(rng.integers(FIELDS))), rng, CROP[1], CROP[0])


def field(seed: int, number: int, shape: Shape = SHAPE) -> Pair:
    """A whole simulated stack of nuclei, (1, z, y, x); any ``number`` from 0."""
    image, labels = nuclei_stacks.field(np.random.default_rng((seed, 1, number)), shape)
    return segmentation.pair_of(image[None], labels)


_field = lru_cache(maxsize=FIELDS)(field)


def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy and Dice of the foreground, and three times the mean absolute error of the distance; (b, 2, z, y, x) float32 each.

    The error counts fivefold on seams, as in :func:`zooready.families.segmentation.loss`.
    """
    from torch.nn import functional

    foreground, distance = output.unbind(1)
    reach = (SEAM_PLANES, segmentation.SEAM_PX, segmentation.SEAM_PX)
    inner = -functional.max_pool3d(-target[:, 0], [2 * px + 1 for px in reach], stride=1, padding=reach)
    weight = 1 + 4 * inner * (target[:, 1] < segmentation.SEAM).to(inner.dtype)
    error = (weight * (distance - target[:, 1]).abs()).mean()
    return cross_entropy(foreground, target[:, 0]) + dice(foreground, target[:, 0]) + 3 * error


def metrics(output: torch.Tensor, pair: Pair) -> Mapping[str, float]:
    """F1 at intersection over union 0.5 and 0.75, and the mean over union of what matched at 0.5; ``output`` (1, 2, z, y, x), all 0..1."""
    return segmentation.scores(labels(output), pair.truth)


def labels(output: torch.Tensor) -> NDArray[np.int32]:
    """The label stack (z, y, x) that the bundle makes of the network's own output (1, 2, z, y, x)."""
    found: torch.Tensor = HEAD.build()(output)[1]
    return found[0, 0].numpy().astype(np.int32)


def sample() -> Image:
    """A simulated stack to try the bundle on, 20 x 112 x 112 uint16; the same at every call."""
    image, _ = _sample()
    return Image(array=image.astype(np.uint16), axes="zyx")


def sample_labels() -> NDArray[np.int32]:
    """Its nuclei, (20, 112, 112)."""
    return _sample()[1]


def _sample() -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    return nuclei_stacks.field(np.random.default_rng(20261128), SAMPLE_SHAPE, SAMPLE_DIAMETER_PX, SAMPLE_ASPECT)


FAMILY = Family(
    name="segmentation3d",
    title="Nuclei in fluorescence stacks",
    description="Finds nuclei in a fluorescence stack: probabilities, and a stack of labels in which each nucleus has its own number.",
    cite=segmentation.FAMILY.cite,
    input=TensorSpec(name="image", axes="bczyx", channels=segmentation.CHANNELS, description="Raw camera counts of a nuclear stain."),
    outputs=(
        TensorSpec(
            name="probabilities",
            axes="bczyx",
            channels=("foreground", "distance"),
            description="Foreground: chance that a voxel belongs to a nucleus, 0..1. Distance: 1 in a nucleus's middle, 0 at its outline.",
        ),
        TensorSpec(name="labels", axes="bczyx", channels=segmentation.OBJECT_NAMES, kind="labels", description="0 background, 1…n nuclei."),
    ),
    network=Network(
        architecture=Part(
            path="zooready.nets.halfsize.HalfSizeUNet",
            kwargs={"channels_out": 2, "base": 8, "levels": 4, "widest": 64, "dimensions": 3},
        ),
        normalization=segmentation.FAMILY.network.normalization,
        head=HEAD,
    ),
    training=Training(
        pair=pair,
        loss=loss,
        recipe=Recipe(steps=3000, batch=4, learning_rate=2e-3, weight_decay=1e-4, clip=1.0),
        metrics=metrics,
        pair_of=segmentation.pair_of,
    ),
    pixel_size_um=(),
    tags=("nuclei", "fluorescence", "instance segmentation", "3d"),
    sample=sample,
    quality="F1 at IoU 0.5 on held-out simulated stacks {f1_50:.2f} (Otsu and watershed {f1_50_otsu:.2f})",
    evaluation="segmentation3d",
)
