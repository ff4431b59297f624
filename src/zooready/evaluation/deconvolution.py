"""Networks and classical baselines against simulated truth: the numbers of the cards.

Every method's image, the input itself included, is fitted to the truth by one scale and one offset (least squares) before it is
measured, so that units do not matter. Richardson-Lucy and Wiener get the true PSF, the true camera offset and, in
the rows marked "best", the setting that is best against the truth of each image: more than is known in practice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from zooready.errors import InputInvalid
from zooready.families import mrbcr
from zooready.images.similarity import Image2D, fit, psnr, ssim
from zooready.nets.wrapping import FijiSafe
from zooready.records import Part
from zooready.simulate.fields import Field, stack_otf
from zooready.simulate.modalities import WIDE_FIELD, Modality
from zooready.simulate.optics import Optics
from zooready.simulate.specimens import Specimen
from zooready.simulate.stages import transfer

if TYPE_CHECKING:
    from torch import nn

__all__ = ["deconvolved", "fields", "fit", "measured", "psnr", "restorer", "richardson_lucy", "ssim", "wiener"]

Float = NDArray[np.float64]
Restore = Callable[[Image2D], Image2D]
INPUT, LUCY_BEST = "input itself", "Richardson-Lucy, best iteration"
FIELD_PX = 128  # side of a field that is measured
HELD_OUT_SEED, UNSEEN_SEED = 4_100_001, 4_100_002  # never used in training, whose seeds are small
HELD_OUT_FIELDS, UNSEEN_FIELDS = 50, 24  # the ten kinds of training five times, the two unseen kinds twelve times
PAD_PX = 32  # reflected on each side before a Fourier method, so that opposite edges do not meet
PAD_PLANES = 8  # of a stack, reflected above and below
WIENER_NOISE = tuple(10.0 ** np.arange(-5, 0.01, 0.25))  # noise-to-signal ratios tried for "best"
LUCY_ITERATIONS = (1, 2, 3, 4, 6, 8, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200)  # iterations tried for "best"
LUCY_IN_STACKS = tuple(count for count in LUCY_ITERATIONS if count <= 100)


def wiener(image: Image2D, optics: Optics, noise: float, z_step_um: float | None = None, modality: Modality = WIDE_FIELD) -> Float:
    """Wiener filter with the true PSF.

    Parameters
    ----------
    image
        (y, x) or (z, y, x), camera offset removed or not.
    optics
        The microscope that made it.
    noise
        Ratio of noise to signal power, above 0; larger is smoother.
    z_step_um
        Distance of planes of a stack, micrometres.
    modality
        The kind of microscope.

    Returns
    -------
    same shape, float64
        Restored image in the units of `image`.

    Raises
    ------
    InputInvalid
        `noise` is not above 0.
    """
    if not noise > 0:
        raise InputInvalid(f"noise={noise}: the ratio must be above 0, e.g. 0.01.")
    padded, inner = _padded(image)
    transfer = _transfer(optics, padded.shape, z_step_um, modality)
    filtered = fft.rfftn(padded) * np.conj(transfer) / (np.abs(transfer) ** 2 + noise)
    return np.asarray(fft.irfftn(filtered, s=padded.shape)[inner])


def _padded(image: Image2D) -> tuple[Float, tuple[slice, ...]]:
    """The image with its edges reflected, planes of a stack by less, and where it lies in that."""
    margins = [PAD_PLANES if image.ndim == 3 and axis == 0 else PAD_PX for axis in range(image.ndim)]
    padded = np.pad(image.astype(np.float64), [(margin, margin) for margin in margins], mode="reflect")
    return padded, tuple(slice(margin, margin + size) for margin, size in zip(margins, image.shape, strict=True))


def _transfer(optics: Optics, shape: tuple[int, ...], z_step_um: float | None, modality: Modality) -> NDArray[np.complex128]:
    """The transfer function of an image or of a stack."""
    if len(shape) == 2:
        return transfer(modality, optics, shape)
    if z_step_um is None:
        raise InputInvalid(f"a stack of {shape[0]} planes and no z_step_um: give the distance of its planes in micrometres.")
    return stack_otf(modality, optics, (shape[0], shape[1], shape[2]), float(z_step_um))


def richardson_lucy(
    image: Image2D, optics: Optics, iterations: Sequence[int], z_step_um: float | None = None, modality: Modality = WIDE_FIELD
) -> dict[int, Float]:
    """Richardson-Lucy deconvolution with the true PSF; the estimates after several iterations of one run.

    Parameters
    ----------
    image
        (y, x) or (z, y, x), camera offset removed; values below 0 count as 0.
    optics
        The microscope that made it.
    iterations
        Numbers of iterations after which an estimate is kept, each at least 1.
    z_step_um
        Distance of planes of a stack, micrometres.
    modality
        The kind of microscope.

    Returns
    -------
    dict of arrays of that shape, float64
        The estimate after each of `iterations`.

    Raises
    ------
    InputInvalid
        No iterations, or one below 1.
    """
    if not iterations or min(iterations) < 1:
        raise InputInvalid(f"iterations={tuple(iterations)}: name at least one, each 1 or more.")
    padded, inner = _padded(np.maximum(image.astype(np.float64), 0.0))
    transfer = _transfer(optics, padded.shape, z_step_um, modality)
    estimate = np.full(padded.shape, max(float(padded.mean()), 1e-12))
    snapshots = {}
    for step in range(1, max(iterations) + 1):
        expected = np.maximum(fft.irfftn(fft.rfftn(estimate) * transfer, s=padded.shape), 1e-9)
        correction = fft.irfftn(fft.rfftn(padded / expected) * np.conj(transfer), s=padded.shape)
        estimate = estimate * np.maximum(correction, 0.0)
        if step in iterations:
            snapshots[step] = estimate[inner].copy()
    return snapshots


def deconvolved(field: Field, assumed: Optics | None = None) -> dict[str, Image2D]:
    """Input and classical baselines of a simulated field, by the names that cards use; each shaped like it.

    ``assumed`` is the microscope that the methods assume when the true one is not known exactly; the true one if None.
    """
    optics, step = assumed or field.optics, field.z_step_um
    light = field.image.astype(np.float64) - field.camera.offset
    filtered = [wiener(light, optics, noise, step, field.modality) for noise in WIENER_NOISE]
    iterations = LUCY_ITERATIONS if field.image.ndim == 2 else LUCY_IN_STACKS
    lucy = richardson_lucy(light / field.camera.gain, optics, iterations, step, field.modality)
    return {
        INPUT: field.image,
        "Wiener, best": max(filtered, key=lambda image: psnr(image, field.truth)),
        "Richardson-Lucy, 30 iterations": lucy[30],
        "Richardson-Lucy, 100 iterations": lucy[100],
        LUCY_BEST: max(lucy.values(), key=lambda image: psnr(image, field.truth)),
    }


def fields(kinds: Sequence[Specimen], seed: int, count: int, size: int = FIELD_PX) -> list[Field]:
    """Simulated fields of the m-rBCR microscope: `count` of them, each kind of specimen in turn, made again from the seed."""
    return [mrbcr.scene(np.random.default_rng((seed, index)), size, kinds[index % len(kinds)]) for index in range(count)]


def restorer(network: nn.Module, stride: int, axes: str = "bcyx", head: Part | None = None) -> Restore:
    """A network of the family as a method: camera counts (y, x) or (z, y, x) in, the same shape out, as its bundle computes it.

    Parameters
    ----------
    network
        In eval mode; sees the normalised image.
    stride
        Multiple of px that it takes; images are padded to it by replication and cropped back.
    axes
        Of the network's output: "bcyx", or "bczyx" for stacks.
    head
        What finishes the output, if anything does.
    """
    import torch

    normalization = mrbcr.FAMILY.network.normalization
    normal = normalization.build() if normalization else None
    last = head.build() if head else None
    model = FijiSafe(network, normal, last, stride=stride, minimum=stride, axes=(axes,), restores=True).eval()

    def restored(image: Image2D) -> Image2D:
        with torch.no_grad():
            output: Image2D = model(torch.from_numpy(image.astype(np.float32))[None, None])[0, 0].numpy()
        return output

    return restored


def scored(images: Iterable[Field], methods: Mapping[str, Restore]) -> list[dict[str, tuple[float, float]]]:
    """PSNR (dB) and SSIM of the baselines and of further methods, by the names of :func:`measured`; one dict a field."""
    scores = []
    for field in images:
        restored = deconvolved(field) | {name: restore(field.image) for name, restore in methods.items()}
        scores.append({name: (psnr(image, field.truth), ssim(image, field.truth)) for name, image in restored.items()})
    return scores


def measured(images: Iterable[Field], methods: Mapping[str, Restore]) -> list[dict[str, Any]]:
    """Mean PSNR and SSIM of the baselines and of further methods.

    Parameters
    ----------
    images
        Simulated fields with truth.
    methods
        Name to function: (y, x) camera counts in, (y, x) out.

    Returns
    -------
    list of dict
        One row a method: ``method`` (str), ``fields`` (int), ``psnr`` (dB), ``ssim``, and ``psnr_error`` (dB), the standard error.
    """
    return averaged(scored(images, methods))


def averaged(scores: Sequence[Mapping[str, tuple[float, float]]]) -> list[dict[str, Any]]:
    """The rows of :func:`measured`, from what :func:`scored` gives."""
    rows = []
    for name in scores[0] if scores else ():
        psnrs, ssims = np.array([field[name] for field in scores]).T
        error = np.std(psnrs, ddof=min(1, len(psnrs) - 1)) / np.sqrt(len(psnrs))
        mean = {"psnr": float(np.mean(psnrs)), "psnr_error": float(error), "ssim": float(np.mean(ssims))}
        rows.append({"method": name, "fields": len(psnrs), **mean})
    return rows
