"""Segmentation's card: what :mod:`zooready.evaluation.label_images` measures of the shipped weights, its images, and its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from zooready.evaluation import label_images, own_images
from zooready.evaluation.contract import Evaluation, Weights
from zooready.evaluation.grids import grid
from zooready.families import segmentation
from zooready.images.drawing import coloured, grey
from zooready.records import Array

CHANGED_FIELDS, CHANGED_PX, SHOWN_PX = 10, 256, 256


def robustness(segmenter: label_images.Segmenter) -> list[dict[str, Any]]:
    """F1 of the network and of Otsu's method on simulated fields that were changed in one way each; one row per change."""
    pairs = label_images.fields(label_images.HELD_OUT_SEED, CHANGED_FIELDS, CHANGED_PX)
    rng = np.random.default_rng(label_images.HELD_OUT_SEED)
    rows = []
    for title, change in CHANGES.items():
        images = [(change(pair.input[0], rng), pair.truth) for pair in pairs]
        network = label_images.measured(segmenter, images)
        otsu = label_images.measured(lambda image: label_images.classical(image, "otsu"), images)
        rows.append({"method": title, "F1@0.5": network["f1_50"], "F1@0.75": network["f1_75"], "F1@0.5, Otsu": otsu["f1_50"]})
    return rows


def _noisy(image: Array, rng: np.random.Generator) -> Array:
    return image + rng.normal(0, 0.1 * float(np.ptp(image)), image.shape)


def _uneven(image: Array, rng: np.random.Generator) -> Array:
    return image * np.linspace(0.4, 1.6, image.shape[1])[None, :]


CHANGES: Mapping[str, Callable[[Array, np.random.Generator], Array]] = {
    "as simulated": lambda image, rng: image,
    "noise of 10 % of the range added": _noisy,
    "blurred by 1 px": lambda image, rng: ndimage.gaussian_filter(image.astype(np.float64), 1.0),
    "blurred by 2 px": lambda image, rng: ndimage.gaussian_filter(image.astype(np.float64), 2.0),
    "light falls from 1.6 to 0.4": _uneven,
    "clipped at the median of the bright half": lambda image, rng: np.minimum(image, np.median(image[image > np.median(image)])),
}


def measure(weights: Weights) -> dict[str, Any]:
    """Tables, where they were measured, and flat numbers of the shipped weights; plain data."""
    segmenter = label_images.Segmenter(weights)
    tables = label_images.tables(segmenter)
    return {
        "tables": {**tables, "robustness": robustness(segmenter)},
        "metrics": label_images.flat(tables),
        "measured_on": {
            "simulated": f"{label_images.HELD_OUT_FIELDS} held-out simulated fields of {label_images.FIELD_PX} px, "
            f"seed {label_images.HELD_OUT_SEED}",
            "real": "one development image with 125 nuclei outlined by hand; not used for training; a single image does not prove "
            "generalisation",
            "robustness": f"{CHANGED_FIELDS} of the held-out simulated fields, {CHANGED_PX} px, changed in one way each",
        },
    }


def spot(weights: Weights) -> dict[str, float]:
    """F1 and mean IoU on two held-out fields, and on the real image."""
    segmenter = label_images.Segmenter(weights)
    simulated = label_images.measured(
        segmenter, [(pair.input[0], pair.truth) for pair in label_images.fields(label_images.HELD_OUT_SEED, 2)]
    )
    real = label_images.measured(segmenter, [(segmentation.sample().array, segmentation.sample_labels())])
    return {**simulated, **{f"{name}_real": value for name, value in real.items()}}


def draw(weights: Weights, folder: Path) -> list[tuple[str, str]]:
    """The real image with its labels, and the simulated fields with the lowest F1."""
    segmenter = label_images.Segmenter(weights)
    image, truth = segmentation.sample().array[:SHOWN_PX, :SHOWN_PX], segmentation.sample_labels()[:SHOWN_PX, :SHOWN_PX]
    titles = ("image", "Otsu + watershed", "this network", "truth")

    def row(image: Array, truth: Array | None) -> list[Array]:
        labels = truth if truth is not None else np.zeros_like(image)
        return [grey(image), coloured(label_images.classical(image, "otsu")), coloured(segmenter(image)), coloured(labels)]

    scored = [
        (segmentation.scores(segmenter(pair.input[0]), pair.truth)["f1_50"], number, pair)
        for number, pair in enumerate(label_images.fields(label_images.HELD_OUT_SEED, label_images.HELD_OUT_FIELDS // 2))
    ]
    worst = sorted(scored, key=lambda entry: entry[:2])[:3]
    grid(
        folder / "segmentation-examples.png",
        titles,
        [("real", row(image, truth)), ("simulated", row(scored[0][2].input[0], scored[0][2].truth))],
    )
    grid(folder / "segmentation-failures.png", titles, [(f"F1 {f1:.2f}", row(pair.input[0], pair.truth)) for f1, _, pair in worst])
    return [
        ("segmentation-examples.png", f"A part of the real development image ({SHOWN_PX} px), and a simulated field."),
        ("segmentation-failures.png", f"Failure cases: of {len(scored)} held-out simulated fields, the three with the lowest F1."),
    ]


EVALUATION = Evaluation(
    judge=own_images.write,
    measure=measure,
    spot=spot,
    draw=draw,
    data="600 simulated fields of nuclei (384 x 384 px, nuclei 7 to 120 px wide) and then on them and 33 real fields (mnfinder 1.2.3, MIT: "
    "training-data and validation-data, 2,607 nuclei; RPE1, U2OS and other cells, 20x and 40x); it began from the U-Net that was shipped "
    "before, which knew simulated nuclei only",
    suited=(
        "Nuclei in wide-field or confocal fluorescence, 8 to 100 px wide, as they are: no pixel size is needed. Single or touching, dim "
        "and bright in one image; micronuclei and debris beside them are left out.",
    ),
    unsuited=(
        "Histology in bright field, whole cells, bacteria, stacks as volumes: the network takes one fluorescence plane.",
        "Tightly packed, equally bright neighbours: it still merges some of them.",
        "Micronuclei: they are background here.",
        "Diagnosis.",
    ),
    limits=(
        "Objects below 12 px of area were not in its training images.",
        "The development image was looked at during development; the other real images are of one laboratory's project.",
    ),
)
