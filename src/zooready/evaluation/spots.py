"""The card of spots: simulated fields, one condition at a time, spots as an objective makes them, and failures; beside a classical method.

The classical method is the Laplacian of a Gaussian at four widths, whose peaks above a threshold are spots: five times the noise of that
image, or the threshold that is best for that image by the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from zooready.evaluation import own_images
from zooready.evaluation.contract import Evaluation, Weights, digits
from zooready.evaluation.grids import grid
from zooready.evaluation.label_images import Labels, Segmenter
from zooready.families import spots as family
from zooready.images.drawing import coloured, grey
from zooready.images.matching import distances_of_middles, match_middles
from zooready.records import Array
from zooready.simulate import microscopes, spots
from zooready.simulate.optics import blur
from zooready.simulate.specimens import splatted

HELD_OUT_SEED, CONDITION_SEED, UNSEEN_SEED = 5_300_001, 5_300_002, 5_300_003  # never used in training, whose seeds are small
FIELD_PX, HELD_OUT, PER_CONDITION, UNSEEN, SHOWN_PX = 192, 40, 8, 24, 128
WIDTHS_PX, NOISES, THRESHOLDS = (1.0, 1.5, 2.2, 3.2), 5.0, 40  # of the classical method
OWN, LOG, LOG_BEST = "this network", "Laplacian of a Gaussian, 5 x noise", "Laplacian of a Gaussian, best threshold"
F1, ERROR = "F1 within 3 px", "median distance, px"
Scene = tuple[Array, Labels]  # image and label image, (y, x)
PLAIN = {"photons": 150.0, "background": 20.0, "share": 2e-3, "width_px": 1.4}
CONDITIONS: Mapping[str, Mapping[str, float]] = {  # one thing other than in the first row
    "150 photons, background 20, 2 spots in 1000 px, 1.4 px wide": {},
    "30 photons": {"photons": 30.0},
    "1,000 photons": {"photons": 1000.0},
    "background of 200 photons": {"background": 200.0},
    "1 spot in 2000 px": {"share": 5e-4},
    "10 spots in a field of 512 px": {"px": 512, "share": 10 / 512**2},
    "the same of 1,000 photons": {"px": 512, "share": 10 / 512**2, "photons": 1000.0},
    "8 spots in 1000 px": {"share": 8e-3},
    "15 spots in 1000 px": {"share": 1.5e-2},
    "spots of 0.9 px": {"width_px": 0.9},
    "spots of 2.4 px": {"width_px": 2.4},
    "spots of 3.5 px (wider than in training)": {"width_px": 3.5},
    "light that falls to 30 % in the corners": {"corner": 0.3},
    "background of 1,000 photons": {"background": 1000.0},
    "the same, and light that falls to 30 %": {"background": 1000.0, "corner": 0.3},
    "the same, 10 spots in a field of 512 px": {"background": 1000.0, "corner": 0.3, "px": 512, "share": 10 / 512**2},
}


def response(image: Array) -> Array:
    """The largest answer (y, x) of the Laplacian of a Gaussian at any width, normalised by the width."""
    values = image.astype(np.float64)
    return np.asarray(np.max([-(width**2) * scipy.ndimage.gaussian_laplace(values, width) for width in WIDTHS_PX], 0))


def peaks(answer: Array, threshold: float) -> Labels:
    """Marks of the peaks above a threshold."""
    is_peak = (answer == scipy.ndimage.maximum_filter(answer, 3)) & (answer > threshold)
    return spots.labels(np.argwhere(is_peak).astype(np.float64), answer.shape)


def classical(image: Array, truth: Labels | None = None) -> Labels:
    """Marks (y, x) by the Laplacian of a Gaussian; with the truth, at the threshold that is best for it."""
    answer = response(image)
    noise = 1.4826 * float(np.median(np.abs(answer - np.median(answer))))
    if truth is None:
        return peaks(answer, NOISES * noise)
    tried = [peaks(answer, threshold) for threshold in np.geomspace(max(noise, 1e-6), max(float(answer.max()), 2e-6), THRESHOLDS)]
    return max(tried, key=lambda marks: match_middles(marks, truth, family.WITHIN_PX)[0])


def held_out(count: int = HELD_OUT, size: int = FIELD_PX) -> list[Scene]:
    """Simulated fields as in training."""
    return [spots.field(np.random.default_rng((HELD_OUT_SEED, index)), size) for index in range(count)]


def condition(
    index: int, *, photons: float, background: float, share: float, width_px: float, px: float = FIELD_PX, corner: float = 1.0
) -> Scene:
    """A field of equal spots over a plain background; ``corner`` is the share of the light that is left in the corners."""
    rng = np.random.default_rng((CONDITION_SEED, index))
    count, size = round(share * px**2), round(px)
    points = spots.Spots(at=rng.uniform(0, size - 1, (count, 2)), height=np.ones(count), width_px=np.full(count, width_px))
    lit = corner ** (np.add.outer(*[np.linspace(-1, 1, size) ** 2] * 2) / 2)  # (y, x)
    alike = replace(points, height=lit[tuple(np.rint(points.at).astype(int).T)])
    return spots.exposed(rng, alike, photons, lit * (photons * spots.rendered(points, size) + background))


def diffracted(index: int) -> Scene:
    """A field of points as a real objective shows them: rings, spherical aberration, a little out of focus; blur of 4 to 9 px."""
    rng = np.random.default_rng((UNSEEN_SEED, index))
    optics = microscopes.microscope(rng, microscopes.log_uniform(rng, (4.0, 9.0)))
    drawn = spots.drawn(rng, FIELD_PX)
    light = blur(splatted(drawn.at.T, drawn.height, FIELD_PX), optics)
    lone = blur(splatted(np.full((2, 1), FIELD_PX // 2), np.ones(1), FIELD_PX), optics).max()
    width_px = np.full(len(drawn.at), 0.21 * microscopes.blur_px(optics))  # of the Gaussian that is nearest to the pattern of Airy
    photons = microscopes.log_uniform(rng, spots.PHOTONS)
    ground = microscopes.log_uniform(rng, spots.BACKGROUND) * spots.surroundings(rng, FIELD_PX)
    alike = spots.Spots(at=drawn.at, height=drawn.height, width_px=width_px)
    return spots.exposed(rng, alike, photons, photons * np.maximum(light, 0) / lone + ground)


def scored(marks: Labels, truth: Labels) -> tuple[float, float]:
    """F1 and median distance in px."""
    return match_middles(marks, truth, family.WITHIN_PX)


def methods(segmenter: Segmenter) -> dict[str, Callable[[Array, Labels], Labels]]:
    """Each method, as a function of the image and the truth, which only one of them looks at."""
    return {
        OWN: lambda image, truth: segmenter(image),
        LOG: lambda image, truth: classical(image),
        LOG_BEST: lambda image, truth: classical(image, truth),
    }


def table(segmenter: Segmenter, scenes: Sequence[Scene]) -> list[dict[str, Any]]:
    """One row for each method: means over the fields."""
    rows = []
    for name, method in methods(segmenter).items():
        scores = np.array([scored(method(image, truth), truth) for image, truth in scenes])
        distances = scores[np.isfinite(scores[:, 1]), 1]
        rows.append(
            {"method": name, F1: digits(scores[:, 0].mean(), 3), **({ERROR: digits(distances.mean(), 2)} if len(distances) else {})}
        )
    return rows


def by_condition(segmenter: Segmenter) -> list[dict[str, Any]]:
    """One row for each of `CONDITIONS`: F1 of the methods."""
    rows = []
    for words, change in CONDITIONS.items():
        scenes = [condition(index, **{**PLAIN, **change}) for index in range(PER_CONDITION)]
        rows.append({"method": words, **{row["method"]: row[F1] for row in table(segmenter, scenes)}})
    return rows


def measure(weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data."""
    segmenter = Segmenter(weights, family=family.FAMILY)
    tables = {
        "simulated": table(segmenter, held_out()),
        "unseen": table(segmenter, [diffracted(index) for index in range(UNSEEN)]),
        "conditions": by_condition(segmenter),
    }
    names = {OWN: "f1", LOG: "f1_log", LOG_BEST: "f1_log_best"}
    metrics = {names[row["method"]]: row[F1] for row in tables["simulated"]}
    return {"tables": tables, "metrics": metrics, "measured_on": dict(MEASURED_ON)}


