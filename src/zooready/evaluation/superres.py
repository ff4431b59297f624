"""What the cards of the three super-resolution families share: tables, words, and the evaluation that a step gives.

Beside PSNR, a table says how wide points are shown and which pairs of points are shown as two (:mod:`zooready.evaluation.resolution`),
another what becomes of fields in which there is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from zooready.evaluation import deconvolution, deconvolution_cards, resolution
from zooready.evaluation.contract import Evaluation, Weights, digits
from zooready.evaluation.deconvolution import INPUT, LUCY_BEST, Restore
from zooready.families import mrbcr, superres
from zooready.families.superres import Step
from zooready.images.similarity import Image2D, psnr
from zooready.records import Family
from zooready.simulate.fields import Field
from zooready.simulate.specimens import STRUCTURES, TEXTURES, Specimen
from zooready.simulate.unseen import UNSEEN

NETWORK = "network"
KNOWN: tuple[Specimen, ...] = tuple(dict.fromkeys(mrbcr.SPECIMENS))
PER_KIND, UNSEEN_PER_KIND = 4, 8  # fields of each kind of specimen
ROBUST_FIELDS = 8  # of held-out specimens, for each change
POINT_FIELDS, POINT_SEED = 3, 4_160_003  # for each distance; seeds of training are small
EMPTY_FIELDS, EMPTY_SEED = 4, 4_160_004
CHANGES: Mapping[str, dict[str, float]] = {
    "as nominal": {},
    **{f"{share:.0%} of the width": {"width": share} for share in (0.7, 0.85, 1.15, 1.3)},
    "a quarter of the light (double noise)": {"dimmed": 0.25},
    "four times the light (half noise)": {"dimmed": 4.0},
    "pixels 20% smaller": {"pixels": 0.8},
}


def fields(step: Step, kinds: Sequence[Specimen], seed: int, count: int) -> list[Field]:
    """Simulated fields of the microscope, `count` of them, each kind of specimen in turn, with widths that training draws."""
    made = []
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        width = float(rng.choice(superres.WIDTHS))
        made.append(superres.scene(rng, deconvolution.FIELD_PX, kinds[index % len(kinds)], step, width))
    return made


def sets(step: Step, most: int | None = None) -> dict[str, list[Field]]:
    """Held-out and unseen fields of the card; the first ``most`` of each, all if None."""
    known, unseen = (min(count, most or count) for count in (PER_KIND * len(KNOWN), UNSEEN_PER_KIND * len(UNSEEN)))
    return {
        "held-out": fields(step, KNOWN, deconvolution.HELD_OUT_SEED, known),
        "unseen": fields(step, UNSEEN, deconvolution.UNSEEN_SEED, unseen),
    }


def measure(family: Family, step: Step, apart_nm: Sequence[float], weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data."""
    restore = deconvolution_cards.restoring(family, weights)
    scores = {name: deconvolution.scored(images, {NETWORK: restore}) for name, images in sets(step).items()}
    tables = {name: deconvolution_cards.rounded(averaged(of_set)) for name, of_set in scores.items()}
    metrics = deconvolution_cards.flat(tables, NETWORK)
    metrics["worst_gain"] = min(digits(gain(field)) for of_set in scores.values() for field in of_set)
    tables["specimens"] = [row for name, kinds in (("held-out", KNOWN), ("unseen", UNSEEN)) for row in by_kind(scores[name], kinds)]
    tables["resolution"] = deconvolution_cards.rounded(resolved(step, restore, apart_nm))
    tables["microscope and light"] = [robust(step, restore, change) for change in CHANGES]
    tables["nothing"] = nothing(step, restore)
    return {"tables": tables, "metrics": metrics, "measured_on": measured_on(step)}


def averaged(scores: Sequence[Mapping[str, tuple[float, float]]]) -> list[dict[str, Any]]:
    """Rows of :func:`zooready.evaluation.deconvolution.measured`, with NRMSE and the worst field."""
    rows = deconvolution.averaged(scores)
    for row in rows:
        psnrs = [field[row["method"]][0] for field in scores]
        row["NRMSE"] = float(np.mean([10 ** (-psnr / 20) for psnr in psnrs]))
        row["worst field minus input, dB"] = min(gain(field, row["method"]) for field in scores)
    return rows


def gain(scores: Mapping[str, tuple[float, float]], method: str = NETWORK) -> float:
    """PSNR of a method minus that of the input, of one field, dB."""
    return scores[method][0] - scores[INPUT][0]


def by_kind(scores: Sequence[Mapping[str, tuple[float, float]]], kinds: Sequence[Specimen]) -> list[dict[str, Any]]:
    """PSNR of each kind of specimen, which take turns in the scores; one row per kind."""
    rows = []
    for index, kind in enumerate(kinds):
        group = "structure" if kind in STRUCTURES else "texture" if kind in TEXTURES else "unseen" if kind in UNSEEN else "both"
        of_kind = scores[index :: len(kinds)]
        means = {f"{name}, dB": digits(np.mean([field[name][0] for field in of_kind]), 2) for name in (INPUT, LUCY_BEST, NETWORK)}
        worst = {"worst field minus input, dB": digits(min(map(gain, of_kind)), 2)}
        rows.append({"method": f"{kind.__name__} ({group})", **means, **worst})
    return rows


def resolved(step: Step, restore: Restore, apart_nm: Sequence[float]) -> list[dict[str, Any]]:
    """Widths of points and shares of pairs resolved, for every method and for the truth."""

    def methods(field: Field) -> dict[str, Image2D]:
        return {**deconvolution.deconvolved(field), NETWORK: restore(field.image), "truth": field.truth}

    return resolution.measured(
        lambda rng, size, specimen: superres.scene(rng, size, specimen, step),
        methods,
        seed=POINT_SEED,
        fields=POINT_FIELDS,
        size=deconvolution.FIELD_PX,
        apart_nm=apart_nm,
        pixel_nm=1000 * step.pixel_size_um,
    )


