"""A restoration network over the whole range of microscopes that it was trained for: rows per blur, conditions one by one, a picture.

The network is told nothing. Richardson-Lucy gets the camera offset, and the true point spread function (PSF) or one that is a fifth
too wide or too narrow, as happens when NA, wavelength or pixel size are not what they are believed to be; its iteration is chosen
with the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zooready.evaluation import deconvolution
from zooready.evaluation.contract import digits
from zooready.evaluation.deconvolution import LUCY_IN_STACKS, Restore, richardson_lucy
from zooready.evaluation.grids import save
from zooready.families import mrbcr, mrbcr3d
from zooready.images.similarity import psnr
from zooready.simulate import microscopes
from zooready.simulate.camera import Camera
from zooready.simulate.fields import Field, Haze, field
from zooready.simulate.modalities import Gaussian
from zooready.simulate.specimens import Specimen
from zooready.simulate.volumes import Float, Shape

BLURS_PX = (4.0, 5.0, 6.0, 7.5, 9.2, 11.0, 13.0, 16.0)
HELD_OUT_SEED, UNSEEN_SEED, CONDITION_SEED = 4_150_001, 4_150_002, 4_150_003  # never used in training, whose seeds are small
LUCY_ITERATIONS = LUCY_IN_STACKS  # tried for "best": up to 100
WRONG = 1.2  # width of the wrong PSF over the true one, and the other way round
INPUT, TRUE, FALSE, OWN = "input itself, dB", "RL, best, true PSF, dB", "RL, best, PSF 20 % wrong, dB", "m-rBCR, dB"
GAIN, WORST = "m-rBCR minus input, dB", "the same, worst field, dB"
DEPTHS = "depths of field out of focus"
CONDITIONS: Mapping[str, dict[str, Any]] = {  # one thing other than in the first row
    "in focus, no aberration, no haze, 300 photons": {},
    "spherical aberration of 0.1 waves rms": {"spherical_waves": 0.1},
    "spherical aberration of 0.2 waves rms": {"spherical_waves": 0.2},
    f"0.25 {DEPTHS}": {"depths": 0.25},
    f"0.5 {DEPTHS}": {"depths": 0.5},
    f"1 {DEPTHS} (more than in training)": {"depths": 1.0},
    "half as much haze as light in focus": {"haze": 0.5},
    "twice as much haze as light in focus": {"haze": 2.0},
    "four times as much (more than in training)": {"haze": 4.0},
    "20 photons": {"photons": 20.0},
    "1,000 photons": {"photons": 1000.0},
    "5,000 photons": {"photons": 5000.0},
    "a camera of coarse steps, 5 photons a count": {"gain": 0.2},
    "a camera with read noise of 4 photons": {"read_noise": 4.0},
}


def scenes(kinds: Sequence[Specimen], seed: int, blur: float, count: int) -> list[Field]:
    """Planes by microscopes of one blur, px, each with its own NA, wavelength, aberration, focus, haze, light and camera."""
    made = []
    for index in range(count):
        rng = np.random.default_rng((seed, round(10 * blur), index))
        optics = microscopes.microscope(rng, blur)
        made.append(mrbcr.any_scene(rng, deconvolution.FIELD_PX, kinds[index % len(kinds)], optics))
    return made


def stacks(kinds: Sequence[Callable[..., Float]], seed: int, blur: float, count: int, shape: Shape) -> list[Field]:
    """Stacks by microscopes of one blur, px, each with its own NA, wavelength, aberration, distance of planes, light and camera."""
    made = []
    for index in range(count):
        rng = np.random.default_rng((seed, round(10 * blur), index))
        optics = microscopes.microscope(rng, blur)
        z_step_um = microscopes.z_step_um(rng, optics)
        specimen = partial(kinds[index % len(kinds)], aspect=z_step_um / optics.pixel_size_um)
        light = mrbcr.any_exposure(rng)
        made.append(mrbcr3d.stack_with_content(rng, shape, specimen, optics=optics, z_step_um=z_step_um, **light))
    return made


def means(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of a table of :func:`by_blur`, the numbers that a family's statement of quality names."""
    names = {"psnr_range": OWN, "psnr_range_input": INPUT, "psnr_range_rl_best": TRUE}
    return {key: digits(sum(row[name] for row in rows) / len(rows), 2) for key, name in names.items()}


