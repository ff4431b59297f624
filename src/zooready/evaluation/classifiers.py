"""Classifiers of cells beside classical features with a forest or a support vector machine: the numbers of plcnn's card.

Everything here is measured on simulated cells. Tables that need trainings (folds, rivals, shares) come from
``benchmarks/classification.py``; :func:`tables` measures shipped weights again, on cells that were used neither in training
nor in choosing the temperature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from zooready.evaluation.claims import CLAIMS, NOTES
from zooready.evaluation.contract import digits
from zooready.families import plcnn
from zooready.measurement.features import measurements
from zooready.records import Array, Family, Pair
from zooready.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

Float = NDArray[np.float64]
Labels = NDArray[np.int64]
CHOSEN_SEED, HELD_OUT_SEED = 6_100_001, 6_100_002  # cells to choose the temperature on, and to measure on; no training uses them
CHOSEN_CELLS, HELD_OUT_CELLS = 500, 1000
BINS = 15  # of the calibration error
TREES, PENALTY = 500, 10.0  # of the random forest; of the support vector machine
Disturb = Callable[[Array, np.random.Generator], Array]  # (y, x) -> the same shape


class Scorer:
    """A trained network as a classifier of cells: images of one size in, logits out."""

    def __init__(self, weights: Mapping[str, Tensor], family: Family = plcnn.FAMILY) -> None:
        from torch import nn

        self.network = family.network.architecture.build().eval()
        self.network.load_state_dict(weights)
        self.normalization = family.network.normalization.build() if family.network.normalization else nn.Identity()

    def logits(self, cells: Sequence[Array], batch: int = 50) -> Float:
        """Cells (c, y, x), all of one size -> logits (n, classes)."""
        batches = [self.outputs(cells[start : start + batch])[0] for start in range(0, len(cells), batch)]
        return np.concatenate(batches)

    def outputs(self, cells: Sequence[Array]) -> tuple[Float, ...]:
        """The network's own outputs for a batch of cells (c, y, x) of one size."""
        import torch

        with torch.no_grad():
            outputs = self.network(self.normalization(torch.as_tensor(np.stack(cells))))
        return tuple(output.double().numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,)))


def held_out(count: int, seed: int = HELD_OUT_SEED) -> list[Pair]:
    """Simulated cells that are never trained on, of each class in turn."""
    return [plcnn.cell(seed, number) for number in range(count)]


def labels(pairs: Sequence[Pair]) -> Labels:
    """The true class of each cell, (n,)."""
    return np.array([int(pair.target.argmax()) for pair in pairs])


