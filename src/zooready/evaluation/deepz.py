"""The card of Deep-Z with a distance for each pixel: uniform distances, and tilted and curved ones that training never saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.evaluation import refocusing
from zooready.evaluation.contract import Evaluation, Weights, digits
from zooready.evaluation.grids import grid
from zooready.evaluation.refocusing import FIELD_PX, FOCUS, UM, Refocus, Series
from zooready.families import deepz
from zooready.images.similarity import fit, psnr, ssim
from zooready.records import Array
from zooready.simulate import thick
from zooready.simulate.camera import Camera
from zooready.simulate.unseen import UNSEEN

Float = NDArray[np.float64]
HEIGHT_UM = 4.0  # of a surface, at most, from the focus
FIELDS, SPOT = 4, 2  # of each surface
INPUT, NETWORK, UNIFORM = "input itself", "network", "network, one distance for all"
ACROSS, DOWN = np.meshgrid(np.linspace(-1, 1, FIELD_PX), np.linspace(-1, 1, FIELD_PX))  # both (y, x)
SURFACES: Mapping[str, Float] = {  # heights in um, (y, x)
    "flat, 3 um": np.full((FIELD_PX, FIELD_PX), 3.0),
    "tilted, 8 um over the field": HEIGHT_UM * ACROSS,
    "cylinder": HEIGHT_UM * (1 - 2 * ACROSS**2),
    "sine, 1.5 periods": HEIGHT_UM * np.sin(1.5 * np.pi * ACROSS),
    "sphere": HEIGHT_UM * (1 - ACROSS**2 - DOWN**2),
}


def fields(surface: str, flat: Any, seed: int, count: int) -> list[tuple[Series, Float]]:
    """Images of a flat specimen that lies on a surface around the focus, with the truth (1, y, x) that follows it, and its heights."""
    steps = np.rint(SURFACES[surface] / deepz.Z_STEP_UM).astype(int)
    fine = np.kron(steps, np.ones((deepz.BINNING, deepz.BINNING), int)) - FOCUS[0]
    rows, columns = np.indices(steps.shape)
    made = []
    for index in range(count):
        rng = np.random.default_rng((refocusing.SEED, seed, index))
        volume = np.zeros((len(FOCUS), *fine.shape))
        np.put_along_axis(volume, fine[None], flat(rng, fine.shape[0])[None], 0)
        planes = deepz.recorded(volume, np.arange(len(FOCUS)), refocusing.NOMINAL)
        field = refocusing.exposed(rng, planes, Camera(), refocusing.PHOTONS, refocusing.BACKGROUND, surface)
        followed = field.truth[steps - FOCUS[0], rows, columns]
        made.append((Series(image=field.image, truth=followed[None], kind=surface), steps * deepz.Z_STEP_UM))
    return made


def flat_of(kinds: tuple[Callable[[np.random.Generator, int], Float], ...]) -> Callable[[np.random.Generator, int], Float]:
    """One of several flat specimens, drawn at random."""
    return lambda rng, size: kinds[int(rng.integers(len(kinds)))](rng, size)


def scores(refocus: Refocus, surface: str, flat: Any, seed: int, count: int) -> dict[str, float]:
    """Mean PSNR and SSIM after one fit: of the image itself, of the network that follows the surface, and of one uniform distance."""
    rows = []
    for field, heights in fields(surface, flat, seed, count):
        truth, image = field.truth[0], field.image[0]
        followed = refocus(np.stack((image, heights)))
        level = refocus(np.stack((image, np.full_like(heights, heights.mean()))))
        rows.append((psnr(image, truth), psnr(followed, truth), psnr(level, truth), ssim(image, truth), ssim(followed, truth)))
    return dict(zip(("psnr_input", "psnr", "psnr_uniform", "ssim_input", "ssim"), map(digits, np.mean(rows, 0)), strict=True))


def measure(weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data."""
    refocus = refocusing.refocuser(deepz.FAMILY, weights)
    groups = {"held-out": flat_of(thick.FLAT), "unseen": flat_of(UNSEEN)}
    measured = {
        name: {surface: scores(refocus, surface, flat, number, FIELDS) for surface in SURFACES}
        for number, (name, flat) in enumerate(groups.items())
    }
    columns = {"psnr_input": INPUT, "psnr": NETWORK, "psnr_uniform": UNIFORM}
    tables = {
        f"surfaces, {name}, PSNR in dB": [
            {"method": surface, **{title: row[key] for key, title in columns.items()}} for surface, row in rows.items()
        ]
        for name, rows in measured.items()
    }
    keys = ("psnr", "psnr_input", "ssim", "ssim_input")
    metrics = {
        f"{key.removesuffix('_input')}{suffix}{'_input' if key.endswith('_input') else ''}": digits(
            np.mean([row[key] for row in measured[name].values()])
        )
        for name, suffix in (("held-out", ""), ("unseen", "_unseen"))
        for key in keys
    }
    return {"tables": tables, "metrics": metrics, "measured_on": MEASURED_ON}


