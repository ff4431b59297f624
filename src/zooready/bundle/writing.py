"""From weights, cases and facts to a zip: every file of a bundle is put into one folder, described, validated, packed."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from zooready.bundle import archive, cover, readme, zoo_readme
from zooready.bundle.describing import ENVIRONMENT, describe
from zooready.bundle.found import inside_facts, measured_facts
from zooready.bundle.provenance import plain
from zooready.errors import BundleInvalid
from zooready.images.files import write_image
from zooready.records import About, Case, Form, Format, Image, Measured, Part, Weights, as_float32
from zooready.tensors import Blur, TensorSpec

OWN = (  # keys of config.zooready written here
    *("outputs", "cases", "tolerance", "pixel_size_um", "blur_px", "blur_shown_px", "limits", "measured", "inside", "weights"),
    *("unavailable", "restores"),
)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that goes into a bundle.

    ``cases`` begins with the test pair. ``sample`` is the image that people double-click, ``sample_case`` what the eager network
    made of it. ``reproducibility`` is what bioimageio's own test is to allow, entry by entry. ``architecture`` and ``environment`` are
    texts, None without a state dict. ``pytorch_version`` is what JDLL reads; ``unavailable`` maps a format that could not be had to the
    reason. ``inside`` are the parts of the network before and after what has weights, by place. ``provenance`` is plain data for
    ``config.zooready``, under other keys than :data:`OWN`. ``form`` says for whom: the zoo takes neither samples nor further cases.
    """

    about: About
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    measured: Measured
    weights: tuple[Weights, ...]
    unavailable: Mapping[str, str]
    cases: tuple[Case, ...]
    sample: Image
    sample_case: Case
    tolerance: Mapping[Format, float]
    reproducibility: Sequence[Mapping[str, Any]]
    pytorch_version: str
    architecture: str | None
    environment: str | None
    form: Form
    inside: Mapping[str, Part | None]
    provenance: Mapping[str, Any]


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice: readers of strangers' YAML, ours among them, refuse aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write(contents: Contents, out: Path) -> Path:
    """Write the bundle; it appears at ``out`` whole or not at all.

    Raises
    ------
    BundleInvalid
        The specification's own reader refuses the description; its complaints are in the message.
    InputInvalid
        ``out`` cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="zooready-") as scratch:
        folder = Path(scratch)
        for weights in contents.weights:
            shutil.copyfile(weights.path, folder / weights.path.name)
        for name, text in (("architecture.py", contents.architecture), (ENVIRONMENT, contents.environment), ("README.md", _page(contents))):
            if text is not None:
                (folder / name).write_text(text, encoding="utf-8")
        stored = _arrays(contents, folder)
        if contents.about.cover:
            cover.taken(contents.about.cover, folder / "cover.png")
        elif contents.form == "zoo":
            cover.wide(contents.sample_case, contents.input, contents.outputs, folder / "cover.png", contents.sample.pixel_size_um)
        else:
            cover.draw(contents.sample_case, contents.input, contents.outputs, folder / "cover.png")
        description = describe(
            about=contents.about,
            form=contents.form,
            identity=identity(contents.about.name),
            input=contents.input,
            outputs=contents.outputs,
            weights=contents.weights,
            pytorch_version=contents.pytorch_version,
            folder=folder,
            config=_config(contents, stored),
            reproducibility=contents.reproducibility,
        )
        text = yaml.dump(description, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
        (folder / "rdf.yaml").write_text(text, encoding="utf-8")
        validate(folder)
        return archive.pack(folder, out)


def _page(contents: Contents) -> str:
    """README.md."""
    facts = {key: getattr(contents, key) for key in ("measured", "cases", "weights", "unavailable", "provenance")}
    if contents.form == "zoo":
        return zoo_readme.page(contents.about, contents.input, contents.outputs, z_um=_z_um(contents), **facts)
    return readme.readme(contents.about, contents.input, contents.outputs, **facts)


def identity(name: str) -> str:
    """The bundle's id, from its name.

    >>> identity("Nuclei (fluorescence)")
    'nuclei-fluorescence'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def validate(folder: Path) -> None:
    """Let bioimageio.spec read the description, without network."""
    from bioimageio.spec import ValidationContext, load_description
    from bioimageio.spec.model.v0_5 import ModelDescr

    with ValidationContext(perform_io_checks=False):
        description = load_description(folder / "rdf.yaml")
    if not isinstance(description, ModelDescr):
        faults = [
            f"{'.'.join(map(str, error.loc))}: {error.msg}" for detail in description.validation_summary.details for error in detail.errors
        ]
        raise BundleInvalid(
            "the description is not valid BioImage.IO: " + "; ".join(faults[:6]) + ". Correct about.yaml or the names given."
        )


