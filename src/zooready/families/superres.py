"""Cross-modality super-resolution: the image of one microscope in, what a sharper one would show of the same place out.

    image (b, 1, y, x) counts  -- mean and spread out, network, back in -->  restored (b, 1, y, x) counts

Widths of point spread functions at half maximum, and pixels, are those of the task:

    superres-sted       confocal, 290 nm -> stimulated emission depletion (STED), 110 nm             30 nm pixels
    superres-tirfsim    total internal reflection (TIRF), 187 nm -> structured illumination, 99 nm    40 nm pixels
    superres-widefield  10x, NA 0.4, 0.68 um -> 20x, NA 0.75, 0.37 um                                160 nm pixels

One affine map for the whole image, as in :mod:`zooready.families.mrbcr`, whose network, loss, light and variety of specimens these
families share. The published networks are :mod:`zooready.nets.superres`.
Wang, Rivenson, Jin, Wei, Gao, Gunaydin, Bentolila, Kural, Ozcan, Nature Methods 16, 103 (2019), doi:10.1038/s41592-018-0239-0
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zooready.families import mrbcr
from zooready.records import Adversary, Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate.across import across
from zooready.simulate.camera import Camera
from zooready.simulate.fields import Field
from zooready.simulate.modalities import SIM, STED, TIRF, Confocal
from zooready.simulate.optics import Optics
from zooready.simulate.specimens import Specimen, drawn
from zooready.simulate.stages import Microscope
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

SIMILARITY = 0.1  # weight of the logarithm of SSIM, in the loss of adversarial training
SHARPENED = Part(path="zooready.nets.sharpening.Sharpened", kwargs={"sigma_px": 1.0, "amount": 0.6})  # points as wide as those of STED
WIDTHS = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15)  # of the input's point spread function, relative to the nominal one; drawn from


@dataclass(frozen=True, kw_only=True)
class Step:
    """From a microscope to a sharper one with pixels as large; what the sharper one shows never varies."""

    seen: Microscope
    shown: Microscope

    @property
    def pixel_size_um(self) -> float:
        """Side of the pixels of both, micrometres."""
        return self.seen.optics.pixel_size_um


_SCANNED = Optics(na=1.05, wavelength_nm=670.0, index=1.515, pixel_size_um=0.03)  # NA 1.4 with a beam that fills it partly
_EVANESCENT = Optics(na=1.45, wavelength_nm=525.0, index=1.515, pixel_size_um=0.04)
_LOW_NA = Optics(na=0.4, wavelength_nm=525.0, index=1.0, pixel_size_um=0.16)
CONFOCAL_TO_STED = Step(
    seen=Microscope(optics=_SCANNED, modality=Confocal()), shown=Microscope(optics=_SCANNED, modality=STED(saturation=6.3))
)
TIRF_TO_SIM = Step(seen=Microscope(optics=_EVANESCENT, modality=TIRF()), shown=Microscope(optics=_EVANESCENT, modality=SIM()))
LOW_TO_HIGH_NA = Step(seen=Microscope(optics=_LOW_NA), shown=Microscope(optics=replace(_LOW_NA, na=0.75)))


def empty(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Nothing but background, (size, size): the network learns to leave it empty."""
    return np.zeros((size, size))


