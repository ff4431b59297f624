"""The fields that the nuclei network learns from and is judged on, real and simulated, and the crops that training takes of them.

Real fields are those of mnfinder 1.2.3 (MIT), its training-data and validation-data; its test-data is never unpacked.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from zooready.data.augmentation import jittered
from zooready.families import segmentation
from zooready.images.files import read_image
from zooready.simulate import monolayer

WHEEL, WHEEL_SHA256 = "mnfinder==1.2.3", "11b1f6aea9f40b4dd3cf6c3de30ef8d517a4833907b88b86ce2b7ab1f9dbce4a"
FOLDERS = ("training-data", "validation-data")  # never test-data
LINES = ("RPE1", "U2OS", "misc")  # the cell lines that folds leave out
RUNS = Path("runs/nuclei")
CROP_PX, SIMULATED_SEED, SIMULATED_FIELDS, SIMULATED_PX = 256, 17, 600, 384
TARGET_PX, ZOOM = (8.0, 120.0), (0.35, 3.2)  # diameters of nuclei in crops of real fields, and the zooms that make them
SMALLEST_PX = 30  # area below which a numbered part is a slip of the pen
NORMALIZATION = segmentation.FAMILY.network.normalization.build()


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """A field: raw image (y, x) float32, labels (y, x) int32, its cell line ("" if simulated), its nuclei's median diameter."""

    name: str
    line: str
    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    diameter_px: float


def field_of(name: str, line: str, image: NDArray[Any], labels: NDArray[Any]) -> Field:
    """A field of an image and its labels."""
    areas = np.bincount(labels.ravel())[1:]
    diameter = float(np.sqrt(4 / np.pi * np.median(areas[areas > 0]))) if (areas > 0).any() else 30.0
    return Field(name=name, line=line, image=image.astype(np.float32), labels=labels.astype(np.int32), diameter_px=diameter)


@cache
def target_of(field: Field) -> NDArray[np.float32]:
    """Foreground and distance (2, y, x) that training asks for."""
    return segmentation.pair_of(field.image[None], field.labels).target.astype(np.float32)


@cache
def statistics_of(field: Field) -> tuple[torch.Tensor, ...]:
    """Offset and scale of the whole field's normalisation."""
    statistics: tuple[torch.Tensor, ...] = NORMALIZATION.statistics(torch.as_tensor(field.image)[None, None])
    return statistics


def fetch(folder: Path) -> Path:
    """The training and validation fields of mnfinder below ``folder``, downloaded once and checked by their hash."""
    unpacked = folder / "mnfinder"
    if not unpacked.is_dir():
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), WHEEL], check=True)
        wheel = next(folder.glob("mnfinder-*.whl"))
        if sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
            raise SystemExit(f"{wheel}: not the file that was measured with; expected sha256 {WHEEL_SHA256}.")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.split("/")[1] in FOLDERS])
    return unpacked


def real_fields(folder: Path) -> list[Field]:
    """All real fields. Nuclei are those that the annotators numbered (third channel of a mask); a number's parts count each."""
    fields = []
    for path in sorted(path for part in FOLDERS for path in (folder / part).glob("*/images/*.tif")):
        mask = read_image(path.parent.parent / "nucleus_masks" / f"{path.stem}.png").array
        mask = mask if mask.shape[-1] in (3, 4) else np.moveaxis(mask, 0, -1)
        parts = ndimage.label(mask[..., 0] > 0)[0]
        labels = parts * 256 + mask[..., 2].astype(np.int64) * (parts > 0)
        names, ranks, areas = np.unique(labels, return_inverse=True, return_counts=True)
        ranks = ranks.reshape(labels.shape)
        keep = np.where((areas >= SMALLEST_PX) & (names > 0), np.cumsum((areas >= SMALLEST_PX) & (names > 0)), 0)
        group = path.parent.parent
        name, line = f"{group.parent.name}/{group.name}/{path.stem}", group.name.split("_")[1]
        fields.append(field_of(name, line, read_image(path).array, keep[ranks]))
    return fields


def simulated(count: int = SIMULATED_FIELDS) -> list[Field]:
    """The first so many simulated fields; all are made once and kept in ``RUNS``."""
    path = RUNS / f"simulated-{SIMULATED_FIELDS}.npz"
    if not path.exists():
        drawn = [monolayer.field(np.random.default_rng((SIMULATED_SEED, number)), SIMULATED_PX) for number in range(SIMULATED_FIELDS)]
        RUNS.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, images=np.stack([image for image, _ in drawn]), labels=np.stack([labels for _, labels in drawn]))
    with np.load(path) as arrays:
        pairs = list(zip(arrays["images"][:count], arrays["labels"][:count], strict=True))
        return [field_of(f"simulated {number}", "", image, labels) for number, (image, labels) in enumerate(pairs)]


def crop(field: Field, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A training example of a field: normalised image (1, y, x) and target (2, y, x), zoomed, turned, and its light and noise changed."""
    zoom = float(np.exp(rng.uniform(*np.log(TARGET_PX)))) / field.diameter_px if field.line else float(np.exp(rng.uniform(-0.5, 0.5)))
    zoom = 1.0 if rng.random() < 0.25 else float(np.clip(zoom, *ZOOM))
    side = int(np.ceil(CROP_PX / zoom))
    height, width = field.image.shape
    top, left = (int(rng.integers(max(extent - side, 0) + 1)) for extent in (height, width))
    window = np.s_[..., top : top + side, left : left + side]
    image, target = field.image[window], target_of(field)[window]
    missing = [(0, side - extent) for extent in image.shape]
    image, target = np.pad(image, missing, mode="symmetric"), np.pad(target, [(0, 0), *missing], mode="symmetric")
    stack = torch.as_tensor(np.concatenate([image[None], target]))[None]
    size = (CROP_PX, CROP_PX)
    if side != CROP_PX:
        stack = functional.interpolate(stack, size, mode="bilinear", antialias=True)
    stack = torch.rot90(stack[0], int(rng.integers(4)), (1, 2))
    stack = stack.flip(2) if rng.random() < 0.5 else stack
    statistics = NORMALIZATION.statistics(stack[None, :1]) if rng.random() < 0.5 else statistics_of(field)
    offset, scale = (value[0] for value in statistics)
    foreground, distance = (stack[1] > 0.5).float(), stack[2]
    return jittered((stack[:1] - offset) / scale, rng), torch.stack([foreground, distance * foreground])


def held_out(fields: Sequence[Field]) -> tuple[list[Field], list[Field]]:
    """Fields to learn from, and every fourth of each line, on which thresholds are chosen."""
    chosen = [field for line in LINES for field in [field for field in fields if field.line == line][1::4]]
    return [field for field in fields if field not in chosen], chosen
