"""Confocal to STED, short trainings from nothing on equal pairs: other networks, what beads teach, and whether two seeds agree.

    python benchmarks/superresolution.py train --out runs/superresolution            every run, one after the other; can be stopped
    python benchmarks/superresolution.py measure --out runs/superresolution          tables and a picture, into superres-sted's record
                                                                                     and model_cards/; then `zooready list --cards`

- Peers: the published generator of 16 channels at full size, with the family's loss and with its own, Richardson-Lucy unrolled with a
  small shared correction, and the wavelet network of the family, 600 steps of 8 on the same pairs.
- Transfer: the wavelet network learns beads alone, then all specimens for 75 to 600 steps, beside the same from nothing.
- Agreement: two wavelet networks that differ in seed alone (weights and pairs), on specimens that neither has seen. Where they disagree,
  is there an error? Both were trained for 600 steps only, so they disagree more than two longer trainings would.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recording import CARDS, put
from scipy import stats

from zooready.evaluation import deconvolution, resolution, superres
from zooready.evaluation.deconvolution import Restore
from zooready.evaluation.grids import grid
from zooready.families import superres as families
from zooready.images.similarity import fit, psnr
from zooready.records import Array, Family, Pair, Part
from zooready.simulate.fields import Field
from zooready.training import checkpoint
from zooready.training.loop import train
from zooready.training.warm_start import Start

FAMILY, STEP = families.STED_FAMILY, families.CONFOCAL_TO_STED
STEPS, BEAD_STEPS, BATCH, STRIDE = 600, 400, 8, 16
POINTS = (75, 150, 300, STEPS)  # steps after which the curve of transfer is measured, each a training of its own
OWN, OTHER, BEADS = "wavelet network (this family)", "wavelet network, another seed", "beads"
AGAINST = {"published generator and loss, against the discriminator": 0.1}  # weight of the adversarial term
GENERATOR = Part(path="zooready.nets.superres.Generator", kwargs={"width": 16})
PEERS: Mapping[str, Part] = {
    OWN: FAMILY.network.architecture,
    "published generator, 16 channels": GENERATOR,
    **dict.fromkeys(AGAINST, GENERATOR),
    "Richardson-Lucy unrolled, 10 iterations": Part(path="peers.UnrolledLucy"),
}
APART_NM = (150.0, 180.0, 240.0)
PICTURE = "superres-sted-seeds.png"
LOUDEST = 0.1  # share of the pixels, those in which two networks disagree most


def beads_pair(seed: int, index: int) -> Pair:
    """Pair number `index` of points alone and in twos: the family's pair of another specimen."""
    rng = np.random.default_rng((seed, index))
    specimen = (families.nanobeads, families.twins)[rng.integers(2)]
    field = families.scene(rng, families.mrbcr.SIZE, specimen, STEP, float(rng.choice(families.WIDTHS)))
    return Pair(input=field.image[None].astype(np.float32), target=field.truth[None], pixel_size_um=STEP.pixel_size_um)


def family(name: str = OWN, *, steps: int = STEPS, beads: bool = False) -> Family:
    """The family with another network or on beads alone."""
    training = replace(FAMILY.training, recipe=replace(FAMILY.training.recipe, steps=steps, batch=BATCH))
    training = replace(training, pair=beads_pair) if beads else training
    return replace(FAMILY, network=replace(FAMILY.network, architecture=PEERS.get(name, PEERS[OWN])), training=training)


def place(out: Path, *words: object) -> Path:
    """The folder of a run."""
    return out / "".join(letter if letter.isalnum() else "-" for letter in "-".join(map(str, words)).lower())


def trained(out: Path) -> None:
    """Train all runs that have not finished, the dearest last."""
    beads = train(family(steps=BEAD_STEPS, beads=True), place(out, BEADS), is_quiet=True)
    start = Start(weights=beads.state_dict(), words="the same network after beads alone")
    for steps in POINTS:
        train(family(steps=steps), place(out, "after beads", steps), start=start, is_quiet=True)
        train(family(steps=steps), place(out, OWN, steps), is_quiet=True)
    train(family(), place(out, OTHER), seed=1, is_quiet=True)
    for name in tuple(PEERS)[1:]:
        train(family(name), place(out, name), adversary=AGAINST.get(name), is_quiet=True)


def method(folder: Path, name: str = OWN) -> Restore:
    """A trained network as a method: counts (y, x) in, the same shape out."""
    network = PEERS[name].build().eval()
    network.load_state_dict(checkpoint.read(folder).state_dict())
    return deconvolution.restorer(network, STRIDE)


def mean_psnr(restore: Restore) -> dict[str, float]:
    """Mean PSNR over the card's fields, dB."""
    sets = superres.sets(STEP)
    return {
        f"psnr_{name}": round(float(np.mean([psnr(restore(field.image), field.truth) for field in of])), 2) for name, of in sets.items()
    }


