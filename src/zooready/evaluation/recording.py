"""The record that a model card is written from: how weights came about, and all that was measured of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooready.evaluation.contract import Evaluation, Weights

RUNNING = ("running_mean", "running_var", "num_batches_tracked")  # of batch normalisation: stored, not learned


def record(begun: Mapping[str, Any], weights: Weights, evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    """Measure weights again, and draw their images.

    Parameters
    ----------
    begun
        What is known already: seed, steps, versions, and tables that other trainings are needed for. What is measured here replaces
        what it says.
    weights
        State dict of the family's network.
    evaluation
        The family's.
    folder
        For the images.

    Returns
    -------
    dict
        Plain data for ``weights/<family>.json``.
    """
    found = evaluation.measure(weights)
    parts = ("tables", "measured_on", "metrics")
    merged = {
        part: {**found[part], **{key: value for key, value in begun.get(part, {}).items() if key not in found[part]}} for part in parts
    }
    images = [{"file": file, "caption": caption} for file, caption in evaluation.draw(weights, folder)]
    return {
        **begun,
        **{key: value for key, value in found.items() if key not in parts},
        **merged,
        "data": begun["data"] if begun.get("data_sha256") else evaluation.data,  # a person's own images, or the simulation in words
        "suited": list(evaluation.suited),
        "unsuited": list(evaluation.unsuited),
        "limits": list(evaluation.limits),
        "parameters": sum(tensor.numel() for key, tensor in weights.items() if not key.endswith(RUNNING)),
        "spot": evaluation.spot(weights),
        "images": images,
    }
