"""Deconvolution of stacks (m-rBCR in three dimensions): a blurred, noisy wide-field stack in, the stack without blur and noise out.

    stack (b, 1, z, y, x) counts  -- mean and spread out, network, back in -->  restored (b, 1, z, y, x) counts

Planes lie further apart than pixels, so wavelets halve y and x only, and convolutions see three planes at a time. One affine map for
input and truth, and the same loss, guard and microscopes as :mod:`zooready.families.mrbcr`, so it is blind too; the specimens have depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.data.augmentation import augmented
from zooready.families import mrbcr
from zooready.records import Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate import microscopes, thick
from zooready.simulate.camera import Camera
from zooready.simulate.fields import Field, digital, reused, stack, stack_light
from zooready.simulate.optics import Optics
from zooready.simulate.volumes import SOLIDS, Shape, Solid, mixed
from zooready.tensors import TensorSpec

SHAPE = (16, 48, 48)  # px (z, y, x), of a training pair
Z_STEP_UM = 0.15
SPECIMENS: tuple[thick.Thick, ...] = (  # drawn with equal chance; one named twice is drawn twice as often
    *SOLIDS, mixed, thick.nets, thick.sheets, thick.globes, thick.globes,
)  # fmt: skip
STEPS, ASPECTS = (0.35, 1.0), (1.5, 8.0)  # distances of planes, over the longest that samples the images, and over a pixel's side
GAUSSIAN, GAUSSIAN_PLANES = 0.25, (0.4, 2.0)  # share of stacks with a Gaussian blur, and its standard deviation in planes
FIELD = (20, 80, 80)  # px (z, y, x), of the simulated stacks that training pairs are parts of
DIMMEST = 0.2  # of the brightest voxel of the stack; a part with less is as dim in its pair, others are as bright as drawn
FIELDS, REUSED = 64, 12  # stacks that training draws from at a time, and how often each before another takes its place


def scene(rng: np.random.Generator, shape: Shape, specimen: Solid) -> Field:
    """A stack with random light, background and camera, ``shape`` each, and something in it; see :func:`zooready.simulate.fields.stack`."""
    settings: dict[str, Any] = {"optics": mrbcr.OPTICS, "z_step_um": Z_STEP_UM, **mrbcr.exposure(rng)}
    simulated = stack(rng, shape, specimen, **settings)
    while np.ptp(simulated.truth) == 0:  # every thread passed outside: draw another specimen
        simulated = stack(rng, shape, specimen, **settings)
    return simulated


def any_stack(rng: np.random.Generator, shape: Shape, specimen: thick.Thick, optics: Optics, z_step_um: float) -> Field:
    """A stack by this microscope with random light, background and camera, ``shape`` each, and something in it."""
    solid, settings = partial(specimen, aspect=z_step_um / optics.pixel_size_um), mrbcr.any_exposure(rng)
    simulated = stack(rng, shape, solid, optics=optics, z_step_um=z_step_um, **settings)
    while np.ptp(simulated.truth) == 0:
        simulated = stack(rng, shape, solid, optics=optics, z_step_um=z_step_um, **settings)
    return simulated


def step_um(rng: np.random.Generator, optics: Optics) -> float:
    """A random distance of planes, micrometres, that suits the microscope: close enough to sample its images, and at most 8 pixels."""
    return float(min(rng.uniform(*STEPS) * optics.nyquist_z_um, rng.uniform(*ASPECTS) * optics.pixel_size_um))


@dataclass(frozen=True, kw_only=True)
class Lit:
    """A stack before its camera: light of the specimen, and of its image by the microscope, (20, 80, 80) float32 each, relative."""

    emission: NDArray[np.float32]
    optical: NDArray[np.float32]
    optics: Optics


@lru_cache(maxsize=2 * FIELDS)  # held-out pairs in between must not displace those that come next
def lit(seed: int, number: int) -> Lit:
    """Stack `number` of training: any specimen with depth in any microscope, with any distance of planes."""
    rng = np.random.default_rng((seed, number, *FIELD))
    is_reference = rng.random() < mrbcr.REFERENCE
    optics = mrbcr.OPTICS if is_reference else microscopes.microscopes()[rng.integers(microscopes.NUMBER)]
    z_step_um = Z_STEP_UM if is_reference else step_um(rng, optics)
    specimen = SPECIMENS[rng.integers(len(SPECIMENS))]
    is_gaussian = not is_reference and rng.random() < GAUSSIAN
    gaussian = (microscopes.log_uniform(rng, GAUSSIAN_PLANES), microscopes.log_uniform(rng, mrbcr.GAUSSIAN_PX)) if is_gaussian else None
    emission, optical = stack_light(rng, FIELD, partial(specimen, aspect=z_step_um / optics.pixel_size_um), optics, z_step_um, gaussian)
    return Lit(emission=emission.astype(np.float32), optical=optical.astype(np.float32), optics=optics)


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: (1, 16, 48, 48) float32 counts each; any pair can be simulated again, so training resumes exactly.

    It is a part of a stack, flipped or turned, with a light and a camera of its own; each stack serves several pairs, since simulating
    it takes as long as learning from it.
    """
    rng, whole = np.random.default_rng((seed, index)), lit(seed, reused(index, FIELDS, REUSED))
    pixel_size_um = whole.optics.pixel_size_um
    both = Pair(input=whole.optical[None], target=whole.emission[None], pixel_size_um=pixel_size_um)
    part = augmented(both, rng, SHAPE[1], SHAPE[0])
    settings = mrbcr.exposure(rng) if whole.optics is mrbcr.OPTICS else mrbcr.any_exposure(rng)
    settings["photons"] *= min(1.0, float(part.input.max()) / max(DIMMEST * float(whole.optical.max()), 1e-12))
    seen = digital(rng, part.target[0], part.input[0], whole.optics, **settings)
    return Pair(input=seen.image[None].astype(np.float32), target=seen.truth[None], pixel_size_um=pixel_size_um)


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
        "pixels, with planes close enough to sample their images and 1.5 to 8 pixels apart; it need not be told which. Trained on "
        "simulated threads, puncta, balls, tubes, clouds, nets, sheets and round bodies with known truth."
    ),
    cite=mrbcr.FAMILY.cite,
    input=TensorSpec(name="image", axes="bczyx", channels=("intensity",), description="Raw camera counts of a wide-field stack."),
    outputs=(
        TensorSpec(name="restored", axes="bczyx", channels=("intensity",), description="The stack without blur and noise, in counts."),
    ),
    network=Network(
        architecture=Part(path="zooready.nets.bcr.BCR", kwargs={"width": 8, "levels": 3, "depth": 1, "inverse": 4, "dimensions": 3}),
        normalization=mrbcr.FAMILY.network.normalization,
        restores=True,
    ),
    training=Training(
        pair=pair,
        loss=mrbcr.loss,
        guard=mrbcr.guard,
        recipe=Recipe(steps=6000, batch=2, optimizer="Muon", learning_rate=2e-3),
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
