"""The result of a training run: weights, and a record of how they were trained."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooready.errors import InputInvalid
from zooready.images.notebook import table_html
from zooready.images.whole_files import whole_file
from zooready.tensors import Objects

if TYPE_CHECKING:
    import torch

WEIGHTS, RECORD = "weights.safetensors", "run.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained network on disk: ``weights.safetensors`` and ``run.json`` in ``folder``.

    ``data`` describes the training data, ``data_sha256`` identifies its files (empty for simulated data, which ``seed`` reproduces).
    ``trained_on`` are marks of the pixels of its training images, by which other commands know them.
    ``classes`` are those of a classifier, or the kinds of objects that are found, and ``channels`` those of the input, from which the
    family for a user's own classes can be made again; ``pixel_size_um`` is the range of the files' pixel sizes, empty if unknown,
    ``objects`` are those of the files, None if there are none. ``augmentation`` is how the images of files were varied beyond flips and
    turns, ``adversary`` the weight of the adversarial term, None for training without one, ``freeze`` the share of the steps in which the
    encoder did not change. ``start`` says from whose weights the run began, and ``start_sha256`` identifies them; both are empty for
    random ones. ``best_step`` is the step of the weights, 0 for the last one. ``git`` is the commit of the source checkout, empty outside
    of one. ``metrics`` were measured on held-out pairs, or on the one image that there is to train on if not ``has_held_out``.
    ``is_finished`` is false until the last step.
    """

    folder: Path
    family: str
    seed: int
    steps: int
    batch: int
    data: str
    optimizer: str = "AdamW"
    data_sha256: str = ""
    trained_on: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    pixel_size_um: tuple[float, ...] = ()
    objects: Objects | None = None
    learning_rate: float = 0.0
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    adversary: float | None = None
    freeze: float = 0.0
    start: str = ""
    start_sha256: str = ""
    best_step: int = 0
    has_held_out: bool = True
    git: str = ""
    device: str = ""
    precision: str = ""
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    is_finished: bool = False

    def _repr_html_(self) -> str:
        """What a notebook shows: how it was trained, and the metrics."""
        facts = {
            "family": self.family,
            "steps": self.steps,
            "data": self.data,
            "seconds": self.seconds,
            "best step": self.best_step or None,
        }
        return table_html(("", "value"), list({**facts, **self.metrics}.items()))

    @property
    def weights(self) -> Path:
        """The weight file."""
        return self.folder / WEIGHTS

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The network's weights, on the CPU.

        Raises
        ------
        InputInvalid
            Training is not finished, or the file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not self.weights.exists():
            raise InputInvalid(f"{self.folder} holds no {WEIGHTS}: its training is not finished. Start the same training again.")
        try:
            return load_file(self.weights)
        except SafetensorError as error:
            raise InputInvalid(f"{self.weights} is damaged ({error}): copy the run again, or train into an empty folder.") from None

    def write(self) -> None:
        """Write the record into the run's folder; the folder's path is not part of it."""
        record = {key: value for key, value in asdict(self).items() if key != "folder"}
        replace(self.folder / RECORD, (json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())


def read(folder: Path) -> Checkpoint:
    """The record of a run.

    Raises
    ------
    InputInvalid
        The folder holds no run, or its record cannot be read.
    """
    path = folder / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        lists = ("classes", "channels", "pixel_size_um", "trained_on")  # JSON has no tuples
        record |= {key: tuple(record.get(key, ())) for key in lists}
        if objects := record.get("objects"):
            pairs = {key: tuple(objects[key]) for key in ("diameter_px", "background")}
            record["objects"] = Objects(**pairs, foreground=objects["foreground"])
        return Checkpoint(folder=folder, **record)
    except (FileNotFoundError, NotADirectoryError):
        raise InputInvalid(
            f"{folder} holds no {RECORD}: it is not the folder of a training run. Give the folder that was `out` in training."
        ) from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputInvalid(f"{path} cannot be read as the record of a run ({error}): train again into an empty folder.") from None


def write_weights(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a state dict as safetensors, complete or not at all."""
    from safetensors.torch import save

    replace(path, save({key: value.detach().cpu().contiguous() for key, value in state.items()}))


def replace(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all.

    Raises
    ------
    InputInvalid
        The file cannot be written, e.g. no permission, or the disk is full.
    """
    with whole_file(path) as file:
        file.write(content)


def versions() -> dict[str, str]:
    """Versions of the software that the numbers depend on."""
    from importlib.metadata import version

    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "lightning", "numpy", "zooready")}}


def git_commit(folder: Path = Path(__file__).parent) -> str:
    """The commit of the checkout that contains this file, with a "+" if files were changed; empty outside of a checkout."""
    try:
        outputs = [
            subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10).stdout.strip()
            for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no", "."))
        ]
    except (OSError, subprocess.SubprocessError):
        return ""
    return outputs[0] + ("+" if outputs[1] else "")


def plain(values: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of any type as floats, rounded to six decimals."""
    return {key: round(float(value), 6) for key, value in values.items()}