def robust(step: Step, restore: Restore, change: str) -> dict[str, Any]:
    """PSNR on held-out specimens with another point spread function or light, Richardson-Lucy assuming the nominal one; one row."""
    rows: dict[str, list[float]] = {f"{INPUT}, dB": [], "RL, best, nominal PSF, dB": [], f"{NETWORK}, dB": []}
    settings = dict(CHANGES[change])
    real = of_pixels(step, settings.pop("pixels", 1.0))
    for index in range(ROBUST_FIELDS):
        rng = np.random.default_rng((deconvolution.HELD_OUT_SEED, index))
        field = superres.scene(rng, deconvolution.FIELD_PX, KNOWN[index % len(KNOWN)], real, **settings)
        classical = deconvolution.deconvolved(field, step.seen.optics)
        for key, image in zip(rows, (field.image, classical[LUCY_BEST], restore(field.image)), strict=True):
            rows[key].append(psnr(image, field.truth))
    return {"method": change, **{key: digits(np.mean(values), 2) for key, values in rows.items()}}


def of_pixels(step: Step, times: float) -> Step:
    """The step with pixels that are so many times as large in both images, as where a person states a wrong size."""
    seen, shown = (
        replace(one, optics=replace(one.optics, pixel_size_um=times * one.optics.pixel_size_um)) for one in (step.seen, step.shown)
    )
    return Step(seen=seen, shown=shown)


def nothing(step: Step, restore: Restore) -> list[dict[str, Any]]:
    """What methods make of background and noise alone: deviations from flat, over the noise of the input; one row a method."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for index in range(EMPTY_FIELDS):
        field = superres.scene(np.random.default_rng((EMPTY_SEED, index)), deconvolution.FIELD_PX, superres.empty, step)
        light = np.maximum(field.image - field.camera.offset, 0) / field.camera.gain
        lucy = deconvolution.richardson_lucy(light, field.optics, (30,), None, field.modality)[30] * field.camera.gain
        images: dict[str, Image2D] = {INPUT: field.image, "Richardson-Lucy, 30 iterations": lucy, NETWORK: restore(field.image)}
        for name, image in images.items():
            deviations = np.abs(image - np.mean(image)) / field.image.std()
            rows.setdefault(name, []).append((float(np.sqrt(np.mean(deviations**2))), float(deviations.max())))
    return [
        {
            "method": name,
            "standard deviation": digits(np.mean([spread for spread, _ in values])),
            "largest deviation": digits(max(most for _, most in values)),
        }
        for name, values in rows.items()
    ]


def measured_on(step: Step) -> dict[str, str]:
    """The fields of each table, in words."""
    widths = f"point spread functions of {min(superres.WIDTHS):.0%} to {max(superres.WIDTHS):.0%} of the nominal width"
    return {
        "held-out": f"{PER_KIND * len(KNOWN)} simulated fields of {deconvolution.FIELD_PX} px, the ten kinds of specimens used in "
        f"training, {widths}; {deconvolution_cards.METHOD}",
        "unseen": f"{UNSEEN_PER_KIND * len(UNSEEN)} fields of smooth tissue-like texture and shells, not used for training or tuning, "
        f"{widths}; {deconvolution_cards.METHOD}",
        "specimens": "the fields of both tables, kind by kind",
        "resolution": f"{POINT_FIELDS * resolution.GRID**2} lone points, and as many pairs for each distance, in random directions, with "
        "the light of training and the nominal point spread function. The width is that at half maximum; two points count as resolved if "
        f"the profile through both falls to {resolution.DIP:.0%} of the lower peak or less between two peaks at the right places. 'Lone "
        "points split' counts lone points that pass for two at the smallest distance. 'Best' is the iteration of best PSNR",
        "microscope and light": f"{ROBUST_FIELDS} held-out fields with another point spread function, light or pixel size, which neither "
        "the network nor Richardson-Lucy is told; training has widths of 85 to 115 %",
        "nothing": f"{EMPTY_FIELDS} fields of background, noise and nothing else; deviations from the mean, in standard deviations of the "
        "input",
    }


def evaluation(family: Family, step: Step, apart_nm: Sequence[float], suited: str) -> Evaluation:
    """The evaluation of one of the three; distances of pairs of points in nm, smallest first."""
    of_step = partial(sets, step)
    return Evaluation(
        measure=partial(measure, family, step, apart_nm),
        spot=partial(deconvolution_cards.spot, family, of_step),
        draw=partial(deconvolution_cards.draw, family, of_step, own=NETWORK),
        data="simulated nanobeads, pairs of points, straight lines, filaments, puncta, rings, meshes, textures and empty fields "
        f"({mrbcr.SIZE} x {mrbcr.SIZE} px); training began with weights of `mrbcr`; no real images were used",
        suited=(suited,),
        unsuited=(
            "Other kinds of microscopes, and thick specimens whose light comes from out of focus.",
            "Counting photons: intensities are restored up to one scale and offset.",
            "Diagnosis.",
        ),
        limits=(
            f"Light: the brightest pixel has {mrbcr.PHOTONS[0]:g} to {mrbcr.PHOTONS[1]:g} photons above a background of 1 to 10, read "
            "noise 0.8 to 2 electrons.",
            "Details finer than the microscope's resolution are guesses based on the training images: it can invent structures, and it "
            "can join or part what is closer than the table of resolution says.",
            "It was trained without an adversary. What the published discriminator adds was measured from confocal to STED, in short "
            "training: nothing that is worth its cost (docs/restoration.md).",
        ),
    )
