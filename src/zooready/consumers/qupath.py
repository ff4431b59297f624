"""QuPath with its extensions Deep Java Library and BioImage Model Zoo: its written rules, and its engine, PyTorch 2.7.1 in DJL 0.36.

QuPath itself is never run here. A bundle becomes a pixel classifier that works tile by tile; the engine is given each stored image as one
tile. The rules were read in 2026-11, not run, in

- QuPath's page of the model zoo, "Which models are compatible?" (qupath/qupath-docs, ``docs/deep/bioimage.md``), and of its Deep Java
  Library (``docs/deep/djl.md``);
- what its developer wrote for BioImage.IO (bioimage-io/archive.bioimage.io, issue 437);
- ``BioimageIoTools.java`` (qupath/qupath) and ``Processing.java`` (qupath/qupath-bioimageio-spec), which make the classifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from zooready import java
from zooready.consumers import java_pytorch
from zooready.consumers.description_rules import Rule, is_harmless, operators, understood
from zooready.consumers.tile_rules import no_halo, numbers_restart, whole_image
from zooready.records import Array, Bundle, Format, Level, as_float32

NAME = "qupath"
READS: tuple[Format, ...] = ("torchscript",)
LEVEL: Level = "engine"
ASKED_ONLY = True
BY_RULES = True
OPENS_FILES = True
ENGINE: java.Engine = "pytorch-2.7.1"  # in DJL 0.36, as QuPath has it; another version is another name
APPLIES_OPERATORS = True
BY_HAND = (
    "Unzip the bundle, open its rdf.yaml in QuPath with Extensions > Bioimage Model Zoo, and press 'Show test images in ImageJ', which "
    "compares with the stored test pair."
)
TILE = 512  # px; BioimageIoTools prefers it where the bundle leaves the size open
STEPS = {"binarize", "clip", "scale_linear", "scale_range", "sigmoid", "zero_mean_unit_variance"}
PER_TILE = {"scale_range", "zero_mean_unit_variance"}
FLAT = {"b", "c", "y", "x"}


def missing() -> str | None:
    """None with the engine installed; QuPath is not among the programs that the check starts."""
    return java.missing(ENGINE)


def beyond_engine(bundle: Bundle) -> str | None:
    """Steps outside the network are QuPath's own, so that the engine alone does not show what it makes of them."""
    steps = sorted({step.name for step in operators(bundle) if not is_harmless(step)})
    return f"{', '.join(steps)} is computed by QuPath and not by the network. {BY_HAND}" if steps else None


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """Every rule that the bundle breaks, in words."""
    for rule in RULES:
        yield from rule(bundle)
    yield from java_pytorch.objections(bundle, format)


def run(bundle: Bundle, format: Format, images: Sequence[Array | Path]) -> list[tuple[Array, ...]]:
    """Outputs for each image, opened by ImageJ's own reader where it is of batch 1.

    Raises
    ------
    ConsumerMissing, ConsumerFailed
        See :func:`zooready.java.run`.
    """
    inputs = [image if isinstance(image, Path) else as_float32(image) for image in images]
    limit_s = bundle.time_limit_s or java_pytorch.SECONDS
    return list(java.run(ENGINE, bundle.formats[format], inputs, limit_s=limit_s, through_imagej=True).outputs)


def remarks(bundle: Bundle) -> Iterator[str]:
    """What a user will notice although nothing is refused."""
    named = sorted({step.name for step in operators(bundle)} & PER_TILE)
    what = f"{' and '.join(named)} and whatever" if named else "whatever"
    yield (
        f"QuPath works in tiles ({TILE} px unless its user changes that), and {what} the network computes from its whole input, as a "
        "normalisation, is computed of each tile, so that numbers equal those of Python only in images of one tile"
    )
    yield from no_halo(bundle, "QuPath")
    yield from numbers_restart(bundle, "QuPath")


def versions() -> dict[str, str]:
    """When the rules were read; what ran."""
    rules = {"rules of QuPath": "read 2026-11"}
    return rules if missing() else {**rules, **java_pytorch.versions_of(ENGINE)}


def one_input(bundle: Bundle) -> Iterator[str]:
    """``BioimageIoTools.buildPatchClassifierParams``: "Only single inputs currently supported"."""
    inputs = [tensor.name for tensor in bundle.inputs]
    if len(inputs) != 1:
        yield f"{len(inputs)} inputs ({', '.join(inputs)}), and QuPath takes networks of exactly one: join them as channels of one input."


def one_output(bundle: Bundle) -> Iterator[str]:
    """The same function: "Only single outputs currently supported"."""
    if len(bundle.outputs) != 1:
        yield (
            f"{len(bundle.outputs)} outputs ({', '.join(output.name for output in bundle.outputs)}), and QuPath takes networks of exactly "
            f"one: export a bundle for it that keeps a single output, e.g. keep=['{kept(bundle)}']."
        )


def kept(bundle: Bundle) -> str:
    """The output to keep where a program takes one: labels if there are some, else the first."""
    labels = [output.name for output in bundle.outputs if output.kind == "labels"]
    return next(iter([*labels, *(output.name for output in bundle.outputs)]), "ID")


def flat(bundle: Bundle) -> Iterator[str]:
    """The page of the model zoo: "a single 2D input image and give a single 2D output image (+ channels)"."""
    for tensor in (*bundle.inputs, *bundle.outputs):
        if not {"c", "y", "x"} <= set(tensor.axes) <= FLAT:
            yield (
                f"'{tensor.name}' has axes {tensor.axes!r}, and QuPath takes images of c, y, x alone: export planes for planes, or use "
                "zooready predict."
            )


def same_order(bundle: Bundle) -> Iterator[str]:
    """``BioimageIoTools`` looks up the output's channels and halo at the places that axes have in the input."""
    if len(bundle.outputs) == 1 and len(bundle.inputs) == 1:
        taken, given = bundle.inputs[0].axes, bundle.outputs[0].axes
        if taken != given and set(taken) | set(given) <= FLAT:
            yield f"the input has axes {taken!r} and the output {given!r}, and QuPath needs the same order: transpose inside the network."


def known_steps(bundle: Bundle) -> Iterator[str]:
    """``BioimageIoTools.transformToOp`` knows these; others are left out with a line in the log, so that values are wrong."""
    unknown = {step.name for step in operators(bundle) if not is_harmless(step)} - STEPS
    yield from (f"no '{name}' in QuPath, which leaves it out and goes on: fold it into the network." for name in sorted(unknown))


def percentiles(bundle: Bundle) -> Iterator[str]:
    """``Processing.java`` takes 100 for an absent lower percentile and 0 for an absent upper one."""
    for step in operators(bundle):
        absent = [key for key in ("min_percentile", "max_percentile") if step.name == "scale_range" and step.kwargs.get(key) is None]
        if absent:
            yield f"'scale_range' has no {' and no '.join(absent)}, for which QuPath takes the opposite end: write both down."


def depends_on_the_tile(bundle: Bundle) -> Iterator[str]:
    """The page: models that need global statistics "may 'work', but give different results", and not merely at seams."""
    yield from whole_image(bundle, "QuPath")


RULES: tuple[Rule, ...] = (understood, one_input, one_output, flat, same_order, known_steps, percentiles, depends_on_the_tile)