def by_distance(network: Segmenter) -> own_images.Methods:
    """The methods for images (c, y, x) of a person's own, of one channel."""
    return {
        "network": lambda image, truth: network(image),
        LOG: lambda image, truth: classical(image[0]),
        LOG_BEST: lambda image, truth: classical(image[0], truth),
    }


def distances(truth: Array, marks: Array) -> tuple[float, ...]:
    """True and found spots, those of both within 3 px, and the sum of their distances, px."""
    true, found, apart = distances_of_middles(truth, marks, family.WITHIN_PX)
    return true, found, len(apart), float(apart.sum())


def scores_of_distances(true: float, found: float, matched: float, apart: float) -> dict[str, float]:
    """Scores of sums of :func:`distances`; no distance where nothing matched."""
    f1 = 2 * matched / (true + found) if true + found else 1.0
    return {"spots": true, "found": found, F1: digits(f1), **({"mean distance, px": digits(apart / matched, 2)} if matched else {})}


def spot(weights: Weights) -> dict[str, float]:
    """F1 on three held-out fields."""
    segmenter = Segmenter(weights, family=family.FAMILY)
    return {"f1": digits(np.mean([scored(segmenter(image), truth)[0] for image, truth in held_out(3)]))}


def draw(weights: Weights, folder: Path) -> list[tuple[str, str]]:
    """Examples, and of the held-out fields those with the lowest F1."""
    segmenter = Segmenter(weights, family=family.FAMILY)
    scenes = held_out(HELD_OUT, SHOWN_PX)
    f1 = [scored(segmenter(image), truth)[0] for image, truth in scenes]
    titles = ("image", LOG_BEST, OWN, "truth")

    def row(number: int) -> tuple[str, list[Array]]:
        image, truth = scenes[number]
        return f"F1 {f1[number]:.2f}", [grey(image), coloured(classical(image, truth)), coloured(segmenter(image)), coloured(truth)]

    crowded = [number for number in np.argsort([-int(truth.max()) for _, truth in scenes])[:12:4]]
    files = ("spots-examples.png", "spots-failures.png")
    for file, chosen in zip(files, (crowded, list(np.argsort(f1)[:3])), strict=True):
        grid(folder / file, titles, [row(int(number)) for number in chosen])
    return [
        (files[0], "Examples of simulated fields with many spots; beside each, the network's F1 within 3 px."),
        (files[1], f"Failure cases: of {len(scenes)} held-out simulated fields, those with the lowest F1."),
    ]


