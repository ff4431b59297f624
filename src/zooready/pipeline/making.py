"""From images or a simulation to a bundle: train, export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.errors import InputInvalid
from zooready.families import FOR_CLASSES, for_classes, named
from zooready.records import About, Family, Image
from zooready.training.sample import SAMPLE, keep_sample

if TYPE_CHECKING:
    from zooready.exporting.exported import Exported
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
        "simulated", or files: a folder of images in the family's layout, npz files of pairs, or, for a classifier, a folder a class.
        A classifier by name is made for the classes and channels of the folder.
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

    settings: dict[str, Any] = {"steps": steps, "batch": batch, "seed": seed, "device": device}
    files = None if str(data) == "simulated" else Path(data)
    if files and isinstance(family, str) and family in FOR_CLASSES:
        return _train_classifier(family, Path(out), files, settings)
    return fit(named(family) if isinstance(family, str) else family, Path(out), **settings, data=files)


def _train_classifier(name: str, out: Path, folder: Path, settings: Mapping[str, Any]) -> Checkpoint:
    """Train a classifier on a folder a class; a held-out image stays with the run, as the sample of its bundle."""
    from zooready.data import read_classes, share
    from zooready.training.loop import train as fit
    from zooready.training.pairs import TRAINED_ON, classified

    found = read_classes(folder)
    split = share(found.labels, TRAINED_ON, int(settings["seed"]))
    pairs = classified(found, split, f"the folder {folder.resolve().name!r}")
    run = fit(for_classes(name, found.classes, found.channels), out, **settings, data=pairs)
    keep_sample(found, split.held_out[0], out)
    return run


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
    from zooready.exporting import exported
    from zooready.exporting.about import read

    family, state, provenance, facts = _trained(source, family)
    network = family.architecture.build()
    network.load_state_dict(state)
    return exported.export(
        network,
        _sample(family, Path(source)),
        read(Path(about)) if about else facts,
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
        provenance={**provenance, "crop_px": family.crop_px},
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


def _trained(source: Path | str, given: Family | None) -> tuple[Family, Mapping[str, Any], Mapping[str, Any], About]:
    """Family, weights, provenance and facts (a shipped model's with its measured tables) of a run's folder or of a shipped model."""
    from zooready.evaluation import cards
    from zooready.families import FAMILIES, load_record, load_weights
    from zooready.training import checkpoint

    if given is None and str(source) in FAMILIES and not (Path(source) / checkpoint.RECORD).exists():
        family = FAMILIES[str(source)]
        record = load_record(family.name)
        return family, load_weights(family.name), provenance_of(record), about_of(family, "\n".join(cards.tables(record)))
    if not Path(source).is_dir():
        raise InputInvalid(f"{str(source)!r} is neither the folder of a run nor a family: choose from {', '.join(FAMILIES)}.")
    run = checkpoint.read(Path(source))
    facts: dict[str, Any] = {"seed": run.seed, "steps": run.steps, "data": run.data, "data_sha256": run.data_sha256, "git": run.git}
    facts |= {"versions": dict(run.versions), "metrics": dict(run.metrics)}
    if given is not None and given.name != run.family:
        raise InputInvalid(f"{source} holds a run of {run.family!r}, not of {given.name!r}: give the family that it was trained with.")
    is_own = bool(run.classes and run.data_sha256 and run.family in FOR_CLASSES)
    family = given or (for_classes(run.family, run.classes, run.channels) if is_own else named(run.family))
    about = about_of(family)
    if is_own:  # pixels of a person's images, not of the simulation; nothing where the files do not say
        about = replace(about, pixel_size_um=(run.pixel_size_um[0], run.pixel_size_um[-1]) if run.pixel_size_um else None)
    return family, run.state_dict(), provenance_of(facts), about


def provenance_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle tells of its training."""
    kept = ("seed", "steps", "batch", "optimizer", "data", "data_sha256", "git", "versions", "metrics")
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


def _sample(family: Family, run: Path) -> Image:
    """The image that the bundle carries: one that the run kept, else the family's own."""
    from zooready.images.files import read_image

    if (run / SAMPLE).is_file():
        return read_image(run / SAMPLE)
    if family.sample is None:
        raise InputInvalid(f"{family.name} has no sample image: put one into the run's folder as {SAMPLE}, or give its Family a sample().")
    return family.sample()