def wrong(field: Field, wider: bool) -> Field:
    """The same field, its microscope believed to blur a fifth more or less; more at the Nyquist limits, below which none blurs."""
    optics, modality = field.optics, field.modality
    if isinstance(modality, Gaussian):
        factor = WRONG if wider else 1 / WRONG
        return replace(field, modality=Gaussian(across_um=factor * modality.across_um, along_um=factor * modality.along_um))
    wide = replace(field, optics=replace(optics, wavelength_nm=optics.wavelength_nm * WRONG))
    if wider or optics.wavelength_nm / WRONG / 1000 / (4 * optics.na) < optics.pixel_size_um:
        return wide
    narrow = replace(optics, wavelength_nm=optics.wavelength_nm / WRONG)
    return replace(field, optics=narrow) if narrow.nyquist_z_um >= (field.z_step_um or 0.0) else wide


def lucy_best(field: Field, assumed: Field) -> float:
    """PSNR of Richardson-Lucy with the microscope of ``assumed``, at the iteration that is best against the truth."""
    light = (field.image.astype(np.float64) - field.camera.offset) / field.camera.gain
    estimates = richardson_lucy(light, assumed.optics, LUCY_ITERATIONS, field.z_step_um, assumed.modality)
    return max(psnr(image, field.truth) for image in estimates.values())


def by_blur(restore: Restore, made: Mapping[float, Sequence[Field]], words: str = "blur of {blur:g} px") -> list[dict[str, Any]]:
    """One row for each blur, px, of its fields: mean PSNR of the methods, and what the network gains over its input on the worst field.

    ``words`` names a row.
    """
    rows = []
    for blur, images in made.items():
        scores = np.array(
            [
                (
                    psnr(field.image, field.truth),
                    lucy_best(field, field),
                    lucy_best(field, wrong(field, index % 2 == 0)),
                    psnr(restore(field.image), field.truth),
                )
                for index, field in enumerate(images)
            ]
        )
        means = {name: digits(value, 2) for name, value in zip((INPUT, TRUE, FALSE, OWN), scores.mean(0), strict=True)}
        gains = scores[:, -1] - scores[:, 0]
        rows.append({"method": words.format(blur=blur), **means, GAIN: digits(gains.mean(), 2), WORST: digits(gains.min(), 2)})
    return rows


def condition(
    index: int,
    kinds: Sequence[Specimen],
    *,
    spherical_waves: float = 0.0,
    depths: float = 0.0,
    haze: float = 0.0,
    photons: float = 300.0,
    gain: float = 1.0,
    read_noise: float = 1.5,
) -> Field:
    """Field number `index` by the microscope `mrbcr.OPTICS`, which blurs by 9.2 px, under stated conditions; see `CONDITIONS`."""
    depth_um = mrbcr.OPTICS.wavelength_nm / 1000 * mrbcr.OPTICS.index / mrbcr.OPTICS.na**2
    optics = replace(mrbcr.OPTICS, z_um=depths * depth_um, zernike=((4, 0, spherical_waves),))
    heights_um = tuple(sign * depth * depth_um for depth in microscopes.HAZE_DEPTHS for sign in (-1, 1))
    return field(
        np.random.default_rng((CONDITION_SEED, index)),
        deconvolution.FIELD_PX,
        kinds[index % len(kinds)],
        optics=optics,
        camera=Camera(gain=gain, read_noise=read_noise),
        photons=photons,
        background=5.0,
        haze=Haze(heights_um=heights_um, share=haze, turns=1) if haze else None,
    )


def by_condition(restore: Restore, kinds: Sequence[Specimen], count: int) -> list[dict[str, Any]]:
    """One row for each of `CONDITIONS`."""
    rows = []
    for words, change in CONDITIONS.items():
        fields = [condition(index, kinds, **change) for index in range(count)]
        methods: dict[str, Callable[[Field], float]] = {
            INPUT: lambda field: psnr(field.image, field.truth),
            TRUE: lambda field: lucy_best(field, field),
            OWN: lambda field: psnr(restore(field.image), field.truth),
        }
        rows.append({"method": words, **{name: digits(np.mean([of(field) for field in fields]), 2) for name, of in methods.items()}})
    return rows


def draw(tables: Mapping[str, Sequence[Mapping[str, Any]]], path: Path, blurs: Sequence[float] = BLURS_PX) -> None:
    """A PNG of the gain over the input at every blur, px; one panel for each table of :func:`by_blur`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for axes, (title, rows) in zip(panels, tables.items(), strict=True):
        for name, style in ((TRUE, "C0--"), (FALSE, "C0:"), (OWN, "C1-o")):
            axes.plot(blurs, [row[name] - row[INPUT] for row in rows], style, label=name.removesuffix(", dB"))
        axes.plot(blurs, [row[WORST] for row in rows], "C1:", label="m-rBCR, worst field")
        axes.axhline(0, color="grey", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xticks(blurs, [f"{blur:g}" for blur in blurs])
        axes.minorticks_off()
        axes.set(title=title, xlabel="blur: wavelength / (NA x pixel size), px")
    panels[0].set_ylabel("PSNR over the input's, dB")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    save(figure, path)
