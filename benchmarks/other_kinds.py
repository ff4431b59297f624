"""The rule by which PLCNN says that an image is not a cell of its kind, fitted, judged, and written into the record.

    python benchmarks/other_kinds.py      then `zooready list --cards model_cards`

A linear rule on what the network's last layer sees, fitted on simulated cells against simulated images of other things; its threshold is
the value that 95 % of other simulated cells stay below. Each kind in the table is judged by a rule that was fitted without that kind, the
real ones by the rule that ships, since none of them was fitted on. Real nuclei: the fields of mnfinder 1.2.3 (MIT), training-data only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nuclei_fields import fetch, real_fields
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from zooready.evaluation import classifiers
from zooready.evaluation.contract import digits
from zooready.families import load_weights, plcnn
from zooready.images.whole_files import whole_file
from zooready.measurement.cutouts import crops
from zooready.records import Array
from zooready.simulate import cells, monolayer, specimens, unseen

RECORD = Path(__file__).parent.parent / "src/zooready/weights/plcnn.json"
TABLE = "images of another kind"
FITTED, CHOSEN, JUDGED = 1200, 500, 500  # simulated cells: to fit on, to choose the threshold on, to judge
OTHERS, TESTED = 120, 100  # images of each other kind: to fit on, to judge
KEPT = 0.95
PENALTY = 0.1
FIT_SEED, TEST_SEED = 31, 32
PER_FIELD = 12  # nuclei of a real field
Rng = np.random.Generator
Rule = tuple[classifiers.Float, float]  # weights, and bias: above 0 is another kind


def camera(light: Array, rng: Rng) -> Array:
    """An emission of at most 1 as (1, y, x) counts, with the light of the simulated cells."""
    photons = np.exp(rng.uniform(np.log(70), np.log(1400)))
    return rng.poisson((light + 0.02) * photons)[None].astype(np.float32) + 100


def of_specimen(make: specimens.Specimen) -> Callable[[Rng], Array]:
    """Images of a specimen, as wide as those of cells."""
    return lambda rng: camera(make(rng, cells.SIZE), rng)


def nucleus(rng: Rng) -> Array:
    """A simulated nucleus in a field of others, stained for DNA, without its cell."""
    image, labels = monolayer.field(rng, 3 * cells.SIZE)
    found = list(crops(image[None], labels, (cells.SIZE, cells.SIZE))) if labels.any() else []
    inner = [crop for crop in found if not crop.is_at_edge] or found
    return inner[int(rng.integers(len(inner)))].image if inner else image[None, : cells.SIZE, : cells.SIZE].astype(np.float32)


def slope(rng: Rng) -> Array:
    """Light that falls across an image without anything in it."""
    y, x = np.mgrid[-1 : 1 : cells.SIZE * 1j, -1 : 1 : cells.SIZE * 1j]
    turn = rng.uniform(0, 2 * np.pi)
    return camera(0.5 + 0.3 * rng.uniform(0, 1) * (y * np.sin(turn) + x * np.cos(turn)), rng)


def inverted(rng: Rng) -> Array:
    """A simulated cell, dark on bright."""
    image, _ = cells.cell(rng, plcnn.CLASSES[int(rng.integers(len(plcnn.CLASSES)))])
    return (int(image.max()) - image.astype(np.float32))[None]


FITTED_ON: Mapping[str, Callable[[Rng], Array]] = {
    **{make.__name__: of_specimen(make) for make in (
        specimens.filaments, specimens.puncta, specimens.rings, specimens.meshes, specimens.clouds, specimens.leaves, specimens.stripes,
        specimens.mosaic, specimens.bumps, specimens.beads,
    )},
    "simulated nuclei without cells": nucleus,
    "uneven light and nothing else": slope,
    "noise": lambda rng: rng.normal(500, 50, (1, cells.SIZE, cells.SIZE)).astype(np.float32),
    "inverted cells": inverted,
}  # fmt: skip
NEVER_FITTED: Mapping[str, Callable[[Rng], Array]] = {"tissue": of_specimen(unseen.tissue), "shells": of_specimen(unseen.shells)}


def drawn(make: Callable[[Rng], Array], seed: int, count: int) -> list[Array]:
    """So many images of a kind."""
    return [make(np.random.default_rng((seed, number))) for number in range(count)]


def nuclei(folder: Path, shrunk: int) -> list[Array]:
    """Nuclei of real fields, (1, 96, 96) each: as they are, or with squares of so many pixels averaged to one."""
    rng, side, found = np.random.default_rng(TEST_SEED), cells.SIZE * shrunk, []
    for field in real_fields(fetch(folder)):
        if field.name.startswith("training-data"):
            whole = [crop.image for crop in crops(field.image[None], field.labels, (side, side)) if not crop.is_at_edge]
            chosen = [whole[number] for number in rng.permutation(len(whole))[:PER_FIELD]]
            found += [image.reshape(1, cells.SIZE, shrunk, cells.SIZE, shrunk).mean((2, 4)) for image in chosen]
    return found


def rule(own: classifiers.Float, others: Sequence[classifiers.Float], chosen: classifiers.Float) -> Rule:
    """Weights and bias that tell ``own`` from ``others``, each kind counted alike; 95 % of ``chosen`` are at 0 or below."""
    every = np.concatenate([own, *others])
    scale = StandardScaler().fit(every)
    shares = np.concatenate([np.full(len(own), 1 / len(own)), *[np.full(len(one), 1 / len(one) / len(others)) for one in others]])
    fitted = LogisticRegression(C=PENALTY, max_iter=3000)
    fitted.fit(scale.transform(every), np.arange(len(every)) >= len(own), sample_weight=shares * len(every))
    weights = fitted.coef_[0] / scale.scale_
    return weights, -float(np.quantile(chosen @ weights, KEPT))


def refused(images: classifiers.Float, rule: Rule) -> float:
    """Share that the rule says to be of another kind."""
    return float((images @ rule[0] + rule[1] > 0).mean())


def seen(images: Sequence[Array], scorer: classifiers.Scorer) -> classifiers.Float:
    """What the last layer sees of images (1, 96, 96): (n, k)."""
    with torch.no_grad():
        parts = [torch.as_tensor(np.stack(images[start : start + 50]).astype(np.float32)) for start in range(0, len(images), 50)]
        return np.concatenate([scorer.network.embedding(scorer.normalization(part)).double().numpy() for part in parts])


def measured(folder: Path) -> tuple[Rule, list[dict[str, Any]]]:
    """The rule that ships, and the table."""
    scorer = classifiers.Scorer(load_weights("plcnn"))
    rng = np.random.default_rng(FIT_SEED)

    def own(seed: int, count: int) -> classifiers.Float:
        return seen([plcnn.varied(plcnn.cell(seed, number), rng).input for number in range(count)], scorer)

    fitted, chosen = own(FIT_SEED, FITTED), own(classifiers.CHOSEN_SEED, CHOSEN)
    others = {name: seen(drawn(make, FIT_SEED, OTHERS), scorer) for name, make in FITTED_ON.items()}
    shipped = rule(fitted, list(others.values()), chosen)
    held_out = classifiers.held_out(JUDGED)
    cells_judged = {"simulated cells as training sees them": own(classifiers.HELD_OUT_SEED, JUDGED)}
    cells_judged["simulated cells"] = seen([pair.input for pair in held_out], scorer)
    for how in classifiers.DISTURBANCES:
        cells_judged[f"simulated cells, {how}"] = seen(classifiers.disturbed(held_out[:TESTED], how), scorer)
    rows = [{"method": name, "images": len(images), "told": refused(images, shipped)} for name, images in cells_judged.items()]
    real = {"real nuclei, as they are": nuclei(folder, 1), "real nuclei at half their size": nuclei(folder, 2)}
    real |= {name: drawn(make, TEST_SEED, TESTED) for name, make in NEVER_FITTED.items()}
    rows += [{"method": name, "images": len(images), "told": refused(seen(images, scorer), shipped)} for name, images in real.items()]
    for name, make in FITTED_ON.items():
        without = rule(fitted, [images for other, images in others.items() if other != name], chosen)
        images = seen(drawn(make, TEST_SEED, TESTED), scorer)
        rows.append({"method": name, "images": TESTED, "told": refused(images, without)})
    return shipped, [{**row, "told": digits(row["told"])} for row in rows]


def main() -> None:
    """The command line."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("../cache/mnfinder"), help="folder of the real fields")
    (weights, bias), rows = measured(parser.parse_args().cache)
    record = json.loads(RECORD.read_text())
    record["kind"] = {"weights": [float(f"{value:.5g}") for value in weights], "bias": float(f"{bias:.5g}"), "kept": KEPT}
    record["tables"][TABLE] = rows
    record["measured_on"][TABLE] = (
        "share of images of which one line says that they are no cell of the kind that the network knows; the threshold was chosen on "
        f"{CHOSEN} other simulated cells, so that {100 * KEPT:.0f} % get no line. Real nuclei (mnfinder 1.2.3, MIT, training-data), tissue "
        "and shells were never fitted on; each kind below them is judged by a rule that was fitted on the others"
    )
    with whole_file(RECORD) as file:
        file.write((json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    for row in rows:
        print(row)  # noqa: T201


if __name__ == "__main__":
    main()
