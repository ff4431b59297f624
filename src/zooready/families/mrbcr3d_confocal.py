"""Deconvolution of stacks by microscopes that keep light of other planes out: confocal, spinning-disk, two-photon, light-sheet.

    stack (b, 1, z, y, x) counts  -- mean and spread out, network, back in -->  restored (b, 1, z, y, x) counts

The point of such a microscope is compact: six in ten training stacks have a Gaussian of any width and height in its place, the others
the point of a confocal microscope. The network is told neither. Specimens are those of :mod:`zooready.families.mrbcr3d` and others that
fill their stacks, as tissue and pollen do, since nothing smooth may be taken for light of other planes here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zooready.families import mrbcr, mrbcr3d
from zooready.records import Image, Pair, Part, Recipe, Training
from zooready.simulate import microscopes, thick, volumes
from zooready.simulate.camera import Camera
from zooready.simulate.fields import Field, stack
from zooready.simulate.microscopes import Sectioning
from zooready.simulate.modalities import Confocal
from zooready.simulate.optics import Optics
from zooready.simulate.thick import Thick
from zooready.simulate.volumes import Shape, Solid

SHAPE = (12, 64, 64)  # px (z, y, x), of a training pair
GAUSSIAN = 0.6  # share of pairs with a Gaussian point; the others have a confocal microscope's
SPECIMENS: tuple[Thick, ...] = (  # drawn with equal chance; one named twice is drawn twice as often
    *(volumes.filaments, volumes.puncta, volumes.beads, volumes.tubes, volumes.clouds, volumes.mixed),
    *(thick.globes, thick.globes, thick.sheets, thick.nets),
)
OPTICS = Optics(na=1.2, wavelength_nm=520.0, index=1.33, pixel_size_um=0.07)  # of the sample
Z_STEP_UM = 0.2


@dataclass(frozen=True, kw_only=True)
class Dye:
    """How unevenly specimens are dyed, as in every measured image.

    ``share`` of them have dye in patches, whose widths are ``patches_px``; the logarithm of its density has the standard deviations
    ``unevenness``.
    """

    share: float
    unevenness: tuple[float, float]
    patches_px: tuple[float, float]


FINE = Dye(share=0.8, unevenness=(0.1, 0.8), patches_px=(0.3, 3.0))  # of training


def scene(rng: np.random.Generator, shape: Shape, specimen: Thick, microscope: Sectioning, dye: Dye = FINE) -> Field:
    """A stack with random light and detector and something in it, the dye unevenly bound at random; ``shape`` each."""
    aspect = microscope.z_step_um / microscope.optics.pixel_size_um
    drawn = partial(uneven, dye=dye, draw=lambda rng, shape: specimen(rng, shape, aspect))
    return mrbcr3d.stack_with_content(rng, shape, drawn, **vars(microscope), **mrbcr.any_exposure(rng))


def uneven(rng: np.random.Generator, shape: Shape, dye: Dye, draw: Solid) -> NDArray[np.float64]:
    """A specimen (z, y, x) in 0-1, in a share of all cases with dye in patches."""
    volume = draw(rng, shape)
    if rng.random() >= dye.share:
        return volume
    density = thick.smooth_noise(rng, shape, microscopes.log_uniform(rng, dye.patches_px), 1.0)
    mottled = volume * np.exp(rng.uniform(*dye.unevenness) * density)
    return np.asarray(mottled / max(float(mottled.max()), 1e-12))


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: (1, 12, 64, 64) float32 counts each; any pair can be simulated again, so training resumes exactly."""
    rng = np.random.default_rng((seed, index))
    specimen = SPECIMENS[rng.integers(len(SPECIMENS))]
    kind = microscopes.sectioning()[0 if rng.random() < GAUSSIAN else 1]
    simulated = scene(rng, SHAPE, specimen, kind[rng.integers(len(kind))])
    return Pair(input=simulated.image[None].astype(np.float32), target=simulated.truth[None], pixel_size_um=simulated.optics.pixel_size_um)


def sample() -> Image:
    """A simulated confocal stack to try the bundle on: round bodies among threads, 16 x 96 x 96 uint16; the same at every call."""
    simulated = stack(
        np.random.default_rng(20261128),
        (16, 96, 96),
        sample_specimen,
        optics=OPTICS,
        z_step_um=Z_STEP_UM,
        camera=Camera(),
        photons=150.0,
        background=2.0,
        modality=Confocal(),
    )
    return Image(array=simulated.image, axes="zyx", pixel_size_um=OPTICS.pixel_size_um, z_um=Z_STEP_UM)


def sample_specimen(rng: np.random.Generator, shape: Shape) -> NDArray[np.float64]:
    """Round bodies and threads in one volume, (z, y, x) in 0-1."""
    aspect = Z_STEP_UM / OPTICS.pixel_size_um
    volume = thick.globes(rng, shape, aspect) + volumes.filaments(rng, shape, aspect)
    return np.asarray(volume / volume.max())


FAMILY = replace(
    mrbcr3d.FAMILY,
    name="mrbcr3d-confocal",
    title="m-rBCR deconvolution of confocal stacks",
    description=(
        "Removes blur and noise from a fluorescence stack by a microscope that keeps light of other planes out (confocal, spinning-disk, "
        "two-photon, light-sheet). It need not be told which: points of light may be 1.4 to 4.7 pixels wide and 0.9 to 4.2 planes high. "
        "Trained on simulated threads, puncta, tubes, bodies, sheets, nets and clouds with known truth."
    ),
    input=replace(mrbcr3d.FAMILY.input, description="Raw counts of a stack."),
    network=replace(
        mrbcr3d.FAMILY.network,
        architecture=Part(path="zooready.nets.bcr.BCR", kwargs={"width": 8, "levels": 3, "depth": 1, "inverse": 3, "dimensions": 3}),
    ),
    training=Training(
        pair=pair,
        loss=mrbcr.FAMILY.training.loss,
        guard=mrbcr.guard,
        recipe=Recipe(steps=8000, batch=2, optimizer="Muon", learning_rate=2e-3),
        metrics=mrbcr.metrics,
        pair_of=mrbcr.pair_of,
        partner=mrbcr.FAMILY.training.partner,
    ),
    pixel_size_um=(),
    tags=("deconvolution", "image-restoration", "fluorescence-light-microscopy", "confocal", "3d"),
    sample=sample,
    quality="PSNR on held-out simulated stacks {psnr:.1f} dB (input {psnr_input:.1f}, Richardson-Lucy at its best {psnr_rl_best:.1f})",
    evaluation="mrbcr3d_confocal",
)
