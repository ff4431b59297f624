"""PLCNN beside its two paths alone and beside classical measurements: five folds, training shares, and the record of the shipped weights.

    python benchmarks/classification.py train --out runs/classification       every network, one after the other; can be stopped
    python benchmarks/classification.py features --out runs/classification    classical measurements of every cell
    python benchmarks/classification.py record --out runs/classification --run runs/plcnn
                                                                              tables into src/zooready/weights/plcnn.json, weights beside it
    python benchmarks/classification.py image                               the ten patterns and their class maps, docs/plcnn.png

Folds are of the 3000 simulated cells that the shipped weights are trained on, a fifth held out each time; every method gets the same
cells, every network the same cells in the same order, 800 steps of 24. That is half of the shipped training, for all of them alike.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from zooready.evaluation import classifiers as evaluation
from zooready.families import load_weights, plcnn
from zooready.images import drawing
from zooready.images.whole_files import whole_file
from zooready.records import Family, Pair, Part
from zooready.simulate import cells
from zooready.training import checkpoint
from zooready.training.loop import train
from zooready.training.pairs import Pairs

STEPS, FOLDS = 800, 5
SHARES = (0.9, 0.8, 0.7, 0.6, 0.5)
WEIGHTS = Path(__file__).parent.parent / "src" / "zooready" / "weights"
SHOWN_SEED, SHOWN_PX = 20240708, 128
IMAGE = Path(__file__).parent.parent / "docs" / "plcnn.png"
NETWORKS: Mapping[str, Part] = {
    "PLCNN": plcnn.FAMILY.network.architecture,
    "ResNet-like": Part(path="classifiers.ResNet"),
    "VGG-like": Part(path="classifiers.VGG"),
    "VGG-like, normalised": Part(path="classifiers.VGG", kwargs={"is_normalised": True}),
}
CLASSICAL = {"features + random forest": "forest", "features + SVM": "svm"}
Kept = Callable[[int], bool]  # whether a cell, by its number, is trained on


def kept_in_fold(fold: int) -> Kept:
    """All cells but one fifth; each fifth has as many of each class."""
    return lambda number: number // len(plcnn.CLASSES) % FOLDS != fold


def kept_in_share(share: float) -> Kept:
    """A share of the cells, in tenths, as many of each class."""
    return lambda number: number // len(plcnn.CLASSES) % 10 < round(10 * share)


def numbers(kept: Kept, is_kept: bool = True) -> list[int]:
    """The cells that are trained on, or the others."""
    return [number for number in range(plcnn.CELLS) if kept(number) == is_kept]


def pairs(kept: Kept, words: str) -> Pairs:
    """The family's own pairs, drawn from some of the cells of seed 0."""
    learnt, other = numbers(kept), numbers(kept, False)

    def source(chosen: Sequence[int], seed: int, index: int) -> Pair:
        rng = np.random.default_rng((seed, index))
        return plcnn.varied(plcnn.cell(0, chosen[int(rng.integers(len(chosen)))]), rng)

    return Pairs(
        source=lambda seed, index: source(learnt, seed, index),
        held_out=lambda seed, index: source(other, seed, index),
        words=words,
    )


def runs() -> list[tuple[str, str, Kept]]:
    """(name, network, cells) of every training."""
    folds = [(of_fold(name, fold), name, kept_in_fold(fold)) for fold in range(FOLDS) for name in NETWORKS]
    return folds + [(f"plcnn-share-{round(100 * share)}", "PLCNN", kept_in_share(share)) for share in SHARES if share != 1 - 1 / FOLDS]


def of_fold(network: str, fold: int) -> str:
    """The name of a fold's training."""
    return f"{network.lower().replace(', ', '-')}-fold-{fold}"


def trained(out: Path) -> None:
    """Train what is not there yet, and keep each network's answers on the cells that it did not see."""
    for name, network, kept in runs():
        folder = out / name
        if (folder / "answers.json").exists():
            continue
        family = replace(plcnn.FAMILY, network=replace(plcnn.FAMILY.network, architecture=NETWORKS[network]))
        run = train(family, folder, steps=STEPS, device="cpu", data=pairs(kept, f"simulated cells, {name}"), is_quiet=True)
        with whole_file(folder / "answers.json") as file:
            file.write(json.dumps(answers(family, run, kept)).encode())
        print(name, round(run.seconds), "s", flush=True)  # noqa: T201


