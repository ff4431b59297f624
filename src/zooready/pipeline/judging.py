"""Weights judged: everything on a model card measured again, and the card written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from zooready.errors import InputInvalid
from zooready.families import named
from zooready.images.whole_files import make_folder, whole_file
from zooready.pipeline.making import export_trained
from zooready.pipeline.using import check
from zooready.records import Family

if TYPE_CHECKING:
    from zooready.evaluation.contract import Weights

Tell = Callable[[str], None]


def evaluate(source: Path | str, out: Path | str, *, records: Path | str | None = None, tell: Tell = lambda words: None) -> Path:
    """Measure a family's weights against truth and classical methods, run their bundle everywhere, and write the card.

    Parameters
    ----------
    source
        A family with shipped weights, or the folder of a finished run.
    out
        Folder for ``<family>.md`` and its images; made if missing.
    records
        Folder for ``<family>.json``, all that the card says as plain data; `out` if None.
    tell
        Called with a sentence before each part, which may take minutes.

    Returns
    -------
    Path
        The card.

    Raises
    ------
    InputInvalid
        Neither a run nor a family, a family that nobody knows how to judge, or a folder that cannot be written.
    """
    from zooready.evaluation import EVALUATIONS, cards, record

    family, state, begun = _begun(source)
    if family.name not in EVALUATIONS:
        raise InputInvalid(f"{family.name} has no evaluation: choose from {', '.join(EVALUATIONS)}.")
    place = Path(out)
    make_folder(place)
    tell(f"{family.name}: measuring, and drawing images")
    found = record(begun, state, EVALUATIONS[family.name], place)
    tell(f"{family.name}: exporting, and running the bundle in every program that is here")
    kept = {**found, "verdicts": _verdicts(source, family.torchscript)}
    where = Path(records or out) / f"{family.name}.json"
    with whole_file(where) as file:
        file.write((json.dumps(kept, indent=1, ensure_ascii=False) + "\n").encode())
    card = place / f"{family.name}.md"
    with whole_file(card) as file:
        file.write(cards.page(family, kept).encode())
    return card


def _begun(source: Path | str) -> tuple[Family, Weights, dict[str, Any]]:
    """Family, weights, and what is known of them already, of a run's folder or of a shipped model."""
    from zooready.families import FAMILIES, load_record, load_weights
    from zooready.training import checkpoint

    if str(source) in FAMILIES and not (Path(source) / checkpoint.RECORD).exists():
        return FAMILIES[str(source)], load_weights(str(source)), load_record(str(source))
    run = checkpoint.read(Path(source))
    if run.classes and run.data_sha256:
        raise InputInvalid(
            f"{source} tells {len(run.classes)} classes of your own apart, whose truth only you have: its {checkpoint.RECORD} holds the "
            "scores of the images that were held out."
        )
    left_out = ("folder", "is_finished", "classes", "channels", "pixel_size_um")
    facts = {key: value for key, value in asdict(run).items() if key not in left_out and value not in ("", {})}
    return named(run.family), run.state_dict(), {**facts, "sha256": hashlib.sha256(run.weights.read_bytes()).hexdigest()}


def _verdicts(source: Path | str, torchscript: str) -> list[dict[str, Any]]:
    """Status, level and difference of each format in each program, plain data; no timings, which differ from run to run."""
    with TemporaryDirectory(prefix="zooready-") as folder:
        made = export_trained(source, Path(folder) / "bundle.zip", torchscript=torchscript)
        found = check(made.path, trust_code=True)
    kept = ("consumer", "format", "status", "level", "difference", "tolerance")
    return [{key: asdict(verdict)[key] for key in kept} for verdict in found.verdicts]
