"""The arguments of export as the rooms below take them, or refused before any work is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zooready.bundle import writing
from zooready.bundle.about import demand, read
from zooready.bundle.provenance import commits, plain, versions
from zooready.errors import InputInvalid, amount
from zooready.exporting import cases, probing
from zooready.formats.torchscript import VARIANTS
from zooready.images.files import read_image
from zooready.records import FORMATS, About, Array, Form, Format, Image, Measured, Part, as_float32
from zooready.tensors import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

NORMALIZATIONS: Mapping[str, Part | None] = {
    "none": None,
    "percentiles": Part(path="zooready.nets.normalization.Percentiles", kwargs={"low": 1.0, "high": 99.8}),
    "mean-std": Part(path="zooready.nets.normalization.MeanStd"),
    "min-max": Part(path="zooready.nets.normalization.MinMax"),
}

LARGEST_SAMPLE = 1024  # px a side: a sample travels in the zip, and ten runs of the network are made on it


def who(about: About | Path | str) -> About:
    """The facts given, or those of the file given, which the specification's rules accept."""
    if isinstance(about, About):
        demand(about)
        return about
    return read(Path(about))


def target(out: Path | str) -> Path:
    """The zip's path, refused before any work if nothing can be written there."""
    path = Path(out)
    if path.suffix != ".zip":
        raise InputInvalid(f"out={str(out)!r}: a bundle is a zip, so let its name end in .zip.")
    if path.is_dir():
        raise InputInvalid(f"out={str(out)!r} is a folder: give the name of a file in it.")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputInvalid(f"out={str(out)!r}: {above} is a file, no folder: choose another place.")
    return path


def demand_known(torchscript: str, formats: Collection[Format], tolerance: Mapping[Format, float], *, float16: bool = False) -> None:
    """Raise InputInvalid for a variant, a format or a tolerance that nobody would read."""
    if torchscript not in ("auto", *VARIANTS):
        raise InputInvalid(f"torchscript={torchscript!r} is not known: use one of 'auto', {', '.join(map(repr, VARIANTS))}.")
    if isinstance(formats, str) or not formats or set(formats) - set(FORMATS):
        raise InputInvalid(f"formats={formats!r}: give some of {', '.join(map(repr, FORMATS))}.")
    if float16 and "onnx" not in formats:
        raise InputInvalid(
            f"float16=True with formats={formats!r}: float16 weights are those of an ONNX file. Add 'onnx', or leave them out."
        )
    if set(tolerance) - set(FORMATS) or not all(value > 0 for value in tolerance.values()):
        raise InputInvalid(f"tolerance={dict(tolerance)}: give a positive number for some of {', '.join(map(repr, FORMATS))}.")


def demand_one(outputs: tuple[TensorSpec, ...], form: Form) -> None:
    """Raise InputInvalid where a bundle for the zoo would have several outputs: its checks compare them all with the same file."""
    if form == "zoo" and len(outputs) > 1:
        raise InputInvalid(f"the zoo takes one output, and this network gives {', '.join(spec.name for spec in outputs)}: keep one.")


def provenance(given: Mapping[str, Any], module: nn.Module) -> dict[str, Any]:
    """The caller's facts, with versions and commits of this export; versions and commits that the caller gave are of the training."""
    if taken := sorted({*writing.OWN, "trained"} & set(given)):
        raise InputInvalid(f"provenance holds {', '.join(map(repr, taken))}, which zooready writes itself: use other names.")
    facts: dict[str, Any] = plain(given)
    trained = {key: facts.pop(key) for key in ("versions", "git") if key in facts}
    git = commits(type(probing.unwrapped(module)))
    return {
        **facts,
        **({"trained": trained} if trained else {}),
        "versions": versions(),
        **({"git": git} if git else {}),
    }


