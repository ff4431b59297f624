"""The images that a page shows of one bundle, in rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zooready.comparison import Comparison
from zooready.records import Array, Verdict

CHANNELS = 3  # most channels of an output that are drawn
EXPECTED = "expected"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One image: (y, x), or (k,) for ``kind`` "scores"; ``kind`` is input, image, labels, scores or difference; ``note`` is its caption.

    ``width_um`` is the width of an image, None if unknown.
    """

    caption: str
    array: Array
    kind: str
    note: str = ""
    width_um: float | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    """One bundle: its verdicts, and rows (title, panels) of images; images of a row share their contrast."""

    title: str
    verdicts: tuple[Verdict, ...]
    rows: tuple[tuple[str, tuple[Panel, ...]], ...] = ()
    note: str = ""


def section(comparison: Comparison, *, title: str | None = None, note: str = "") -> Section:
    """A section with the input, the output of every program, and the largest difference from the reference."""
    rows = tuple(_rows(comparison)) if comparison.shown is not None and comparison.results else ()
    if comparison.shown is not None and comparison.pixel_size_um:  # outputs show the same specimen, also those of other sizes
        width_um = comparison.shown.input.shape[-1] * comparison.pixel_size_um
        rows = tuple((name, tuple(replace(panel, width_um=width_um) for panel in panels)) for name, panels in rows)
    return Section(title=title or comparison.path.stem, verdicts=comparison.verdicts, rows=rows, note=note)


def _rows(comparison: Comparison) -> Iterator[tuple[str, tuple[Panel, ...]]]:
    case = comparison.shown
    if case is None:
        return
    size = " x ".join(map(str, case.input.shape))
    inputs = tuple(_input(f"input {comparison.names[0][k]}".strip(), plane) for k, plane in enumerate(_planes(case.input)))
    if len(inputs) > 1:
        yield f"{case.name}, {size}", inputs
    for k, (name, kind) in enumerate(comparison.outputs):
        arrays = {EXPECTED: case.outputs[k]} if case.outputs else {}
        arrays |= {source: outputs[k] for source, outputs in comparison.results.items() if len(outputs) > k}
        if kind == "scores":
            panels = (Panel(caption=source, array=np.ravel(array[0]), kind="scores") for source, array in arrays.items())
            yield f"{name} ({', '.join(comparison.names[k + 1])})", (inputs[0], *panels)
            continue
        planes_of = {source: _planes(array) for source, array in arrays.items()}
        for channel in range(max(map(len, planes_of.values()))):
            row = {source: planes[channel] for source, planes in planes_of.items() if len(planes) > channel}
            channel_name = comparison.names[k + 1][channel]
            yield f"{name}: {channel_name}" if channel_name not in ("", name) else name, (inputs[0], *_compared(row, kind))


def _compared(row: Mapping[str, Array], kind: str) -> Iterator[Panel]:
    """Panels of the reference, of the other outputs, and of their largest difference from the reference."""
    reference = next(iter(row.values()))
    same_size = {source: array for source, array in row.items() if array.shape == reference.shape}
    differences = {source: _difference(reference, array, kind) for source, array in same_size.items()}
    for number, (source, array) in enumerate(row.items()):
        note = "reference" if number == 0 else _note(differences[source], kind) if source in differences else f"other size: {array.shape}"
        yield Panel(caption=source, array=array, kind=kind, note=note)
    if len(same_size) > 1:
        largest: Array = np.max(np.stack(list(differences.values())), axis=0)
        yield Panel(caption="largest difference", array=largest, kind="difference", note=_note(largest, kind))


def _difference(reference: Array, output: Array, kind: str) -> Array:
    difference: Array
    if kind == "labels":
        difference = (reference != output).astype(np.float64)
        return difference
    difference = np.nan_to_num(np.abs(output.astype(np.float64) - reference.astype(np.float64)), nan=np.inf, posinf=np.inf)
    return difference


def _note(difference: Array, kind: str) -> str:
    if kind == "labels":
        return f"{int(difference.sum())} pixels differ"
    return f"max {difference.max(initial=0):.2g}" if difference.any() else "identical"


def _input(caption: str, array: Array) -> Panel:
    return Panel(caption=caption, array=array, kind="input", note=f"{float(array.min()):.4g} to {float(array.max()):.4g}")


def _planes(array: Array) -> Sequence[Array]:
    """The first batch element's channels as (y, x); the middle plane of a stack."""
    channels = array[0] if array.ndim > 3 else array.reshape(1, *array.shape[-2:])
    while channels.ndim > 3:
        channels = channels[:, channels.shape[1] // 2]
    return list(channels[:CHANNELS])