def _arrays(contents: Contents, folder: Path) -> list[dict[str, Any]]:
    """Test pair, sample images and further cases as files; returns the list that ``config.zooready.cases`` holds."""
    test, *others = contents.cases
    tensors = (contents.input, *contents.outputs)
    for spec, array in zip(tensors, (test.input, *test.outputs), strict=True):
        np.save(folder / f"test-{spec.name}.npy", as_float32(array))
    if contents.form == "zoo":
        return []
    write_image(contents.sample, folder / f"sample-{contents.input.name}.tif")
    for spec, array in zip(contents.outputs, contents.sample_case.outputs, strict=True):
        axes = spec.axes.replace("b", "").replace("i", "")
        if "y" in axes:
            shown = replace(contents.sample, array=as_float32(array[0]), axes=axes, channels=())
            write_image(shown, folder / f"sample-{spec.name}.tif")
    listed = []
    for case in others:
        files = [f"case-{case.name}-{spec.name}.npy" for spec in tensors]
        for file, array in zip(files, (case.input, *case.outputs), strict=True):
            np.save(folder / file, as_float32(array))
        listed.append({"name": case.name, "input": files[0], "outputs": files[1:]})
    return listed


def _z_um(contents: Contents) -> float:
    """Distance of planes, micrometres: of the input's, or of those that are made from an image; 0 if unknown, or if any pixels suit."""
    if "z" in contents.input.axes:
        return float(contents.sample.z_um or 0) if contents.about.pixel_size_um else 0.0
    made = next((spec.planes_um for spec in contents.outputs if len(spec.planes_um) > 1), (0.0, 0.0))
    return float(made[1] - made[0])


def _blur(about: About) -> dict[str, Any]:
    """The blur that the network takes away, and what it is shown of others, if it takes one away."""
    if not about.blur_px:
        return {}
    known = Blur.of(about.blur_px)
    return {"blur_px": list(known.trained_px), "blur_shown_px": [list(known.sharp_px), list(known.wide_px)]}


def _config(contents: Contents, stored: list[dict[str, Any]]) -> dict[str, Any]:
    about = contents.about
    stated = {
        "outputs": [
            {"id": spec.name, "kind": spec.kind, **({"planes_um": list(spec.planes_um)} if spec.planes_um else {})}
            for spec in contents.outputs
        ],
        "cases": stored,
        "tolerance": {format: float(value) for format, value in contents.tolerance.items()},
        **({"pixel_size_um": [float(side) for side in about.pixel_size_um]} if about.pixel_size_um else {}),
        **_blur(about),
        **({"z_um": distance} if (distance := _z_um(contents)) else {}),
        **(
            {"limits": {name: [float(low), float(high)] for name, (low, high) in limits.items()}}
            if (limits := contents.input.limits)
            else {}
        ),
        "measured": measured_facts(contents.measured),
        "inside": inside_facts(contents.inside),
        "weights": {w.format: w.details for w in contents.weights},
        "unavailable": contents.unavailable,
    }
    facts: dict[str, Any] = plain({**stated, **contents.provenance}, "config")
    return facts
