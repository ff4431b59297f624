"""m-rBCR's card: eight blurs, conditions one by one, the reference microscope, kinds of specimens, failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from zooready.evaluation import deconvolution, deconvolution_cards, microscope_range
from zooready.evaluation.contract import Evaluation, Weights, digits
from zooready.evaluation.deconvolution import INPUT, LUCY_BEST, Restore
from zooready.families import mrbcr
from zooready.records import Family
from zooready.simulate import microscopes
from zooready.simulate.fields import Field
from zooready.simulate.specimens import STRUCTURES, TEXTURES
from zooready.simulate.unseen import UNSEEN

PER_KIND = 3  # fields of each kind of specimen, in the table by kind
PER_BLUR, UNSEEN_PER_BLUR, PER_CONDITION = 20, 8, 10  # fields
KNOWN = tuple(dict.fromkeys(mrbcr.SPECIMENS))
BLUR, BLUR_UNSEEN = "eight blurs, held-out", "eight blurs, unseen"
OBJECTIVES = (  # magnification, NA
    ("10x", 0.3),
    ("10x", 0.45),
    ("20x", 0.75),
    ("40x", 0.95),
    ("40x", 1.3),
    ("60x", 1.4),
    ("63x", 1.4),
    ("100x", 1.4),
)
At = Callable[[Restore, float], Restore]
CAMERA_UM = 6.5  # pixel of common sCMOS cameras
EMISSION_NM = 520.0


def sets(most: int | None = None) -> dict[str, list[Field]]:
    """Held-out and unseen fields of the reference microscope; the first ``most`` of each, all if None."""

    def first(count: int) -> int:
        return min(count, most or count)

    return {
        "held-out": deconvolution.fields(KNOWN, deconvolution.HELD_OUT_SEED, first(deconvolution.HELD_OUT_FIELDS)),
        "unseen": deconvolution.fields(UNSEEN, deconvolution.UNSEEN_SEED, first(deconvolution.UNSEEN_FIELDS)),
    }


@dataclass(frozen=True)
class _Known:
    """Weights that a cache can tell from others."""

    digest: str
    family: Family = field(compare=False)
    weights: Weights = field(compare=False)
    at: At = field(compare=False)


def ranges(family: Family, weights: Weights, at: At) -> dict[str, list[dict[str, Any]]]:
    """The tables of the eight blurs, measured once for the tables and the picture."""
    digest = sha256(b"".join(tensor.numpy().tobytes() for tensor in weights.values())).hexdigest()
    return _ranges(_Known(digest, family, weights, at))


@lru_cache(maxsize=1)
def _ranges(known: _Known) -> dict[str, list[dict[str, Any]]]:
    restore = deconvolution_cards.restoring(known.family, known.weights)
    return {
        name: [
            row
            for blur in microscope_range.BLURS_PX
            for row in microscope_range.by_blur(known.at(restore, blur), {blur: microscope_range.scenes(kinds, seed, blur, count)})
        ]
        for name, kinds, seed, count in (
            (BLUR, KNOWN, microscope_range.HELD_OUT_SEED, PER_BLUR),
            (BLUR_UNSEEN, UNSEEN, microscope_range.UNSEEN_SEED, UNSEEN_PER_BLUR),
        )
    }


def as_it_is(restore: Restore, blur_px: float) -> Restore:
    """A method that is told nothing."""
    return restore


def measure(family: Family, weights: Weights, at: At = as_it_is, told: str = "nothing") -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers; plain data.

    ``at`` makes of a network the method for images of one blur, px, and ``told`` says what it is told of the microscope.
    """
    restore = deconvolution_cards.restoring(family, weights)
    tables = {**ranges(family, weights, at), "conditions": microscope_range.by_condition(restore, KNOWN, PER_CONDITION)}
    measured = deconvolution_cards.measure(family, sets, measured_on(told), weights)
    tables |= {**measured["tables"], "specimens": by_kind(restore), "objectives": objectives()}
    return {**measured, "tables": tables, "metrics": {**measured["metrics"], **microscope_range.means(tables[BLUR])}}


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


def objectives() -> list[dict[str, Any]]:
    """Common objectives: the blur on a common camera, and the pixels that suit them, micrometres; one row each."""
    rows = []
    for magnification, na in OBJECTIVES:
        pixel_um, smallest_um, largest_um = (
            CAMERA_UM / int(magnification[:-1]),
            *(EMISSION_NM / 1000 / na / blur for blur in reversed(microscopes.BLUR_PX)),
        )
        rows.append(
            {
                "method": f"{magnification} / {na:g}",
                f"blur with {CAMERA_UM:g} um camera pixels, px": digits(EMISSION_NM / 1000 / na / pixel_um, 1),
                "smallest pixel in the specimen, um": digits(smallest_um, 3),
                "largest, um": digits(largest_um, 3),
            }
        )
    return rows


