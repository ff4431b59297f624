"""The page that a person reads in the zoo, in Fiji's installer and in the zip: README.md of a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zooready.records import About, Measured, Weights
from zooready.tensors import TensorSpec

MEANING = {
    "image": "picture",
    "labels": "label picture (0 is background, each object has its own number)",
    "scores": "one number a channel",
}


def readme(
    about: About,
    input: TensorSpec,
    outputs: tuple[TensorSpec, ...],
    measured: Measured,
    weights: tuple[Weights, ...],
    unavailable: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> str:
    """Markdown: what it does, how to run it, what goes in and out, what was measured, who made it."""
    return "\n".join(
        line
        for part in (
            _opening(about),
            _use(about, input),
            _tensors(about, input, outputs),
            _measured(measured, weights, unavailable),
            _training(provenance),
            _closing(about),
        )
        for line in part
    )


def _opening(about: About) -> Iterator[str]:
    yield from (f"# {about.name}", "", about.description, "", "![sample picture and result](cover.png)", "")
    if about.documentation:
        yield from (about.documentation.strip(), "")


def _use(about: About, input: TensorSpec) -> Iterator[str]:
    yield from ("## How to run it", "")
    yield "- Fiji with DeepImageJ 3: unpack this zip into its own folder under `Fiji.app/models/`, open a picture, choose the model, Run."
    yield '- Python: `bioimageio.core.predict(model="this.zip", inputs={...})`, or `zooready predict this.zip picture.tif -o results`.'
    yield f"- Give the raw pixels (8-bit, 16-bit or float; {len(input.channels)} channel(s)): whatever scaling is needed happens inside."
    yield (
        "- Pictures of any width and height work; each output has the picture's width and height."
        if not input.sizes
        else (f"- This network takes one size only: {', '.join(f'{axis} = {size} px' for axis, size in input.sizes.items())}.")
    )
    yield ""


def _tensors(about: About, input: TensorSpec, outputs: tuple[TensorSpec, ...]) -> Iterator[str]:
    yield from ("## What goes in and out", "", "| | axes | channels | what it is |", "|---|---|---|---|")
    yield f"| input `{input.name}` | {input.axes} | {', '.join(input.channels)} | {input.description or 'raw picture'} |"
    for spec in outputs:
        yield f"| output `{spec.name}` | {spec.axes} | {', '.join(spec.channels)} | {spec.description or MEANING[spec.kind]} |"
    yield ""
    if about.pixel_size_um:
        low, high = about.pixel_size_um
        yield from (f"Made for pixels of {low:g} to {high:g} µm. Rescale pictures of another pixel size first.", "")
    else:
        yield from ("The range of pixel sizes that this network was made for is not stated.", "")


def _measured(measured: Measured, weights: tuple[Weights, ...], unavailable: Mapping[str, str]) -> Iterator[str]:
    yield from ("## What was measured at export", "")
    if measured.stride:
        size = f"multiples of {measured.stride} px, at least {measured.minimum} px"
        yield f"- The network itself wants {size}: pictures are padded inside, and outputs cropped back."
    far = "the whole picture" if measured.halo is None else f"pixels up to {measured.halo} px away"
    yield f"- Each output pixel depends on {far}."
    for w in weights:
        yield f"- `{w.path.name}`: {w.format}, equal to the eager network on every stored case within its tolerance."
    for format, reason in unavailable.items():
        yield f"- No {format}: {reason}"
    yield from (*(f"- {note}" for note in measured.notes), "")


def _training(provenance: Mapping[str, Any]) -> Iterator[str]:
    metrics = provenance.get("metrics")
    if isinstance(metrics, Mapping) and metrics:
        yield from ("## Measured quality", "", "| measure | value |", "|---|---|")
        yield from (f"| {name} | {value:.4g} |" if isinstance(value, float) else f"| {name} | {value} |" for name, value in metrics.items())
        yield ""
    if text := provenance.get("training"):
        yield from ("## Training", "", str(text), "")


def _closing(about: About) -> Iterator[str]:
    yield from ("## Who made it", "")
    for author in about.authors:
        yield f"- {author['name']}" + (f", {author['affiliation']}" if author.get("affiliation") else "")
    yield from ("", f"Licence: {about.license}.", "")
    if about.cite:
        yield from ("Please cite:", "", *(f"- {text}, doi:{doi}" for text, doi in about.cite), "")
