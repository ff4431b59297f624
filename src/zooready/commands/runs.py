"""Finished runs and shipped weights: what a bundle or a card is made of."""

from __future__ import annotations

from argparse import Action
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.bundle.reading import opened
from zooready.errors import BundleInvalid, InputInvalid, meant
from zooready.evaluation import cards
from zooready.families import FAMILIES, for_classes, load_record, load_weights, named, shipped
from zooready.images.files import read_image
from zooready.records import About, Family, Image
from zooready.training import checkpoint
from zooready.training.sample import SAMPLE

if TYPE_CHECKING:
    from torch import Tensor

    from zooready.training.warm_start import Start

INSIDE = "network."  # before the names of a network's weights in a bundle, in which it is one part of several
AUTHORS = ({"name": "the zooready authors"},)
LICENSE = "BSD-3-Clause"
KEPT = (  # of a record, in the bundle
    "seed", "steps", "batch", "optimizer", "adversary", "freeze", "start", "best_step", "data", "data_sha256", "git", "versions", "metrics",
    "kind",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network: its family, its state dict, how it came about (plain data), and the facts of its bundle.

    ``record`` is all that is known of the weights: of shipped ones, what their card is written from.
    """

    family: Family
    weights: Mapping[str, Tensor]
    provenance: Mapping[str, Any]
    about: About
    record: Mapping[str, Any]


def is_run(source: Path | str) -> bool:
    """Whether this is the folder of a run."""
    return (Path(source) / checkpoint.RECORD).exists()


def is_family(source: Path | str) -> bool:
    """Whether this is the name of a family, and no run of that name lies here."""
    return str(source) in FAMILIES and not is_run(source)


def takes_family(action: Action) -> None:
    """Have the shell offer families beside files for a word of the command line."""
    action.completer = _families  # type: ignore[attr-defined]


def _families(prefix: str, **asked: Any) -> list[str]:
    """What the shell offers: argcomplete asks for it."""
    from argcomplete.completers import FilesCompleter

    return [*FAMILIES, *FilesCompleter()(prefix)]


def trained(source: Path | str, family: Family | None = None) -> Trained:
    """The network of a finished run, or of a family with shipped weights; a shipped one's facts hold its measured tables.

    Parameters
    ----------
    source
        Folder of a run, or name of a family.
    family
        The record that the run was trained with, for one that is not in FAMILIES.

    Raises
    ------
    InputInvalid
        Neither a run nor a family, an unfinished run, or a run of another family.
    """
    if family is None and is_family(source):
        known = FAMILIES[str(source)]
        record = load_record(known.name)
        about = about_of(known, "\n".join(cards.tables(record)))
        return Trained(family=known, weights=load_weights(known.name), provenance=provenance_of(record), about=about, record=record)
    if not Path(source).is_dir():
        raise InputInvalid(
            f"{str(source)!r} is neither the folder of a run nor a family: choose from {', '.join(FAMILIES)}.{meant(str(source), FAMILIES)}"
        )
    run = checkpoint.read(Path(source))
    facts: dict[str, Any] = {"seed": run.seed, "steps": run.steps, "data": run.data, "data_sha256": run.data_sha256, "git": run.git}
    facts |= {"adversary": run.adversary, "freeze": run.freeze or None, "start": run.start}
    facts |= {"best_step": run.best_step or None, "has_held_out": run.has_held_out}
    facts |= {"versions": dict(run.versions), "metrics": dict(run.metrics)}
    if family is not None and family.name != run.family:
        raise InputInvalid(f"{source} holds a run of {run.family!r}, not of {family.name!r}: give the family that it was trained with.")
    record_of_run = family or family_of(run)
    about = about_of(record_of_run)
    if run.data_sha256:  # objects and pixels of a person's images, not of the simulation; nothing where the files do not say
        record_of_run = replace(record_of_run, objects=run.objects)
        sides = (run.pixel_size_um[0], run.pixel_size_um[-1]) if run.pixel_size_um else None
        about = replace(about, pixel_size_um=sides, blur_px=None)
    return Trained(family=record_of_run, weights=run.state_dict(), provenance=provenance_of(facts), about=about, record=facts)


def family_of(run: checkpoint.Checkpoint) -> Family:
    """The record that a run was trained with.

    Raises
    ------
    InputInvalid
        No family has its name.
    """
    return for_classes(run.family, run.classes, run.channels) if _has_own_classes(run) else named(run.family)


def _has_own_classes(run: checkpoint.Checkpoint) -> bool:
    """Whether the run is of a person's own classes, of images or of objects in them."""
    return bool(run.classes and run.data_sha256 and run.family in FAMILIES and FAMILIES[run.family].for_classes)


def about_of(family: Family, documentation: str = "") -> About:
    """The facts of a family's own bundle."""
    return About(
        name=family.title,
        description=family.description,
        authors=AUTHORS,
        license=LICENSE,
        cite=family.cite,
        tags=family.tags,
        pixel_size_um=(family.pixel_size_um[0], family.pixel_size_um[-1]) if family.pixel_size_um else None,
        blur_px=(family.blur_px[0], family.blur_px[-1]) if family.blur_px else None,
        documentation=documentation,
    )


def provenance_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle states of its training."""
    facts = {key: record[key] for key in KEPT if record.get(key) not in (None, "")}
    words = f"{record.get('steps')} steps on {record.get('data', 'unknown data')}, seed {record.get('seed')}."
    words += f" Trained against a discriminator, with weight {record['adversary']:g}." if record.get("adversary") else ""
    words += f" Started from {record['start']}." if record.get("start") else ""
    words += f" Its encoder was held for the first {100 * record['freeze']:.0f} % of the steps." if record.get("freeze") else ""
    if step := record.get("best_step"):
        words += f" The weights are those {of_best_step(step, record.get('has_held_out', True))}."
    return {**facts, "training": words}


def of_best_step(step: int, has_held_out: bool) -> str:
    """Which weights of a run are kept, and why.

    >>> of_best_step(20, True), of_best_step(20, False)
    ('of step 20, which had the lowest held-out loss', 'of step 20, which had the lowest loss on the one image that it was trained on')
    """
    return f"of step {step}, which had the lowest {'held-out loss' if has_held_out else 'loss on the one image that it was trained on'}"


def start_of(source: Path | str) -> Start:
    """The weights of a run, of a family as shipped, or of a bundle with a state dict, to begin a training with; no code of it is run.

    Raises
    ------
    InputInvalid
        None of these.
    BundleInvalid
        The bundle cannot be read, or holds no state dict.
    """
    import torch

    from zooready.training.warm_start import Start

    if is_family(source):
        return Start(weights=load_weights(str(source)), words=f"{source}, as shipped")
    if is_run(source):
        return Start(weights=checkpoint.read(Path(source)).state_dict(), words=f"the run {Path(source).resolve().name!r}")
    if not Path(source).exists():
        raise InputInvalid(f"{str(source)!r} is no family, run or bundle: give one of {', '.join(shipped())}, a run's folder, or a zip.")
    with opened(source) as bundle:
        if "state_dict" not in bundle.formats:
            raise BundleInvalid(f"{bundle.path.name} holds no state dict, whose weights training could go on from: export it with one.")
        held = torch.load(bundle.formats["state_dict"], map_location="cpu", weights_only=True)
        own = {name.removeprefix(INSIDE): value for name, value in held.items() if isinstance(value, torch.Tensor)}
        return Start(weights=own, words=f"the bundle {bundle.path.name!r}")


def sample_of(family: Family, source: Path | str) -> Image:
    """The image that the bundle carries: one that the run kept, else the family's own.

    Raises
    ------
    InputInvalid
        There is none.
    """
    kept = Path(source) / SAMPLE
    if kept.is_file():
        return read_image(kept)
    if family.sample is None:
        raise InputInvalid(f"{family.name} has no sample image: put one into the run's folder as {SAMPLE}, or give its Family a sample().")
    return family.sample()