def spot(weights: Weights) -> dict[str, float]:
    """PSNR on the first tilted fields, which every machine reproduces within 0.01."""
    refocus = refocusing.refocuser(deepz.FAMILY, weights)
    return {"psnr_tilted": scores(refocus, "tilted, 8 um over the field", flat_of(thick.FLAT), 0, SPOT)["psnr"]}


def draw(weights: Weights, folder: Path) -> list[tuple[str, str]]:
    """An example of each surface, and the fields on which the network falls furthest behind the image itself."""
    refocus = refocusing.refocuser(deepz.FAMILY, weights)
    pictures: list[tuple[float, str, tuple[str, list[Array]]]] = []
    for surface in SURFACES:
        for field, heights in fields(surface, flat_of(thick.FLAT), 0, FIELDS):
            truth, image = field.truth[0], field.image[0]
            restored = refocus(np.stack((image, heights)))
            gain = psnr(restored, truth) - psnr(image, truth)
            images = [fit(each, truth) for each in (image, restored, truth)]
            pictures.append((gain, surface, (f"{surface.split(',')[0]}\n{gain:+.1f} dB", images)))
    examples = [next(picture for _, name, picture in pictures if name == surface) for surface in SURFACES]
    worst = [picture for _, _, picture in sorted(pictures, key=lambda p: p[0])[:3]]
    files = ("deepz-examples.png", "deepz-failures.png")
    for file, rows in zip(files, (examples, worst), strict=True):
        grid(folder / file, (INPUT, NETWORK, "truth"), rows)
    return [
        (files[0], "The first field of each surface: the image, the network's image along the surface, and the truth; gain in PSNR."),
        (files[1], f"Failure cases: of {len(pictures)} fields, those on which the network does worst compared with the image itself."),
    ]


_METHOD = (
    f"{FIELDS} flat specimens of {FIELD_PX} x {FIELD_PX} px on each surface, {refocusing.PHOTONS:g} photons, {refocusing.NOMINAL:g} "
    "waves of aberration; the truth is in focus along the surface; everything fitted to it by one scale and offset; distances in steps of "
    f"{deepz.Z_STEP_UM:g} um"
)
MEASURED_ON = {
    "surfaces, held-out, PSNR in dB": f"kinds of specimens used in training, which saw one distance for a whole image only; {_METHOD}",
    "surfaces, unseen, PSNR in dB": f"tissue-like texture and shells, not used for training, but looked at during development; {_METHOD}",
}
EVALUATION = Evaluation(
    measure=measure,
    spot=spot,
    draw=draw,
    data=refocusing.DATA,
    suited=(
        f"Wide-field fluorescence images of an objective near 20x/0.75 with pixels of {deepz.PIXEL_UM:g} um, of specimens within "
        f"{UM[-1]:g} um of the focus: drift, tilted and smoothly curved surfaces.",
        "The second channel of the image holds the distance of each pixel in micrometres; positive ones lead away from the objective.",
    ),
    unsuited=refocusing.UNSUITED,
    limits=refocusing.LIMITS,
)
