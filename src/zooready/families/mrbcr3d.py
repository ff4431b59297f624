"""Deconvolution of stacks (m-rBCR in three dimensions): a blurred, noisy wide-field stack in, the stack without blur and noise out.

    stack (b, 1, z, y, x) counts  -- mean and spread out, network, back in -->  restored (b, 1, z, y, x) counts

Planes lie further apart than pixels, so wavelets halve y and x only, and convolutions see three planes at a time. One affine map for
input and truth, the same loss and guard as :mod:`zooready.families.mrbcr`; the specimens have depth. It is blind, too: trained in many
microscopes with many distances of planes (:mod:`zooready.simulate.microscopes`), and told nothing of the one at hand.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.families import mrbcr
from zooready.records import Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate import microscopes
from zooready.simulate.camera import Camera
from zooready.simulate.dyes import enlarged, grainy, uneven
from zooready.simulate.fields import Field, stack
from zooready.simulate.volumes import SOLIDS, Shape, Solid, mixed
from zooready.tensors import TensorSpec

SHAPE = (16, 48, 48)  # px (z, y, x), of a training pair
Z_STEP_UM = 0.15
TWICE = 0.5  # share of enlarged specimens that are enlarged once more, so that some bodies are larger than a pair
GAUSSIAN, GAUSSIAN_PX = 0.35, ((0.3, 1.5), mrbcr.GAUSSIAN_PX)  # share of other pairs with a Gaussian blur, its deviations in planes and px
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
    specimen = SPECIMENS[rng.integers(len(SPECIMENS))]
    if rng.random() < mrbcr.REFERENCE:
        simulated = scene(rng, SHAPE, specimen)
    else:
        optics, z_step_um = microscopes.for_stacks()[rng.integers(microscopes.STACKS)]
        aspect = z_step_um / optics.pixel_size_um
        specimen = partial(specimen, aspect=aspect)
        if rng.random() < mrbcr.ENLARGED:
            specimen = partial(enlarged, draw=specimen)
            if rng.random() < TWICE:
                specimen = partial(enlarged, draw=specimen)
        if rng.random() < mrbcr.UNEVEN:
            specimen = partial(uneven, draw=specimen, aspect=aspect)
        if rng.random() < mrbcr.GRAINY:
            specimen = partial(grainy, draw=specimen, aspect=aspect)
        further = {"gaussian": tuple(microscopes.log_uniform(rng, span) for span in GAUSSIAN_PX)} if rng.random() < GAUSSIAN else {}
        light = mrbcr.any_exposure(rng)
        simulated = stack_with_content(rng, SHAPE, specimen, optics=optics, z_step_um=z_step_um, **light, **further)
    pixel_size_um = simulated.optics.pixel_size_um
    return Pair(input=simulated.image[None].astype(np.float32), target=simulated.truth[None], pixel_size_um=pixel_size_um)


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
        "Removes blur and noise from a wide-field fluorescence stack. Made for microscopes whose wavelength / (NA x pixel size) is 4 to 16 "
        "pixels, with planes 1.5 to 8 pixels apart; it need not be told which. Trained on simulated threads, puncta, balls, tubes and "
        "clouds with known truth."
    ),
    cite=mrbcr.FAMILY.cite,
    input=TensorSpec(name="image", axes="bczyx", channels=("intensity",), description="Raw camera counts of a wide-field stack."),
    outputs=(
        TensorSpec(name="restored", axes="bczyx", channels=("intensity",), description="The stack without blur and noise, in counts."),
    ),
    network=Network(
        architecture=Part(path="zooready.nets.bcr.BCR", kwargs={"width": 8, "levels": 3, "depth": (1, 2), "inverse": 3, "dimensions": 3}),
        normalization=mrbcr.FAMILY.network.normalization,
        restores=True,
    ),
    training=Training(
        pair=pair,
        loss=partial(mrbcr.loss, floor=mrbcr.LOW_FLOOR),
        guard=mrbcr.guard,
        recipe=Recipe(steps=6500, batch=2, optimizer="Muon", learning_rate=2e-3),
        metrics=mrbcr.metrics,
        pair_of=mrbcr.pair_of,
        partner=mrbcr.FAMILY.training.partner,
    ),
    pixel_size_um=(),
    blur_px=microscopes.BLUR_PX,
    tags=("deconvolution", "image-restoration", "fluorescence-light-microscopy", "widefield", "3d"),
    sample=sample,
    quality="PSNR on held-out simulated stacks over the whole range of blurs {psnr_range:.1f} dB (input {psnr_range_input:.1f}, "
    "Richardson-Lucy at its best with the true PSF {psnr_range_rl_best:.1f})",
    evaluation="mrbcr3d",
)
