"""m-rBCR beside its peers and its own variants: trained by one recipe on the same pairs, measured on the same fields.

    python benchmarks/deconvolution.py train --out runs/deconvolution            every network, one after the other; can be stopped
    python benchmarks/deconvolution.py measure --out runs/deconvolution          the tables, into benchmarks/deconvolution.json and the card

All of a table see the same pairs in the same order, so the same number of pixels. For one microscope alone: peers 1500 steps of 8 pairs
of 96 x 96 px, with Muon as the family and, in a second table, with AdamW; variants 500 steps with AdamW. Over the range: peers 600 steps
of the family's own pairs, loss and guard, with Muon. That is short training for all of them; the comparison is of what a network makes of
equal data, not of what it can reach. The shipped weights were trained longer. The learning rate is the one at which U-Net, CARE and RCAN
did better after 500 steps of AdamW than at half of it, and m-rBCR after 1500 of Muon than at half or twice it. `measure` measures the
tables of which a network is in the folder; others stay as they are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recording import put
from torch.utils.flop_counter import FlopCounterMode

from zooready.evaluation import deconvolution as evaluation
from zooready.evaluation import microscope_range
from zooready.families import load_record, load_weights, mrbcr
from zooready.images.similarity import Image2D
from zooready.images.whole_files import whole_file
from zooready.records import Family, Pair, Part, Training
from zooready.simulate.fields import Field
from zooready.simulate.unseen import UNSEEN
from zooready.training import checkpoint
from zooready.training.loop import train

PIXEL_SIZES_UM = (0.045, 0.0475, 0.05, 0.0525, 0.055)  # of the one microscope that all networks here are trained for
MUON = replace(mrbcr.FAMILY.training.recipe, steps=1500, learning_rate=2e-3)
ADAMW = replace(MUON, optimizer="AdamW")
STRIDE = 16  # px, that every network here takes
HIDDEN = 0.015  # share of the pixels that a blind-spot network must guess
RESULT = Path(__file__).with_suffix(".json")
PER_BLUR, UNSEEN_PER_BLUR = 10, 4  # fields of each of the eight blurs, as the first of the tables of eight blurs
ALONE = "the fields of the tables held-out and unseen; every network trained for these tables and this one microscope alone"
RANGE = (
    f"the first {PER_BLUR} and {UNSEEN_PER_BLUR} fields of each of the eight blurs in the tables of eight blurs; every network trained for "
    "this table, on the pairs of the family, over the whole range of microscopes, with its loss and guard"
)
WORDS = (
    "{fields}, on equal pairs ({steps} steps of {batch}, {optimizer}, seed 0): short training; products are multiplications by weights; "
    "python benchmarks/deconvolution.py"
)


def bcr(**settings: int) -> Part:
    """A true BCR network."""
    return Part(path="zooready.nets.bcr.BCR", kwargs=settings)


ABLATION: Mapping[str, Part] = {  # 236,630 to 270,532 parameters, but for "isotropic" (310,486); pairs of convolutions change places
    "released (1x5)": Part(path="zooready.nets.rbcr.RBCR", kwargs={"kernel": "released"}),
    "released, 1x5 and 5x1": Part(path="zooready.nets.rbcr.RBCR", kwargs={"kernel": "alternating"}),
    "released, isotropic 3x3": Part(path="zooready.nets.rbcr.RBCR", kwargs={"kernel": "isotropic"}),
    "BCR, 1 level": bcr(levels=1, inverse=14),
    "BCR, 2 levels": bcr(levels=2, depth=3, inverse=11),
    "BCR, 3 levels": bcr(levels=3, depth=3, inverse=8),
    "BCR, 3 levels, 2 resolutions": bcr(levels=3, depth=1, inverse=4, resolutions=2),
    "BCR, 3 levels, 3 resolutions": bcr(levels=3, depth=1, inverse=2, resolutions=3),
}
OWN = "m-rBCR (this family)"
PEERS: Mapping[str, Part] = {
    OWN: mrbcr.FAMILY.network.architecture,
    "m-rBCR, twice as wide": bcr(width=16),
    "U-Net": Part(path="zooready.nets.unet.UNet", kwargs={"channels_in": 1, "channels_out": 1, "base": 32, "levels": 5, "widest": 512}),
    "CARE-like U-Net": Part(path="peers.Care"),
    "MIMO-U-Net": Part(path="peers.MimoUNet"),
    "DnCNN": Part(path="peers.DnCNN"),
    "RCAN, small": Part(path="peers.Rcan"),
    "N2V-like (no truth)": Part(path="peers.Care"),
}
RELEASED = "released topology (`mrbcr-released`)"
NETWORKS = {**PEERS, **ABLATION, RELEASED: ABLATION["released (1x5)"]}


def reference_pair(seed: int, index: int) -> Pair:
    """Pair number `index` of the reference microscope, for which alone the networks of these tables are trained."""
    rng = np.random.default_rng((seed, index))
    optics = replace(mrbcr.OPTICS, pixel_size_um=float(rng.choice(PIXEL_SIZES_UM)))
    simulated = mrbcr.scene(rng, mrbcr.SIZE, mrbcr.SPECIMENS[rng.integers(len(mrbcr.SPECIMENS))], optics)
    return Pair(input=simulated.image[None].astype(np.float32), target=simulated.truth[None], pixel_size_um=optics.pixel_size_um)


def blind_pair(seed: int, index: int) -> Pair:
    """Noise2Void's task: some pixels are replaced by a neighbour, and the target is the image at those, NaN elsewhere."""
    made = reference_pair(seed, index)
    rng = np.random.default_rng((seed, index, 1))
    image, target = made.input.copy(), np.full_like(made.input, np.nan)
    hidden = rng.random(image.shape[1:]) < HIDDEN
    y, x = np.nonzero(hidden)
    shifts = np.array([(i, j) for i in (-2, -1, 0, 1, 2) for j in (-2, -1, 0, 1, 2) if (i, j) != (0, 0)])[rng.integers(24, size=len(y))]
    image[0, y, x] = made.input[0, (y + shifts[:, 0]) % image.shape[1], (x + shifts[:, 1]) % image.shape[2]]
    target[0, y, x] = made.input[0, y, x]
    return replace(made, input=image, target=target)


