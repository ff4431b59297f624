"""Virtual refocusing (Deep-Z): one image and a distance for each of its pixels in, the image focused at that distance out.

    image, distance_um (b, 2, y, x)  -- intensities by mean and spread, distances by ten, network -->  restored (b, 1, y, x) counts

The distances are the digital propagation matrix (DPM); positive ones lead deeper, away from the objective. A symmetric point spread
function looks alike above and below the focus, so the sign can only be told by an asymmetry: here, a tenth to 0.15 waves of spherical
aberration, with the sign of `ABERRATION`. Training sees uniform distances only.
Wu et al., Nature Methods 16, 1323 (2019), doi:10.1038/s41592-019-0622-5
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zooready.families import mrbcr
from zooready.records import Adversary, Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate import bodies, thick, volumes
from zooready.simulate.camera import Camera
from zooready.simulate.focusing import focal_series
from zooready.simulate.optics import Optics
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 96  # px, side of a training pair
FIELD = 128  # px, side of a simulated series, which wraps around
PIXEL_UM, BINNING = 0.325, 2
Z_STEP_UM = 0.5
FURTHEST = 10  # planes: distances from -5 to 5 um
ABERRATION = (0.1, 0.125, 0.15)  # waves rms of primary spherical aberration
PHOTONS = (60.0, 3000.0)  # of the brightest voxel of a series
SPARSE: tuple[thick.Thick, ...] = (thick.scattered, bodies.arbours)
DENSE: tuple[thick.Thick, ...] = (
    volumes.filaments, volumes.puncta, volumes.beads, volumes.tubes, volumes.clouds, thick.nets, thick.sheets, thick.globes,
    volumes.mixed,
)  # fmt: skip
FLAT: tuple[thick.Thick, ...] = (thick.layer, thick.pressed)
SPECIMENS: tuple[thick.Thick, ...] = (  # drawn with equal chance; one named twice is drawn twice as often
    *SPARSE * 3, *(thick.scattered,) * 2, *DENSE, *(thick.globes,) * 2, *(thick.layer,) * 3, *(thick.pressed,) * 2,
)  # fmt: skip
SERIES, REUSED = 48, 64  # series that training draws from at a time, and how often each before another takes its place
FLOOR, SMALLEST_SPREAD = 1e-3, 0.1  # of the loss
UNIT_UM = 10.0  # of the distances that the network sees
DESIGN = {"widths": (32, 64, 112), "encoder": (1, 1, 2), "decoder": (1, 2, 2)}


def optics_of(aberration: float) -> Optics:
    """The microscope, 20x/0.75 at 600 nm in water, with the specimen's fine pixels; `aberration` in waves rms."""
    return Optics(na=0.75, wavelength_nm=600.0, index=1.33, pixel_size_um=PIXEL_UM / BINNING, zernike=((4, 0, aberration),))


def focused(
    rng: np.random.Generator, specimen: thick.Thick, size: int, focus: NDArray[np.integer], aberration: float, *, is_thick: bool
) -> NDArray[np.float32]:
    """Images of one specimen, (len(focus), size, size), brightest pixel 1; planes are 0.5 um apart, and focus 0 lies near its middle.

    ``is_thick`` makes it 13 to 30 planes deep, else 1 to 21.
    """
    volume, middle = placed(rng, specimen, size, is_thick=is_thick)
    return recorded(volume, np.asarray(focus) + middle, aberration)


def placed(rng: np.random.Generator, specimen: thick.Thick, size: int, *, is_thick: bool) -> tuple[NDArray[np.floating], int]:
    """A specimen (z, y, x) with the fine pixels, for images of that size, and the number of the plane that is focus 0."""
    depth = int(rng.integers(13, 31)) if is_thick else int(rng.integers(1, 22))
    volume = specimen(rng, (depth, size * BINNING, size * BINNING), Z_STEP_UM / (PIXEL_UM / BINNING))
    return volume, depth // 2 + int(rng.integers(-5, 6))