def answers(family: Family, run: checkpoint.Checkpoint, kept: Kept) -> dict[str, Any]:
    """Accuracy on the cells left out and on those that no run sees, with the number of weights and the confusion matrix."""
    scorer = evaluation.Scorer(run.state_dict(), family)
    left, unseen = [plcnn.cell(0, number) for number in numbers(kept, False)], evaluation.held_out(evaluation.HELD_OUT_CELLS)
    found = {name: scorer.logits([pair.input for pair in asked]).argmax(1) for name, asked in (("left", left), ("unseen", unseen))}
    return {
        "left_out": float((found["left"] == evaluation.labels(left)).mean()),
        "unseen": float((found["unseen"] == evaluation.labels(unseen)).mean()),
        "confusion": evaluation.counts(evaluation.labels(left), found["left"], len(plcnn.CLASSES)).tolist(),
        "parameters": sum(weights.numel() for weights in scorer.network.parameters()),
        "seconds": run.seconds,
    }


def folds(out: Path, features: evaluation.Float) -> list[dict[str, Any]]:
    """The table of five folds: each method's mean accuracy, its standard deviation over folds, its worst fold, its number of weights."""
    truth = np.arange(plcnn.CELLS) % len(plcnn.CLASSES)
    intensity = [index for index, name in enumerate(evaluation.names()) if name.startswith("intensity")]
    found: dict[str, list[float]] = {"always one class": [1 / len(plcnn.CLASSES)] * FOLDS}
    parameters: dict[str, int] = {}
    for fold in range(FOLDS):
        learnt, left = numbers(kept_in_fold(fold)), numbers(kept_in_fold(fold), False)
        for title, method, columns in (
            ("intensity + random forest", "forest", intensity),
            *((title, method, slice(None)) for title, method in CLASSICAL.items()),
        ):
            fitted = evaluation.classical(features[learnt][:, columns], truth[learnt], method)
            found.setdefault(title, []).append(float(fitted.score(features[left][:, columns], truth[left])))
        for name in NETWORKS:
            kept = json.loads((out / of_fold(name, fold) / "answers.json").read_text())
            found.setdefault(name, []).append(kept["left_out"])
            parameters[name] = kept["parameters"]
    return [
        {
            "method": name,
            "accuracy": evaluation.digits(np.mean(values)),
            "deviation": evaluation.digits(np.std(values, ddof=1)),
            "worst_fold": evaluation.digits(min(values)),
            **({"parameters": parameters[name]} if name in parameters else {}),
        }
        for name, values in found.items()
    ]


def shares(out: Path, features: evaluation.Float, unseen: evaluation.Float) -> list[dict[str, Any]]:
    """Accuracy on the same unseen cells against the share of the 3000 cells that were trained on."""
    truth, asked = (np.arange(count) % len(plcnn.CLASSES) for count in (plcnn.CELLS, evaluation.HELD_OUT_CELLS))
    rows = []
    for share in SHARES:
        learnt = numbers(kept_in_share(share))
        names = [f"plcnn-share-{round(100 * share)}"] if share != 1 - 1 / FOLDS else [of_fold("PLCNN", fold) for fold in range(FOLDS)]
        network = np.mean([json.loads((out / name / "answers.json").read_text())["unseen"] for name in names])
        fitted = {title: evaluation.classical(features[learnt], truth[learnt], method) for title, method in CLASSICAL.items()}
        others = {title: evaluation.digits(one.score(unseen, asked)) for title, one in fitted.items()}
        rows.append({"method": f"{round(100 * share)} % of the cells", "cells": len(learnt), "PLCNN": evaluation.digits(network), **others})
    return rows