def nanobeads(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Points, alone and in clusters of two to four, (size, size): from them the network learns to part what lies close together."""
    clusters = int(rng.integers(3, 4 + size * size // 400))
    members = rng.integers(1, 5, clusters)
    angle, apart = rng.uniform(0, 2 * np.pi, members.sum()), np.repeat(rng.uniform(0.5, 5.0, clusters), members)
    at = np.repeat(rng.uniform(0, size, (2, clusters)), members, axis=1) + apart * np.stack((np.sin(angle), np.cos(angle)))
    return drawn(at, rng.lognormal(0, rng.uniform(0, 0.5), members.sum()), size, rng.uniform(0.4, 0.9))


def twins(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Pairs of points of about the same brightness and mostly far from other pairs, (size, size).

    They are 2 to 9 px apart or, in every second field, 3 to 6 px, about what the sharper microscope can just part.
    """
    count = int(size * size * rng.uniform(1 / 1500, 1 / 300)) + 1
    nearest, farthest = ((2.0, 9.0), (3.0, 6.0))[rng.integers(2)]
    angle, apart = rng.uniform(0, np.pi, count), rng.uniform(nearest, farthest, count)
    middle, half = rng.uniform(0, size, (2, count)), apart / 2 * np.stack((np.sin(angle), np.cos(angle)))
    brightness = np.tile(rng.lognormal(0, rng.uniform(0, 0.4), count), 2) * rng.lognormal(0, rng.uniform(0, 0.2), 2 * count)
    return drawn(np.concatenate((middle - half, middle + half), 1), brightness, size, rng.uniform(0.4, 0.7))


def rods(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Straight thin lines, 8 px long to longer than the field, (size, size): a line is no row of points, and the network is to know it."""
    count = int(size * size * rng.uniform(1 / 2000, 1 / 400)) + 1
    angle, length = rng.uniform(0, np.pi, count), 8.0 * rng.uniform(1, size / 8, count) ** rng.uniform(0, 1.2)
    along = np.linspace(-0.5, 0.5, 4 * size)[:, None] * length  # (step, rod), a step never longer than a pixel
    at = rng.uniform(0, size, (2, 1, count)) + along * np.stack((np.sin(angle), np.cos(angle)))[:, None]
    weights = np.broadcast_to(length * rng.lognormal(0, rng.uniform(0, 0.4), count), along.shape)
    return drawn(at.reshape(2, -1), weights.reshape(-1), size, rng.uniform(0.4, 0.9))


# Drawn with equal chance; one named often, more often.
SPECIMENS: tuple[Specimen, ...] = (*mrbcr.SPECIMENS, empty, *(nanobeads,) * 3, *(twins,) * 6, *(rods,) * 2)


def scene(rng: np.random.Generator, size: int, specimen: Specimen, step: Step, width: float = 1.0, dimmed: float = 1.0) -> Field:
    """A field with random light, background and camera, (size, size) each: the image's point spread function is `width` times as wide."""
    light = mrbcr.exposure(rng, dimmed)
    optics = replace(step.seen.optics, wavelength_nm=width * step.seen.optics.wavelength_nm)
    seen = replace(step.seen, optics=optics, camera=light.pop("camera"))
    return across(rng, size, specimen, seen=seen, shown=step.shown, **light)


def terms(output: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The published loss beside its adversarial term: the squared error, and the negative logarithm of (1 + SSIM) / 2, both weighted.

    Parameters
    ----------
    output, target
        (b, 1, y, x) float32. Errors are in units of the target's spread, as in :func:`zooready.families.mrbcr.loss`, and SSIM in those of
        its range. The publication does not state the weights; these give both terms a similar share.

    Returns
    -------
    dict
        ``squared error`` and ``similarity``, one number each, 0 for a perfect output.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    spread = target.std((1, 2, 3), keepdim=True).clamp(min=mrbcr.SMALLEST_SPREAD)
    least, most = target.amin((1, 2, 3), keepdim=True), target.amax((1, 2, 3), keepdim=True)
    reach = (most - least).clamp(min=mrbcr.SMALLEST_SPREAD)
    similarity: Tensor = structural_similarity_index_measure((output - least) / reach, (target - least) / reach, data_range=1.0)  # type: ignore[assignment]
    return {
        "squared error": ((output - target) / spread).square().mean(),
        "similarity": -SIMILARITY * ((1 + similarity) / 2).log(),
    }


def pair(seed: int, index: int, step: Step) -> Pair:
    """Pair number `index`: (1, 96, 96) float32 counts each; any pair can be made again, so training resumes exactly."""
    rng = np.random.default_rng((seed, index))
    width = float(rng.choice(WIDTHS))
    simulated = scene(rng, mrbcr.SIZE, SPECIMENS[rng.integers(len(SPECIMENS))], step, width)
    return Pair(input=simulated.image[None].astype(np.float32), target=simulated.truth[None], pixel_size_um=step.pixel_size_um)


def sample(step: Step) -> Image:
    """A simulated image to try the bundle on: meshes, filaments, puncta and rings, 256 x 256 uint16; the same at every call."""
    rng, seen = np.random.default_rng(20190103), replace(step.seen, camera=Camera())
    simulated = across(rng, 256, mrbcr.sample_specimen, seen=seen, shown=step.shown, photons=300.0, background=5.0)
    return Image(array=simulated.image, axes="yx", pixel_size_um=step.pixel_size_um)


def family(name: str, title: str, description: str, step: Step, tags: tuple[str, ...], head: Part | None = None) -> Family:
    """One of the three; they differ in their microscopes, and in what finishes the output."""
    return Family(
        name=name,
        title=title,
        description=f"{description} Trained on simulated nanobeads, filaments, puncta, rings, meshes and textures with known truth.",
        cite=(
            (
                "Wang H, Rivenson Y, Jin Y, Wei Z, Gao R, Gunaydin H, Bentolila LA, Kural C, Ozcan A. Deep learning enables "
                "cross-modality super-resolution in fluorescence microscopy. Nature Methods 16, 103-110 (2019).",
                "10.1038/s41592-018-0239-0",
            ),
            *mrbcr.FAMILY.cite,
        ),
        input=TensorSpec(name="image", axes="bcyx", channels=("intensity",), description="Raw camera counts."),
        outputs=(
            TensorSpec(
                name="restored", axes="bcyx", channels=("intensity",), description="The image as a sharper microscope shows it, in counts."
            ),
        ),
        network=Network(
            architecture=Part(path="zooready.nets.bcr.BCR", kwargs={"width": 8, "levels": 3, "depth": 3, "inverse": 8}),
            normalization=mrbcr.FAMILY.network.normalization,
            head=head,
            restores=True,
        ),
        training=Training(
            pair=partial(pair, step=step),
            loss=mrbcr.loss,
            recipe=Recipe(steps=4000, batch=8, optimizer="Muon", learning_rate=2e-3),
            metrics=mrbcr.metrics,
            adversary=Adversary(discriminator=Part(path="zooready.nets.superres.Discriminator", kwargs={"width": 8}), terms=terms),
            pair_of=mrbcr.pair_of,
            partner="truth",
        ),
        pixel_size_um=(step.pixel_size_um,) * 2,
        tags=("super-resolution", "image-restoration", "fluorescence-light-microscopy", *tags, "2d"),
        sample=partial(sample, step),
        quality="PSNR on held-out simulated fields {psnr:.1f} dB (input {psnr_input:.1f}, Richardson-Lucy at its best {psnr_rl_best:.1f})",
        evaluation=name.replace("-", "_"),
    )


STED_FAMILY = family(
    "superres-sted",
    "Super-resolution (confocal to STED)",
    "Shows a confocal fluorescence image (290 nm wide at half maximum, within 15 %, 30 nm pixels) as a STED microscope of 110 nm would.",
    CONFOCAL_TO_STED,
    ("confocal", "sted"),
    head=SHARPENED,
)
TIRFSIM_FAMILY = family(
    "superres-tirfsim",
    "Super-resolution (TIRF to TIRF-SIM)",
    "Shows a TIRF image (187 nm wide at half maximum, within 15 %, 40 nm pixels) as structured illumination of 99 nm would.",
    TIRF_TO_SIM,
    ("tirf", "sim"),
)
WIDEFIELD_FAMILY = family(
    "superres-widefield",
    "Super-resolution (10x to 20x wide-field)",
    "Shows a wide-field image of a 10x/0.4 objective (0.68 um wide at half maximum, within 15 %, resampled to 160 nm pixels) as a "
    "20x/0.75 objective would.",
    LOW_TO_HIGH_NA,
    ("widefield",),
)