def blind_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared error where the target is a number; Krull et al., CVPR 2019, doi:10.1109/CVPR.2019.00223."""
    asked = torch.isfinite(target)
    return (output[asked] - target[asked]).square().mean()


@dataclass(frozen=True)
class Contest:
    """Networks that are trained on the same pairs and measured on the same fields: one table."""

    names: tuple[str, ...]
    training: Training
    fields: Callable[[], Mapping[str, list[Field]]]  # held-out and unseen ones
    words: str  # which fields and pairs these are


KNOWN = tuple(dict.fromkeys(mrbcr.SPECIMENS))


def fields_of_one() -> dict[str, list[Field]]:
    """Fields of the reference microscope."""
    return {
        "held-out": evaluation.fields(KNOWN, evaluation.HELD_OUT_SEED, evaluation.HELD_OUT_FIELDS),
        "unseen": evaluation.fields(UNSEEN, evaluation.UNSEEN_SEED, evaluation.UNSEEN_FIELDS),
    }


def fields_of_all() -> dict[str, list[Field]]:
    """Fields of many microscopes, of every blur in the range equally many."""
    drawn = {
        "held-out": (KNOWN, microscope_range.HELD_OUT_SEED, PER_BLUR),
        "unseen": (UNSEEN, microscope_range.UNSEEN_SEED, UNSEEN_PER_BLUR),
    }
    return {
        name: [field for blur in microscope_range.BLURS_PX for field in microscope_range.scenes(kinds, seed, blur, count)]
        for name, (kinds, seed, count) in drawn.items()
    }


ONE = replace(mrbcr.FAMILY.training, pair=reference_pair, loss=mrbcr.loss, guard=None)
TABLES: Mapping[str, Contest] = {
    "peers": Contest(tuple(PEERS), replace(ONE, recipe=MUON), fields_of_one, ALONE),
    "peers, trained with AdamW": Contest(tuple(PEERS), replace(ONE, recipe=ADAMW), fields_of_one, ALONE),
    "ablation": Contest(tuple(ABLATION), replace(ONE, recipe=replace(ADAMW, steps=500)), fields_of_one, ALONE),
    "peers, over the range": Contest(
        (OWN, RELEASED, "CARE-like U-Net", "U-Net", "RCAN, small"),
        replace(mrbcr.FAMILY.training, recipe=replace(MUON, steps=600)),
        fields_of_all,
        RANGE,
    ),
}


def family(name: str, training: Training) -> Family:
    """The m-rBCR family with another network."""
    if name.startswith("N2V"):
        training = replace(training, pair=blind_pair, loss=blind_loss, metrics=None)
    return replace(mrbcr.FAMILY, network=replace(mrbcr.FAMILY.network, architecture=NETWORKS[name]), training=training)


def place(out: Path, title: str, name: str) -> Path:
    """The folder of a network's run for a table."""
    return out.joinpath(*("".join(letter if letter.isalnum() else "-" for letter in part.lower()) for part in (title, name)))


