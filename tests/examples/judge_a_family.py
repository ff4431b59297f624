"""Smoothing's card: how the toy family is judged, beside its own input, on blobs that no training saw.

This file is an example of docs/add-a-family.md: copied to src/zooready/evaluation/smoothing.py, it is an evaluation like the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zooready.evaluation.contract import Evaluation, Weights, digits
from zooready.evaluation.grids import grid
from zooready.families import FAMILIES
from zooready.records import Array, Pair

SEED, IMAGES = 7_000_000, 16  # no training draws from this seed


def restored(weights: Weights, count: int) -> Iterator[tuple[Pair, Array, dict[str, float]]]:
    """Held-out pairs, what the network makes of each, (y, x), and the metrics."""
    import torch

    family = FAMILIES["smoothing"]
    network, normalization = family.network.architecture.build().eval(), family.network.normalization.build()
    network.load_state_dict(weights)
    for index in range(count):
        pair = family.training.pair(SEED, index)
        with torch.no_grad():
            output = network(normalization(torch.from_numpy(pair.input[None])))
        yield pair, output[0, 0].numpy(), dict(family.training.metrics(output, pair))


def means(weights: Weights, count: int) -> dict[str, float]:
    """Mean PSNR in dB of the network's output and of the input itself."""
    numbers = [numbers for _, _, numbers in restored(weights, count)]
    return {name: digits(np.mean([each[name] for each in numbers])) for name in ("psnr", "psnr_input")}


def measure(weights: Weights) -> dict[str, Any]:
    """The card's table, where it was measured, and flat numbers; plain data."""
    numbers = means(weights, IMAGES)
    rows = [{"method": "this network", "psnr": numbers["psnr"]}, {"method": "input itself", "psnr": numbers["psnr_input"]}]
    return {"tables": {"held-out": rows}, "measured_on": {"held-out": f"{IMAGES} simulated images, seed {SEED}"}, "metrics": numbers}


def spot(weights: Weights) -> dict[str, float]:
    """The same of two images."""
    return means(weights, 2)


def draw(weights: Weights, folder: Path) -> list[tuple[str, str]]:
    """Two held-out images with what the network makes of them."""
    rows = [(f"{numbers['psnr']:.1f} dB", [pair.input[0], image, pair.target[0]]) for pair, image, numbers in restored(weights, 2)]
    grid(folder / "smoothing-examples.png", ("input", "this network", "truth"), rows, shared=False)
    return [("smoothing-examples.png", "Two held-out simulated images.")]


EVALUATION = Evaluation(
    measure=measure,
    spot=spot,
    draw=draw,
    data="simulated blobs",
    suited=("Blobs about 7 px wide.",),
    unsuited=("Everything else: it is a toy.",),
    limits=("Only blobs were taught, in one size.",),
)
