"""The card of the Deep-Z stack: PSNR by distance, kinds of specimens, beads, other microscopes, failures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zooready.evaluation import refocusing
from zooready.evaluation.contract import Evaluation, Weights, digits
from zooready.evaluation.grids import grid
from zooready.evaluation.refocusing import FAR, GROUPS, UM, Refocus, Series
from zooready.families import deepz, deepz_stack
from zooready.images.similarity import fit

EACH = {"sparse": 10, "dense": 16, "flat": 4, "unseen": 12}  # series of each group
BEAD_IMAGES = 8
SPOT = 2
INPUT, NETWORK = "input itself", "network"
SHOWN_UM = (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5)
CHANGES: dict[str, dict[str, float]] = {
    "as trained (0.125 waves)": {},
    "aberration halved (0.06 waves)": {"aberration": 0.0625},
    "no aberration": {"aberration": 0.0},
    "aberration half as much again (0.19 waves)": {"aberration": 0.1875},
    "aberration of the other sign": {"aberration": -refocusing.NOMINAL},
    "a tenth of the light": {"photons": 0.1 * refocusing.PHOTONS},
}
ROBUST, ROBUST_BEADS = 6, 2  # series and images of beads for each change


def sets(most: int | None = None) -> dict[str, list[Series]]:
    """Series of each group; the first ``most`` of each, all if None."""
    kinds = {**GROUPS, "unseen": refocusing.UNSEEN_KINDS}
    return {
        name: refocusing.series(kinds[name], refocusing.SEED + number, min(count, most or count))
        for number, (name, count) in enumerate(EACH.items())
    }


def measure(weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data."""
    refocus = refocusing.refocuser(deepz_stack.FAMILY, weights)
    scores = {name: refocusing.compared(fields, refocus) for name, fields in sets().items()}
    known = [row for name in GROUPS for row in scores[name]]
    beads = bead_scores(refocus, refocusing.NOMINAL)
    tables = {
        "PSNR in dB by distance in um": [line for name, rows in scores.items() for line in by_distance(name, rows)],
        "kinds of specimens, 2 to 5 um away": by_kind(scores),
        "width of a bead in its plane, um": bead_widths(beads),
        "other microscopes": [robust(refocus, name, **change) for name, change in CHANGES.items()],
    }
    metrics = {**far_metrics(known, ""), **far_metrics(scores["unseen"], "_unseen")}
    metrics |= {f"psnr_{name}{end}": value for name in ("sparse", "dense") for end, value in _far(scores[name]).items()}
    metrics |= {"wrong_side": refocusing.sign_and_error(beads)["wrong side, %"]}
    metrics |= {"axial_error_um": refocusing.sign_and_error(beads)["median axial error, um"]}
    return {"tables": tables, "metrics": metrics, "measured_on": MEASURED_ON}


