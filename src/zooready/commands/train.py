"""``zooready train``: a family and images, or its simulation, become the folder of a run."""

from __future__ import annotations

import shlex
from argparse import SUPPRESS, ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.commands import runs
from zooready.commands.console import CONSOLE, print_line
from zooready.commands.numbers import from_zero, positive
from zooready.commands.runs import of_best_step, start_of
from zooready.data import read_classes, share
from zooready.errors import InputInvalid, amount
from zooready.families import FAMILIES, for_classes, for_folder, named
from zooready.records import Family
from zooready.training.pairs import TRAINED_ON, classified
from zooready.training.recipes import read_recipe, with_recipe

if TYPE_CHECKING:
    from zooready.training.checkpoint import Checkpoint

SIMULATED = "simulated"  # instead of a folder of data


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready train``."""
    add = parser.add_argument
    runs.takes_family(add("family", help=f"{', '.join(FAMILIES)} (zooready list)"))
    add("--out", type=Path, required=True, help="folder of the run")
    add("--data", default=SIMULATED, help=layouts())
    add("--validation", type=Path, default=SUPPRESS, metavar="DIR", help="images to hold out (default: a fifth of the data)")
    add("--from", dest="start", default=SUPPRESS, metavar="START", help="go on from the weights of a family, a run, or a bundle")
    add("--recipe", type=Path, default=SUPPRESS, metavar="FILE", help="YAML: steps, batch, optimizer, augmentation, ... (docs/train.md)")
    add("--steps", type=positive, default=SUPPRESS, help="optimiser steps (default: the family's recipe, fewer for few images)")
    add("--batch", type=positive, default=SUPPRESS, help="pairs per step (default: the family's recipe)")
    add("--learning-rate", type=float, default=SUPPRESS, metavar="RATE", help="highest rate (default: the family's recipe)")
    add("--adversary", type=float, default=SUPPRESS, metavar="WEIGHT", help="train against a discriminator (the superres families, deepz)")
    add("--freeze", type=float, default=SUPPRESS, metavar="SHARE", help="of the steps, in which the encoder stays as START has it")
    add("--seed", type=from_zero, default=0, help="seed of weights, data and augmentation")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="where to compute")
    add("--devices", type=positive, default=SUPPRESS, metavar="N", help="processes on each machine that share every batch, one a GPU")
    add("--nodes", type=positive, default=SUPPRESS, metavar="N", help="machines, of which torchrun or SLURM starts the processes")
    add("--workers", type=from_zero, default=SUPPRESS, metavar="N", help="processes that make the next pairs (default: none beside a CPU)")


def layouts() -> str:
    """What each family reads as data, in words."""
    of_partner: dict[str, list[str]] = {}
    for name, family in FAMILIES.items():
        if family.training.pair_of:
            of_partner.setdefault(family.training.partner, []).append(name)
    partners = [f"{partner}/ ({', '.join(names)})" for partner, names in of_partner.items()]
    planes = [
        name for name, family in FAMILIES.items() if family.training.pair_of and family.network.restores and "z" not in family.input.axes
    ]
    classes = [name for name, family in FAMILIES.items() if family.for_classes and not family.training.pair_of]
    return (
        f"a folder with images/ and, under the same file names, {' or '.join(partners)}; npz files of pairs ({', '.join(planes)}); "
        f"one folder per class ({', '.join(classes)})"
    )


def train(
    family: str | Family,
    out: Path | str,
    *,
    data: Path | str = SIMULATED,
    validation: Path | str | None = None,
    start: Path | str | None = None,
    recipe: Path | str | None = None,
    steps: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    adversary: float | None = None,
    freeze: float | None = None,
    seed: int = 0,
    device: str = "auto",
    devices: int | None = None,
    nodes: int | None = None,
    workers: int | None = None,
) -> Checkpoint:
    """Train a family's network; see docs/train.md.

    Parameters
    ----------
    family
        Name or record.
    out
        Folder of the run. A run that was stopped goes on; a finished one is returned.
    data
        "simulated", or files: a folder of images in the family's layout, npz files of pairs, or, for a classifier, a folder for each
        class. A classifier that is given by name is made for the classes and channels of the folder, and a network that finds objects for
        the channels of its images and the classes of its masks.
    validation
        A folder of images to hold out, in the same layout; a fifth of the data if None.
    start
        Whose weights to begin with: the name of a family with shipped weights, the folder of a run, or a bundle with a state dict.
        No code of a bundle is run. Random weights if None.
    recipe
        A YAML file of steps, batch, optimizer, rates, and augmentation of files; the family's recipe counts where it says nothing.
    steps, batch, learning_rate
        The recipe's if None; steps suit the number of images.
    adversary
        Weight of the adversarial term, for a family that can be trained against a discriminator, whose other terms are then those of the
        publication; 0 trains with these alone. None trains with the family's own loss.
    freeze
        Share of the steps in which only what follows the encoder is trained, 0 to below 1; the recipe's if None, mostly 0.
    seed
        Of weights, data and augmentation.
    device
        "auto", "cpu", "cuda" or "mps".
    devices, nodes
        Processes on each machine, one a GPU, and machines that share every batch; those that torchrun started, or one, if None. All but
        the first return before the run is finished.
    workers
        Processes that make the next pairs meanwhile; if None, none beside a CPU, else one a core that is left, up to eight. The pairs are
        the same.

    Raises
    ------
    InputInvalid
        Unknown family, unusable recipe or data, weights of another network, or a folder that holds another run.
    """
    from zooready.training.loop import train as fit  # with Lightning, which takes seconds

    stated = read_recipe(Path(recipe)) if recipe is not None else {}
    steps = steps if steps is not None else stated.get("steps")
    settings: dict[str, Any] = {"steps": steps, "batch": batch, "learning_rate": learning_rate}
    settings |= {"adversary": adversary, "freeze": freeze, "seed": seed, "device": device, "workers": workers}
    settings |= {"devices": devices, "nodes": nodes}
    settings["start"] = start_of(start) if start is not None else None
    folder = None if str(data) == SIMULATED else Path(data)
    made = for_folder(named(family), folder) if isinstance(family, str) and folder else named(family) if isinstance(family, str) else family
    record = with_recipe(made, stated)
    if folder is None or isinstance(family, Family) or record.for_classes is None or record.training.pair_of:
        return fit(record, Path(out), **settings, data=folder, validation=Path(validation) if validation is not None else None)
    if validation is not None:
        raise InputInvalid(f"validation={str(validation)!r}: {record.name} holds out a fifth of each class; leave it out.")
    images = read_classes(folder)
    split = share(images.labels, TRAINED_ON, seed)
    pairs = classified(images, split, f"the folder {folder.resolve().name!r}", record.training.recipe.augmentation)
    return fit(
        with_recipe(for_classes(record.name, images.classes, images.channels), stated), Path(out), **settings, data=pairs, keeps_best=True
    )


def run(family: str, out: Path, **options: Any) -> None:
    """Train, and print where the run lies and how good it is; of several processes, the first does."""
    checkpoint = train(family, out, **options)
    if not checkpoint.is_finished:  # the first of several processes says so
        return
    CONSOLE.print(
        f"{checkpoint.family}: {amount(checkpoint.steps, 'step')} in {checkpoint.seconds:.0f} s, seed {checkpoint.seed}, "
        f"on {checkpoint.data}."
    )
    if checkpoint.best_step:
        CONSOLE.print(f"  kept: the weights {of_best_step(checkpoint.best_step, checkpoint.has_held_out)}")
    for name, value in checkpoint.metrics.items():
        CONSOLE.print(f"  {name} {value:.4g}")
    print_line(f"Next: zooready export {shlex.quote(str(out))}")
