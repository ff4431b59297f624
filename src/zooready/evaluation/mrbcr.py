"""m-rBCR's cards, for images and for stacks: held-out and unseen specimens, optics that are not what was assumed, dim light, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zooready.evaluation import deconvolution
from zooready.evaluation.contract import Evaluation, Weights, digits
from zooready.evaluation.deconvolution import INPUT, LUCY_BEST, Restore
from zooready.evaluation.grids import grid
from zooready.families import mrbcr, mrbcr3d
from zooready.images.similarity import fit, psnr, ssim
from zooready.records import Array, Family
from zooready.simulate.fields import Field
from zooready.simulate.optics import Optics
from zooready.simulate.specimens import STRUCTURES, TEXTURES
from zooready.simulate.unseen import UNSEEN, UNSEEN_VOLUMES

STACK_PX = (16, 48, 48)  # (z, y, x) of a stack that is measured
STACKS, UNSEEN_STACKS = 12, 5
ROBUST_FIELDS = 20  # of held-out specimens, for each change
DIMMED = {"a quarter of the light (double noise)": 0.25, "as trained": 1.0, "four times the light (half noise)": 4.0}
PER_KIND = 3  # fields of each kind of specimen, in the table by kind
SPOT = 3  # fields
KNOWN = tuple(dict.fromkeys(mrbcr.SPECIMENS))
CHANGES: Mapping[str, dict[str, Any]] = {  # what the microscope really was, where its nominal values were assumed
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


def network(family: Family, weights: Weights) -> Restore:
    """Shipped weights as a method: counts (y, x) or (z, y, x) in, the same shape out."""
    made = family.network.architecture.build().eval()
    made.load_state_dict(weights)
    return deconvolution.restorer(made, 2 ** family.network.architecture.kwargs["levels"], family.outputs[0].axes)


def stacks(kinds: Sequence[Any], seed: int, count: int) -> list[Field]:
    """Simulated stacks, each kind of specimen in turn, made again from the seed."""
    return [mrbcr3d.scene(np.random.default_rng((seed, index)), STACK_PX, kinds[index % len(kinds)]) for index in range(count)]


def sets(family: Family, most: int | None = None) -> dict[str, list[Field]]:
    """Held-out and unseen fields or stacks of a family's card; of each the first ``most``, all if None."""

    def few(count: int) -> int:
        return min(count, most or count)

    if family.name == mrbcr.FAMILY.name:
        return {
            "held-out": deconvolution.fields(KNOWN, deconvolution.HELD_OUT_SEED, few(deconvolution.HELD_OUT_FIELDS)),
            "unseen": deconvolution.fields(UNSEEN, deconvolution.UNSEEN_SEED, few(deconvolution.UNSEEN_FIELDS)),
        }
    return {
        "held-out": stacks(mrbcr3d.SPECIMENS, deconvolution.HELD_OUT_SEED, few(STACKS)),
        "unseen": stacks(UNSEEN_VOLUMES, deconvolution.UNSEEN_SEED, few(UNSEEN_STACKS)),
    }