def recorded(volume: NDArray[np.floating], focus: NDArray[np.integer], aberration: float) -> NDArray[np.float32]:
    """Images of a volume with the fine pixels, in focus at the planes of these numbers; brightest pixel 1."""
    images = light(volume, focus, aberration)
    return images / max(float(images.max()), 1e-12)


def light(volume: NDArray[np.floating], focus: NDArray[np.integer], aberration: float) -> NDArray[np.float32]:
    """The same in the volume's own unit of light."""
    return focal_series(volume, optics_of(aberration), Z_STEP_UM, focus, BINNING)


@lru_cache(maxsize=2 * SERIES)  # held-out pairs in between must not displace those that come next
def series(seed: int, number: int, aberrations: tuple[float, ...] = ABERRATION) -> NDArray[np.float32]:
    """Series `number` of training: (21, 128, 128), from 5 um above the middle one to 5 um below; one of the aberrations, in waves."""
    rng = np.random.default_rng((seed, number, FIELD))
    specimen = SPECIMENS[int(rng.integers(len(SPECIMENS)))]
    aberration = float(rng.choice(aberrations))
    return focused(rng, specimen, FIELD, np.arange(-FURTHEST, FURTHEST + 1), aberration, is_thick=specimen in DENSE)


def number_of(index: int) -> int:
    """The series of pair number `index`; series are replaced one after the other, so that a batch always sees different ones."""
    slot, turn = index % SERIES, index // SERIES
    return slot + SERIES * ((turn + slot % REUSED) // REUSED)


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: image and distance (2, 96, 96) and the image at that distance (1, 96, 96), float32 counts and um."""
    rng, planes = np.random.default_rng((seed, index)), series(seed, number_of(index))
    steps = int(rng.integers(-FURTHEST, FURTHEST + 1))
    start = int(rng.integers(max(0, -steps), len(planes) - max(0, steps)))
    here, there = turned(rng, planes[[start, start + steps]])
    camera, photons, background = exposure(rng)
    image = camera.exposed(here * photons + background, rng)
    target = camera.expected(there * photons + background)
    distance = np.full_like(image, steps * Z_STEP_UM, np.float32)
    return Pair(input=np.stack((image.astype(np.float32), distance)), target=target[None].astype(np.float32), pixel_size_um=PIXEL_UM)


def turned(rng: np.random.Generator, planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """A random part (n, 96, 96) of a series that wraps around, flipped and transposed at random."""
    down, right = rng.integers(0, planes.shape[1], 2)
    rows, columns = (np.arange(start, start + SIZE) % planes.shape[1] for start in (down, right))
    part = planes[:, rows[:, None], columns]
    part = part[:, :: int(rng.choice((-1, 1))), :: int(rng.choice((-1, 1)))]
    return part.transpose(0, 2, 1) if rng.random() < 0.5 else part


def exposure(rng: np.random.Generator) -> tuple[Camera, float, float]:
    """Random camera, photons of the brightest voxel and of the background."""
    camera = Camera(gain=float(rng.uniform(0.5, 2.0)), offset=float(rng.uniform(50, 200)), read_noise=float(rng.uniform(0.8, 2.0)))
    return camera, float(np.exp(rng.uniform(*np.log(PHOTONS)))), float(rng.uniform(1.0, 20.0))


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean logarithm of the squared error in units of the target's spread, (b, n, y, x) each; an image and a plane at a time.

    The logarithm asks for the same gain in decibels everywhere, near the focus and far from it.
    """
    spread = target.std((2, 3), keepdim=True).clamp(min=SMALLEST_SPREAD)
    return (((output - target) / spread).square().mean((2, 3)) + FLOOR).log().mean()


def terms(output: Tensor, target: Tensor) -> dict[str, Tensor]:
    """What stands beside the adversarial term, if there is one: :func:`loss`."""
    return {"error": loss(output, target)}


def guard(output: Tensor, target: Tensor, image: Tensor) -> Tensor:
    """Nepers by which planes (b, n, y, x) are worse than channel 0 of `image`; see :func:`zooready.families.mrbcr.guard`."""
    return guard_of_planes(output, target, image[:, :1].expand_as(target))


def guard_of_planes(output: Tensor, target: Tensor, nearest: Tensor) -> Tensor:
    """The same, where `nearest` is what each plane must not be worse than, (b, n, y, x)."""
    planes, truths, same = (each.flatten(0, 1)[:, None] for each in (output, target, nearest))
    return mrbcr.guard(planes, truths, same)


def sample() -> Image:
    """Simulated neurites and beads, 192 x 192, with distances that rise from -4 to 4 um from left to right; the same at every call."""
    rng = np.random.default_rng(20191104)
    planes = focused(rng, sample_specimen, 192, np.zeros(1, int), ABERRATION[1], is_thick=False)
    image = Camera().exposed(planes[0] * 1500.0 + 10.0, rng).astype(np.float32)
    distance = np.broadcast_to(np.linspace(-4.0, 4.0, 192, dtype=np.float32), image.shape)
    return Image(array=np.stack((image, distance)), axes="cyx", pixel_size_um=PIXEL_UM)


def sample_specimen(rng: np.random.Generator, shape: volumes.Shape, aspect: float) -> NDArray[np.float64]:
    """Neurites and beads in one volume, (z, y, x) in 0-1."""
    volume = bodies.arbours(rng, shape, aspect) + thick.scattered(rng, shape, aspect)
    return np.asarray(volume / volume.max())


TRAINED_ON = "Trained on simulated beads, neurites, tubes, nets, sheets and clouds with 0.1 to 0.15 waves of spherical aberration."
CITE = (
    (
        "Wu Y, Rivenson Y, Wang H, Luo Y, Ben-David E, Bentolila LA, Pritz C, Ozcan A. Three-dimensional virtual refocusing of "
        "fluorescence microscopy images using deep learning. Nature Methods 16, 1323-1331 (2019).",
        "10.1038/s41592-019-0622-5",
    ),
)

FAMILY = Family(
    name="deepz",
    title="Deep-Z virtual refocusing",
    description=(
        "Refocuses a wide-field fluorescence image (20x/0.75, 600 nm emission, 0.325 um pixels) to a distance of -5 to 5 um, given for "
        f"each pixel. {TRAINED_ON}"
    ),
    cite=CITE,
    input=TensorSpec(
        name="image",
        axes="bcyx",
        channels=("intensity", "distance_um"),
        description="Raw camera counts, and the distance to refocus each pixel by, micrometres; beyond 5 um either way it counts as 5 um.",
        limits={"distance_um": (-FURTHEST * Z_STEP_UM, FURTHEST * Z_STEP_UM)},
    ),
    outputs=(TensorSpec(name="restored", axes="bcyx", channels=("intensity",), description="The refocused image, in counts."),),
    network=Network(
        architecture=Part(path="zooready.nets.deepz.Refocus", kwargs={**DESIGN, "furthest": FURTHEST * Z_STEP_UM / UNIT_UM}),
        normalization=Part(path="zooready.nets.normalization.FirstMeanStd", kwargs={"unit": UNIT_UM}),
        restores=True,
    ),
    training=Training(
        pair=pair,
        loss=loss,
        guard=guard,
        adversary=Adversary(discriminator=Part(path="zooready.nets.superres.Discriminator", kwargs={"width": 8}), terms=terms),
        recipe=Recipe(steps=2000, batch=8, optimizer="Muon", learning_rate=2e-3),
        metrics=mrbcr.metrics,
    ),
    pixel_size_um=(PIXEL_UM, PIXEL_UM),
    tags=("refocusing", "image-restoration", "fluorescence-light-microscopy", "widefield", "2d", "3d"),
    sample=sample,
    quality="PSNR on held-out simulated fields {psnr:.1f} dB (input {psnr_input:.1f})",
    evaluation="deepz",
)
