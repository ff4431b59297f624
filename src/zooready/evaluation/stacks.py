"""How the stacks of both Deep-Z families are judged: PSNR by distance, kinds of specimens, beads, other microscopes, activity, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.evaluation import activity, classical_refocusing, refocusing
from zooready.evaluation.contract import Weights, digits
from zooready.evaluation.grids import grid
from zooready.evaluation.refocusing import FAR, GROUPS, UM, Refocus, Series, Setting
from zooready.families import deepz
from zooready.images.similarity import fit

EACH = {"sparse": 10, "dense": 18, "flat": 6, "looked at": 6, "unseen": 8}  # series of each group
BEAD_IMAGES = 8
SPOT, DRAWN = 2, 4  # series of each group
INPUT, NETWORK, CLASSICAL = "input itself", "network", "Richardson-Lucy at its best"
CLASSICAL_WORDS = (
    ". Richardson-Lucy is given the true point spread function at each distance, as if all light came from there, and the best of its "
    "iterations 3, 10 and 30 by the truth"
)
SHOWN_UM = (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5)
ROBUST, ROBUST_BEADS = 6, 2  # series and images of beads for each change


def sets(setting: Setting, most: int | None = None) -> dict[str, list[Series]]:
    """Series of each group; the first ``most`` of each, all if None."""
    kinds = {**GROUPS, "looked at": refocusing.SEEN_KINDS, "unseen": refocusing.NEW_KINDS}
    return {
        name: refocusing.series(setting, kinds[name], refocusing.SEED + number, min(count, most or count))
        for number, (name, count) in enumerate(EACH.items())
    }


def measure(setting: Setting, changes: Mapping[str, Mapping[str, float]], weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data. Of ``changes``, each is a microscope other than the training's."""
    refocus = refocusing.refocuser(setting.family, weights)
    tables, metrics = of_specimens(setting, refocus)
    more_tables, more_metrics = of_beads(setting, refocus)
    tables |= {
        **more_tables,
        "other microscopes": [robust(setting, refocus, name, **change) for name, change in changes.items()],
        "activity of neurons, correlation with the truth": activity.by_depth(setting, refocus),
    }
    return {"tables": tables, "metrics": {**metrics, **more_metrics}, "measured_on": measured_on(setting)}


def of_specimens(setting: Setting, refocus: Refocus) -> tuple[dict[str, Any], dict[str, float]]:
    """Tables and numbers of all groups of specimens."""
    scores = {name: compared(setting, fields, refocus) for name, fields in sets(setting).items()}
    known = [row for name in GROUPS for row in scores[name]]
    tables = {
        "PSNR in dB by distance in um": [line for name, rows in scores.items() for line in by_distance(name, rows)],
        "kinds of specimens, 2 to 5 um away": by_kind(scores),
    }
    metrics = {**far_metrics(known, ""), **far_metrics(scores["looked at"], "_looked_at"), **far_metrics(scores["unseen"], "_unseen")}
    return tables, metrics | {f"psnr_{name}{end}": value for name in ("sparse", "dense") for end, value in _far(scores[name]).items()}


def of_beads(setting: Setting, refocus: Refocus) -> tuple[dict[str, Any], dict[str, float]]:
    """Table and numbers of beads: their widths and heights, and the depth of field."""
    beads = bead_scores(setting, refocus, setting.nominal)
    widths, sides = bead_widths(beads), refocusing.sign_and_error(beads)
    metrics = {
        "wrong_side": sides["wrong side, %"],
        "axial_error_um": sides["median axial error, um"],
        "widest_bead_um": max(value for key, value in widths[1].items() if key != "method"),
        "depth_of_field_um": refocusing.depth_of_field_um(beads, "network"),
        "depth_of_field_um_input": refocusing.depth_of_field_um(beads, "input"),
    }
    return {"width of a bead in its plane, um": widths}, metrics


def compared(setting: Setting, fields: Sequence[Series], refocus: Refocus) -> list[dict[str, Any]]:
    """As :func:`zooready.evaluation.refocusing.compared`, and, where one plane is recorded, Richardson-Lucy beside it."""
    rows = refocusing.compared(fields, refocus)
    if len(setting.recorded) > 1:
        return rows
    return [{**row, "classical": classical(field)} for row, field in zip(rows, fields, strict=True)]


def classical(field: Series) -> NDArray[np.float64]:
    """PSNR of Richardson-Lucy by plane, at whole micrometres; NaN between them."""
    return np.array(
        [
            classical_refocusing.best_psnr(field, float(um), truth) if um in SHOWN_UM else np.nan
            for um, truth in zip(UM, field.truth, strict=True)
        ]
    )


