"""The rule by which PLCNN says that an image is not a cell of its kind, fitted, judged, and written into the record.

    python benchmarks/other_kinds.py      then `zooready list --cards model_cards`

A linear rule on what the network's last layer is given, fitted on simulated cells against simulated images of other things; its threshold
is the value that 95 % of other simulated cells stay below. Half of the images of every kind are fitted on, the other half are judged; a
kind in the table is judged by a rule that was fitted without that kind. Real nuclei (mnfinder 1.2.3, MIT, training-data only), tissue and
shells are never fitted on. What the last layer is given is kept in a file, since it takes some minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nuclei_fields import fetch, real_fields
from recording import put
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from zooready.evaluation import classifiers
from zooready.evaluation.contract import digits
from zooready.families import load_weights, plcnn
from zooready.images.whole_files import whole_file
from zooready.measurement.cutouts import crops
from zooready.records import Array
from zooready.simulate import cells, monolayer, specimens, unseen

TABLE = "images of another kind"
CELLS, CHANGED, OTHERS = 500, 300, 100  # simulated cells, those that are also changed in one way each, images of each other kind
KEPT, PENALTY = 0.95, 0.1
SEED = 9  # of other kinds
OWN, PLAIN = "simulated cells as training sees them", "simulated cells"
REAL = ("real nuclei", "real nuclei at half their size", "tissue", "shells")  # never fitted on
PER_FIELD = {1: 12, 2: 6}  # nuclei of a real field, by how many pixels of a side are averaged to one
SPECIMENS = (
    specimens.filaments, specimens.puncta, specimens.rings, specimens.meshes, specimens.clouds, specimens.leaves, specimens.stripes,
    specimens.mosaic, specimens.bumps, specimens.beads,
)  # fmt: skip
Seen = Mapping[str, classifiers.Float]
Rule = tuple[classifiers.Float, float]  # weights, and bias: above 0 is another kind


def taken(light: Array, rng: np.random.Generator) -> Array:
    """An emission of at most 1 as (1, y, x) counts, with the light of the simulated cells."""
    photons = np.exp(rng.uniform(np.log(70), np.log(1400)))
    return rng.poisson((light + 0.02) * photons)[None].astype(np.float32) + 100


def of_specimen(make: specimens.Specimen, count: int = OTHERS) -> list[Array]:
    """Images of a specimen, as wide as those of cells."""
    rngs = (np.random.default_rng((SEED, number)) for number in range(count))
    return [taken(make(rng, cells.SIZE), rng) for rng in rngs]


def simulated_nuclei() -> list[Array]:
    """Nuclei stained for DNA among others, without their cells."""
    found: list[Array] = []
    for number in range(OTHERS // 5):
        image, labels = monolayer.field(np.random.default_rng((SEED, number)), 320)
        found += [crop.image for crop in crops(image[None], labels, (cells.SIZE, cells.SIZE)) if not crop.is_at_edge][:8]
    return found


def real_nuclei(folder: Path) -> dict[str, list[Array]]:
    """Nuclei of real fields, (1, 96, 96) each: as they are, and with 2 x 2 pixels averaged to one."""
    rng, found = np.random.default_rng(0), {name: [] for name in REAL[:2]}
    for field in [field for field in real_fields(fetch(folder)) if field.name.startswith("training-data")]:
        for images, (shrunk, most) in zip(found.values(), PER_FIELD.items(), strict=True):
            whole = [crop for crop in crops(field.image[None], field.labels, (cells.SIZE * shrunk,) * 2) if not crop.is_at_edge]
            for number in rng.permutation(len(whole))[:most]:
                blocks = whole[number].image.reshape(1, cells.SIZE, shrunk, cells.SIZE, shrunk)
                images.append(blocks.mean((2, 4)).astype(np.float32))
    return found


def varied(seed: int) -> list[Array]:
    """Simulated cells as training sees them."""
    rng = np.random.default_rng(5)
    return [plcnn.varied(pair, rng).input for pair in classifiers.held_out(CELLS, seed)]


def drawn(folder: Path) -> Iterable[tuple[str, list[Array]]]:
    """The images of every kind, by name; first those to fit the rule on."""
    yield "fitted on", varied(classifiers.CHOSEN_SEED)
    yield OWN, varied(classifiers.HELD_OUT_SEED)
    plain = classifiers.held_out(CELLS)
    yield PLAIN, [pair.input for pair in plain]
    for how in classifiers.DISTURBANCES:
        yield f"{PLAIN}, {how}", list(classifiers.disturbed(plain[:CHANGED], how))
    yield from real_nuclei(folder).items()
    yield from ((make.__name__, of_specimen(make, 60)) for make in (unseen.tissue, unseen.shells))
    yield from ((make.__name__, of_specimen(make)) for make in SPECIMENS)
    yield "simulated nuclei without cells", simulated_nuclei()
    rng, shape = np.random.default_rng(1), (1, cells.SIZE, cells.SIZE)
    yield "noise", [rng.normal(500, 50, shape).astype(np.float32) for _ in range(OTHERS)]
    yield "a few single photons", [rng.poisson(0.1, shape).astype(np.float32) for _ in range(OTHERS // 2)]
    slope = np.linspace(0, 500, cells.SIZE) * np.ones(shape)
    yield "uneven light and nothing else", [(slope + rng.normal(0, 5, shape)).astype(np.float32) for _ in range(OTHERS // 5)]
    yield "inverted cells", [pair.input.max() - pair.input for pair in plain[: 2 * OTHERS]]


def seen(images: Sequence[Array], scorer: classifiers.Scorer) -> classifiers.Float:
    """What the last layer is given for images (1, 96, 96): (n, k)."""
    with torch.no_grad():
        parts = [torch.as_tensor(np.stack(images[start : start + 50]).astype(np.float32)) for start in range(0, len(images), 50)]
        return np.concatenate([scorer.network.embedding(scorer.normalization(part)).double().numpy() for part in parts])


def kept(path: Path, folder: Path) -> Seen:
    """What the last layer is given for the images of every kind, computed once."""
    if not path.exists():
        scorer = classifiers.Scorer(load_weights("plcnn"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            np.savez_compressed(file, **{name: seen(images, scorer) for name, images in drawn(folder)})
    with np.load(path) as arrays:
        return dict(arrays)


def rule(own: classifiers.Float, others: Sequence[classifiers.Float], chosen: classifiers.Float) -> Rule:
    """Weights and bias that tell ``own`` from ``others``, each kind counted alike; 95 % of ``chosen`` are at 0 or below."""
    every = np.concatenate([own, *others])
    scale = StandardScaler().fit(every)
    shares = np.concatenate([np.full(len(own), 1 / len(own)), *[np.full(len(one), 1 / len(one) / len(others)) for one in others]])
    fitted = LogisticRegression(C=PENALTY, max_iter=3000)
    fitted.fit(scale.transform(every), np.arange(len(every)) >= len(own), sample_weight=shares * len(every))
    weights = fitted.coef_[0] / scale.scale_
    return weights, -float(np.quantile(chosen @ weights, KEPT))


def half(images: classifiers.Float, which: int) -> classifiers.Float:
    """Every other ten of the images, which hold a cell of each class; ``which`` is 0 or 1."""
    return images[np.arange(len(images)) // len(plcnn.CLASSES) % 2 == which]


def measured(arrays: Seen) -> tuple[Rule, list[dict[str, Any]]]:
    """The rule that ships, and the table: the share of each kind's images that are said to be of another kind."""
    judged_cells = [name for name in arrays if name.startswith(PLAIN)]
    fitted = [name for name in arrays if name not in (*judged_cells, *REAL, "fitted on")]
    chosen = half(arrays[OWN], 0)

    def without(left_out: str) -> Rule:
        return rule(arrays["fitted on"], [half(arrays[name], 0) for name in fitted if name != left_out], chosen)

    shipped = without("")
    rows = []
    for name in (*judged_cells, *REAL, *fitted):
        images = arrays[name] if name in REAL else half(arrays[name], 1)
        weights, bias = without(name) if name in fitted else shipped
        rows.append({"method": name, "images": len(images), "told": digits(np.mean(images @ weights + bias > 0))})
    return shipped, rows


def main() -> None:
    """The command line."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("../cache/mnfinder"), help="folder of the real fields")
    parser.add_argument("--kept", type=Path, default=Path("runs/other-kinds.npz"), help="what the last layer is given, kept")
    given = parser.parse_args()
    (weights, bias), rows = measured(kept(given.kept, given.cache))
    kind = {"weights": [float(f"{value:.5g}") for value in weights], "bias": float(f"{bias:.5g}"), "kept": KEPT}
    words = (
        "share of images of which one line says that they are no cells of the kind that the network knows; the threshold was chosen on "
        f"{CELLS // 2} other simulated cells, so that {100 * KEPT:.0f} % of them get no line. Real nuclei (mnfinder 1.2.3, MIT, "
        "training-data), tissue and shells were never fitted on; each kind below them is judged by a rule that was fitted on the others"
    )
    put("plcnn", {TABLE: rows}, {TABLE: words}, facts={"kind": kind})
    for row in rows:
        print(row)  # noqa: T201


if __name__ == "__main__":
    main()
