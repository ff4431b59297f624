"""The page that a person reads in the zoo, in Fiji's installer and in the zip: README.md of a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zooready.records import About, Case, Format, Measured, Weights
from zooready.tensors import TensorSpec

QUALITY = "## Measured quality"  # the heading, unless the documentation brings such a table itself
MEANING = {
    "image": "image",
    "labels": "label image: 0 is background, each object has a number of its own",
    "scores": "one number a channel",
}
FORMAT_NAMES: Mapping[Format, str] = {"state_dict": "PyTorch state dict", "torchscript": "TorchScript, which Fiji runs", "onnx": "ONNX"}
MANY = 6  # channels; more are counted, not listed


def readme(
    about: About,
    input: TensorSpec,
    outputs: tuple[TensorSpec, ...],
    *,
    measured: Measured,
    cases: tuple[Case, ...],
    weights: tuple[Weights, ...],
    unavailable: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> str:
    """Markdown: what it does, how to run it, what goes in and out, what was measured, who made it."""
    parts = (
        _opening(about),
        _use(about, input),
        _tensors(about, input, outputs),
        _measured(measured, cases, weights, unavailable),
        _training(about, provenance),
        _closing(about, provenance),
    )
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def _opening(about: About) -> Iterator[str]:
    yield from (f"# {about.name}", "", about.description, "", "![sample image and what the network makes of it](cover.png)", "")
    if about.documentation:
        yield from (about.documentation.strip(), "")


def _use(about: About, input: TensorSpec) -> Iterator[str]:
    yield from ("## How to run it", "")
    yield f"- **Fiji** with DeepImageJ 3: unpack this zip into a folder of its own below `Fiji.app/models/`, open your image, choose \
*Plugins > DeepImageJ > DeepImageJ Run*, and the model *{about.name}*. Try it on `sample-{input.name}.tif` first."
    yield "- **zooready**, for images of any size: `zooready predict this.zip image.tif -o results`."
    yield f"- **Python**: `bioimageio.core.predict(model='this.zip', inputs={{'{input.name}': array}})`."
    yield ""
    count = "one channel" if len(input.channels) == 1 else f"{len(input.channels)} channels ({_listed(input.channels)})"
    yield f"Give images as the microscope saved them, 8-bit, 16-bit or float, {count}. Do not normalise them: the network does it."
    if input.sizes:
        size = " × ".join(f"{size} px in {axis}" for axis, size in input.sizes.items())
        yield f"**It takes images of one size only: {size}.** Cut or pad yours."
    else:
        yield "Images may have any size, and each resulting image has the same."
    if about.pixel_size_um:
        low, high = about.pixel_size_um
        yield f"It was made for pixels of {low:g} to {high:g} µm: rescale other images first."
    else:
        yield "The pixel sizes that it was made for are not stated: try it with care."
    yield ""


def _tensors(about: About, input: TensorSpec, outputs: tuple[TensorSpec, ...]) -> Iterator[str]:
    yield from ("## What goes in and what comes out", "", "| | name | what it is | channels | axes |", "|---|---|---|---|---|")
    for role, spec, meaning in (("in", input, "raw image"), *(("out", spec, MEANING[spec.kind]) for spec in outputs)):
        yield f"| {role} | `{spec.name}` | {spec.description or meaning} | {_listed(spec.channels)} | {', '.join(spec.axes)} |"
    planes = ", z planes" if any("z" in spec.axes for spec in (input, *outputs)) else ""
    yield from ("", f"Axes: b is one image after the other, c channels{planes}. Values are float32.", "")


def _listed(channels: tuple[str, ...]) -> str:
    return ", ".join(channels) if len(channels) <= MANY else f"{len(channels)} ({channels[0]} to {channels[-1]})"


def _measured(measured: Measured, cases: tuple[Case, ...], weights: tuple[Weights, ...], unavailable: Mapping[str, str]) -> Iterator[str]:
    yield from ("## What was measured when this file was made", "")
    if measured.stride > 1:
        strides, minimums = (" x ".join(str(side or "one length") for side in sides) for sides in (measured.strides, measured.minimums))
        yield f"- The network works at multiples of {strides or measured.stride} px, from {minimums or measured.minimum} px on. Images \
are padded to that inside (by repeating the last pixel), and results are cropped back."
    elif measured.stride:
        yield f"- The network works at every size from {measured.minimum} px on."
    yield (
        "- Every value of the result depends on the whole image: an image cut into tiles gives other results."
        if measured.halo is None
        else f"- Inside the network, a pixel of the result depends on what lies up to {measured.halo} px away."
    )
    if measured.compared:
        yield f"- The largest image on which files were compared with the network had {' × '.join(map(str, measured.compared))} px."
    images = ", ".join(f"{case.name} {' × '.join(map(str, case.input.shape))}" for case in cases)
    yield f"- Each file was run and compared with the PyTorch network on {len(cases)} images ({images}):"
    yield from ("", "| file | format | largest difference, share of the range |", "|---|---|---|")
    for w in weights:
        yield f"| `{w.path.name}` | {FORMAT_NAMES[w.format]} | {w.details['difference']:.1g} |"
    yield ""
    for format, reason in unavailable.items():
        yield f"- There is no {format}: {reason}"
    yield from (*(f"- {note[:1].upper()}{note[1:]}" for note in measured.notes), "")


def _training(about: About, provenance: Mapping[str, Any]) -> Iterator[str]:
    metrics = provenance.get("metrics")
    if isinstance(metrics, Mapping) and metrics and QUALITY not in about.documentation:
        yield from (QUALITY, "", "| measure | value |", "|---|---|")
        yield from (f"| {name} | {value:.4g} |" if isinstance(value, float) else f"| {name} | {value} |" for name, value in metrics.items())
        yield ""
    if text := provenance.get("training"):
        yield from ("## Training", "", str(text), "")


def _closing(about: About, provenance: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Who made it", "")
    for author in about.authors:
        yield f"- {author['name']}" + (f", {author['affiliation']}" if author.get("affiliation") else "")
    yield from ("", f"Licence: {about.license}.", "")
    if about.cite:
        yield from ("Please cite:", "", *(f"- {text}, https://doi.org/{doi}" for text, doi in about.cite), "")
    if versions := provenance.get("versions"):
        yield "Exported with " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
