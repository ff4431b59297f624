"""Deconvolution of stacks (m-rBCR in three dimensions): a blurred, noisy wide-field stack in, the stack without blur and noise out.

    stack (b, 1, z, y, x) counts  -- mean and spread out, network, back in -->  restored (b, 1, z, y, x) counts

Planes lie three times as far apart as pixels, so wavelets halve y and x only, and convolutions see three planes at a time. One affine
map for input and truth, the same loss and the same microscope as :mod:`zooready.families.mrbcr`; the specimens have depth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.families import mrbcr
from zooready.records import Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate.camera import Camera
from zooready.simulate.fields import Field, stack
from zooready.simulate.volumes import SOLIDS, Shape, Solid, mixed
from zooready.tensors import TensorSpec

SHAPE = (16, 48, 48)  # px (z, y, x), of a training pair
Z_STEP_UM = 0.15
SPECIMENS: tuple[Solid, ...] = (*SOLIDS, mixed)  # drawn with equal chance


def scene(rng: np.random.Generator, shape: Shape, specimen: Solid) -> Field:
    """A stack with random light, background and camera, ``shape`` each, and something in it; see :func:`zooready.simulate.fields.stack`."""
    return stack_with_content(rng, shape, specimen, optics=mrbcr.OPTICS, z_step_um=Z_STEP_UM, **mrbcr.exposure(rng))


def stack_with_content(rng: np.random.Generator, shape: Shape, specimen: Solid, **settings: Any) -> Field:
    """A stack with something in it, ``shape`` each; arguments of :func:`zooready.simulate.fields.stack`."""
    simulated = stack(rng, shape, specimen, **settings)
    while np.ptp(simulated.truth) == 0:  # every thread passed outside: draw another specimen
        simulated = stack(rng, shape, specimen, **settings)
    return simulated


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: (1, 16, 48, 48) float32 counts each; any pair can be simulated again, so training resumes exactly."""
    rng = np.random.default_rng((seed, index))
    simulated = scene(rng, SHAPE, SPECIMENS[rng.integers(len(SPECIMENS))])
    return Pair(input=simulated.image[None].astype(np.float32), target=simulated.truth[None], pixel_size_um=mrbcr.OPTICS.pixel_size_um)


def sample() -> Image:
    """A simulated stack to try the bundle on: threads, tubes and balls, 16 x 96 x 96 uint16; the same at every call."""
    rng, camera = np.random.default_rng(20261125), Camera()
    simulated = stack(
        rng, (16, 96, 96), sample_specimen, optics=mrbcr.OPTICS, z_step_um=Z_STEP_UM, camera=camera, photons=400.0, background=5.0
    )
    return Image(array=simulated.image, axes="zyx", pixel_size_um=mrbcr.OPTICS.pixel_size_um, z_um=Z_STEP_UM)


def sample_specimen(rng: np.random.Generator, shape: Shape) -> NDArray[np.float64]:
    """Threads, spots, balls and tubes in one volume, (z, y, x) in 0-1."""
    volume = sum((draw(rng, shape) for draw in SOLIDS[:4]), np.zeros(shape))
    return np.asarray(volume / volume.max())


FAMILY = Family(
    name="mrbcr3d",
    title="m-rBCR deconvolution of stacks",
    description=(
        "Removes blur and noise from a wide-field fluorescence stack (NA 1.3, 600 nm emission, 50 nm pixels, planes 0.15 um apart). "
        "Trained on simulated threads, puncta, balls, tubes and clouds with known truth."
    ),
    cite=mrbcr.FAMILY.cite,
    input=TensorSpec(name="image", axes="bczyx", channels=("intensity",), description="Raw camera counts of a wide-field stack."),
    outputs=(
        TensorSpec(name="restored", axes="bczyx", channels=("intensity",), description="The stack without blur and noise, in counts."),
    ),
    network=Network(
        architecture=Part(path="zooready.nets.bcr.BCR", kwargs={"width": 8, "levels": 2, "depth": 1, "inverse": 3, "dimensions": 3}),
        normalization=mrbcr.FAMILY.network.normalization,
        restores=True,
    ),
    training=Training(
        pair=pair,
        loss=mrbcr.loss,
        recipe=Recipe(steps=3000, batch=2, optimizer="Muon", learning_rate=2e-3),
        metrics=mrbcr.metrics,
        pair_of=mrbcr.pair_of,
        partner=mrbcr.FAMILY.training.partner,
    ),
    pixel_size_um=(mrbcr.OPTICS.pixel_size_um,) * 2,
    tags=("deconvolution", "image-restoration", "fluorescence-light-microscopy", "widefield", "3d"),
    sample=sample,
    quality="PSNR on held-out simulated stacks {psnr:.1f} dB (input {psnr_input:.1f}, Richardson-Lucy at its best {psnr_rl_best:.1f})",
    evaluation="mrbcr3d",
)