def sample(given: Array | Image | Path | str) -> tuple[Image, Array]:
    """The middle of the example as an image, and the same as (1, c, y, x) or (1, c, z, y, x) float32."""
    example = read_image(Path(given)) if isinstance(given, str | Path) else given
    if not isinstance(example, Image):
        array = np.asarray(example)
        axes = {2: "yx", 3: "cyx", 4: "cyx", 5: "czyx"}.get(array.ndim)
        if axes is None or not array.size or array.dtype.kind not in "buif":
            raise InputInvalid(
                f"example of shape {array.shape}, {array.dtype}: give numbers as (y, x), (c, y, x), (b, c, y, x) or (b, c, z, y, x)."
            )
        example = Image(array=array[0] if array.ndim > 3 else array, axes=axes)
    if "t" in example.axes:
        raise InputInvalid(f"the example is a time series (axes {example.axes!r}): give one of its time points.")
    order = "".join(axis for axis in "czyx" if axis in example.axes)
    array = example.array.transpose([example.axes.index(axis) for axis in order])
    array = cases.middle(array, tuple(min(size, LARGEST_SAMPLE) for size in array.shape["c" in order :]))
    image = as_float32(array[None] if "c" in order else array[None, None])
    if not np.isfinite(image).all():
        raise InputInvalid(f"the example holds {int((~np.isfinite(image)).sum())} NaN or infinite pixels: give an image without them.")
    array = array if array.dtype.name in ("uint8", "uint16", "float32") else array.astype(np.float32)
    return replace(example, array=array, axes=order), image


def normalization(given: Part | str | None) -> Part | None:
    """The part itself, or the one of that name."""
    if isinstance(given, str):
        if given not in NORMALIZATIONS:
            raise InputInvalid(f"normalization={given!r} is not known: use one of {', '.join(map(repr, NORMALIZATIONS))}, or a Part.")
        return NORMALIZATIONS[given]
    return given


def normalised(part: Part | None, image: Array) -> Tensor:
    """What the network sees of an image, (b, c, ...) float32."""
    import torch

    tensor = torch.from_numpy(image.copy())
    result: Tensor = part.build()(tensor) if part else tensor
    return result


def input_spec(given: TensorSpec | None, image: Array) -> TensorSpec:
    """The input's description, which must fit the image, (1, c, ...)."""
    axes = "bcyx" if image.ndim == 4 else "bczyx"
    spec = given or TensorSpec(name="image", axes=axes, channels=_channel_names(image.shape[1]), description="raw image")
    if spec.axes != axes or len(spec.channels) != image.shape[1]:
        raise InputInvalid(
            f"input '{spec.name}' has axes {spec.axes!r} and {amount(len(spec.channels), 'channel')}, but the example is {axes} with "
            f"{image.shape[1]}: make the two agree."
        )
    if spec.sizes:
        raise InputInvalid(f"input '{spec.name}' states sizes {dict(spec.sizes)}, but sizes are measured: leave them out.")
    return spec


def output_specs(
    given: tuple[TensorSpec, ...] | None, measured: Measured, head: Part | None, keep: tuple[int, ...]
) -> tuple[TensorSpec, ...]:
    """Descriptions of the outputs that the bundle gives, in order."""
    specs = _described(given, measured, head)
    if any(index not in range(len(specs)) for index in keep) or len(set(keep)) < len(keep):
        raise InputInvalid(f"keep={keep}: name each output once; there are {len(specs)}, counted from 0.")
    return tuple(specs[index] for index in keep) or specs


def _described(given: tuple[TensorSpec, ...] | None, measured: Measured, head: Part | None) -> tuple[TensorSpec, ...]:
    if given is None and head is not None:
        raise InputInvalid(f"head={head.path!r} changes what comes out: describe its results with outputs=(TensorSpec(...), ...).")
    returned = []
    for number, (axes, channels) in enumerate(zip(measured.outputs, measured.channels, strict=True)):
        full = axes if "c" in axes else f"bc{axes[1:]}"
        name = "output" if len(measured.outputs) == 1 else f"output_{number}"
        returned.append(TensorSpec(name=name, axes=full, channels=_channel_names(channels), kind="image" if "y" in full else "scores"))
    if given is None:
        return tuple(returned)
    asked = [bool(axes) for axes in measured.outputs]
    forms = [[(s.axes, len(s.channels)) for s, is_asked in zip(specs, asked, strict=False) if is_asked] for specs in (given, returned)]
    if head is None and (len(given) != len(returned) or forms[0] != forms[1]):
        stated, measured_as = ([f"{s.axes} with {amount(len(s.channels), 'channel')}" for s in specs] for specs in (given, returned))
        raise InputInvalid(f"outputs are described as {stated}, but the network returns {measured_as}: make the two agree.")
    return given


def _channel_names(count: int) -> tuple[str, ...]:
    return ("intensity",) if count == 1 else tuple(f"channel_{number}" for number in range(count))
