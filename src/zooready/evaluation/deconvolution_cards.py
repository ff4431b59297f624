"""What the cards of restoration share, m-rBCR's and those of super-resolution: the shipped network as a method, tables, images, words.

A family's own file, such as :mod:`zooready.evaluation.mrbcr`, says on which fields or stacks it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zooready.evaluation import deconvolution
from zooready.evaluation.contract import Weights, digits
from zooready.evaluation.deconvolution import INPUT, LUCY_BEST, Restore
from zooready.evaluation.grids import grid
from zooready.families import mrbcr
from zooready.images.similarity import fit, psnr, ssim
from zooready.records import Array, Family
from zooready.simulate.fields import Field

Sets = Callable[[int | None], dict[str, list[Field]]]  # largest number of fields a set, or None -> "held-out" and "unseen" fields
SPOT = 3  # fields
RELEASED_LEVELS = 2  # of the published topology, which takes multiples of 4 px
OWN = "m-rBCR"  # what the network is called in its tables
SUFFIXES = {  # of a method's numbers among the metrics of a record; the network's own have none
    INPUT: "_input",
    "Richardson-Lucy, 30 iterations": "_rl_30",
    LUCY_BEST: "_rl_best",
    "Wiener, best": "_wiener_best",
}
METHOD = (
    "every method fitted to the truth by one scale and offset; PSNR in dB of the truth's range; Wiener and Richardson-Lucy know the true "
    "PSF and camera offset, and 'best' is chosen with the truth of each image"
)
LIMITS = (
    f"Point spread function: wide-field, NA {mrbcr.OPTICS.na:g}, emission {mrbcr.OPTICS.wavelength_nm:g} nm, oil (index "
    f"{mrbcr.OPTICS.index:g}), no aberration, specimen in focus.",
    f"Light: the brightest pixel has {mrbcr.PHOTONS[0]:g} to {mrbcr.PHOTONS[1]:g} photons above a background of 1 to 10, read noise 0.8 "
    "to 2 electrons.",
    "It can invent structures: details finer than the microscope's resolution are guesses based on its training images.",
)
UNSUITED = (
    "Confocal, light-sheet or bright-field images, and other objectives: their blur is different.",
    "Counting photons: intensities are restored up to one scale and offset.",
    "Diagnosis.",
)


def restoring(family: Family, weights: Weights) -> Restore:
    """Shipped weights as a method: counts (y, x) or (z, y, x) in, the same shape out."""
    network = family.network.architecture.build().eval()
    network.load_state_dict(weights)
    stride = 2 ** family.network.architecture.kwargs.get("levels", RELEASED_LEVELS)
    return deconvolution.restorer(network, stride, family.outputs[0].axes, family.network.head)


def measure(family: Family, sets: Sets, measured_on: Mapping[str, str], weights: Weights) -> dict[str, Any]:
    """Tables of held-out and unseen fields, where they were measured, and flat numbers; plain data."""
    methods = {OWN: restoring(family, weights)}
    tables = {name: rounded(deconvolution.measured(fields, methods)) for name, fields in sets(None).items()}
    return {"tables": tables, "metrics": flat(tables), "measured_on": dict(measured_on)}


def rounded(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a table with the digits of a record."""
    return [{key: digits(value) if isinstance(value, float) else value for key, value in row.items()} for row in rows]


def flat(tables: Mapping[str, Sequence[Mapping[str, Any]]], own: str = OWN) -> dict[str, float]:
    """The numbers of the tables "held-out" and "unseen" by short names, such as ``psnr_unseen_rl_best``; ``own`` is the network's row."""
    suffixes = {own: "", **SUFFIXES}
    return {
        f"{score}{'_unseen' if name == 'unseen' else ''}{suffixes[row['method']]}": row[score]
        for name, rows in tables.items()
        for row in rows
        for score in ("psnr", "ssim")
        if row["method"] in suffixes
    }


def spot(family: Family, sets: Sets, weights: Weights) -> dict[str, float]:
    """PSNR and SSIM on the first few fields of each set, which every machine reproduces within 0.01."""
    restore = restoring(family, weights)
    scores = {}
    for title, fields in sets(SPOT).items():
        name = title.replace("-", "_")
        images = [(restore(field.image), field.truth) for field in fields]
        scores[f"psnr_{name}"] = digits(np.mean([psnr(*pair) for pair in images]))
        scores[f"ssim_{name}"] = digits(np.mean([ssim(*pair) for pair in images]))
    return scores


def draw(family: Family, sets: Sets, weights: Weights, folder: Path, own: str = OWN) -> list[tuple[str, str]]:
    """Examples of held-out and unseen specimens, and the fields on which the network falls furthest behind Richardson-Lucy's best."""
    restore = restoring(family, weights)
    compared = []
    for name, fields in sets(None).items():
        for index, field in enumerate(fields[: 10 if name == "held-out" else 4]):
            classical = deconvolution.deconvolved(field)[LUCY_BEST]
            restored = restore(field.image)
            gain = psnr(restored, field.truth) - psnr(classical, field.truth)
            compared.append((gain, f"{name} {index + 1}\n{gain:+.1f} dB", field, classical, restored))
    titles = (INPUT, LUCY_BEST, own, "truth")

    def row(comparison: tuple[float, str, Field, Array, Array]) -> tuple[str, list[Array]]:
        _, label, field, classical, restored = comparison
        images = (fit(field.image, field.truth), fit(classical, field.truth), fit(restored, field.truth), field.truth)
        return label, [_plane(image, field.truth) for image in images]

    examples = [compared[index] for index in (0, 3, 5, -1)]
    worst = sorted(compared, key=lambda comparison: comparison[0])[:3]
    files = (f"{family.name}-examples.png", f"{family.name}-failures.png")
    for file, chosen in zip(files, (examples, worst), strict=True):
        grid(folder / file, titles, [row(comparison) for comparison in chosen])
    kind = "stacks, the plane in which the truth is brightest" if "z" in family.input.axes else "fields"
    return [
        (files[0], f"Examples ({kind}); beside each, {own}'s PSNR minus that of Richardson-Lucy at its best iteration."),
        (files[1], f"Failure cases: of {len(compared)} {kind}, those on which {own} does worst compared with Richardson-Lucy's best."),
    ]


def _plane(image: Array, truth: Array) -> Array:
    """The plane of a stack in which the truth is brightest; an image as it is."""
    return image if image.ndim == 2 else image[int(truth.max((1, 2)).argmax())]
