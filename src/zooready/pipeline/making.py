"""From pictures or a simulation to a bundle: train, export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.errors import InputInvalid
from zooready.records import About, Family, Picture

if TYPE_CHECKING:
    from zooready.exporting import Exported
    from zooready.training.checkpoint import Checkpoint

AUTHORS = ({"name": "the zooready authors"},)
LICENSE = "BSD-3-Clause"


def train(
    family: str | Family,
    out: Path | str,
    *,
    data: Path | str = "simulated",
    steps: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Checkpoint:
    """Train a family's network; see docs/train.md.

    Parameters
    ----------
    family
        Name or record.
    out
        Folder of the run. A run that was stopped goes on; a finished one is returned.
    data
        "simulated", or a folder of pictures in the family's layout.
    steps, batch
        The family's recipe if None.
    seed
        Of weights, data and augmentation.
    device
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    InputInvalid
        Unknown family, unusable data, or a folder that holds another run.
    """
    from zooready.training.loop import train as fit

    chosen = named(family) if isinstance(family, str) else family
    folder = None if str(data) == "simulated" else Path(data)
    return fit(chosen, Path(out), steps=steps, batch=batch, seed=seed, device=device, data=folder)


def named(name: str) -> Family:
    """The family of that name.

    Raises
    ------
    InputInvalid
        There is none; the message lists those that exist.
    """
    from zooready.families import FAMILIES

    if name not in FAMILIES:
        raise InputInvalid(f"no family is called {name!r}: choose from {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def export_trained(
    source: Path | str,
    out: Path | str | None = None,
    *,
    about: Path | str | None = None,
    torchscript: str = "auto",
    outputs: Sequence[str] | None = None,
    family: Family | None = None,
) -> Exported:
    """Make the bundle of a finished run, or of the weights that come with zooready.

    Parameters
    ----------
    source
        Folder of a run, or the name of a family with shipped weights.
    out
        The zip; ``<family>.zip`` here if None.
    about
        ``about.yaml``; the family's own facts if None.
    torchscript
        "auto", "plain", "frozen" or "channels_last".
    outputs
        Ids to keep, e.g. only ``["labels"]`` for QuPath, which takes one.
    family
        The record that the run was trained with, for one that is not in FAMILIES.

    Raises
    ------
    InputInvalid
        Neither a run nor a family, a run of another family, or an output that does not exist.
    """
    from zooready import exporting
    from zooready.about import read

    family, state, provenance, documentation = _trained(source, family)
    network = family.architecture.build()
    network.load_state_dict(state)
    return exporting.export(
        network,
        _sample(family),
        read(Path(about)) if about else about_of(family, documentation),
        Path(out) if out else Path(f"{family.name}.zip"),
        architecture=family.architecture,
        normalization=family.normalization,
        head=family.head,
        input=family.input,
        outputs=family.outputs,
        keep=_places(family, outputs),
        restores=family.restores,
        torchscript=torchscript,
        tolerance=family.tolerance,
        provenance=provenance,
    )


def about_of(family: Family, documentation: str = "") -> About:
    """The facts of a family's own bundle."""
    return About(
        name=family.title,
        description=family.description,
        authors=AUTHORS,
        license=LICENSE,
        cite=family.cite,
        tags=family.tags,
        pixel_size_um=family.pixel_size_um,
        documentation=documentation,
    )


def _trained(source: Path | str, given: Family | None) -> tuple[Family, Mapping[str, Any], Mapping[str, Any], str]:
    """Family, weights, provenance and measured tables (Markdown) of a run's folder or of a shipped model."""
    from zooready import cards
    from zooready.families import FAMILIES, load_record, load_weights
    from zooready.training import checkpoint

    if given is None and str(source) in FAMILIES and not (Path(source) / checkpoint.RECORD).exists():
        family = FAMILIES[str(source)]
        record = load_record(family.name)
        return family, load_weights(family.name), provenance_of(record), "\n".join(cards.tables(record))
    if not Path(source).is_dir():
        raise InputInvalid(f"{str(source)!r} is neither the folder of a run nor a family: choose from {', '.join(FAMILIES)}.")
    run = checkpoint.read(Path(source))
    facts: dict[str, Any] = {"seed": run.seed, "steps": run.steps, "data": run.data, "data_sha256": run.data_sha256, "git": run.git}
    facts |= {"versions": dict(run.versions), "metrics": dict(run.metrics)}
    if given is not None and given.name != run.family:
        raise InputInvalid(f"{source} holds a run of {run.family!r}, not of {given.name!r}: give the family that it was trained with.")
    return given or named(run.family), run.state_dict(), provenance_of(facts), ""


def provenance_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle tells of its training."""
    kept = ("seed", "steps", "batch", "data", "data_sha256", "git", "versions", "metrics")
    facts = {key: record[key] for key in kept if record.get(key) not in (None, "")}
    words = f"{record.get('steps')} steps on {record.get('data', 'unknown data')}, seed {record.get('seed')}."
    return {**facts, "training": words}


def _places(family: Family, outputs: Sequence[str] | None) -> tuple[int, ...]:
    """Places of the outputs that were asked for; empty for all."""
    ids = [spec.name for spec in family.outputs]
    unknown = [name for name in outputs or () if name not in ids]
    if unknown:
        raise InputInvalid(f"{family.name} has no output {', '.join(map(repr, unknown))}: choose from {', '.join(ids)}.")
    return tuple(ids.index(name) for name in outputs or ())


def _sample(family: Family) -> Picture:
    if family.sample is None:
        raise InputInvalid(f"{family.name} has no sample picture: give its Family a sample().")
    return family.sample()
