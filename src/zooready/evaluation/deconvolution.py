"""Networks and classical baselines against simulated truth: the numbers of the cards.

Every method's picture, the input itself included, is fitted to the truth by one scale and one offset (least squares) before it is
measured, so that no method wins or loses by its units. Richardson-Lucy and Wiener get the true PSF, the true camera offset and, in
the rows marked "best", the setting that comes out best against the truth of each picture: more than anyone has in practice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from zooready.errors import InputInvalid
from zooready.families import mrbcr
from zooready.similarity import Picture2D, fit, psnr, ssim
from zooready.simulate.fields import Field
from zooready.simulate.optics import Optics, otf
from zooready.simulate.specimens import Specimen
from zooready.simulate.unseen import UNSEEN
from zooready.wrapping import FijiSafe

if TYPE_CHECKING:
    from torch import nn

__all__ = ["deconvolution", "deconvolved", "fields", "fit", "measured", "psnr", "restorer", "richardson_lucy", "ssim", "table", "wiener"]

Float = NDArray[np.float64]
Restore = Callable[[Picture2D], Picture2D]
FIELD_PX = 128  # side of a field that is measured
HELD_OUT_SEED, UNSEEN_SEED = 4_100_001, 4_100_002  # never used in training, whose seeds are small
HELD_OUT_FIELDS, UNSEEN_FIELDS = 50, 24  # the ten kinds of training five times, the two unseen kinds twelve times
PAD_PX = 32  # reflected on each side before a Fourier method, so that opposite edges do not meet
WIENER_NOISE = tuple(10.0 ** np.arange(-5, 0.01, 0.25))  # noise-to-signal ratios tried for "best"
LUCY_ITERATIONS = (1, 2, 3, 4, 6, 8, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200)  # iterations tried for "best"


def wiener(image: Picture2D, optics: Optics, noise: float) -> Float:
    """Wiener filter with the true PSF.

    Parameters
    ----------
    image
        (y, x), camera offset removed or not.
    optics
        The microscope that made it.
    noise
        Ratio of noise to signal power, above 0; larger is smoother.

    Returns
    -------
    (y, x) float64
        Restored picture in the units of `image`.

    Raises
    ------
    InputInvalid
        `noise` is not above 0.
    """
    if not noise > 0:
        raise InputInvalid(f"noise={noise}: the ratio must be above 0, e.g. 0.01.")
    padded = np.pad(image.astype(np.float64), PAD_PX, mode="reflect")
    transfer = otf(optics, (padded.shape[0], padded.shape[1]))
    filtered = fft.rfft2(padded) * np.conj(transfer) / (np.abs(transfer) ** 2 + noise)
    return np.asarray(fft.irfft2(filtered, s=padded.shape)[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX])


def richardson_lucy(image: Picture2D, optics: Optics, iterations: Sequence[int]) -> dict[int, Float]:
    """Richardson-Lucy deconvolution with the true PSF, seen at several iterations of one run.

    Parameters
    ----------
    image
        (y, x), camera offset removed; values below 0 count as 0.
    optics
        The microscope that made it.
    iterations
        When to look, each at least 1.

    Returns
    -------
    dict of (y, x) float64
        The estimate after each of `iterations`.

    Raises
    ------
    InputInvalid
        No iterations, or one below 1.
    """
    if not iterations or min(iterations) < 1:
        raise InputInvalid(f"iterations={tuple(iterations)}: name at least one, each 1 or more.")
    padded = np.pad(np.maximum(image.astype(np.float64), 0.0), PAD_PX, mode="reflect")
    shape = (padded.shape[0], padded.shape[1])
    transfer = otf(optics, shape)
    estimate = np.full(shape, max(float(padded.mean()), 1e-12))
    seen = {}
    for step in range(1, max(iterations) + 1):
        expected = np.maximum(fft.irfft2(fft.rfft2(estimate) * transfer, s=shape), 1e-9)
        correction = fft.irfft2(fft.rfft2(padded / expected) * np.conj(transfer), s=shape)
        estimate = estimate * np.maximum(correction, 0.0)
        if step in iterations:
            seen[step] = estimate[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX].copy()
    return seen


def deconvolved(field: Field) -> dict[str, Picture2D]:
    """Input and classical baselines of a simulated field, by the names that cards use; each (y, x)."""
    light = field.image.astype(np.float64) - field.camera.offset
    filtered = [wiener(light, field.optics, noise) for noise in WIENER_NOISE]
    lucy = richardson_lucy(light / field.camera.gain, field.optics, LUCY_ITERATIONS)
    return {
        "input itself": field.image,
        "Wiener, best": max(filtered, key=lambda picture: psnr(picture, field.truth)),
        "Richardson-Lucy, 30 iterations": lucy[30],
        "Richardson-Lucy, 100 iterations": lucy[100],
        "Richardson-Lucy, best iteration": max(lucy.values(), key=lambda picture: psnr(picture, field.truth)),
    }


def fields(kinds: Sequence[Specimen], seed: int, count: int, size: int = FIELD_PX) -> list[Field]:
    """Simulated fields of the m-rBCR microscope: `count` of them, each kind of specimen in turn, made again from the seed."""
    return [mrbcr.scene(np.random.default_rng((seed, index)), size, kinds[index % len(kinds)]) for index in range(count)]


def deconvolution(restore: Restore) -> dict[str, list[dict[str, Any]]]:
    """The tables of the m-rBCR card.

    Parameters
    ----------
    restore
        (128, 128) uint16 camera counts in, (128, 128) out.

    Returns
    -------
    dict of list of dict
        Rows as of :func:`measured`, for "held-out" fields (kinds of specimens known from training) and "unseen" kinds.
    """
    known = tuple(dict.fromkeys(mrbcr.SPECIMENS))
    return {
        "held-out": measured(fields(known, HELD_OUT_SEED, HELD_OUT_FIELDS), {"m-rBCR": restore}),
        "unseen": measured(fields(UNSEEN, UNSEEN_SEED, UNSEEN_FIELDS), {"m-rBCR": restore}),
    }


def restorer(network: nn.Module, stride: int) -> Restore:
    """A network of the family as a method: (y, x) camera counts in, (y, x) out, as its bundle computes it.

    Parameters
    ----------
    network
        In eval mode; sees the normalised picture.
    stride
        Multiple of px that it takes; pictures are padded to it by replication and cropped back.
    """
    import torch

    normalization = mrbcr.FAMILY.normalization
    model = FijiSafe(network, normalization.build() if normalization else None, stride=stride, minimum=stride, restores=True).eval()

    def restored(image: Picture2D) -> Picture2D:
        with torch.no_grad():
            found: Picture2D = model(torch.from_numpy(image.astype(np.float32))[None, None])[0, 0].numpy()
        return found

    return restored


def measured(pictures: Iterable[Field], methods: Mapping[str, Restore]) -> list[dict[str, Any]]:
    """Mean PSNR and SSIM of the baselines and of further methods.

    Parameters
    ----------
    pictures
        Simulated fields with truth.
    methods
        Name to function: (y, x) camera counts in, (y, x) out.

    Returns
    -------
    list of dict
        One row a method: ``method`` (str), ``fields`` (int), ``psnr`` (dB), ``ssim``, and ``psnr_error`` (dB), the standard error.
    """
    scores: dict[str, list[tuple[float, float]]] = {}
    for field in pictures:
        restored = deconvolved(field) | {name: restore(field.image) for name, restore in methods.items()}
        for name, picture in restored.items():
            scores.setdefault(name, []).append((psnr(picture, field.truth), ssim(picture, field.truth)))
    return [
        {
            "method": name,
            "fields": len(pairs),
            "psnr": float(np.mean([p for p, _ in pairs])),
            "psnr_error": float(np.std([p for p, _ in pairs], ddof=min(1, len(pairs) - 1)) / np.sqrt(len(pairs))),
            "ssim": float(np.mean([s for _, s in pairs])),
        }
        for name, pairs in scores.items()
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of one set of keys as a Markdown table: numbers to three decimals, the keys as heads; empty for no rows.

    >>> print(table([{"method": "input", "psnr": 25.0}]))
    | method | psnr |
    |---|---|
    | input | 25.000 |
    """
    if not rows:
        return ""
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        cells = [f"{row[head]:.3f}" if isinstance(row[head], float) else str(row[head]) for head in heads]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
