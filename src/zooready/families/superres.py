"""Cross-modality super-resolution: the image of one microscope in, what a sharper one would show of the same place out.

    image (b, 1, y, x) counts  -- mean and spread out, network, back in -->  restored (b, 1, y, x) counts

``superres-sted``: confocal, about 290 nm wide at half maximum, to stimulated emission depletion (STED), 110 nm.
One affine map for the whole image, as in :mod:`zooready.families.mrbcr`, whose loss, light and variety of specimens this family shares.
Wang, Rivenson, Jin, Wei, Gao, Gunaydin, Bentolila, Kural, Ozcan, Nature Methods 16, 103 (2019), doi:10.1038/s41592-018-0239-0
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zooready.families import mrbcr
from zooready.records import Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate.across import across
from zooready.simulate.camera import Camera
from zooready.simulate.fields import Field
from zooready.simulate.modalities import STED, Confocal
from zooready.simulate.optics import Optics
from zooready.simulate.specimens import Specimen
from zooready.simulate.stages import Microscope
from zooready.tensors import TensorSpec

WIDTHS = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15)  # of the input's point spread function, relative to the nominal one; drawn from
OPTICS = Optics(na=1.1, wavelength_nm=670.0, index=1.515, pixel_size_um=0.03)  # an objective of NA 1.4 with a beam that fills it partly
CONFOCAL = Microscope(optics=OPTICS, modality=Confocal(excitation_nm=640.0))  # 293 nm wide at half maximum
DEPLETED = Microscope(optics=OPTICS, modality=STED(excitation_nm=640.0, saturation=6.5))  # 110 nm


def scene(rng: np.random.Generator, size: int, specimen: Specimen, width: float = 1.0, dimmed: float = 1.0) -> Field:
    """A field with random light, background and camera, (size, size) each: the image's point spread function is `width` times as wide."""
    light = mrbcr.exposure(rng, dimmed)
    seen = replace(CONFOCAL, optics=replace(OPTICS, na=OPTICS.na / width), camera=light.pop("camera"))
    return across(rng, size, specimen, seen=seen, shown=DEPLETED, **light)


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: (1, 96, 96) float32 counts each; any pair can be made again, so training resumes exactly."""
    rng = np.random.default_rng((seed, index))
    width = float(rng.choice(WIDTHS))
    simulated = scene(rng, mrbcr.SIZE, mrbcr.SPECIMENS[rng.integers(len(mrbcr.SPECIMENS))], width)
    return Pair(input=simulated.image[None].astype(np.float32), target=simulated.truth[None], pixel_size_um=OPTICS.pixel_size_um)


def sample() -> Image:
    """A simulated confocal image to try the bundle on: meshes, filaments, puncta and rings, 256 x 256 uint16; the same at every call."""
    rng = np.random.default_rng(20190103)
    seen = replace(CONFOCAL, camera=Camera())
    simulated = across(rng, 256, mrbcr.sample_specimen, seen=seen, shown=DEPLETED, photons=300.0, background=5.0)
    return Image(array=simulated.image, axes="yx", pixel_size_um=OPTICS.pixel_size_um)


FAMILY = Family(
    name="superres-sted",
    title="Super-resolution: confocal to STED",
    description=(
        "Shows a confocal fluorescence image (about 290 nm wide at half maximum, 30 nm pixels) as a STED microscope of 110 nm would. "
        "Trained on simulated filaments, puncta, rings, meshes and textures with known truth."
    ),
    cite=(
        (
            "Wang H, Rivenson Y, Jin Y, Wei Z, Gao R, Gunaydin H, Bentolila LA, Kural C, Ozcan A. Deep learning enables cross-modality "
            "super-resolution in fluorescence microscopy. Nature Methods 16, 103-110 (2019).",
            "10.1038/s41592-018-0239-0",
        ),
        mrbcr.FAMILY.cite[0],
    ),
    input=TensorSpec(name="image", axes="bcyx", channels=("intensity",), description="Raw counts of a confocal image."),
    outputs=(
        TensorSpec(
            name="restored", axes="bcyx", channels=("intensity",), description="The image as a sharper microscope shows it, in counts."
        ),
    ),
    network=Network(
        architecture=Part(path="zooready.nets.bcr.BCR", kwargs={"width": 8, "levels": 3, "depth": 3, "inverse": 8}),
        normalization=mrbcr.FAMILY.network.normalization,
        restores=True,
    ),
    training=Training(
        pair=pair,
        loss=mrbcr.loss,
        recipe=Recipe(steps=4000, batch=8, optimizer="Muon", learning_rate=2e-3),
        metrics=mrbcr.metrics,
        pair_of=mrbcr.pair_of,
        partner="truth",
    ),
    pixel_size_um=(OPTICS.pixel_size_um,) * 2,
    tags=("super-resolution", "image-restoration", "fluorescence-light-microscopy", "confocal", "sted", "2d"),
    sample=sample,
    quality="PSNR on held-out simulated fields {psnr:.1f} dB (input {psnr_input:.1f}, Richardson-Lucy at its best {psnr_rl_best:.1f})",
    evaluation="superres",
)