def measure(family: Family, weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data."""
    restore = network(family, weights)
    tables: dict[str, Any] = {
        name: [{key: digits(value) if isinstance(value, float) else value for key, value in row.items()} for row in rows]
        for name, rows in ((name, deconvolution.measured(fields, {"m-rBCR": restore})) for name, fields in sets(family).items())
    }
    short = {
        "m-rBCR": "",
        INPUT: "_input",
        "Richardson-Lucy, 30 iterations": "_rl_30",
        LUCY_BEST: "_rl_best",
        "Wiener, best": "_wiener_best",
    }
    metrics = {
        f"{score}{'_unseen' if name == 'unseen' else ''}{short[row['method']]}": row[score]
        for name, rows in tables.items()
        for row in rows
        for score in ("psnr", "ssim")
        if row["method"] in short
    }
    where = dict(MEASURED_ON[family.name])
    if family.name == mrbcr.FAMILY.name:
        tables["specimens"] = by_kind(restore)
        tables["optics"] = [robust(restore, how, optics=replace(mrbcr.OPTICS, **CHANGES[how])) for how in CHANGES]
        tables["light"] = [robust(restore, how, dimmed=share) for how, share in DIMMED.items()]
    return {"tables": tables, "metrics": metrics, "measured_on": where}


def by_kind(restore: Restore) -> list[dict[str, Any]]:
    """PSNR of each kind of specimen, known and unseen; rows."""
    fields = deconvolution.fields(KNOWN, deconvolution.HELD_OUT_SEED, PER_KIND * len(KNOWN))
    fields += deconvolution.fields(UNSEEN, deconvolution.UNSEEN_SEED, PER_KIND * len(UNSEEN))
    kinds = [*KNOWN] * PER_KIND + [*UNSEEN] * PER_KIND
    rows = []
    for kind in (*KNOWN, *UNSEEN):
        own = [field for field, its in zip(fields, kinds, strict=True) if its is kind]
        found = {row["method"]: row["psnr"] for row in deconvolution.measured(own, {"m-rBCR": restore})}
        group = "structure" if kind in STRUCTURES else "texture" if kind in TEXTURES else "unseen" if kind in UNSEEN else "both"
        shown = {f"{name}, dB": digits(found[name], 2) for name in (INPUT, LUCY_BEST, "m-rBCR")}
        rows.append({"method": f"{kind.__name__} ({group})", **shown})
    return rows


def robust(restore: Restore, how: str, optics: Optics = mrbcr.OPTICS, dimmed: float = 1.0) -> dict[str, Any]:
    """PSNR on held-out specimens under other optics or light, Richardson-Lucy assuming the nominal microscope; one row."""
    rows: dict[str, list[float]] = {"input itself, dB": [], "RL, best, nominal PSF, dB": [], "m-rBCR, dB": []}
    for index in range(ROBUST_FIELDS):
        rng = np.random.default_rng((deconvolution.HELD_OUT_SEED, index))
        field = mrbcr.scene(rng, deconvolution.FIELD_PX, KNOWN[index % len(KNOWN)], optics, dimmed)
        classical = deconvolution.deconvolved(field, mrbcr.OPTICS)
        for key, image in zip(rows, (field.image, classical[LUCY_BEST], restore(field.image)), strict=True):
            rows[key].append(psnr(image, field.truth))
    return {"method": how, **{key: digits(np.mean(values), 2) for key, values in rows.items()}}


def spot(family: Family, weights: Weights) -> dict[str, float]:
    """PSNR and SSIM on the first few fields of each set, a few numbers that any machine gives again within 0.01."""
    restore = network(family, weights)
    found = {}
    for name, fields in sets(family, SPOT).items():
        name = name.replace("-", "_")
        images = [(restore(field.image), field.truth) for field in fields]
        found[f"psnr_{name}"] = digits(np.mean([psnr(*pair) for pair in images]))
        found[f"ssim_{name}"] = digits(np.mean([ssim(*pair) for pair in images]))
    return found


def draw(family: Family, weights: Weights, folder: Path) -> list[tuple[str, str]]:
    """Examples of held-out and unseen specimens, and the fields on which the network falls furthest behind Richardson-Lucy's best."""
    restore, found = network(family, weights), sets(family)
    compared = []
    for name, fields in found.items():
        for index, field in enumerate(fields[: 10 if name == "held-out" else 4]):
            classical = deconvolution.deconvolved(field)[LUCY_BEST]
            restored = restore(field.image)
            gain = psnr(restored, field.truth) - psnr(classical, field.truth)
            compared.append((gain, f"{name} {index + 1}\n{gain:+.1f} dB", field, classical, restored))
    titles = (INPUT, LUCY_BEST, "m-rBCR", "truth")

    def row(one: tuple[float, str, Field, Array, Array]) -> tuple[str, list[Array]]:
        _, label, field, classical, restored = one
        images = (fit(field.image, field.truth), fit(classical, field.truth), fit(restored, field.truth), field.truth)
        return label, [_plane(image, field.truth) for image in images]

    examples = [compared[place] for place in (0, 3, 5, -1)]
    worst = sorted(compared, key=lambda one: one[0])[:3]
    files = (f"{family.name}-examples.png", f"{family.name}-failures.png")
    for file, chosen in zip(files, (examples, worst), strict=True):
        grid(folder / file, titles, [row(one) for one in chosen])
    which = "stacks, the plane in which the truth is brightest" if family.name == mrbcr3d.FAMILY.name else "fields"
    return [
        (files[0], f"Examples ({which}); beside each, m-rBCR's PSNR minus that of Richardson-Lucy at its best iteration."),
        (files[1], f"Failure cases: of {len(compared)} {which}, those on which m-rBCR does worst compared with Richardson-Lucy's best."),
    ]


def _plane(image: Array, truth: Array) -> Array:
    """The plane of a stack in which the truth is brightest; an image as it is."""
    return image if image.ndim == 2 else image[int(truth.max((1, 2)).argmax())]


_SAME = (
    "every method fitted to the truth by one scale and offset; PSNR in dB of the truth's range; Wiener and Richardson-Lucy know the true "
    "PSF and camera offset, and 'best' is chosen with the truth of each image"
)
MEASURED_ON: Mapping[str, Mapping[str, str]] = {
    mrbcr.FAMILY.name: {
        "held-out": f"{deconvolution.HELD_OUT_FIELDS} simulated fields of {deconvolution.FIELD_PX} px, the ten kinds of specimen known "
        f"from training; {_SAME}",
        "unseen": f"{deconvolution.UNSEEN_FIELDS} fields of smooth tissue-like texture and shells, never trained or tuned on; {_SAME}",
        "specimens": f"the first {PER_KIND} fields of each kind: microscope structures, and textures like natural images, made by "
        "procedure",
        "optics": f"{ROBUST_FIELDS} held-out fields, seen by a microscope other than the nominal one; nobody tells the network, and "
        "Richardson-Lucy is given the nominal PSF",
        "light": f"the same {ROBUST_FIELDS} fields with less light and with more",
    },
    mrbcr3d.FAMILY.name: {
        "held-out": f"{STACKS} simulated stacks of {'x'.join(map(str, STACK_PX))} voxels, kinds of specimen known from training; {_SAME}",
        "unseen": f"{UNSEEN_STACKS} stacks of hollow spheres, never trained or tuned on; {_SAME}",
    },
}
_LOW, _HIGH = mrbcr.FAMILY.pixel_size_um
_LIMITS = (
    f"Point spread function: wide-field, NA {mrbcr.OPTICS.na:g}, emission {mrbcr.OPTICS.wavelength_nm:g} nm, oil (index "
    f"{mrbcr.OPTICS.index:g}), no aberration, specimen in focus.",
    f"Light: the brightest pixel has {mrbcr.PHOTONS[0]:g} to {mrbcr.PHOTONS[1]:g} photons above a background of 1 to 10, read noise 0.8 "
    "to 2 electrons.",
    "It invents what it expects: structures finer than the microscope's resolution are guesses from what training showed.",
)
_UNSUITED = (
    "Confocal, light-sheet or bright-field images, and other objectives: the blur is another one.",
    "Counting photons: intensities are restored up to one scale and offset.",
    "Diagnosis.",
)
IMAGES = Evaluation(
    measure=partial(measure, mrbcr.FAMILY),
    spot=partial(spot, mrbcr.FAMILY),
    draw=partial(draw, mrbcr.FAMILY),
    data=f"simulated filaments, puncta, rings, meshes and textures ({mrbcr.SIZE} x {mrbcr.SIZE} px, pixels of {_LOW * 1000:g} to "
    f"{_HIGH * 1000:g} nm); no real image was seen",
    suited=(
        f"Single planes of thin specimens in wide-field fluorescence, pixels of {_LOW:g} to {_HIGH:g} um, an objective near NA "
        f"{mrbcr.OPTICS.na:g}.",
    ),
    unsuited=_UNSUITED,
    limits=(
        *_LIMITS,
        "It is made to be small and fast: after equal training, some slower networks come nearer to the truth (table of peers).",
    ),
)
STACKS_OF_PLANES = Evaluation(
    measure=partial(measure, mrbcr3d.FAMILY),
    spot=partial(spot, mrbcr3d.FAMILY),
    draw=partial(draw, mrbcr3d.FAMILY),
    data=f"simulated threads, puncta, balls, tubes and clouds with depth ({'x'.join(map(str, mrbcr3d.SHAPE))} voxels, "
    f"{mrbcr.OPTICS.pixel_size_um:g} um pixels, planes {mrbcr3d.Z_STEP_UM:g} um apart); no real stack was seen",
    suited=(f"Wide-field stacks with planes {mrbcr3d.Z_STEP_UM:g} um apart and pixels of {mrbcr.OPTICS.pixel_size_um:g} um.",),
    unsuited=_UNSUITED,
    limits=_LIMITS,
)