def by_distance(name: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean PSNR at whole micrometres: two rows, the input itself and the network, and the share of series below the input."""
    lines: list[dict[str, Any]] = [
        {"method": f"{name}, {title}", **{f"{um:+d}": digits(np.mean([row[key][um == UM] for row in rows]), 2) for um in SHOWN_UM}}
        for title, key in ((INPUT, "input"), (NETWORK, "network"))
    ]
    below = {f"{um:+d}": digits(100 * np.mean([row["network"][um == UM] < row["input"][um == UM] for row in rows]), 1) for um in SHOWN_UM}
    return [*lines, {"method": f"{name}, % below the input", **below}]


def by_kind(scores: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Mean PSNR 2 to 5 um away of each kind of specimen; one row per kind."""
    lines = []
    for name, rows in scores.items():
        for kind in dict.fromkeys(row["kind"] for row in rows):
            of_kind = [row for row in rows if row["kind"] == kind]
            lines.append(
                {
                    "method": f"{kind} ({name})",
                    f"{INPUT}, dB": digits(np.mean([row["input"][FAR] for row in of_kind]), 2),
                    f"{NETWORK}, dB": digits(np.mean([row["network"][FAR] for row in of_kind]), 2),
                    "planes below the input, %": digits(100 * np.mean([row["network"][FAR] < row["input"][FAR] for row in of_kind]), 1),
                }
            )
    return lines


def _far(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {"": digits(np.mean([row["network"][FAR] for row in rows])), "_input": digits(np.mean([row["input"][FAR] for row in rows]))}


def far_metrics(rows: Sequence[dict[str, Any]], suffix: str) -> dict[str, float]:
    """PSNR 2 to 5 um away and SSIM 3 um away, of the network and of the input; per cent of planes below the input."""
    return {
        **{f"psnr{suffix}{end}": value for end, value in _far(rows).items()},
        f"ssim{suffix}": digits(np.mean([row["ssim"] for row in rows])),
        f"ssim{suffix}_input": digits(np.mean([row["ssim_input"] for row in rows])),
        f"below{suffix}": digits(100 * np.mean([row["network"][FAR] < row["input"][FAR] for row in rows]), 1),
    }


def bead_scores(refocus: Refocus, aberration: float, images: int = BEAD_IMAGES) -> list[dict[str, float]]:
    """Scores of all beads of several images."""
    scores = []
    for index in range(images):
        field, at = refocusing.bead_image(np.random.default_rng((refocusing.SEED, index, 1)), aberration)
        scores += refocusing.bead_scores(refocus(field.image[None]), field.truth, field.image, at)
    return scores


def bead_widths(scores: Sequence[dict[str, float]]) -> list[dict[str, Any]]:
    """Median width at each height: the image itself, the network's plane of that height, the truth."""
    lines = []
    for title, key in ((INPUT, "input"), (NETWORK, "network"), ("truth", "truth")):
        widths = {f"{um:+d}": digits(np.median([score[key] for score in scores if abs(score["height"] - um) <= 0.5]), 2) for um in SHOWN_UM}
        lines.append({"method": title, **widths})
    return lines


def robust(refocus: Refocus, change: str, aberration: float = refocusing.NOMINAL, photons: float = refocusing.PHOTONS) -> dict[str, Any]:
    """PSNR 2 to 5 um away under another aberration or light, and what becomes of beads; one row."""
    kinds = (*deepz.SPARSE, *deepz.DENSE)
    rows = refocusing.compared(refocusing.series(kinds, refocusing.SEED + 9, ROBUST, aberration, photons), refocus)
    beads = refocusing.sign_and_error(bead_scores(refocus, aberration, ROBUST_BEADS)) if photons == refocusing.PHOTONS else {}
    far = _far(rows)
    return {"method": change, f"{INPUT}, dB": far["_input"], f"{NETWORK}, dB": far[""], **beads}


def spot(weights: Weights) -> dict[str, float]:
    """PSNR 2 to 5 um away on the first series of each group, which every machine reproduces within 0.01."""
    refocus = refocusing.refocuser(deepz_stack.FAMILY, weights)
    return {f"psnr_{name}": _far(refocusing.compared(fields, refocus))[""] for name, fields in sets(SPOT).items()}


def draw(weights: Weights, folder: Path) -> list[tuple[str, str]]:
    """Examples, and the planes on which the network falls furthest behind the image itself."""
    refocus = refocusing.refocuser(deepz_stack.FAMILY, weights)
    pictures = []
    for name, fields in sets(6).items():
        for field in fields:
            stack = refocus(field.image[None])
            gains = refocusing.planes_psnr(stack, field.truth) - refocusing.planes_psnr(field.image, field.truth)
            for plane in (int(gains[FAR].argmin()), int(gains[FAR].argmax())):
                at = int(np.flatnonzero(FAR)[plane])
                images = [fit(image, field.truth[at]) for image in (field.image, stack[at], field.truth[at])]
                pictures.append((gains[at], name, (f"{field.kind} {UM[at]:+g} um\n{gains[at]:+.1f} dB", images)))
    best = [max((p for p in pictures if p[1] == name), key=lambda p: p[0])[2] for name in EACH]
    worst = [picture for _, _, picture in sorted(pictures, key=lambda p: p[0])[:4]]
    files = ("deepz-stack-examples.png", "deepz-stack-failures.png")
    for file, rows in zip(files, (best, worst), strict=True):
        grid(folder / file, (INPUT, NETWORK, "truth"), rows)
    return [
        (
            files[0],
            "Best cases, one of each group: the image, the network's plane at that distance, and the truth; gain in PSNR over the "
            "image itself.",
        ),
        (files[1], f"Failure cases: of {2 * 6 * len(EACH)} planes, those on which the network does worst compared with the image itself."),
    ]


_METHOD = (
    f"series of {refocusing.FIELD_PX} x {refocusing.FIELD_PX} px, the image in the middle and noisy; both fitted to the truth of each "
    "plane by one scale and offset; PSNR in dB of the truth's range"
)
MEASURED_ON = {
    "PSNR in dB by distance in um": f"{EACH['sparse']} sparse series (few beads, neurites), {EACH['dense']} dense ones, 13 to 30 planes "
    f"deep, {EACH['flat']} flat ones, and {EACH['unseen']} of kinds not used for training, but looked at during "
    f"development (hollow spheres in space; flat tissue-like texture and shells); {_METHOD}",
    "kinds of specimens, 2 to 5 um away": "the same series, mean over the planes 2 to 5 um from the image",
    "width of a bead in its plane, um": f"{BEAD_IMAGES * refocusing.BEADS**2} beads of 0.4 um at random heights, "
    f"{refocusing.PHOTONS:g} photons; median of the full width at half maximum within half a micrometre of each height",
    "other microscopes": f"{ROBUST} series of the training's kinds and {ROBUST_BEADS * refocusing.BEADS**2} beads, imaged by a microscope "
    "other than the training's, which the network does not know; 'wrong side' counts beads more than 1 um from the focus that the stack "
    "shows on its other side",
}
EVALUATION = Evaluation(
    measure=measure,
    spot=spot,
    draw=draw,
    data=refocusing.DATA,
    suited=(
        f"One wide-field fluorescence image of an objective near 20x/0.75 with pixels of {deepz.PIXEL_UM:g} um, from a specimen "
        "within 5 um of "
        "the focus; best for sparse specimens, such as beads and neurites.",
    ),
    unsuited=refocusing.UNSUITED,
    limits=refocusing.LIMITS,
)
