"""How confocal sections from one wide-field image are judged: whole stacks against the truth, light of other planes, failures.

A section may be empty, so planes are not fitted one by one: one scale and offset fits a whole stack to its truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.evaluation import classical_refocusing, refocusing
from zooready.evaluation.contract import Evaluation, Weights, digits
from zooready.evaluation.deepz_stack import CHANGES
from zooready.evaluation.grids import grid
from zooready.evaluation.refocusing import GROUPS, UM, Refocus, Series
from zooready.evaluation.stacks import CLASSICAL, INPUT, NETWORK, SHOWN_UM
from zooready.families import deepz, deepz_confocal
from zooready.images.similarity import contrast, fit
from zooready.records import Array
from zooready.simulate import thick

SEED = 4_300_001  # never used in training, whose seeds are small
EACH = {"sparse": 10, "dense": 18, "flat": 6, "looked at": 6, "unseen": 8}  # series of each group
SPOT, DRAWN, ROBUST = 2, 4, 8  # series of each group; of each change
SHOWN = [int(np.flatnonzero(um == UM)[0]) for um in SHOWN_UM]  # planes that are compared
MIDDLE = SHOWN_UM.index(0)
DARK, FEWEST = 0.05, 0.05  # below this share of a section's range there is nothing; least share of its pixels that must be so
METHODS = {"input": INPUT, "classical": CLASSICAL, "network": NETWORK}


@lru_cache(maxsize=128)
def one(kind: thick.Thick, seed: int, index: int, aberration: float | None = None, photons: float | None = None) -> Series:
    """One specimen: its noisy wide-field image, and its sections without noise; aberration and light as in training, if not given."""
    rng = np.random.default_rng((seed, index))
    waves = float(rng.choice(deepz.ABERRATION)) if aberration is None else aberration
    image, sections = deepz_confocal.both(rng, kind, refocusing.FIELD_PX, waves, is_thick=kind in refocusing.THICK_KINDS)
    camera, light, background = deepz.exposure(rng)
    light = photons or light
    seen = camera.exposed(image[None] * light + background, rng)
    return Series(image=seen, truth=camera.expected(sections * light + background), kind=kind.__name__, aberration=waves)


def sets(most: int | None = None) -> dict[str, list[Series]]:
    """Series of each group; the first ``most`` of each, all if None."""
    kinds = {**GROUPS, "looked at": refocusing.SEEN_KINDS, "unseen": refocusing.NEW_KINDS}
    return {
        name: [one(kinds[name][index % len(kinds[name])], SEED + number, index) for index in range(min(count, most or count))]
        for number, (name, count) in enumerate(EACH.items())
    }


def errors(stack: Array, truth: Array) -> NDArray[np.float64]:
    """Mean squared error of each plane, in units of the truth's range, after one fit of the whole stack."""
    return np.asarray(((fit(stack, truth) - truth) ** 2).mean((1, 2)) / contrast(truth) ** 2)


def decibels(error: Any) -> Any:
    """PSNR of a mean squared error in units of the range."""
    return -10 * np.log10(np.maximum(error, 1e-12))


def haze(stack: Array, truth: Array) -> float:
    """Light where the middle section is dark, beyond the truth's, per cent of that section's range; NaN where little of it is dark."""
    section = truth[MIDDLE]
    dark = section - section.min() < DARK * np.ptp(section)
    if dark.mean() < FEWEST or not np.ptp(section):
        return float("nan")
    return float(100 * (stack[MIDDLE] - section)[dark].mean() / np.ptp(section))


def classical(field: Series) -> Array:
    """Richardson-Lucy's stack at whole micrometres, by the number of iterations that suits the truth best."""
    image = field.image[0].astype(np.float64)
    planes = [list(classical_refocusing.refocused(image, float(um), field.aberration, is_confocal=True)) for um in SHOWN_UM]
    stacks = [np.stack(stack) + np.percentile(image, 1) for stack in zip(*planes, strict=True)]
    return min(stacks, key=lambda stack: float(errors(stack, field.truth[SHOWN]).mean()))


