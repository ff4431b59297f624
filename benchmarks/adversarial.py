"""What the adversarial term buys confocal to STED: equal training with and without it, from the same weights, measured on the same fields.

    python benchmarks/adversarial.py train --out runs/adversarial            every run, one after the other; can be stopped
    python benchmarks/adversarial.py measure --out runs/adversarial          the table, into benchmarks/adversarial.json

Every run begins with the shipped weights and sees the same pairs in the same order. With weight 0 the loss is squared error and structural
similarity alone. The discriminator begins untrained, as published. This is short training. The shipped network is measured with and without
its last step, which sharpens; the others without.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zooready.evaluation import deconvolution_cards, resolution, superres
from zooready.evaluation.deconvolution import Restore
from zooready.families import load_weights
from zooready.families import superres as families
from zooready.images.similarity import Image2D, fit
from zooready.images.whole_files import whole_file
from zooready.records import Family
from zooready.simulate.fields import Field
from zooready.training import checkpoint
from zooready.training.loop import train
from zooready.training.warm_start import Start

FAMILY, STEP = families.STED_FAMILY, families.CONFOCAL_TO_STED
WEIGHTS = (0.0, 0.1)  # of the adversarial term
STEPS, BATCH, RATE = 600, 8, 5e-4  # a low rate, because the weights are trained
FIELDS = 24  # of each set
APART_NM = (120.0, 150.0, 180.0)
BAND_PER_UM = (1 / 0.29, 1 / 0.11)  # frequencies that the confocal microscope hardly passes and the STED microscope shows
RESULT = Path(__file__).with_suffix(".json")


def trained(out: Path) -> None:
    """Train all runs that have not finished."""
    start = Start(weights=load_weights(FAMILY.name), words=f"{FAMILY.name}, as shipped")
    settings: dict[str, Any] = {"steps": STEPS, "batch": BATCH, "learning_rate": RATE, "seed": 7, "start": start}
    for weight in WEIGHTS:
        train(FAMILY, out / f"{weight:g}", adversary=weight, **settings)


def power_db(image: Image2D, truth: Image2D) -> float:
    """Power of the image over that of the truth, dB, at the frequencies of the band; after the fit of PSNR."""
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(side, STEP.pixel_size_um) for side in truth.shape), indexing="ij"))
    band = (frequency >= BAND_PER_UM[0]) & (frequency <= BAND_PER_UM[1])
    window = np.outer(*(np.hanning(side) for side in truth.shape))
    own, true = (
        np.square(np.abs(np.fft.fft2(window * (plane - plane.mean()))))[band].sum() for plane in (fit(image, truth), truth.astype(float))
    )
    return float(10 * np.log10(own / true))


def row(name: str, restore: Restore) -> dict[str, Any]:
    """Everything that is measured of one method."""
    result: dict[str, Any] = {"method": name}
    for title, fields in superres.sets(STEP, FIELDS).items():
        scores = [deconvolution_cards.psnr(restore(field.image), field.truth) for field in fields]
        textures = [deconvolution_cards.ssim(restore(field.image), field.truth) for field in fields]
        powers = [power_db(restore(field.image), field.truth) for field in fields]
        result |= {f"psnr_{title}": round(float(np.mean(scores)), 2), f"ssim_{title}": round(float(np.mean(textures)), 4)}
        result[f"power_{title}_db"] = round(float(np.mean(powers)), 2)

    def methods(field: Field) -> dict[str, Image2D]:
        return {name: restore(field.image)}

    resolved = resolution.measured(
        partial(families.scene, step=STEP),
        methods,
        seed=superres.POINT_SEED,
        fields=superres.POINT_FIELDS,
        size=superres.deconvolution.FIELD_PX,
        apart_nm=APART_NM,
        pixel_nm=1000 * STEP.pixel_size_um,
    )
    return result | {key: value if isinstance(value, str) else round(value, 3) for key, value in resolved[0].items()}


def shares(out: Path, weight: float) -> dict[str, float]:
    """Shares of the terms in the loss over the last third of a run, and the discriminator's own loss there."""
    lines = (out / f"{weight:g}" / "log.csv").read_text().splitlines()
    names = lines[0].split(",")[5:]
    values = np.array([[float(value) for value in line.split(",")[5:]] for line in lines[1:]])[-STEPS // 3 :].mean(0)
    terms = dict(zip(names, values, strict=True))
    own = terms.pop("discriminator", None)
    found = {f"share of {name}": round(value / sum(terms.values()), 3) for name, value in terms.items()}
    return found if own is None else {**found, "discriminator's loss": round(own, 3)}


def measured(out: Path) -> list[dict[str, Any]]:
    """Rows of all runs, after that of the shipped weights."""
    plain = replace(FAMILY, network=replace(FAMILY.network, head=None))
    shipped = load_weights(FAMILY.name)
    methods: list[tuple[str, Family, Any, dict[str, float]]] = [("shipped", FAMILY, shipped, {}), ("not sharpened", plain, shipped, {})]
    for weight in WEIGHTS:
        methods.append((f"adversary {weight:g}", plain, checkpoint.read(out / f"{weight:g}").state_dict(), shares(out, weight)))
    return [row(name, deconvolution_cards.restoring(family, weights)) | terms for name, family, weights, terms in methods]


def main() -> None:
    """Train or measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "measure"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.what == "train":
        trained(arguments.out)
        return
    recipe = {"steps": STEPS, "batch": BATCH, "learning_rate": RATE, "fields of each set": FIELDS, "band_per_um": BAND_PER_UM}
    with whole_file(RESULT) as file:
        file.write((json.dumps({"recipe": recipe, "rows": measured(arguments.out)}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