def peers(out: Path) -> list[dict[str, Any]]:
    """One row a network, with what it resolves."""
    places = {name: place(out, OWN, STEPS) if name == OWN else place(out, name) for name in PEERS}
    methods = {name: method(folder, name) for name, folder in places.items()}

    def of(field: Field) -> dict[str, Array]:
        return {name: restore(field.image) for name, restore in methods.items()}

    size, pixel_nm = deconvolution.FIELD_PX, 1000 * STEP.pixel_size_um
    scene = partial(families.scene, step=STEP)
    settings = {"seed": superres.POINT_SEED, "fields": superres.POINT_FIELDS, "size": size, "apart_nm": APART_NM, "pixel_nm": pixel_nm}
    rows = {str(row.pop("method")): row for row in resolution.measured(scene, of, **settings)}
    found = []
    for name, restore in methods.items():
        numbers = sum(weights.numel() for weights in PEERS[name].build().parameters())
        resolved = {key: round(float(value), 3) for key, value in rows[name].items()}
        seconds = checkpoint.read(places[name]).seconds
        found.append({"method": name, "parameters": numbers, "training, min": round(seconds / 60, 1), **mean_psnr(restore), **resolved})
    return found


def transfer(out: Path) -> list[dict[str, Any]]:
    """The curve: one row a number of steps."""
    rows = [{"method": "beads alone", "steps": BEAD_STEPS, **mean_psnr(method(place(out, BEADS)))}]
    for steps in POINTS:
        for words, folder in (("from nothing", place(out, OWN, steps)), ("after beads", place(out, "after beads", steps))):
            rows.append({"method": f"{words}, {steps} steps", "steps": steps, **mean_psnr(method(folder))})
    return rows


def agreement(out: Path) -> tuple[list[dict[str, Any]], list[tuple[str, list[Array]]]]:
    """Rows, and rows of the picture: input, both networks, how far they are apart, the error of their mean, the truth."""
    one, other = method(place(out, OWN, STEPS)), method(place(out, OTHER))
    rows, drawn = [], []
    for title, fields in superres.sets(STEP).items():
        found = []
        for index, field in enumerate(fields):
            first, second = fit(one(field.image), field.truth), fit(other(field.image), field.truth)
            reach = float(np.ptp(field.truth))
            apart, error = np.abs(first - second) / reach, np.abs((first + second) / 2 - field.truth) / reach
            loud = apart >= np.quantile(apart, 1 - LOUDEST)
            share = float((error[loud] ** 2).sum() / (error**2).sum())
            found.append((psnr(first, second), float(stats.spearmanr(apart.ravel(), error.ravel()).statistic), share))
            if (title, index) in (("unseen", 0), ("held-out", 3)):
                kinds = superres.UNSEEN if title == "unseen" else superres.KNOWN
                drawn.append((kinds[index % len(kinds)].__name__, [field.image, first, second, apart, error, field.truth]))
        values = np.mean(found, 0)
        rows.append(
            {
                "method": f"{title} ({len(fields)} fields)",
                "one against the other, PSNR in dB": round(float(values[0]), 2),
                "rank correlation of disagreement and error": round(float(values[1]), 3),
                "squared error in the tenth of the pixels that disagree most": round(float(values[2]), 3),
            }
        )
    return rows, drawn


WORDS = {
    "peers": f"the fields of the tables held-out and unseen; every network trained from nothing on equal pairs ({STEPS} steps of {BATCH}, "
    "Muon, seed 0) on one core: short training; python benchmarks/superresolution.py",
    "transfer": f"the fields of the tables held-out and unseen; the family's network, {BEAD_STEPS} steps on beads alone and then on all "
    "specimens, beside training from nothing; each number of steps is a training of its own; python benchmarks/superresolution.py",
    "two seeds": f"the fields of the tables held-out and unseen; two networks of this family, {STEPS} steps each, that differ in the seed "
    "of weights and pairs alone. The shipped weights were trained much longer; python benchmarks/superresolution.py",
}
CAPTION = (
    "Where two networks of different seed disagree, after short training: the confocal image, what each makes of it, how far they are "
    "apart, the error of their mean, and the truth. Each panel has its own contrast."
)


def main() -> None:
    """Train or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "measure"))
    parser.add_argument("--out", type=Path, default=Path("runs/superresolution"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.what == "train":
        trained(arguments.out)
        return
    rows, drawn = agreement(arguments.out)
    tables = {"peers": peers(arguments.out), "transfer": transfer(arguments.out), "two seeds": rows}
    titles = ("confocal", "one seed", "another seed", "disagreement", "error of the mean", "truth (STED)")
    grid(CARDS / PICTURE, titles, drawn, shared=False)
    put(FAMILY.name, tables, WORDS, picture=PICTURE, caption=CAPTION)


if __name__ == "__main__":
    main()
