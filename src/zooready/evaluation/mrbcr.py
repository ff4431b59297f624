"""m-rBCR's card: held-out and unseen specimens, optics other than the nominal ones, dim light, failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from zooready.evaluation import deconvolution, deconvolution_cards
from zooready.evaluation.contract import Evaluation, Weights, digits
from zooready.evaluation.deconvolution import INPUT, LUCY_BEST, Restore
from zooready.families import mrbcr
from zooready.images.similarity import psnr
from zooready.simulate.fields import Field
from zooready.simulate.optics import Optics
from zooready.simulate.specimens import STRUCTURES, TEXTURES
from zooready.simulate.unseen import UNSEEN

ROBUST_FIELDS = 20  # of held-out specimens, for each change
DIMMED = {"a quarter of the light (double noise)": 0.25, "as trained": 1.0, "four times the light (half noise)": 4.0}
PER_KIND = 3  # fields of each kind of specimen, in the table by kind
KNOWN = tuple(dict.fromkeys(mrbcr.SPECIMENS))
CHANGES: Mapping[str, dict[str, Any]] = {  # true values of the microscope where its nominal values were assumed
    "as assumed": {},
    "NA 20 % lower": {"na": 0.8 * mrbcr.OPTICS.na},
    "NA 10 % lower": {"na": 0.9 * mrbcr.OPTICS.na},
    "NA 10 % higher": {"na": 1.1 * mrbcr.OPTICS.na},
    "NA 1.5, near the index (15 % higher)": {"na": 1.5},
    **{
        f"{words} {abs(share):.0%}": {name: (1 + share) * getattr(mrbcr.OPTICS, name)}
        for name, shorter, longer in (
            ("wavelength_nm", "wavelength shorter by", "wavelength longer by"),
            ("pixel_size_um", "pixels smaller by", "pixels larger by"),
        )
        for share, words in ((-0.2, shorter), (-0.1, shorter), (0.1, longer), (0.2, longer))
    },
    "0.1 um out of focus": {"z_um": 0.1},
    "0.2 um out of focus": {"z_um": 0.2},
    "5 um deep in water": {"specimen_index": 1.33, "depth_um": 5.0, "na": 1.3},
}


def sets(most: int | None = None) -> dict[str, list[Field]]:
    """Held-out and unseen fields of the card; the first ``most`` of each, all if None."""

    def first(count: int) -> int:
        return min(count, most or count)

    return {
        "held-out": deconvolution.fields(KNOWN, deconvolution.HELD_OUT_SEED, first(deconvolution.HELD_OUT_FIELDS)),
        "unseen": deconvolution.fields(UNSEEN, deconvolution.UNSEEN_SEED, first(deconvolution.UNSEEN_FIELDS)),
    }


def measure(weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data."""
    measured = deconvolution_cards.measure(mrbcr.FAMILY, sets, MEASURED_ON, weights)
    restore = deconvolution_cards.restoring(mrbcr.FAMILY, weights)
    further = {
        "specimens": by_kind(restore),
        "optics": [robust(restore, change, optics=replace(mrbcr.OPTICS, **CHANGES[change])) for change in CHANGES],
        "light": [robust(restore, change, dimmed=share) for change, share in DIMMED.items()],
    }
    return {**measured, "tables": {**measured["tables"], **further}}


def by_kind(restore: Restore) -> list[dict[str, Any]]:
    """PSNR of each kind of specimen, known and unseen; one row per kind."""
    fields = deconvolution.fields(KNOWN, deconvolution.HELD_OUT_SEED, PER_KIND * len(KNOWN))
    fields += deconvolution.fields(UNSEEN, deconvolution.UNSEEN_SEED, PER_KIND * len(UNSEEN))
    kinds = [*KNOWN] * PER_KIND + [*UNSEEN] * PER_KIND
    rows = []
    for kind in (*KNOWN, *UNSEEN):
        of_kind = [field for field, specimen in zip(fields, kinds, strict=True) if specimen is kind]
        psnrs = {row["method"]: row["psnr"] for row in deconvolution.measured(of_kind, {"m-rBCR": restore})}
        group = "structure" if kind in STRUCTURES else "texture" if kind in TEXTURES else "unseen" if kind in UNSEEN else "both"
        scores = {f"{name}, dB": digits(psnrs[name], 2) for name in (INPUT, LUCY_BEST, "m-rBCR")}
        rows.append({"method": f"{kind.__name__} ({group})", **scores})
    return rows


def robust(restore: Restore, change: str, optics: Optics = mrbcr.OPTICS, dimmed: float = 1.0) -> dict[str, Any]:
    """PSNR on held-out specimens under other optics or light, Richardson-Lucy assuming the nominal microscope; one row."""
    rows: dict[str, list[float]] = {"input itself, dB": [], "RL, best, nominal PSF, dB": [], "m-rBCR, dB": []}
    for index in range(ROBUST_FIELDS):
        rng = np.random.default_rng((deconvolution.HELD_OUT_SEED, index))
        field = mrbcr.scene(rng, deconvolution.FIELD_PX, KNOWN[index % len(KNOWN)], optics, dimmed)
        classical = deconvolution.deconvolved(field, mrbcr.OPTICS)
        for key, image in zip(rows, (field.image, classical[LUCY_BEST], restore(field.image)), strict=True):
            rows[key].append(psnr(image, field.truth))
    return {"method": change, **{key: digits(np.mean(values), 2) for key, values in rows.items()}}


MEASURED_ON: Mapping[str, str] = {
    "held-out": f"{deconvolution.HELD_OUT_FIELDS} simulated fields of {deconvolution.FIELD_PX} px, the ten kinds of specimen known "
    f"from training; {deconvolution_cards.METHOD}",
    "unseen": f"{deconvolution.UNSEEN_FIELDS} fields of smooth tissue-like texture and shells, never trained or tuned on; "
    f"{deconvolution_cards.METHOD}",
    "specimens": f"the first {PER_KIND} fields of each kind: microscope structures, and textures like natural images, made by procedure",
    "optics": f"{ROBUST_FIELDS} held-out fields, imaged by a microscope other than the nominal one; the network does not know it, and "
    "Richardson-Lucy is given the nominal PSF",
    "light": f"the same {ROBUST_FIELDS} fields with less light and with more",
}
_LOW, _HIGH = mrbcr.FAMILY.pixel_size_um
EVALUATION = Evaluation(
    measure=measure,
    spot=partial(deconvolution_cards.spot, mrbcr.FAMILY, sets),
    draw=partial(deconvolution_cards.draw, mrbcr.FAMILY, sets),
    data=f"simulated filaments, puncta, rings, meshes and textures ({mrbcr.SIZE} x {mrbcr.SIZE} px, pixels of {_LOW * 1000:g} to "
    f"{_HIGH * 1000:g} nm); no real image was seen",
    suited=(
        f"Single planes of thin specimens in wide-field fluorescence, pixels of {_LOW:g} to {_HIGH:g} um, an objective near NA "
        f"{mrbcr.OPTICS.na:g}.",
    ),
    unsuited=deconvolution_cards.UNSUITED,
    limits=(
        *deconvolution_cards.LIMITS,
        "It is made to be small and fast: after equal training, some slower networks are more accurate (table of peers).",
    ),
)