def robustness(measured: Mapping[str, evaluation.Float]) -> list[dict[str, Any]]:
    """Accuracy of the classical methods, trained on all 3000 cells, on the held-out ones as they are and after each disturbance."""
    truth, asked = (np.arange(count) % len(plcnn.CLASSES) for count in (plcnn.CELLS, evaluation.HELD_OUT_CELLS))
    fitted = {name: evaluation.classical(measured["trained on"], truth, method) for name, method in CLASSICAL.items()}
    return [
        {"method": how, **{name: evaluation.digits(one.score(values, asked)) for name, one in fitted.items()}}
        for how, values in measured.items()
        if how != "trained on"
    ]


def measured(out: Path) -> dict[str, evaluation.Float]:
    """Classical measurements of the cells trained on, of the held-out ones, and of those after each disturbance; kept in a file."""
    path = out / "features.npz"
    if not path.exists():
        unseen = evaluation.held_out(evaluation.HELD_OUT_CELLS)
        found = {"trained on": evaluation.features([plcnn.cell(0, number).input for number in range(plcnn.CELLS)])}
        found["as simulated"] = evaluation.features([pair.input for pair in unseen])
        found |= {how: evaluation.features(evaluation.disturbed(unseen, how)) for how in evaluation.DISTURBANCES}
        with whole_file(path) as file:
            np.savez_compressed(file, **found)
    with np.load(path) as kept:
        return dict(kept)


def written(out: Path, run: checkpoint.Checkpoint) -> None:
    """The shipped weights and all that is known of them, into the package."""
    features = measured(out)
    tables = {
        "folds": folds(out, features["trained on"]),
        "shares": shares(out, features["trained on"], features["as simulated"]),
        "classical": robustness(features),
    }
    record = evaluation.record(run, **tables, steps=STEPS)
    with whole_file(WEIGHTS / "plcnn.json") as file:
        file.write((json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())
    shutil.copyfile(run.weights, WEIGHTS / "plcnn.safetensors")
    assert hashlib.sha256((WEIGHTS / "plcnn.safetensors").read_bytes()).hexdigest() == record["sha256"]


def draw_cells(path: Path) -> None:
    """A cell of each pattern over its class map: yellow where the network saw what speaks for it, blue where against, outline white."""
    from matplotlib import colormaps
    from PIL import Image, ImageDraw, ImageFont

    scorer, columns = evaluation.Scorer(load_weights("plcnn")), []
    for number, name in enumerate(plcnn.CLASSES):
        image, mask = cells.cell(np.random.default_rng((SHOWN_SEED, number)), name)
        logits, maps = scorer.outputs([image[None].astype(np.float32)])
        said = plcnn.CLASSES[int(logits[0].argmax())]
        shown = maps[0, number] / max(float(np.abs(maps[0, number]).max()), 1e-9)
        heat = (255 * colormaps["cividis"]((shown + 1) / 2)[..., :3]).astype(np.uint8)
        heat[mask & ~ndimage.binary_erosion(mask)] = 255
        panels = [Image.fromarray(one).resize((SHOWN_PX, SHOWN_PX), Image.Resampling.LANCZOS) for one in (drawing.grey(image), heat)]
        column = Image.new("RGB", (SHOWN_PX + 4, 2 * SHOWN_PX + 26), "white")
        for place, panel in enumerate(panels):
            column.paste(panel, (2, 22 + place * (SHOWN_PX + 4)))
        words = name if said == name else f"{name} ({said}?)"
        ImageDraw.Draw(column).text((3, 3), words, fill="black", font=ImageFont.load_default(13))
        columns.append(np.asarray(column))
    with whole_file(path) as file:
        Image.fromarray(np.concatenate(columns, axis=1)).quantize(128).save(file, "PNG", optimize=True)


def main() -> None:
    """The command line."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "features", "record", "image"))
    parser.add_argument("--out", type=Path, default=Path("runs/classification"), help="folder of the trainings")
    parser.add_argument("--run", type=Path, default=Path("runs/plcnn"), help="the run to ship: zooready train plcnn --out runs/plcnn")
    given = parser.parse_args()
    if given.what == "train":
        trained(given.out)
    elif given.what == "features":
        measured(given.out)
    elif given.what == "record":
        written(given.out, checkpoint.read(given.run))
    else:
        draw_cells(IMAGE)


if __name__ == "__main__":
    main()
