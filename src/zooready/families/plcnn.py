"""Protein localisation (PLCNN): an image of a cell in, the compartment that the stained protein is in out, and where it shows.

    cell (b, c, y, x)  -- mean and spread out, network, softmax -->  scores (b, classes), class activation maps (b, classes, y, x)

The shipped model tells ten simulated patterns apart, those of the 2D HeLa data set (:mod:`zooready.simulate.cells`); :func:`family`
makes the record for other classes and channels.
Tahir, Anwar, Mian, Muzaffar, Neural Computing and Applications (2021), doi:10.1007/s00521-021-06715-y
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from zooready.data.augmentation import degraded, placed
from zooready.errors import InputInvalid
from zooready.records import Array, Augmentation, Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate import cells
from zooready.simulate.patterns import PATTERNS
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = tuple(PATTERNS)
CELLS = 3000  # simulated cells per seed, each class in turn
WORSE = Augmentation(blur_px=2.2, noise=0.13, light=0.6, share=0.4)  # the microscopes that training also sees cells through
SMOOTHING = 0.05  # of labels: a class asks for 0.95 and a bit, never for certainty
TEMPERATURE = 0.77  # chosen on simulated cells of their own, so that scores are as right as they say
SAMPLE = ("giantin", 3)  # pattern and number of the cell that the bundle carries


def pair(seed: int, index: int) -> Pair:
    """Training pair ``index``: one of ``CELLS`` simulated cells, turned, mirrored, shifted and scaled; made again from the two numbers."""
    rng = np.random.default_rng((seed, index))
    return varied(cell(seed, int(rng.integers(CELLS))), rng)


@lru_cache(maxsize=2 * CELLS)
def cell(seed: int, number: int, difficulty: float = cells.DIFFICULTY) -> Pair:
    """Simulated cell ``number`` from 0, of each class in turn, as it came from the camera: (1, 96, 96)."""
    label = number % len(CLASSES)
    image, _ = cells.cell(np.random.default_rng((seed, 2, number)), CLASSES[label], difficulty)
    return example(image[None], label, len(CLASSES), cells.PIXEL_SIZE_UM)


def example(image: Array, label: int, classes: int, pixel_size_um: float = 1.0) -> Pair:
    """An image (c, y, x) of class number ``label`` as a pair: target (classes,) float32, 1 at the label; truth the number itself.

    Raises
    ------
    InputInvalid
        The image has not three axes, or there is no such class.
    """
    if image.ndim != 3 or not 0 <= label < classes:
        raise InputInvalid(
            f"an image of shape {image.shape}, class {label} of {classes}: give (c, y, x), and a class from 0 to {classes - 1}."
        )
    target = np.zeros(classes, np.float32)
    target[label] = 1
    return Pair(input=np.asarray(image, np.float32), target=target, pixel_size_um=pixel_size_um, truth=np.asarray(label))


def varied(pair: Pair, rng: np.random.Generator) -> Pair:
    """The same cell as another day and another microscope might show it: placed, and degraded (:mod:`zooready.data.augmentation`)."""
    return replace(pair, input=degraded(placed(pair.input, rng), rng, WORSE))


def loss(output: Any, target: Tensor) -> Tensor:
    """Cross-entropy with smoothed labels; ``output`` is logits (b, classes) or a tuple that begins with them, ``target`` (b, classes)."""
    from torch.nn import functional

    return functional.cross_entropy(_logits(output), target, label_smoothing=SMOOTHING)


def metrics(output: Any, pair: Pair) -> Mapping[str, float]:
    """Accuracy (0 or 1 of one image), score of the true class, and cross-entropy in nats; ``output`` as the loss sees it, b = 1."""
    scores = _logits(output)[0].double().softmax(0).numpy()
    score_of_true_class = float(scores[int(pair.target.argmax())])
    return {
        "accuracy": float(scores.argmax() == pair.target.argmax()),
        "score_of_true_class": score_of_true_class,
        "cross_entropy": float(-np.log(max(score_of_true_class, 1e-12))),
    }


def _logits(output: Any) -> Tensor:
    logits: Tensor = output[0] if isinstance(output, tuple | list) else output
    return logits


def sample() -> Image:
    """A simulated cell to try the bundle on, (96, 96) uint16; the same at every call, and never trained on."""
    pattern, number = SAMPLE
    image, _ = cells.cell(np.random.default_rng((20240707, number)), pattern)
    return Image(array=image, axes="yx", pixel_size_um=cells.PIXEL_SIZE_UM)


def unsimulated(seed: int, index: int) -> Pair:
    """No pair: only the ten patterns are simulated.

    Raises
    ------
    InputInvalid
        Always.
    """
    raise InputInvalid("these classes are not simulated, only the ten patterns are: train on a folder of images.")


def family(classes: tuple[str, ...], channels: tuple[str, ...] = ("protein",), pixel_size_um: tuple[float, float] = (0.34, 0.46)) -> Family:
    """The record of a classifier.

    Parameters
    ----------
    classes
        Names, at least two; the ten simulated patterns have a simulation and a sample image, others come from files.
    channels
        Names of the image's channels.
    pixel_size_um
        Smallest and largest side of a pixel, micrometres.

    Raises
    ------
    InputInvalid
        Fewer than two classes, or names that are not distinct.
    """
    if len(classes) < 2 or len(set(classes)) != len(classes):
        raise InputInvalid(f"classes {classes!r}: give at least two distinct names.")
    is_simulated = classes == CLASSES and len(channels) == 1
    return Family(
        name="plcnn",
        title="PLCNN protein localisation",
        description=(
            f"Classifies the image of one cell into {len(classes)} classes, with scores and class activation maps: {', '.join(classes)}."
        ),
        cite=(
            (
                "Tahir M, Anwar S, Mian A, Muzaffar AW. Deep localization of subcellular protein structures from fluorescence microscopy "
                "images. Neural Computing and Applications 2021",
                "10.1007/s00521-021-06715-y",
            ),
        ),
        input=TensorSpec(name="cell", axes="bcyx", channels=channels, description="Raw camera counts of one cell in the middle."),
        outputs=(
            TensorSpec(name="scores", axes="bc", channels=classes, kind="scores", description="One score per class, 0..1; they sum to 1."),
            TensorSpec(
                name="maps",
                axes="bcyx",
                channels=classes,
                description="Class activation maps: evidence for each class by position. Softmax is given their means plus a constant.",
            ),
        ),
        network=Network(
            architecture=Part(path="zooready.nets.plcnn.PLCNN", kwargs={"channels_in": len(channels), "classes": len(classes)}),
            normalization=Part(path="zooready.nets.normalization.MeanStd"),
            head=Part(path="zooready.nets.plcnn.Scores", kwargs={"temperature": TEMPERATURE if is_simulated else 1.0}),
        ),
        training=Training(
            pair=pair if is_simulated else unsimulated,
            loss=loss,
            recipe=Recipe(steps=1600, batch=24, optimizer="Muon", learning_rate=2e-3, weight_decay=5e-3),
            metrics=metrics,
            crop_px=cells.SIZE if is_simulated else None,
        ),
        pixel_size_um=pixel_size_um,
        tags=("classification", "protein localization", "fluorescence", "2d"),
        sample=sample if is_simulated else None,
        quality=(
            "accuracy on ten simulated patterns {folds_accuracy:.2f} (features and the best of forest and SVM {folds_best_classical:.2f})"
        ),
        evaluation="plcnn",
        for_classes=family,
    )


FAMILY = family(CLASSES)