def compared(fields: Sequence[Series], refocus: Refocus, *, is_whole: bool = True) -> list[dict[str, Any]]:
    """Of each series: its kind, and of each method the errors by plane and the haze; Richardson-Lucy only if ``is_whole``."""
    rows = []
    for field in fields:
        truth = field.truth[SHOWN]
        made = {"input": np.broadcast_to(field.image, truth.shape), "network": refocus(field.image)[SHOWN]}
        if is_whole:
            made["classical"] = classical(field)
        rows.append({"kind": field.kind, **{key: (errors(stack, truth), haze(stack, truth)) for key, stack in made.items()}})
    return rows


def stack_psnr(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    """Mean over series of the PSNR of whole stacks, dB."""
    return digits(np.mean([decibels(row[key][0].mean()) for row in rows]), 2)


def below(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    """Share of stacks that are worse by the network than by another method, per cent."""
    return digits(100 * np.mean([row["network"][0].mean() > row[key][0].mean() for row in rows]), 1)


def by_group(scores: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """PSNR of whole stacks; a row for each group."""
    return [
        {
            "method": name,
            **{f"{title}, dB": stack_psnr(rows, key) for key, title in METHODS.items()},
            "stacks below the input, %": below(rows, "input"),
            "below Richardson-Lucy, %": below(rows, "classical"),
        }
        for name, rows in scores.items()
    ]


def by_distance(scores: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Mean PSNR at whole micrometres, in units of the stack's range; a row for each group and method."""
    return [
        {
            "method": f"{name}, {title}",
            **{f"{um:+d}": digits(np.mean([decibels(row[key][0][place]) for row in rows]), 2) for place, um in enumerate(SHOWN_UM)},
        }
        for name, rows in scores.items()
        for key, title in METHODS.items()
    ]


def hazes(scores: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Median light of other planes in the middle section, and by what factor the network leaves less of it; a row for each group."""
    lines = []
    for name, rows in scores.items():
        left = {title: np.nanmedian([abs(row[key][1]) for row in rows]) for key, title in METHODS.items()}
        factor = digits(left[INPUT] / max(left[NETWORK], 1e-3), 1)
        lines.append({"method": name, **{f"{title}, %": digits(share, 2) for title, share in left.items()}, "factor": factor})
    return lines


def robust(refocus: Refocus, change: str, **how: float) -> dict[str, Any]:
    """PSNR of stacks under another aberration or light; one row."""
    kinds, how = (*deepz.SPARSE, *deepz.DENSE), {"aberration": refocusing.NOMINAL, "photons": refocusing.PHOTONS, **how}
    rows = compared([one(kinds[n % len(kinds)], SEED + 9, n, **how) for n in range(ROBUST)], refocus, is_whole=False)
    return {"method": change, f"{INPUT}, dB": stack_psnr(rows, "input"), f"{NETWORK}, dB": stack_psnr(rows, "network")}


def measure(weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data."""
    refocus = refocusing.refocuser(deepz_confocal.FAMILY, weights)
    scores = {name: compared(fields, refocus) for name, fields in sets().items()}
    known = [row for name in GROUPS for row in scores[name]]
    tables = {
        "PSNR of whole stacks": by_group(scores),
        "PSNR in dB by distance in um": by_distance(scores),
        "light of other planes": hazes(scores),
        "other microscopes": [robust(refocus, name, **change) for name, change in CHANGES.items()],
    }
    metrics = {
        f"psnr{suffix}{end}": stack_psnr(rows, key)
        for suffix, rows in (("", known), ("_looked_at", scores["looked at"]), ("_unseen", scores["unseen"]))
        for end, key in (("", "network"), ("_input", "input"), ("_classical", "classical"))
    }
    return {"tables": tables, "metrics": {**metrics, "below": below(known, "input")}, "measured_on": MEASURED_ON}


def spot(weights: Weights) -> dict[str, float]:
    """PSNR of the first stacks of each group, which every machine reproduces within 0.01."""
    refocus = refocusing.refocuser(deepz_confocal.FAMILY, weights)
    found = {name.replace(" ", "_"): compared(fields, refocus, is_whole=False) for name, fields in sets(SPOT).items()}
    return {f"psnr_{name}": stack_psnr(rows, "network") for name, rows in found.items()}


def draw(weights: Weights, folder: Path) -> list[tuple[str, str]]:
    """Examples, and the stacks by which the network falls furthest behind the image itself."""
    refocus = refocusing.refocuser(deepz_confocal.FAMILY, weights)
    pictures = []
    for name, fields in sets(DRAWN).items():
        for field in fields:
            truth, stack = field.truth[SHOWN], refocus(field.image)[SHOWN]
            same = np.broadcast_to(field.image, truth.shape)
            gain = float(decibels(errors(stack, truth).mean()) - decibels(errors(same, truth).mean()))
            images = [
                *(array[place] for place in (MIDDLE + 3, MIDDLE) for array in (same, stack, truth))
            ]  # the last one's contrast is shared
            pictures.append((gain, name, (f"{field.kind}\n{gain:+.1f} dB", images)))
    best = [max((p for p in pictures if p[1] == name), key=lambda p: p[0])[2] for name in EACH]
    worst = [picture for _, _, picture in sorted(pictures, key=lambda p: p[0])[:3]]
    titles = tuple(f"{title}, {um}" for um in ("+3 um", "0 um") for title in (INPUT, NETWORK, "truth"))
    files = ("deepz-confocal-examples.png", "deepz-confocal-failures.png")
    for file, rows in zip(files, (best, worst), strict=True):
        grid(folder / file, titles, rows)
    return [
        (files[0], "Best cases, one of each group: the image, the network's section and the true one, 3 um below the image and at it."),
        (
            files[1],
            f"Failure cases: of the first {len(pictures)} stacks of all groups, those by which the network does worst compared with the "
            "image itself.",
        ),
    ]


MEASURED_ON = {
    "PSNR of whole stacks": f"{EACH['sparse']} sparse series (few beads, neurites), {EACH['dense']} dense ones, 13 to 30 planes deep, "
    f"{EACH['flat']} flat ones, {EACH['looked at']} of kinds that were looked at during development of deepz-stack (hollow spheres in "
    f"space; flat tissue-like texture and shells), and {EACH['unseen']} of kinds that no one looked at before (foam, coils); "
    f"{refocusing.FIELD_PX} x {refocusing.FIELD_PX} px; sections at whole micrometres "
    "from -5 to 5 um; a whole stack is fitted to the truth by one scale and offset, PSNR is of the truth's range. 'Input itself' is the "
    "wide-field image in the place of every section. Richardson-Lucy is given the true point spread function at each distance, as if all "
    "light came from there, is shown with the confocal blur of the focus, and its iterations are chosen by the truth (3, 10 or 30)",
    "PSNR in dB by distance in um": "the same stacks, plane by plane, in units of the stack's range, so that empty sections count too",
    "light of other planes": "the same stacks: mean of image minus true section at 0 um where that section is dark (less than 5 % of its "
    "range), in counts as they come, per cent of the section's range; median over series of its size; 'factor' is input over network",
    "other microscopes": f"{ROBUST} series of the training's kinds, {refocusing.PHOTONS:g} photons, imaged by a microscope of which the "
    "network knows nothing; the truth is that microscope's confocal one",
}
EVALUATION = Evaluation(
    measure=measure,
    spot=spot,
    draw=draw,
    data=refocusing.DATA.replace("one for a whole image", "all of them for every image; targets are confocal sections by a small pinhole"),
    suited=(
        f"One wide-field fluorescence image of an objective near 20x/0.75 with pixels of {deepz.PIXEL_UM:g} um, from a specimen "
        "within 5 um of the focus: to see what lies in its plane with less light from others, and which of it lies elsewhere.",
    ),
    unsuited=tuple(words for words in refocusing.UNSUITED if not words.startswith("Large, hollow bodies")),
    limits=(
        *refocusing.LIMITS,
        "The confocal microscope is an ideal one: the same objective, a small pinhole, illumination of the emission's wavelength. No real "
        "confocal image was used, neither in training nor in judging.",
        "Flat specimens gain little at the focus, and their sections 1 to 2 um from it can be worse than the image itself (tables); so can "
        "all sections where the aberration has the other sign.",
    ),
)
