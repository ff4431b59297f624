"""One file per task: network, data, loss and tensors together.

May import: nets, images, simulate, data, training
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import as_file, files
from typing import Any

import torch
from safetensors.torch import load_file

from zooready.errors import InputInvalid
from zooready.families import mrbcr, mrbcr3d, plcnn, segmentation
from zooready.records import Family

FAMILIES: Mapping[str, Family] = {family.name: family for family in (segmentation.FAMILY, mrbcr.FAMILY, mrbcr3d.FAMILY, plcnn.FAMILY)}

FOR_CLASSES: Mapping[str, Callable[..., Family]] = {"plcnn": plcnn.family}  # (classes, channels) -> the record for them

QUALITY: Mapping[str, str] = {  # one line on each shipped model, filled from its record's metrics
    "segmentation": "F1 at IoU 0.5 on the real development image {f1_50_real:.2f} (Otsu and watershed {f1_50_real_otsu:.2f})",
    "mrbcr": "PSNR on held-out simulated fields {psnr:.1f} dB (input {psnr_input:.1f}, Richardson-Lucy at its best {psnr_rl_best:.1f})",
    "mrbcr3d": "PSNR on held-out simulated stacks {psnr:.1f} dB (input {psnr_input:.1f}, Richardson-Lucy at its best {psnr_rl_best:.1f})",
    "plcnn": "accuracy on ten simulated patterns {folds_accuracy:.2f} (features and the best of forest and SVM {folds_best_classical:.2f})",
}


def named(name: str) -> Family:
    """The family of that name.

    Raises
    ------
    InputInvalid
        There is none; the message lists those that exist.
    """
    if name not in FAMILIES:
        raise InputInvalid(f"no family is called {name!r}: choose from {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def for_classes(name: str, classes: tuple[str, ...], channels: tuple[str, ...]) -> Family:
    """A family's record for other classes and channels.

    Raises
    ------
    InputInvalid
        No classifier has that name.
    """
    if name not in FOR_CLASSES:
        raise InputInvalid(f"{name!r} is no classifier: choose from {', '.join(FOR_CLASSES)}.")
    return FOR_CLASSES[name](classes, channels)


def shipped() -> tuple[str, ...]:
    """Names of the families whose weights come with zooready."""
    return tuple(name for name in FAMILIES if files("zooready").joinpath("weights", f"{name}.safetensors").is_file())


def quality(name: str) -> str:
    """How good the shipped model is, measured, in one line; "no weights shipped" or "no record" if there is none."""
    if name not in shipped():
        return "no weights shipped"
    try:
        return QUALITY[name].format(**load_record(name)["metrics"])
    except (InputInvalid, KeyError):
        return "no record"


def load_weights(name: str) -> dict[str, torch.Tensor]:
    """The weights of a shipped model, for ``FAMILIES[name].architecture.build().load_state_dict``.

    Raises
    ------
    InputInvalid
        No weights of that name are shipped.
    """
    with as_file(files("zooready").joinpath("weights", f"{name}.safetensors")) as path:
        if not path.exists():
            raise InputInvalid(f"no weights called {name!r} are shipped: train them with `zooready train {name}`.")
        return load_file(path)


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
