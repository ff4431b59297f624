"""Features as data: the dose of a drug, predicted from images of cells by a classifier that never heard of it.

    python predict_a_dose.py BUNDLE FOLDER

simulates cells whose Golgi dissolves with the dose, measures each with the classifier in BUNDLE (a zip, a run, or plcnn), and lets ridge
regression predict the dose from the numbers. It prints R² beside two that should be lower, and leaves table and plot in FOLDER.
"""

# ruff: noqa: T201  scripts print

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zooready.commands.measure import measure
from zooready.records import Image
from zooready.simulate.camera import Camera
from zooready.simulate.cells import PIXEL_SIZE_UM, SIZE, emission, outlined

IMAGES, ROWS, COLUMNS = 24, 2, 3  # images, one dose each, with 2 x 3 cells
HALF_EFFECT_UM = 1.0  # micromolar, at which half of a cell's Golgi is gone


def field(rng: np.random.Generator, dose: float) -> tuple[Image, np.ndarray]:
    """A raw image of six cells that got a dose (micromolar), and their labels. Staining and cells differ, as they do."""
    light = np.zeros((ROWS * SIZE, COLUMNS * SIZE))
    labels = np.zeros(light.shape, np.uint16)
    stain = rng.lognormal(0, 0.4)
    for number in range(ROWS * COLUMNS):
        top, left = SIZE * (number // COLUMNS), SIZE * (number % COLUMNS)
        window = np.s_[top : top + SIZE, left : left + SIZE]
        place = outlined(rng, SIZE)
        half_effect = HALF_EFFECT_UM * rng.lognormal(0, 0.5)  # cells differ in how much they take
        gone = dose / (dose + half_effect)
        golgi, spread = emission(rng, place, "giantin", leak=0.2), emission(rng, place, "ER", leak=0.2)
        light[window] = ((1 - gone) * golgi / golgi.sum() + gone * spread / spread.sum()) * stain * rng.lognormal(0, 0.3)
        labels[window][place.depth > 0] = number + 1
    photons = 60_000 * light + 4
    return Image(array=Camera(gain=2.0).exposed(photons, rng), axes="yx", pixel_size_um=PIXEL_SIZE_UM), labels


def predicted(numbers: np.ndarray, doses: np.ndarray, images: list[str]) -> np.ndarray:
    """Each cell's log dose, by a ridge regression that saw no cell of its image."""
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
    return cross_val_predict(model, numbers, doses, groups=images, cv=GroupKFold(6))


def main(bundle: str, folder: Path) -> None:
    """Simulate, measure, predict, plot."""
    rng = np.random.default_rng(12)
    per_image = rng.permutation(np.linspace(-1, 1, IMAGES))  # log10 of micromolar
    images, labels = zip(*(field(rng, 10**dose) for dose in per_image), strict=True)
    table = measure(bundle, images, folder / "cells.csv", labels=labels)
    names = table.column("image")
    doses = np.repeat(per_image, ROWS * COLUMNS)
    embedding, classical = table.matrix("embedding_"), table.matrix("intensity_", "shape_", "parts_", "haralick", "adjacency_", "lbp")
    shuffled = np.repeat(rng.permutation(per_image), ROWS * COLUMNS)
    found = {
        "embedding": (embedding, doses),
        "classical measurements": (classical, doses),
        "both": (np.hstack([embedding, classical]), doses),
        "intensity alone": (table.matrix("intensity_"), doses),
        "embedding, doses shuffled": (embedding, shuffled),
    }
    guesses = {name: predicted(numbers, truth, names) for name, (numbers, truth) in found.items()}
    for name, (_, truth) in found.items():
        print(f"{name}: R2 {r2_score(truth, guesses[name]):.2f}")
    plot(doses, guesses["embedding"], per_image, folder / "dose.png")


def plot(doses: np.ndarray, guesses: np.ndarray, per_image: np.ndarray, path: Path) -> None:
    """Predicted over true dose: a dot a cell, a ring an image."""
    figure = Figure(figsize=(4.4, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot(10**per_image, 10 ** guesses.reshape(len(per_image), -1).mean(1), "o", mfc="none", ms=9, label="mean of an image")
    axes.plot(10**doses, 10**guesses, ".", color="0.6", ms=4, zorder=0, label="cell")
    axes.plot([0.1, 10], [0.1, 10], "k-", lw=0.8)
    axes.set(xscale="log", yscale="log", xlabel="true dose, µM", ylabel="predicted dose, µM (cross-validated by image)")
    axes.legend()
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
