"""The extra bundle with float16 weights: beside the usual one, never in its place, with what rounding the weights changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zooready.bundle import writing
from zooready.errors import InputInvalid
from zooready.exporting.pace import begin
from zooready.formats import onnx
from zooready.formats.starting import Run
from zooready.images.agreement import Range, ranges_of, value_fault
from zooready.images.matching import match
from zooready.records import Array, Case

ANY = float("inf")  # tolerance: differences are told, not judged


@dataclass(frozen=True, kw_only=True)
class Off:
    """How far one output is from the float32 network's.

    ``test`` and ``most`` (over all images) are the largest difference / range; of labels, the share of objects' pixels that lie in no
    object of both. ``objects`` are counts over all images, with float32 and with float16 weights; (0, 0) of other kinds.
    """

    output: str
    kind: str
    test: float
    most: float
    objects: tuple[int, int] = (0, 0)


@dataclass(frozen=True, kw_only=True)
class Halves:
    """The bundle with float16 weights: where it is, bytes of the ONNX file before and after, and what differs on how many images.

    ``largest`` are the lengths of the largest of the images, (y, x) or (z, y, x).
    """

    path: Path
    bytes: tuple[int, int]
    off: tuple[Off, ...]
    images: int
    largest: tuple[int, ...]


def beside(contents: writing.Contents, large: Sequence[Case], out: Path, folder: Path) -> Halves:
    """Write the extra bundle beside ``out``: its ONNX file only, with test outputs of its own, which say that programs run it right.

    Parameters
    ----------
    contents
        Of the usual bundle.
    large
        Cases that do not travel.
    folder
        For drafts.

    Raises
    ------
    InputInvalid
        There is no ONNX file, or it has no large weights.
    """
    begin("rounding weights to float16")
    whole = next((weights for weights in contents.weights if weights.format == "onnx"), None)
    if whole is None:
        raise InputInvalid("there is no ONNX file whose weights could be rounded.")
    content, count = onnx.halved(whole.path.read_bytes())
    draft = folder / "float16" / whole.path.name
    draft.parent.mkdir()
    draft.write_bytes(content)
    run = onnx.start(draft, outputs=[spec.name for spec in contents.outputs])
    cases = (*contents.cases, *large)
    given = [run(case.input) for case in cases]
    off = differences([(spec.name, spec.kind) for spec in contents.outputs], cases, given)
    sizes = (whole.path.stat().st_size, len(content))
    largest = max((case.input.shape[2:] for case in cases), key=np.prod)
    path = out.with_name(f"{out.stem}-float16.zip")
    found = Halves(path=path, bytes=sizes, off=off, images=len(cases), largest=largest)
    values = max((one.most for one in off if one.kind != "labels"), default=0.0)
    details = {**whole.details, "difference": values, "float16": count}
    weights = replace(whole, path=draft, sha256=hashlib.sha256(content).hexdigest(), details=details)
    elsewhere = f"it is in the bundle {out.name}, which has float32 weights"
    others: dict[str, str] = {one.format: elsewhere for one in contents.weights if one is not whole}
    writing.write(_with(replace(contents, weights=(weights,), unavailable=others), given, run, found, out.name), path)
    return found


def _with(contents: writing.Contents, given: Sequence[tuple[Array, ...]], run: Run, found: Halves, original: str) -> writing.Contents:
    """Contents with outputs of the new weights, those of the cases first in ``given``, and with what the bundle says of itself."""
    about = contents.about
    said = (
        f"The weights of the large layers are stored as float16, which makes the file smaller; programs compute in float32 as with the "
        f"bundle {original}. On {found.images} images up to {' x '.join(map(str, found.largest))} px, results differ from those of the "
        f"float32 network: {'; '.join(map(told, found.off))}."
    )
    return replace(
        contents,
        about=replace(
            about,
            name=f"{about.name} (float16 weights)",
            description=f"{about.description.rstrip()} With float16 weights: {told(max(found.off, key=lambda one: one.most))}.",
            documentation="\n\n".join(filter(None, (about.documentation.strip(), f"## Weights in float16\n\n{said}"))),
        ),
        cases=tuple(replace(case, outputs=outputs) for case, outputs in zip(contents.cases, given, strict=False)),
        sample_case=replace(contents.sample_case, outputs=run(contents.sample_case.input)),
        pytorch_version="",
        architecture=None,
        environment=None,
    )


def told(off: Off) -> str:
    """What one output differs by, in words.

    >>> told(Off(output="restored", kind="image", test=0.0002, most=0.00031))
    'restored by 0.0002 of its range on the test image and at most 0.00031'
    """
    if off.kind == "labels":
        return (
            f"{off.output} in {off.test:.2g} of the objects' pixels on the test image and at most {off.most:.2g} ({off.objects[0]} objects "
            f"in all images, {off.objects[1]} with float16 weights)"
        )
    return f"{off.output} by {off.test:.2g} of its range on the test image and at most {off.most:.2g}"


def differences(outputs: Sequence[tuple[str, str]], cases: Sequence[Case], given: Sequence[Sequence[Array]]) -> tuple[Off, ...]:
    """How far each output, (name, kind), is from the float32 network's.

    Parameters
    ----------
    cases
        With the outputs of the float32 network, the test pair first.
    given
        Outputs for the same images with float16 weights.
    """
    return tuple(_off(name, kind, number, cases, given) for number, (name, kind) in enumerate(outputs))


def _off(name: str, kind: str, number: int, cases: Sequence[Case], given: Sequence[Sequence[Array]]) -> Off:
    pairs = [(case.outputs[number], outputs[number]) for case, outputs in zip(cases, given, strict=True)]
    if kind == "labels":
        shares, counts = zip(*(_labels_off(first, second) for first, second in pairs), strict=True)
        before, after = (sum(one) for one in zip(*counts, strict=True))
        return Off(output=name, kind=kind, test=shares[0], most=max(shares), objects=(before, after))
    span: Range = ranges_of(cases[0])[number]
    differences = [value_fault(first, second, span, ANY)[0] for first, second in pairs]
    return Off(output=name, kind=kind, test=differences[0], most=max(differences))


def _labels_off(first: Array, second: Array) -> tuple[float, tuple[int, int]]:
    """Share of objects' pixels, in either of two label images (b, c, ...), that lie in no object of both; objects of each."""
    matches = [match(one, other) for one, other in zip(first, second, strict=True)]
    shared = sum(int(one.overlap.sum()) for one in matches)
    most = max(sum(one.foreground_first for one in matches), sum(one.foreground_second for one in matches))
    return (1 - shared / most if most else 0.0), (sum(one.n_first for one in matches), sum(one.n_second for one in matches))
