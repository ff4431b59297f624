"""README.md of a bundle for the BioImage Model Zoo, with the headings that its reviewers look for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zooready.bundle import readme
from zooready.records import About, Case, Measured, Weights
from zooready.tensors import TensorSpec

HEADINGS = (  # each stands in the page as "## ..."; the second to the fifth come with the documentation
    *("Description", "Intended Use", "Validation", "Limitations and biases", "Training data", "How to use it", "Voxel size"),
)


def page(
    about: About,
    input: TensorSpec,
    outputs: tuple[TensorSpec, ...],
    *,
    measured: Measured,
    cases: tuple[Case, ...],
    weights: tuple[Weights, ...],
    unavailable: Mapping[str, str],
    provenance: Mapping[str, Any],
    z_um: float = 0.0,
) -> str:
    """Markdown: description, the authors' own sections, use step by step, voxel size, measurements, authors.

    ``z_um`` is the distance of the planes of input or output, 0 if there are none or it is unknown.
    """
    parts = (
        _opening(about),
        readme.tensors(about, input, outputs),
        (about.documentation.strip(), ""),
        _steps(about, input),
        _voxels(about, z_um),
        readme.measurements(measured, cases, weights, unavailable),
        readme.closing(about, provenance),
    )
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def lacking(text: str) -> list[str]:
    r"""Those of :data:`HEADINGS` that a page has not, or under which nothing stands.

    >>> lacking("## Description\n\nFinds spots.\n\n## Intended Use\n\n## Validation\n\nGood.")[:2]
    ['Intended Use', 'Limitations and biases']
    """
    sections = dict(_sections(text))
    return [heading for heading in HEADINGS if not sections.get(heading, "").strip()]


def _sections(text: str) -> Iterator[tuple[str, str]]:
    for part in f"\n{text}".split("\n## ")[1:]:
        heading, _, body = part.partition("\n")
        yield heading.strip(), body


def _opening(about: About) -> Iterator[str]:
    yield from (f"# {about.name}", "", "![The image and the output of the network](cover.png)", "", "## Description", "")
    yield from (about.description, "")


def _steps(about: About, input: TensorSpec) -> Iterator[str]:
    yield from ("## How to use it", "", "In Fiji:", "")
    yield "1. Install DeepImageJ by its update site (*Help > Update… > Manage update sites > DeepImageJ*), and start Fiji again."
    yield "2. Open a raw image as the microscope saved it. Do not normalise it: the network does."
    yield f"3. Choose *Plugins > DeepImageJ > DeepImageJ Run*, install and select *{about.name}*, and press *Run*."
    yield from ("", "In Python:", "")
    yield "1. Install `bioimageio.core` and PyTorch."
    yield f"2. Load a raw image as an array of the axes {', '.join(input.axes)}, float32."
    yield f"3. `bioimageio.core.predict(model=…, inputs={{'{input.name}': array}})`, with the id of this model or the path of its zip."
    yield ""
    if input.sizes:
        yield f"It takes images of one size only: {' × '.join(f'{size} px in {axis}' for axis, size in input.sizes.items())}."
    else:
        yield "Images may have any size; output images have the same size."
    yield ""


def _voxels(about: About, z_um: float) -> Iterator[str]:
    if "## Voxel size\n" in about.documentation:
        return
    yield from ("## Voxel size", "")
    if about.blur_px:
        low, high = about.blur_px
        yield f"Not the size of a pixel counts but that of the blur: wavelength / (NA x pixel size) of {low:g} to {high:g} pixels."
    if about.pixel_size_um:
        low, high = about.pixel_size_um
        sides = f"{low:g} to {high:g}" if low < high else f"{low:g}"
        yield f"Pixels of {sides} µm: rescale other images first."
    if z_um:
        yield f"Planes {z_um:g} µm apart."
    yield ""
