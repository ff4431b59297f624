"""What a page shows of one bundle: rows of images that belong side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zooready.comparison import Comparison
from zooready.records import Array, Verdict

CHANNELS = 3  # of one output that are drawn
EXPECTED = "expected"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One image: (y, x), or (k,) for ``kind`` "scores"; ``kind`` is input, image, labels, scores or difference; ``note`` stands under."""

    caption: str
    array: Array
    kind: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One bundle: its verdicts, and rows (title, panels) of images; images of a row share their contrast."""

    title: str
    verdicts: tuple[Verdict, ...]
    rows: tuple[tuple[str, tuple[Panel, ...]], ...] = ()
    note: str = ""


def section(comparison: Comparison, *, title: str | None = None, note: str = "") -> Section:
    """A section with the input, what every program made of it, and the largest difference between them."""
    rows = tuple(_rows(comparison)) if comparison.shown is not None and comparison.results else ()
    return Section(title=title or comparison.path.stem, verdicts=comparison.verdicts, rows=rows, note=note)


def _rows(comparison: Comparison) -> Iterator[tuple[str, tuple[Panel, ...]]]:
    case = comparison.shown
    if case is None:
        return
    size = " x ".join(map(str, case.input.shape))
    inputs = tuple(_input(f"input {comparison.names[0][k]}".strip(), one) for k, one in enumerate(_planes(case.input)))
    if len(inputs) > 1:
        yield f"{case.name}, {size}", inputs
    for k, (name, kind) in enumerate(comparison.outputs):
        found = {EXPECTED: case.outputs[k]} if case.outputs else {}
        found |= {who: outputs[k] for who, outputs in comparison.results.items() if len(outputs) > k}
        if kind == "scores":
            panels = (Panel(caption=who, array=np.ravel(array[0]), kind="scores") for who, array in found.items())
            yield f"{name} ({', '.join(comparison.names[k + 1])})", (inputs[0], *panels)
            continue
        drawn = {who: _planes(array) for who, array in found.items()}
        for channel in range(max(map(len, drawn.values()))):
            row = {who: planes[channel] for who, planes in drawn.items() if len(planes) > channel}
            called = comparison.names[k + 1][channel]
            yield f"{name}: {called}" if called not in ("", name) else name, (inputs[0], *_compared(row, kind))


def _compared(row: Mapping[str, Array], kind: str) -> Iterator[Panel]:
    """The reference, the others, and where any of them differs from it."""
    reference = next(iter(row.values()))
    same = {who: one for who, one in row.items() if one.shape == reference.shape}
    differences = {who: _difference(reference, one, kind) for who, one in same.items()}
    for number, (who, one) in enumerate(row.items()):
        note = "reference" if number == 0 else _note(differences[who], kind) if who in differences else f"other size: {one.shape}"
        yield Panel(caption=who, array=one, kind=kind, note=note)
    if len(same) > 1:
        worst: Array = np.max(np.stack(list(differences.values())), axis=0)
        yield Panel(caption="largest difference", array=worst, kind="difference", note=_note(worst, kind))


def _difference(reference: Array, one: Array, kind: str) -> Array:
    difference: Array
    if kind == "labels":
        difference = (reference != one).astype(np.float64)
        return difference
    difference = np.nan_to_num(np.abs(one.astype(np.float64) - reference.astype(np.float64)), nan=np.inf, posinf=np.inf)
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
