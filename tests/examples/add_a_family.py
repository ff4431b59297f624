"""Smoothing of blobs, a toy: a noisy image in, the image without photon noise out.

    image (b, 1, y, x) photons  -- mean and spread out, U-Net, back in -->  restored (b, 1, y, x) photons

This file is the example of docs/add-a-family.md: copied to src/zooready/families/smoothing.py, it is a family like the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from zooready.images.similarity import psnr
from zooready.records import Array, Family, Image, Network, Pair, Part, Recipe, Training
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

SIZE, BLOBS, PHOTONS = 32, 12, 50.0  # of a training image: side in px, blobs, photons of the brightest pixel


def scene(rng: np.random.Generator, size: int) -> tuple[Array, Array]:
    """A noisy image and the truth behind it, (size, size) float32 each, in photons."""
    y, x = np.mgrid[:size, :size]
    truth = sum(np.exp(-((y - row) ** 2 + (x - column) ** 2) / 18.0) for row, column in rng.uniform(0, size, (BLOBS, 2)))
    truth = (PHOTONS * truth / truth.max()).astype(np.float32)
    return rng.poisson(truth).astype(np.float32), truth


def pair(seed: int, index: int) -> Pair:
    """Training pair ``index``. The two numbers make it again, so that a run that was killed goes on exactly where it stopped."""
    image, truth = scene(np.random.default_rng((seed, index)), SIZE)
    return Pair(input=image[None], target=truth[None], pixel_size_um=0.1)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the network's own output; both (b, 1, y, x), both in the normalised scale, because of ``restores``."""
    return (output - target).square().mean()


def metrics(output: Tensor, pair: Pair) -> Mapping[str, float]:
    """PSNR in dB against the truth, and, always beside it, that of the input itself."""
    return {"psnr": psnr(output[0, 0].numpy(), pair.target[0]), "psnr_input": psnr(pair.input[0], pair.target[0])}


def sample() -> Image:
    """The raw image that the bundle carries."""
    image, _ = scene(np.random.default_rng(2026), 96)
    return Image(array=image.astype(np.uint16), axes="yx", pixel_size_um=0.1)


FAMILY = Family(
    name="smoothing",
    title="Smoothing of blobs",
    description="Removes photon noise from simulated blobs; a toy.",
    cite=(),
    input=TensorSpec(name="image", axes="bcyx", channels=("intensity",)),
    outputs=(TensorSpec(name="restored", axes="bcyx", channels=("intensity",)),),
    network=Network(
        architecture=Part(path="zooready.nets.unet.UNet", kwargs={"channels_in": 1, "channels_out": 1, "base": 8, "levels": 2}),
        normalization=Part(path="zooready.nets.normalization.MeanStd"),
        restores=True,
    ),
    training=Training(pair=pair, loss=loss, recipe=Recipe(steps=50, batch=4, learning_rate=3e-3), metrics=metrics),
    pixel_size_um=(0.1, 0.1),
    sample=sample,
    quality="PSNR on held-out simulated blobs {psnr:.1f} dB (input {psnr_input:.1f})",
    evaluation="smoothing",
)