def size(name: str) -> dict[str, float]:
    """How many numbers the network learns, and how many thousand multiplications with them a pixel costs."""
    network = NETWORKS[name].build().eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, mrbcr.SIZE, mrbcr.SIZE))
    products = counter.get_total_flops() / 2 / mrbcr.SIZE**2  # it counts sums too
    return {"parameters": sum(weights.numel() for weights in network.parameters()), "1000 products a pixel": round(products / 1000, 1)}


def restorer(name: str, weights: Mapping[str, torch.Tensor]) -> Callable[[Image2D], Image2D]:
    """The trained network as a method: (y, x) counts in, (y, x) out."""
    network = NETWORKS[name].build().eval()
    network.load_state_dict(weights)
    return evaluation.restorer(network, STRIDE)


def measure(out: Path, title: str) -> list[dict[str, Any]]:
    """Rows of a table: of the classical methods, every network that is trained for it, and the shipped weights; plain data."""
    names = [name for name in TABLES[title].names if (place(out, title, name) / checkpoint.WEIGHTS).exists()]
    networks = {name: (name, checkpoint.read(place(out, title, name)).state_dict()) for name in names}
    if OWN in networks:
        steps = load_record(mrbcr.FAMILY.name)["steps"]
        networks[f"{OWN}, as shipped, for all microscopes: {steps} steps"] = (OWN, load_weights(mrbcr.FAMILY.name))
    methods = {key: restorer(*network) for key, network in networks.items()}
    rows = {key: {row["method"]: row for row in evaluation.measured(chosen, methods)} for key, chosen in TABLES[title].fields().items()}
    table = []
    for method in rows["held-out"]:
        facts = size(networks[method][0]) if method in networks else {}
        scores = {f"{score}_{key}": round(found[method][score], 3) for key, found in rows.items() for score in ("psnr", "ssim")}
        table.append({"method": method, **facts, **scores})
    return table


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("train", "measure"))
    parser.add_argument("--out", type=Path, default=Path("runs/deconvolution"))
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.action == "train":
        for title in options.tables:
            for name in (name for name in TABLES[title].names if name in options.only):
                run = train(family(name, TABLES[title].training), place(options.out, title, name), is_quiet=True)
                print(title, name, f"{run.seconds:.0f} s", dict(run.metrics), flush=True)  # noqa: T201
        return
    found = json.loads(RESULT.read_text(encoding="utf-8"))
    for title in (title for title in options.tables if place(options.out, title, "").is_dir()):
        table, contest = measure(options.out, title), TABLES[title]
        recipe = {name: getattr(contest.training.recipe, name) for name in ("steps", "batch", "optimizer", "learning_rate")}
        found["recipes"][title], found["tables"][title] = recipe, table
        missing = [name for name in contest.names if name not in {row["method"] for row in table}]
        words = WORDS.format(fields=contest.words, **recipe) + (f"; not trained for it yet: {', '.join(missing)}" if missing else "")
        put(mrbcr.FAMILY.name, {title: table}, {title: words})
    with whole_file(RESULT) as file:
        file.write((json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())


if __name__ == "__main__":
    main()
