"""Deconvolution (m-rBCR): a blurred, noisy wide-field image in, the image without blur and noise out.

    image (b, 1, y, x) counts  -- mean and spread out, network, back in -->  restored (b, 1, y, x) counts

The very same affine map is applied to the input and to the truth in training; that, and a variety of specimens, is what makes the
network hold on specimens that it never saw. It is blind: trained in many microscopes (:mod:`zooready.simulate.microscopes`) and told
nothing of the one at hand. A guard in its loss asks that no image become worse than it was.
Li, Kudryashev, Yakimovich, ECCV 2024, doi:10.1007/978-3-031-73226-3_22
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.images.similarity import psnr, ssim
from zooready.records import Array, Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate import microscopes
from zooready.simulate.camera import Camera
from zooready.simulate.fields import Field, field
from zooready.simulate.optics import Optics
from zooready.simulate.specimens import STRUCTURES, TEXTURES, Specimen, mixed, smoothed
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 96  # px, side of a training pair
OPTICS = Optics(na=1.3, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05)  # the reference microscope
PHOTONS = (50.0, 1500.0)  # of the brightest pixel, in the reference microscope
SPECIMENS: tuple[Specimen, ...] = (
    *STRUCTURES,
    *STRUCTURES,
    *TEXTURES,
    mixed,
    mixed,
)  # drawn with equal chance; one named twice is drawn twice as often
FOURIER = 0.05  # weight of the Fourier term of the loss
REFERENCE = 0.12  # share of pairs from the microscope `OPTICS`, in focus and without haze
ENLARGED = 0.3  # share of other pairs with specimens of twice the size
THICK, CLIMB_PX = 0.3, (0.2, 2.0)  # share of other pairs with thick specimens, and how far these climb from plane to plane
GAUSSIAN, GAUSSIAN_PX = 0.2, (0.5, 2.0)  # share of other pairs with a Gaussian blur, and its standard deviation
GRAINY = 0.25  # share of other pairs whose dye is so sparse that single molecules show
MOLECULES = (2.0, 200.0)  # of them, in the brightest pixel
UNEVEN = 0.3  # share of other pairs whose dye is unevenly bound, as in every measured image
UNEVENNESS, ROUGHNESS = (0.1, 0.6), (0.0, 1.5)  # standard deviation of the logarithm of its density; falling exponent of its spectrum
FLOOR = 1e-3  # added before the logarithm of the loss; a difference of 3 % of the target's spread
LOW_FLOOR = 1e-5  # the same, where sharp and noiseless images are among the inputs
GUARD, MARGIN, LEAST_MISFIT = 2.0, 0.15, 1e-6  # weight of the guard; nepers (0.65 dB) that are asked for at least; floor of its logarithm
SMALLEST_SPREAD = 0.3  # of a target, in standard deviations of its input; below, noise rules and an image counts less


def scene(rng: np.random.Generator, size: int, specimen: Specimen, optics: Optics = OPTICS, dimmed: float = 1.0) -> Field:
    """A field with random light, background and camera: (size, size) each; see :func:`zooready.simulate.fields.field`.

    ``dimmed`` multiplies the light that was drawn, so that the same field can be had with more noise or less.
    """
    return field(rng, size, specimen, optics=optics, **exposure(rng, dimmed))


def exposure(rng: np.random.Generator, dimmed: float = 1.0) -> dict[str, Any]:
    """Random light, camera and background, the arguments of :mod:`zooready.simulate.fields`; ``dimmed`` multiplies the light."""
    photons = dimmed * float(np.exp(rng.uniform(*np.log(PHOTONS))))
    camera = Camera(gain=float(rng.uniform(0.5, 2.0)), offset=float(rng.uniform(50, 200)), read_noise=float(rng.uniform(0.8, 2.0)))
    return {"photons": photons, "camera": camera, "background": dimmed * float(rng.uniform(1.0, 10.0))}


def any_scene(rng: np.random.Generator, size: int, specimen: Specimen, optics: Optics, **further: float) -> Field:
    """A field with this microscope's blur and random light, haze, background and camera: (size, size) each.

    ``further`` may be ``climb_px`` and ``gaussian_px`` of :func:`zooready.simulate.fields.field`.
    """
    settings = {**any_exposure(rng), "haze": microscopes.haze(rng, optics), **further}
    return field(rng, size, specimen, optics=optics, **settings)


def any_exposure(rng: np.random.Generator) -> dict[str, Any]:
    """Random light, background and camera of any microscope, the arguments of :mod:`zooready.simulate.fields`."""
    photons, background = (microscopes.log_uniform(rng, span) for span in (microscopes.PHOTONS, microscopes.BACKGROUND))
    return {"photons": photons, "background": background, "camera": microscopes.camera(rng)}


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: (1, 96, 96) float32 counts each; any pair can be made again, so training resumes exactly."""
    rng = np.random.default_rng((seed, index))
    specimen = SPECIMENS[rng.integers(len(SPECIMENS))]
    if rng.random() < REFERENCE:
        simulated = scene(rng, SIZE, specimen)
    else:
        simulated = varied(rng, SIZE, specimen, microscopes.microscopes()[rng.integers(microscopes.NUMBER)])
    pixel_size_um = simulated.optics.pixel_size_um
    return Pair(input=simulated.image[None].astype(np.float32), target=simulated.truth[None], pixel_size_um=pixel_size_um)