_LOW, _HIGH = spots.WIDTH_PX
MEASURED_ON: Mapping[str, str] = {
    "simulated": f"{HELD_OUT} held-out fields of {FIELD_PX} px; spots with a standard deviation of {_LOW:g} to {_HIGH:g} px, "
    f"{spots.PHOTONS[0]:g} to {spots.PHOTONS[1]:,.0f} photons in the brightest pixel of a typical one, over haze, cells and spots out of "
    f"focus, seed {HELD_OUT_SEED}. Spots that a matched filter sees at less than {spots.CLEAR:g} times the noise do not count. A spot is "
    "found if it is marked within 3 px. The Laplacian's best threshold is chosen for each image with the truth",
    "unseen": f"{UNSEEN} fields of {FIELD_PX} px with points as an objective shows them, never trained on: the pattern of Airy with "
    "spherical aberration and up to half a depth of field out of focus, wavelength / (NA x pixel size) of 4 to 9 px; otherwise as above",
    "conditions": f"F1 within 3 px on {PER_CONDITION} fields of {FIELD_PX} px with equal spots over even light, changed as the row says",
}
JUDGING = own_images.Judging(
    methods=by_distance,
    counts=distances,
    scores=scores_of_distances,
    f1=F1,
    words="A spot is found if it is marked within 3 px. The Laplacian's best threshold is chosen for each image with the truth",
)
EVALUATION = Evaluation(
    measure=measure,
    spot=spot,
    draw=draw,
    data=f"simulated fields of spots ({family.SIZE} x {family.SIZE} px) over haze, cells and spots out of focus; no real images were used",
    suited=(
        f"Spots in one fluorescence plane with a standard deviation of {_LOW:g} to {_HIGH:g} px, alone or crowded: single molecules of "
        "RNA, telomeres, foci, vesicles. No pixel size is needed.",
    ),
    unsuited=(
        "Objects with a shape, such as nuclei, cells and filaments: each is marked by many spots, or none.",
        "Measuring the size or shape of spots: marks reach 2 px around a peak, less where two meet, whatever the spot; of the table, "
        "places and brightness count.",
        "Spots closer than about 3 px to each other: they become one.",
        "Images that were smoothed, enlarged or denoised: their noise has grains, which are marked. Give what the camera recorded.",
        "Diagnosis.",
    ),
    limits=(
        "Trained on simulation alone; on real images it was looked at, not measured, since none with true places was at hand.",
        "Hot pixels of a camera look like the narrowest spots.",
        "Where light falls towards the corners over a bright background, noise in the bright middle is marked, and dim spots in the "
        "corners are missed (the last rows of the conditions); over a dark background it does no harm.",
    ),
    judge=partial(own_images.write, judging=JUDGING),
)