def methods(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Title and key of what was measured."""
    return [pair for pair in ((INPUT, "input"), (CLASSICAL, "classical"), (NETWORK, "network")) if pair[1] in rows[0]]


def by_distance(name: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean PSNR at whole micrometres: a row for the input itself and for each method, and the share of series below the input."""
    lines: list[dict[str, Any]] = [
        {"method": f"{name}, {title}", **{f"{um:+d}": digits(np.mean([row[key][um == UM] for row in rows]), 2) for um in SHOWN_UM}}
        for title, key in methods(rows)
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


def bead_scores(setting: Setting, refocus: Refocus, aberration: float, images: int = BEAD_IMAGES) -> list[dict[str, float]]:
    """Scores of all beads of several images."""
    scores = []
    for index in range(images):
        rng = np.random.default_rng((refocusing.SEED, index, 1))
        field, at = refocusing.bead_image(rng, aberration, setting.recorded)
        scores += refocusing.bead_scores(refocus(field.image), field, at)
    return scores


def bead_widths(scores: Sequence[dict[str, float]]) -> list[dict[str, Any]]:
    """Median width at each height: the image itself, the network's plane of that height, the truth."""
    lines = []
    for title, key in ((INPUT, "input"), (NETWORK, "network"), ("truth", "truth")):
        widths = {f"{um:+d}": digits(np.median([score[key] for score in scores if abs(score["height"] - um) <= 0.5]), 2) for um in SHOWN_UM}
        lines.append({"method": title, **widths})
    return lines


def robust(
    setting: Setting, refocus: Refocus, change: str, aberration: float | None = None, photons: float = refocusing.PHOTONS
) -> dict[str, Any]:
    """PSNR 2 to 5 um away under another aberration or light, and what becomes of beads; one row."""
    waves, kinds = setting.nominal if aberration is None else aberration, (*deepz.SPARSE, *deepz.DENSE)
    rows = refocusing.compared(refocusing.series(setting, kinds, refocusing.SEED + 9, ROBUST, waves, photons), refocus)
    is_lit = photons == refocusing.PHOTONS
    beads = refocusing.sign_and_error(bead_scores(setting, refocus, waves, ROBUST_BEADS)) if is_lit else {}
    far = _far(rows)
    return {"method": change, f"{INPUT}, dB": far["_input"], f"{NETWORK}, dB": far[""], **beads}


def spot(setting: Setting, weights: Weights) -> dict[str, float]:
    """PSNR 2 to 5 um away on the first series of each group, which every machine reproduces within 0.01."""
    refocus = refocusing.refocuser(setting.family, weights)
    groups = {name.replace(" ", "_"): fields for name, fields in sets(setting, SPOT).items()}
    return {f"psnr_{name}": _far(refocusing.compared(fields, refocus))[""] for name, fields in groups.items()}


def draw(setting: Setting, weights: Weights, folder: Path) -> list[tuple[str, str]]:
    """Examples, and the planes on which the network falls furthest behind the image itself."""
    refocus = refocusing.refocuser(setting.family, weights)
    pictures = []
    for name, fields in sets(setting, DRAWN).items():
        for field in fields:
            stack, same = refocus(field.image), field.nearest
            gains = refocusing.planes_psnr(stack, field.truth) - refocusing.planes_psnr(same, field.truth)
            for plane in (int(gains[FAR].argmin()), int(gains[FAR].argmax())):
                at = int(np.flatnonzero(FAR)[plane])
                images = [fit(image, field.truth[at]) for image in (same[at], stack[at], field.truth[at])]
                pictures.append((gains[at], name, (f"{field.kind} {UM[at]:+g} um\n{gains[at]:+.1f} dB", images)))
    best = [max((p for p in pictures if p[1] == name), key=lambda p: p[0])[2] for name in EACH]
    worst = [picture for _, _, picture in sorted(pictures, key=lambda p: p[0])[:4]]
    files = (f"{setting.family.name}-examples.png", f"{setting.family.name}-failures.png")
    for file, rows in zip(files, (best, worst), strict=True):
        grid(folder / file, (INPUT, NETWORK, "truth"), rows)
    return [
        (
            files[0],
            "Best cases, one of each group: the image, the network's plane at that distance, and the truth; gain in PSNR over the "
            "image itself.",
        ),
        (files[1], f"Failure cases: of {len(pictures)} planes, those on which the network does worst compared with the image itself."),
    ]


def measured_on(setting: Setting) -> dict[str, str]:
    """On what each table was measured, in words."""
    is_one = len(setting.recorded) == 1
    image = "the image in the middle and noisy" if is_one else "two noisy ones the image, the nearer of which is 'itself'"
    return {
        "PSNR in dB by distance in um": f"{EACH['sparse']} sparse series (few beads, neurites), {EACH['dense']} dense ones, 13 to 30 "
        f"planes deep, {EACH['flat']} flat ones, {EACH['looked at']} of kinds that were looked at during development (hollow spheres in "
        f"space; flat tissue-like texture and shells), and {EACH['unseen']} of kinds that no one looked at before (foam: walls of cells "
        f"that fill space; coils: helical ribbons); series of {refocusing.FIELD_PX} x {refocusing.FIELD_PX} px, {image}; both fitted to "
        f"the truth of each plane by one scale and offset; PSNR in dB of the truth's range{CLASSICAL_WORDS if is_one else ''}",
        "kinds of specimens, 2 to 5 um away": "the same series, mean over the planes 2 to 5 um from the image",
        "width of a bead in its plane, um": f"{BEAD_IMAGES * refocusing.BEADS**2} beads of 0.4 um at random heights, "
        f"{refocusing.PHOTONS:g} photons, {setting.nominal:g} waves of aberration; median of the full width at half maximum within half a "
        "micrometre of each height",
        "other microscopes": f"{ROBUST} series of the training's kinds and {ROBUST_BEADS * refocusing.BEADS**2} beads, imaged by a "
        "microscope of which the network knows nothing; 'wrong side' counts beads more than 1 um from the focus that the stack shows on "
        "its other side",
        "activity of neurons, correlation with the truth": activity.words(setting),
    }