def varied(rng: np.random.Generator, size: int, specimen: Specimen, optics: Optics) -> Field:
    """A field of training, (size, size) each: by this microscope, the specimen enlarged, unevenly dyed, grainy or thick at random."""
    if rng.random() < ENLARGED:
        specimen = partial(enlarged, draw=specimen)
    if rng.random() < UNEVEN:
        specimen = partial(uneven, draw=specimen)
    if rng.random() < GRAINY:
        specimen = partial(grainy, draw=specimen)
    further = {"climb_px": float(rng.uniform(*CLIMB_PX))} if rng.random() < THICK else {}
    if rng.random() < GAUSSIAN:
        further["gaussian_px"] = microscopes.log_uniform(rng, GAUSSIAN_PX)
    return any_scene(rng, size, specimen, optics, **further)


def enlarged(rng: np.random.Generator, size: int, draw: Specimen) -> NDArray[np.float64]:
    """A specimen of twice the size, (size, size) in 0-1: most real structures are larger than the blur."""
    large = scipy.ndimage.zoom(draw(rng, (size + 1) // 2), 2, order=3)[:size, :size].clip(min=0)
    return np.asarray(large / max(float(large.max()), 1e-12))


def uneven(rng: np.random.Generator, size: int, draw: Specimen) -> NDArray[np.float64]:
    """A specimen whose dye is unevenly bound, (size, size) in 0-1: mottled from pixel to pixel, or in patches."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1 / size
    spectrum = np.fft.rfft2(rng.normal(size=(size, size))) * frequency ** -rng.uniform(*ROUGHNESS)
    density = np.fft.irfft2(spectrum, s=(size, size))
    mottled = draw(rng, size) * np.exp(rng.uniform(*UNEVENNESS) * density / density.std())
    return np.asarray(mottled / max(float(mottled.max()), 1e-12))


def grainy(rng: np.random.Generator, size: int, draw: Specimen) -> NDArray[np.float64]:
    """A specimen of countable dye molecules, (size, size) in 0-1: grains where others are smooth, and no line without gaps."""
    molecules = rng.poisson(microscopes.log_uniform(rng, MOLECULES) * draw(rng, size)).astype(np.float64)
    return smoothed(molecules, float(rng.uniform(0.0, 0.7)))


def pair_of(image: Array, truth: Array, pixel_size_um: float = 1.0) -> Pair:
    """A measured image (1, y, x) or stack (1, z, y, x) and the sharp one of the same place, with or without the 1, as a pair."""
    target = np.asarray(truth, np.float32).reshape(1, *truth.shape[1 - image.ndim :])
    return Pair(input=np.asarray(image, np.float32), target=target, pixel_size_um=pixel_size_um)


def metrics(output: Tensor, pair: Pair) -> Mapping[str, float]:
    """PSNR (dB) and SSIM of the network's own output (1, 1, ...) after one fit to the target, and those of the input itself.

    Nothing for a target of one value, such as an empty corner of a person's image: it has no contrast to compare with.
    """
    if np.ptp(pair.target) == 0:
        return {}
    restored, image, truth = output[0, 0].numpy(), pair.input[0], pair.target[0]
    return {
        "psnr": psnr(restored, truth),
        "ssim": ssim(restored, truth),
        "psnr_input": psnr(image, truth),
        "ssim_input": ssim(image, truth),
    }


def loss(output: Any, target: Tensor, floor: float = FLOOR) -> Tensor:
    """Logarithm of (squared error plus 0.05 times the mean modulus of the Fourier difference), an image at a time, summed over scales.

    Differences are in units of the target's spread: a sparse image's truth is tens of standard deviations high after normalisation and
    would drown the others. The logarithm asks for the same gain in decibels of every image, dim or bright.

    Parameters
    ----------
    output
        The restored image (b, 1, y, x) or stack (b, 1, z, y, x), or several, each half as wide as the one before (``scales``), float32.
    target
        (b, 1, ...) float32; coarser targets are every second and every fourth pixel of it, as the network's inputs are.
    floor
        Added before the logarithm.

    Returns
    -------
    Tensor
        One number, at least log(`floor`) for each scale.
    """
    from torch import fft

    space, whole = tuple(range(2, target.ndim)), tuple(range(1, target.ndim))
    spread = target.std(space, keepdim=True).clamp(min=SMALLEST_SPREAD)
    total = target.new_zeros(())
    for level, image in enumerate(output if isinstance(output, tuple | list) else (output,)):
        difference = (image.float() - target[..., :: 2**level, :: 2**level]) / spread
        squared, modulus = difference.square(), fft.rfftn(difference, dim=space, norm="ortho").abs()
        total = total + (squared.mean(whole) + FOURIER * modulus.mean(whole) + floor).log().mean()
    return total


def guard(output: Any, target: Tensor, image: Tensor) -> Tensor:
    """Nepers by which the restored image is worse than its input, the mean over a batch: do no harm, image by image.

    Both are compared with the target after the best scale and offset, as in PSNR; an image that gains more than `MARGIN` adds nothing.

    Parameters
    ----------
    output
        The restored image (b, 1, y, x), or several of which the first is the finest, float32.
    target, image
        (b, 1, y, x) float32, the sharp image and the network's input.
    """
    from torch.nn.functional import relu

    restored = output[0] if isinstance(output, tuple | list) else output
    return GUARD * relu(misfit(restored, target) - misfit(image, target) + MARGIN).mean()


def misfit(image: Tensor, target: Tensor) -> Tensor:
    """Logarithm of the squared error that remains after the best scale and offset, over the target's variance: (b,)."""
    a, b = (values.flatten(1) - values.flatten(1).mean(1, keepdim=True) for values in (image, target))
    fitted = (a * b).sum(1, keepdim=True) / a.square().sum(1, keepdim=True).clamp(min=1e-12)
    return ((fitted * a - b).square().sum(1) / b.square().sum(1).clamp(min=1e-6) + LEAST_MISFIT).log()


def sample() -> Image:
    """A simulated field to try the bundle on: meshes and filaments, 256 x 256 uint16, 0.05 um pixels; the same at every call."""
    rng = np.random.default_rng(20240707)
    simulated = field(rng, 256, sample_specimen, optics=OPTICS, camera=Camera(), photons=300.0, background=5.0)
    return Image(array=simulated.image, axes="yx", pixel_size_um=OPTICS.pixel_size_um)


def sample_specimen(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Every structure of training in one image, (size, size) in 0-1."""
    image = sum((draw(rng, size) for draw in STRUCTURES), np.zeros((size, size)))
    return np.asarray(image / image.max())


FAMILY = Family(
    name="mrbcr",
    title="m-rBCR deconvolution",
    description=(
        "Removes blur, haze and noise from a wide-field fluorescence image. Made for microscopes whose wavelength / (NA x pixel size) is "
        "4 to 16 pixels, e.g. NA 1.4, 520 nm and pixels of 0.024 to 0.093 um, or NA 0.75 and pixels of 0.044 to 0.173 um; it need not be "
        "told which. Trained on simulated filaments, puncta, rings, meshes and textures with known truth."
    ),
    cite=(
        (
            "Li R, Kudryashev M, Yakimovich A. Solving the inverse problem of microscopy deconvolution with a residual "
            "Beylkin-Coifman-Rokhlin neural network. ECCV 2024.",
            "10.1007/978-3-031-73226-3_22",
        ),
    ),
    input=TensorSpec(name="image", axes="bcyx", channels=("intensity",), description="Raw camera counts of a wide-field image."),
    outputs=(
        TensorSpec(
            name="restored",
            axes="bcyx",
            channels=("intensity",),
            description="The image without blur and noise, in counts.",
        ),
    ),
    network=Network(
        architecture=Part(path="zooready.nets.bcr.BCR", kwargs={"width": 8, "levels": 3, "depth": 3, "inverse": 8, "resolutions": 1}),
        normalization=Part(path="zooready.nets.normalization.MeanStd"),
        restores=True,
    ),
    training=Training(
        pair=pair,
        loss=partial(loss, floor=LOW_FLOOR),
        guard=guard,
        recipe=Recipe(steps=8800, batch=8, optimizer="Muon", learning_rate=1e-3),
        metrics=metrics,
        pair_of=pair_of,
        partner="truth",
    ),
    pixel_size_um=(),
    blur_px=microscopes.BLUR_PX,
    tags=("deconvolution", "image-restoration", "fluorescence-light-microscopy", "widefield", "2d"),
    sample=sample,
    quality="PSNR on held-out simulated fields over the whole range of blurs {psnr_range:.1f} dB (input {psnr_range_input:.1f}, "
    "Richardson-Lucy at its best with the true PSF {psnr_range_rl_best:.1f})",
    evaluation="mrbcr",
)