def softmax(logits: Float, temperature: float = 1.0) -> Float:
    """Scores (n, classes) of logits, their rows summing to 1."""
    scaled = logits / temperature
    raised = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def counts(truth: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """Confusion matrix (classes, classes): rows are the true classes, columns the predicted ones."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


def calibration_error(scores: Float, truth: Labels, bins: int = BINS) -> float:
    """Expected calibration error, 0..1: how far scores of predicted classes are from the share of correct predictions.

    Parameters
    ----------
    scores
        (n, classes), rows summing to 1.
    truth
        (n,) classes.
    bins
        Number of bins of equal width from 0 to 1, weighted by the cells in them.

    References
    ----------
    .. [1] C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    score, is_right = scores.max(1), scores.argmax(1) == truth
    index = np.minimum((score * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    gap = np.abs(np.bincount(index, score, bins) - np.bincount(index, is_right, bins))
    return float(gap.sum() / count.sum())


def chosen_temperature(logits: Float, truth: Labels) -> float:
    """The temperature, 0.2 to 5, at which the mean cross-entropy of the true classes is lowest."""

    def entropy(log_temperature: float) -> float:
        scores = softmax(logits, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(scores[np.arange(len(truth)), truth], 1e-12)).mean())

    optimum = optimize.minimize_scalar(entropy, bounds=(np.log(0.2), np.log(5)), method="bounded")
    return float(np.exp(optimum.x))


def lit_unevenly(image: Array, rng: np.random.Generator) -> Array:
    """Light that falls from 1.6 to 0.4 of its mean across the image, in any direction, above its first percentile."""
    y, x = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    turn, dark = rng.uniform(0, 2 * np.pi), np.percentile(image, 1)
    return np.asarray(dark + (image - dark) * (1 + 0.6 * (y * np.sin(turn) + x * np.cos(turn)) / np.sqrt(2)))


def noisy(image: Array, rng: np.random.Generator, share: float = 0.1) -> Array:
    """Gaussian noise of ``share`` of the distance from the 1st to the 99.5th percentile."""
    low, high = np.percentile(image, (1, 99.5))
    return np.asarray(image + rng.normal(0, share * (high - low), image.shape))


def blurred(image: Array, rng: np.random.Generator, sigma: float = 1.0) -> Array:
    """Gaussian blur of ``sigma`` px, as out of focus."""
    return np.asarray(ndimage.gaussian_filter(np.asarray(image, np.float64), sigma))


def resized(image: Array, pixel: float) -> Array:
    """The same cell with pixels ``pixel`` times as large, at the same number of pixels; pixels from outside are mirrored."""
    centre = (np.array(image.shape) - 1) / 2
    return np.asarray(
        ndimage.affine_transform(np.asarray(image, np.float64), np.eye(2) * pixel, centre * (1 - pixel), order=1, mode="mirror")
    )


DISTURBANCES: Mapping[str, Disturb] = {
    "light falls from 1.6 to 0.4": lit_unevenly,
    "noise of 5 % of the range": lambda image, rng: noisy(image, rng, 0.05),
    "noise of 10 % of the range": noisy,
    "blur of 1 px": blurred,
    "blur of 2 px": lambda image, rng: blurred(image, rng, 2.0),
    "pixels 20 % smaller": lambda image, rng: resized(image, 0.8),
    "pixels 10 % smaller": lambda image, rng: resized(image, 0.9),
    "pixels 10 % larger": lambda image, rng: resized(image, 1.1),
    "pixels 20 % larger": lambda image, rng: resized(image, 1.2),
}


def disturbed(pairs: Sequence[Pair], how: str, seed: int = HELD_OUT_SEED) -> list[NDArray[np.float32]]:
    """The images (c, y, x) of cells after one of ``DISTURBANCES``."""
    change = DISTURBANCES[how]
    rngs = (np.random.default_rng((seed, 3, number)) for number in range(len(pairs)))
    return [np.stack([change(plane, rng) for plane in pair.input]).astype(np.float32) for pair, rng in zip(pairs, rngs, strict=True)]


def features(cells: Sequence[Array]) -> Float:
    """Classical measurements of cells (c, y, x), (n, measurements); channels one after the other."""
    return np.array([[value for plane in cell for value in measurements(plane).values()] for cell in cells])


def names() -> list[str]:
    """Names of the measurements of one channel, in order."""
    return list(measurements(np.zeros((16, 16))))


def classical(features: Float, truth: Labels, method: str, seed: int = 0) -> Any:
    """A scikit-learn classifier, fitted.

    Parameters
    ----------
    features
        (n, measurements).
    truth
        (n,) classes.
    method
        "forest": a random forest of 500 trees. "svm": a support vector machine with a Gaussian kernel on standardised measurements.
    seed
        Seed of the forest.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    if method == "forest":
        return RandomForestClassifier(TREES, random_state=seed).fit(features, truth)
    return make_pipeline(StandardScaler(), SVC(C=PENALTY)).fit(features, truth)


def tables(weights: Mapping[str, Tensor], count: int = HELD_OUT_CELLS, temperature: float = plcnn.TEMPERATURE) -> dict[str, Any]:
    """Scores of weights on held-out simulated cells; plain data.

    Parameters
    ----------
    weights
        State dict of the shipped architecture.
    count
        Cells, best a multiple of the ten classes.
    temperature
        Temperature of the head.

    Returns
    -------
    dict
        ``metrics``: accuracy, and the calibration error with and without the temperature. ``confusion``: classes and counts, rows true.
        ``tables``: rows with ``method`` and numbers, "classes" (recall and precision) and "robustness" (accuracy).
    """
    scorer, pairs = Scorer(weights), held_out(count)
    truth, logits = labels(pairs), scorer.logits([pair.input for pair in pairs])
    matrix = counts(truth, logits.argmax(1), len(plcnn.CLASSES))
    right = matrix.diagonal()
    rows = zip(plcnn.CLASSES, right / np.maximum(matrix.sum(1), 1), right / np.maximum(matrix.sum(0), 1), strict=True)
    changed = {how: scorer.logits(disturbed(pairs, how)).argmax(1) for how in DISTURBANCES}
    changed = {"as simulated": logits.argmax(1), **changed}
    return {
        "metrics": {
            "accuracy": digits((logits.argmax(1) == truth).mean()),
            "ece": digits(calibration_error(softmax(logits, temperature), truth)),
            "ece_without_temperature": digits(calibration_error(softmax(logits), truth)),
        },
        "confusion": {"classes": list(plcnn.CLASSES), "counts": matrix.tolist()},
        "tables": {
            "classes": [{"method": name, "recall": digits(recall), "precision": digits(precision)} for name, recall, precision in rows],
            "robustness": [{"method": how, "accuracy": digits((predicted == truth).mean())} for how, predicted in changed.items()],
        },
    }


def record(
    run: Checkpoint,
    *,
    folds: Sequence[Mapping[str, Any]],
    shares: Sequence[Mapping[str, Any]],
    classical: Sequence[Mapping[str, Any]],
    steps: int,
) -> dict[str, Any]:
    """The record ``weights/plcnn.json`` of a finished run: a temperature chosen on separate cells, then scores; plain data.

    Parameters
    ----------
    run
        The training whose weights are shipped.
    folds, shares, classical
        Rows of the tables that need other trainings, networks' of ``steps`` steps each, and of the classical methods' robustness; from
        ``benchmarks/classification.py``.
    """
    weights = run.state_dict()
    chosen = held_out(CHOSEN_CELLS, CHOSEN_SEED)
    temperature = round(chosen_temperature(Scorer(weights).logits([pair.input for pair in chosen]), labels(chosen)), 2)
    measured = tables(weights, temperature=temperature)
    accuracy = {row["method"]: row["accuracy"] for row in folds}
    facts = {
        name: getattr(run, name) for name in ("family", "seed", "steps", "batch", "optimizer", "git", "device", "precision", "seconds")
    }
    return {
        **facts,
        "data": f"simulated cells only ({plcnn.CELLS} of {len(plcnn.CLASSES)} patterns, seed {run.seed})",
        "versions": dict(run.versions),
        "parameters": sum(weight.numel() for weight in plcnn.FAMILY.network.architecture.build().parameters()),
        "sha256": hashlib.sha256(run.weights.read_bytes()).hexdigest(),
        "thresholds": {"temperature": temperature, "chosen_on": f"{CHOSEN_CELLS} simulated cells, seed {CHOSEN_SEED}"},
        "metrics": {
            **measured["metrics"],
            "folds_accuracy": accuracy["PLCNN"],
            "folds_best_classical": max(accuracy["features + random forest"], accuracy["features + SVM"]),
            "folds_best_rival": max(accuracy["ResNet-like"], accuracy["VGG-like"]),
        },
        "tables": {
            "folds": list(folds),
            "share": list(shares),
            **measured["tables"],
            "robustness of features": list(classical),
            "claims": [dict(row) for row in CLAIMS],
        },
        "confusion": measured["confusion"],
        "notes": [
            f"A VGG-like network with batch normalisation, which neither the published VGG nor the plain path of PLCNN has, reaches "
            f"{accuracy['VGG-like, normalised']:.3f} in the five folds, PLCNN {accuracy['PLCNN']:.3f}.",
            *NOTES,
        ],
        "measured_on": {
            "folds": f"{plcnn.CELLS} simulated cells in five parts, each method trained on four and tested on the fifth; "
            f"{steps} steps of {run.batch} for every network",
            "share": f"trained on a share of the {plcnn.CELLS} cells for {steps} steps, tested on {HELD_OUT_CELLS} others; "
            "80 % is the mean of the five folds, the others are one training each, so differences of 0.01 between rows are not significant",
            "classes": f"the shipped weights on {HELD_OUT_CELLS} held-out simulated cells, seed {HELD_OUT_SEED}",
            "robustness": "the shipped weights on the same held-out cells, changed in one way each",
            "robustness of features": f"the same held-out cells; forest and SVM trained on the {plcnn.CELLS} cells as simulated",
            "claims": "what the paper claims for its own and for other methods, per cent; not measured here",
        },
    }
