"""README.md of a bundle: the page that users read in the model zoo, in Fiji's installer and in the zip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zooready.errors import amount
from zooready.records import About, Case, Format, Measured, Weights
from zooready.tensors import TensorSpec

QUALITY = "## Measured quality"  # this heading is left out if the documentation itself contains it
MEANING = {
    "image": "image",
    "labels": "label image: 0 is background, each object has its own number",
    "scores": "one number per channel",
}
FORMAT_NAMES: Mapping[Format, str] = {"state_dict": "PyTorch state dict", "torchscript": "TorchScript, used by Fiji", "onnx": "ONNX"}
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
    """Markdown: purpose, use, inputs and outputs, measurements, training, authors."""
    parts = (
        _opening(about),
        _use(about, input, provenance, has_script=any(one.format == "torchscript" for one in weights)),
        tensors(about, input, outputs),
        measurements(measured, cases, weights, unavailable),
        _training(about, provenance),
        closing(about, provenance),
    )
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def _opening(about: About) -> Iterator[str]:
    yield from (f"# {about.name}", "", about.description, "", "![The sample image and the output of the network](cover.png)", "")
    if about.documentation:
        yield from (about.documentation.strip(), "")


def _use(about: About, input: TensorSpec, provenance: Mapping[str, Any], *, has_script: bool) -> Iterator[str]:
    yield from ("## How to run it", "")
    if not has_script:
        yield "- **Not in Fiji** with DeepImageJ 3, which runs TorchScript, and this bundle contains none."
    else:
        yield f"- **Fiji** with DeepImageJ 3: unpack this zip into a separate folder below `Fiji.app/models/`, open your image, choose \
*Plugins > DeepImageJ > DeepImageJ Run*, and select the model *{about.name}*. Try it on `sample-{input.name}.tif` first."
    yield "- **zooready**, for images of any size: `zooready predict this.zip image.tif -o results`."
    yield f"- **Python**: `bioimageio.core.predict(model='this.zip', inputs={{'{input.name}': array}})`."
    yield ""
    count = "one channel" if len(input.channels) == 1 else f"{len(input.channels)} channels ({_listed(input.channels)})"
    original = provenance.get("adopted")
    if isinstance(original, Mapping) and not original.get("normalises"):
        yield f"Give it images as its authors do: 8-bit, 16-bit or float, {count}. Nothing in the bundle normalises them, and the original \
names no step that would: if its authors normalise their images first, do so, too."
    else:
        yield f"Use raw images as the microscope saved them: 8-bit, 16-bit or float, {count}. Do not normalise them: the bundle does."
    if input.sizes:
        size = " × ".join(f"{size} px in {axis}" for axis, size in input.sizes.items())
        yield f"**It takes images of one size only: {size}.** Crop or pad your images."
    else:
        yield "Images may have any size; output images have the same size."
    if about.blur_px:
        low, high = about.blur_px
        yield f"It was trained for microscopes whose wavelength / (NA x pixel size) is {low:g} to {high:g} pixels: with others it may harm."
    elif about.pixel_size_um:
        low, high = about.pixel_size_um
        yield f"It was trained for pixels of {low:g} to {high:g} µm: rescale other images first."
    else:
        yield "The pixel sizes that it was trained for are not stated; if the description above says for which microscopes it is made, \
that counts. Check the results on your images."
    yield ""


def tensors(about: About, input: TensorSpec, outputs: tuple[TensorSpec, ...]) -> Iterator[str]:
    """Lines of the table of inputs and outputs."""
    yield from ("## Inputs and outputs", "", "| | name | content | channels | axes |", "|---|---|---|---|---|")
    for role, spec, meaning in (("input", input, "raw image"), *(("output", spec, MEANING[spec.kind]) for spec in outputs)):
        yield f"| {role} | `{spec.name}` | {spec.description or meaning} | {_listed(spec.channels)} | {', '.join(spec.axes)} |"
    planes = ", z plane" if any("z" in spec.axes for spec in (input, *outputs)) else ""
    yield from ("", f"Axes: b index of the image in a batch, c channel{planes}, y row, x column. Values are float32.", "")


def _listed(channels: tuple[str, ...]) -> str:
    return ", ".join(channels) if len(channels) <= MANY else f"{len(channels)} ({channels[0]} to {channels[-1]})"


def measurements(
    measured: Measured, cases: tuple[Case, ...], weights: tuple[Weights, ...], unavailable: Mapping[str, str]
) -> Iterator[str]:
    """Lines on what export measured of the network, and how closely each file came to it."""
    yield from ("## Measurements made at export", "")
    if measured.stride > 1:
        strides, minimums = (" x ".join(str(side or "one length") for side in sides) for sides in (measured.strides, measured.minimums))
        yield f"- The network needs sizes that are multiples of {strides or measured.stride} px, from {minimums or measured.minimum} px \
on. The bundle pads images to such a size (by repeating the last pixel) and crops the outputs."
    elif measured.stride:
        yield f"- The network takes every size from {measured.minimum} px on."
    yield (
        "- Every value of the output depends on the whole image: tiles of the image would give different results."
        if measured.halo is None
        else f"- A pixel of the output depends on pixels up to {measured.halo} px away."
    )
    if measured.halo is not None and measured.tile_step > 1:
        yield f"- Tiles of an image must begin at multiples of {measured.tile_step} px to give what the whole image gives."
    if measured.compared:
        yield f"- The largest image on which files were compared with the network had {' × '.join(map(str, measured.compared))} px."
    images = ", ".join(f"{case.name} {' × '.join(map(str, case.input.shape))}" for case in cases)
    yield f"- Each file was run on {amount(len(cases), 'image')} ({images}) and compared with the PyTorch network:"
    yield from ("", "| file | format | largest difference, divided by the range of the output |", "|---|---|---|")
    for w in weights:
        yield f"| `{w.path.name}` | {FORMAT_NAMES[w.format]} | {w.details['difference']:.1g} |"
    yield ""
    for format, reason in unavailable.items():
        yield f"- The bundle contains no {format}: {reason}"
    yield from (*(f"- {note[:1].upper()}{note[1:]}" for note in measured.notes), "")


def _training(about: About, provenance: Mapping[str, Any]) -> Iterator[str]:
    metrics = provenance.get("metrics")
    if isinstance(metrics, Mapping) and metrics and QUALITY not in about.documentation:
        yield from (QUALITY, "", "| measure | value |", "|---|---|")
        yield from (f"| {name} | {value:.4g} |" if isinstance(value, float) else f"| {name} | {value} |" for name, value in metrics.items())
        yield ""
    if text := provenance.get("training"):
        yield from ("## Training", "", str(text), "")


def closing(about: About, provenance: Mapping[str, Any]) -> Iterator[str]:
    """Lines on authors, licence, citation and versions."""
    yield from ("## Authors", "")
    for author in about.authors:
        yield f"- {author['name']}" + (f", {author['affiliation']}" if author.get("affiliation") else "")
    yield from ("", f"Licence: {about.license}.", "")
    if about.cite:
        yield from ("Please cite:", "", *(f"- {text}, https://doi.org/{doi}" for text, doi in about.cite), "")
    if versions := provenance.get("versions"):
        yield "Exported with " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
