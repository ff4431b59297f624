"""One file per task: network, data, loss and tensors together.

May import: nets, images, simulate, data, training
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.data.folder import contents, subfolder
from zooready.errors import InputInvalid, meant
from zooready.families import (
    deepz,
    deepz_confocal,
    deepz_pair,
    deepz_stack,
    mrbcr,
    mrbcr3d,
    mrbcr3d_confocal,
    mrbcr_released,
    mrbcr_told,
    plcnn,
    segmentation,
    segmentation3d,
    spots,
    superres,
)
from zooready.images.coco import coco_file
from zooready.records import Family

if TYPE_CHECKING:
    import torch

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        segmentation.FAMILY,
        segmentation3d.FAMILY,
        spots.FAMILY,
        mrbcr.FAMILY,
        mrbcr3d.FAMILY,
        mrbcr3d_confocal.FAMILY,
        mrbcr_released.FAMILY,
        mrbcr_told.FAMILY,
        plcnn.FAMILY,
        superres.STED_FAMILY,
        superres.TIRFSIM_FAMILY,
        superres.WIDEFIELD_FAMILY,
        deepz_stack.FAMILY,
        deepz_pair.FAMILY,
        deepz_confocal.FAMILY,
        deepz.FAMILY,
    )
}


def named(name: str) -> Family:
    """The family of that name.

    Raises
    ------
    InputInvalid
        There is none; the message lists those that exist.
    """
    if name not in FAMILIES:
        raise InputInvalid(f"no family is called {name!r}: choose from {', '.join(FAMILIES)}.{meant(name, FAMILIES)}")
    return FAMILIES[name]


def for_classes(name: str, classes: tuple[str, ...], channels: tuple[str, ...]) -> Family:
    """A family's record for other classes, of images or of objects in them, and other channels.

    Raises
    ------
    InputInvalid
        No family that can be made for other classes has that name.
    """
    make = FAMILIES[name].for_classes if name in FAMILIES else None
    if make is None:
        others = ", ".join(family.name for family in FAMILIES.values() if family.for_classes)
        raise InputInvalid(f"{name!r} has no classes of its own: choose from {others}.")
    return make(classes, channels)


def for_folder(family: Family, folder: Path) -> Family:
    """The record for the channels of a folder of images with masks, and for the classes of its masks.

    It is the family itself if that is made for them, or can be made for no others.

    Raises
    ------
    InputInvalid
        Its images or annotations cannot be read.
    """
    has_masks = subfolder(folder, "images") or coco_file(folder)
    if family.for_classes is None or family.training.pair_of is None or not has_masks:
        return family
    classes, channels = contents(folder, family.training.partner)
    if len(classes) < 2 and len(channels) == len(family.input.channels):
        return family
    return family.for_classes(classes or family.outputs[-1].channels, channels)


def shipped() -> tuple[str, ...]:
    """Names of the families whose weights come with zooready."""
    return tuple(name for name in FAMILIES if files("zooready").joinpath("weights", weights_file(name)).is_file())


def quality(name: str) -> str:
    """How good the shipped model is, measured, in one line; "no weights shipped" or "no record" if there is none."""
    if name not in shipped():
        return "no weights shipped"
    try:
        return FAMILIES[name].quality.format(**load_record(name)["metrics"]) or "no record"
    except (InputInvalid, KeyError):
        return "no record"


def load_weights(name: str) -> dict[str, torch.Tensor]:
    """The weights of a shipped model, for ``FAMILIES[name].network.architecture.build().load_state_dict``.

    Raises
    ------
    InputInvalid
        No weights of that name are shipped.
    """
    from safetensors.torch import load_file

    with as_file(files("zooready").joinpath("weights", weights_file(name))) as path:
        if not path.exists():
            raise InputInvalid(f"no weights called {name!r} are shipped: train them with `zooready train {name}`.")
        return load_file(path)


def weights_file(name: str) -> str:
    """The file of a family's weights, which may be another family's."""
    owner = FAMILIES[name].weights if name in FAMILIES else ""
    return f"{owner or name}.safetensors"


def load_record(name: str) -> dict[str, Any]:
    """How the shipped weights came about and how good they are: seed, steps, data, metrics; plain data.

    Raises
    ------
    InputInvalid
        No record of that name is shipped.
    """
    path = files("zooready").joinpath("weights", f"{name}.json")
    if not path.is_file():
        raise InputInvalid(f"no record of weights called {name!r} is shipped.")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record
