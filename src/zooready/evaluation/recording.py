"""The record that a model card is written from: how weights were trained, and everything that was measured with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zooready.evaluation.contract import Evaluation, Weights
from zooready.images.whole_files import whole_file
from zooready.records import Verdict

VERDICT = ("consumer", "format", "status", "level", "difference", "tolerance")  # what a record keeps; timings differ from run to run
RUNNING = ("running_mean", "running_var", "num_batches_tracked")  # of batch normalisation: stored, not learned


def record(begun: Mapping[str, Any], weights: Weights, evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    """Measure weights and draw the images of their card.

    Parameters
    ----------
    begun
        Facts of the training: seed, steps, versions, and tables for which further networks were trained. Newly measured values replace
        its own.
    weights
        State dict of the family's network.
    evaluation
        How weights of this family are measured, and the words of its card.
    folder
        Folder for the images.

    Returns
    -------
    dict
        Plain data for ``weights/<family>.json``.
    """
    measured = evaluation.measure(weights)
    parts = ("tables", "measured_on", "metrics")
    merged = {
        part: {**measured[part], **{key: value for key, value in begun.get(part, {}).items() if key not in measured[part]}}
        for part in parts
    }
    images = [{"file": file, "caption": caption} for file, caption in evaluation.draw(weights, folder)]
    return {
        **begun,
        **{key: value for key, value in measured.items() if key not in parts},
        **merged,
        "data": begun["data"] if begun.get("data_sha256") else evaluation.data,  # a person's own images, or the simulation in words
        "suited": list(evaluation.suited),
        "unsuited": list(evaluation.unsuited),
        "limits": list(evaluation.limits),
        "parameters": sum(tensor.numel() for key, tensor in weights.items() if not key.endswith(RUNNING)),
        "spot": evaluation.spot(weights),
        "images": images,
    }


def plain(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Status, level and difference of each format in each program, as a record keeps them."""
    return [{key: asdict(verdict)[key] for key in VERDICT} for verdict in verdicts]


def write(facts: Mapping[str, Any], name: str, folder: Path) -> None:
    """Write a record as ``<folder>/<name>.json``, whole."""
    with whole_file(folder / f"{name}.json") as file:
        file.write((json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode())
