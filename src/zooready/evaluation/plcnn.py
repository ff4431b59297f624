"""PLCNN's card: what :mod:`zooready.evaluation.classifiers` measures of the shipped weights, its images, and its words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zooready.evaluation import classifiers
from zooready.evaluation.contract import Evaluation, Weights, digits
from zooready.evaluation.grids import grid
from zooready.families import plcnn
from zooready.images.drawing import grey
from zooready.records import Array
from zooready.simulate import cells

SHOWN, TESTED = 5, 300  # images a row; held-out cells among which failures are looked for
SPOT = 100


def measure(weights: Weights) -> dict[str, Any]:
    """Tables, confusion and flat numbers of the shipped weights; plain data."""
    measured = classifiers.tables(weights)
    return {
        **measured,
        "tables": {**measured["tables"], "calibration": calibration(measured["metrics"])},
        "measured_on": {
            "calibration": f"expected calibration error on the same held-out cells, {classifiers.BINS} bins",
            "classes": f"the shipped weights on {classifiers.HELD_OUT_CELLS} held-out simulated cells",
            "robustness": "the shipped weights on the same held-out cells, changed in one way each",
        },
    }


def calibration(metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """How far scores are from the share of correct predictions, with the bundle's temperature and without; rows."""
    rows = ((f"scores of the bundle (temperature {plcnn.TEMPERATURE:g})", "ece"), ("plain softmax", "ece_without_temperature"))
    return [{"method": name, "ECE": metrics[key]} for name, key in rows]


def spot(weights: Weights) -> dict[str, float]:
    """Accuracy and mean score of the true class on the first held-out cells."""
    pairs = classifiers.held_out(SPOT)
    truth = classifiers.labels(pairs)
    scores = classifiers.softmax(classifiers.Scorer(weights).logits([pair.input for pair in pairs]), plcnn.TEMPERATURE)
    return {
        "accuracy": digits((scores.argmax(1) == truth).mean()),
        "score_of_true_class": digits(scores[np.arange(SPOT), truth].mean()),
    }


def draw(weights: Weights, folder: Path) -> list[tuple[str, str]]:
    """A cell of every class with its class map, and the cells with the highest scores of a wrong class."""
    scorer = classifiers.Scorer(weights)
    pairs = classifiers.held_out(TESTED)
    logits, maps = scorer.outputs([pair.input for pair in pairs])
    scores, truth = classifiers.softmax(logits, plcnn.TEMPERATURE), classifiers.labels(pairs)

    def rows(chosen: list[int], classes: list[int]) -> list[tuple[str, list[Array]]]:
        panels: list[tuple[str, list[Array]]] = []
        for start in range(0, len(chosen), SHOWN):
            part = list(zip(chosen[start : start + SHOWN], classes[start : start + SHOWN], strict=True))
            names = ", ".join(f"{plcnn.CLASSES[truth[n]]}" + (f" as {plcnn.CLASSES[c]}" if c != truth[n] else "") for n, c in part)
            panels.append((_folded(names), [grey(pairs[n].input[0]) for n, _ in part]))
            panels.append(("class map", [_heat(maps[n, c]) for n, c in part]))
        return panels

    first = [int(np.flatnonzero((truth == label) & (scores.argmax(1) == label))[0]) for label in range(len(plcnn.CLASSES))]
    wrong = np.flatnonzero(scores.argmax(1) != truth)
    worst = [int(n) for n in wrong[np.argsort(-scores[wrong].max(1))][:SHOWN]]
    grid(folder / "plcnn-examples.png", [""] * SHOWN, rows(first, list(range(len(plcnn.CLASSES)))))
    grid(folder / "plcnn-failures.png", [""] * len(worst), rows(worst, [int(scores[n].argmax()) for n in worst]))
    return [
        ("plcnn-examples.png", "A cell of every class and the map of that class: red pixels raise its score, blue ones lower it."),
        (
            "plcnn-failures.png",
            f"Failure cases: of {len(wrong)} wrong answers on {TESTED} held-out cells, those with the highest scores.",
        ),
    ]


def _folded(words: str) -> str:
    return words.replace(", ", "\n")


def _heat(plane: Array) -> Array:
    """A class map (y, x) as (y, x, 3) uint8: white at 0, red for positive, blue for negative values."""
    share = np.clip(plane / max(float(np.abs(plane).max()), 1e-9), -1, 1)[..., None]
    tint = np.where(share > 0, np.array([180.0, 4, 38]), np.array([59.0, 76, 192]))
    colours: Array = (255 * (1 - np.abs(share)) + tint * np.abs(share)).astype(np.uint8)
    return colours


EVALUATION = Evaluation(
    measure=measure,
    spot=spot,
    draw=draw,
    data=f"{plcnn.CELLS} simulated cells of ten patterns like those of the 2D HeLa set ({cells.SIZE} x {cells.SIZE} px, "
    f"{cells.PIXEL_SIZE_UM:g} um pixels), rotated, mirrored, shifted and scaled, each with a chance of {100 * plcnn.WORSE.share:.0f} % "
    "to be blurred, as much to be noisy, and as much to be unevenly lit; no real cells were used",
    suited=(
        "Trying out the method, its maps and its bundle; and as a starting point for training on your own classes: "
        "`zooready train plcnn --data DIR`.",
        "One cell in the middle of an image, neighbours cut by its border.",
    ),
    unsuited=(
        "Locating proteins in real cells: it was trained on simulated cells. Train it on your own images.",
        "Whole fields of many cells: segment the cells first, as `zooready measure` does.",
        "Diagnosis.",
    ),
    limits=(
        f"Pixels of {plcnn.FAMILY.pixel_size_um[0]:g} to {plcnn.FAMILY.pixel_size_um[1]:g} um; "
        "the table of robustness shows the loss at other sizes.",
        "Scores are calibrated on simulated cells of the same kind, with one temperature; on other cells they may be far too high.",
        "An image of another kind gets a class like any other. One line tells most of them, as the table of images of another kind shows; "
        "it misses half of the real nuclei, and gives one cell in twenty the line too.",
    ),
)