def draw(family: Family, weights: Weights, folder: Path, at: At = as_it_is, told: str = "nothing") -> list[tuple[str, str]]:
    """The gain over the range, examples and failures of the reference microscope."""
    file = f"{family.name}-range.png"
    microscope_range.draw(ranges(family, weights, at), folder / file)
    caption = f"Gain over the input from the sharpest to the most blurred microscope; the network is told {told}, Richardson-Lucy the PSF."
    return [(file, caption), *deconvolution_cards.draw(family, sets, weights, folder)]


_LOW, _HIGH = microscopes.BLUR_PX
_REFERENCE = (
    f"one microscope: NA {mrbcr.OPTICS.na:g}, {mrbcr.OPTICS.wavelength_nm:g} nm, pixels of {mrbcr.OPTICS.pixel_size_um:g} um, in focus"
)


def measured_on(told: str = "nothing") -> dict[str, str]:
    """On what each table was measured; ``told`` is what the network is told of the microscope."""
    reference = _REFERENCE + (", which the network is not told" if told == "nothing" else "")
    return {
        BLUR: f"{PER_BLUR} fields of {deconvolution.FIELD_PX} px for each blur, wavelength / (NA x pixel size), the ten kinds of specimens "
        f"used in training; random NA, wavelength, immersion, spherical aberration up to {microscopes.SPHERICAL_WAVES:g} waves rms, focus, "
        f"camera, and {microscopes.PHOTONS[0]:g} to {microscopes.PHOTONS[1]:,.0f} photons in the brightest pixel; haze in half of the "
        f"fields. The network is told {told}. Richardson-Lucy knows the camera offset and a PSF, and its iteration is chosen with the "
        "truth; in turns the wrong PSF is a fifth too wide and a fifth too narrow (at 4 px always too wide)",
        BLUR_UNSEEN: f"{UNSEEN_PER_BLUR} fields for each blur, of kinds not used for training or tuning; otherwise as above",
        "conditions": f"{PER_CONDITION} held-out fields of {reference}; one condition changed at a time",
        "held-out": f"{deconvolution.HELD_OUT_FIELDS} simulated fields of {deconvolution.FIELD_PX} px, the ten kinds of specimens used "
        f"in training; {reference}; {deconvolution_cards.METHOD}",
        "unseen": f"{deconvolution.UNSEEN_FIELDS} fields of smooth tissue-like texture and shells, not used for training or tuning; "
        f"{reference}; {deconvolution_cards.METHOD}",
        "specimens": f"the first {PER_KIND} fields of each kind, {reference}: microscope structures, and textures like natural images, "
        "made by procedure",
        "objectives": f"computed for {EMISSION_NM:g} nm emission, not measured. The blur must be {_LOW:g} to {_HIGH:g} px; below {_LOW:g} "
        "px the camera's pixels are too coarse for the objective, and the network was not trained for that",
    }


EVALUATION = Evaluation(
    measure=partial(measure, mrbcr.FAMILY),
    spot=partial(deconvolution_cards.spot, mrbcr.FAMILY, sets),
    draw=partial(draw, mrbcr.FAMILY),
    data=f"simulated filaments, puncta, rings, meshes and textures ({mrbcr.SIZE} x {mrbcr.SIZE} px) in {microscopes.NUMBER} random "
    f"wide-field microscopes with blurs of {_LOW:g} to {_HIGH:g} px, beginning with the weights of a network for the reference microscope "
    "alone; grainy specimens only since step 1,500, thick ones and Gaussian blur only since step 5,400, unevenly bound dye only since step "
    "7,000; no real images were used",
    suited=(
        f"Single planes in wide-field fluorescence, any objective, dye and camera for which wavelength / (NA x pixel size) is {_LOW:g} to "
        f"{_HIGH:g} px (table of objectives). Nothing need be known or told of the microscope.",
    ),
    unsuited=(
        "Confocal, light-sheet or bright-field images: their blur is different.",
        f"Pixels so coarse that the blur is below {_LOW:g} px, or magnification so high that it is above {_HIGH:g} px.",
        "Counting photons: intensities are restored up to one scale and offset.",
        "Diagnosis.",
    ),
    limits=(
        f"Point spread function: wide-field, blur of {_LOW:g} to {_HIGH:g} px, spherical aberration up to {microscopes.SPHERICAL_WAVES:g} "
        "waves rms, specimen within half a depth of field of the focus.",
        f"Light: the brightest pixel has {microscopes.PHOTONS[0]:g} to {microscopes.PHOTONS[1]:,.0f} photons, read noise "
        f"{microscopes.READ_NOISE[0]:g} to {microscopes.READ_NOISE[1]:g} photons.",
        "It can invent structures: details finer than the microscope's resolution are guesses based on its training images.",
        "Light of neighbouring planes can mislead it: planes of thick stacks of others gained little, and some came back worse "
        "(table of real images).",
        "Richardson-Lucy, stopped at the best of its iterations, is about as accurate if the PSF is known to 20 % (table of eight blurs); "
        "in practice nobody knows that iteration.",
        "It is made to be small and fast, and to be told nothing: a network trained for one microscope only is more accurate there.",
    ),
)
