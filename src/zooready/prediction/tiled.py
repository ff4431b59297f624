"""An image of any size through a network, tile by tile, with the numbers of the whole.

    whole image -> statistics -> each window, with them, through the graph without its own statistics -> inner part -> results in files
    stitched probabilities -> labels

What depends on the whole image is taken out of the network: the normalisation's statistics, which become inputs of its ONNX graph, and the
labelling, which is done last. Bundles that do not say what these are, or how far their network sees, are not tiled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zooready.bundle.hashes import sha256
from zooready.errors import BundleInvalid
from zooready.formats import onnx
from zooready.formats.starting import Device
from zooready.images.mapped import blocks, in_a_file, release
from zooready.prediction.memory import tile_side
from zooready.prediction.parts import Parts, fingerprint
from zooready.prediction.sessions import Graph, graph_run
from zooready.prediction.statistics import KNOWN, Statistics, statistics
from zooready.prediction.stitched_labels import SIDE as LABEL_SIDE
from zooready.prediction.stitched_labels import label
from zooready.prediction.tiles import LAYOUT, Tile, tiles
from zooready.records import Array, Bundle, Format, Part, as_float32
from zooready.tensors import Operator, TensorSpec

AREA = 2048 * 2048  # px (times planes) above which an image is cut
SIDE = 2048  # px, of a window, if memory suffices
ALIKE = 1e-4  # of the scale: how far the graph's own statistics of a piece may be from ours
PIECE = 192  # px, side of that piece, or more where the halo needs it
PLACES = 5  # along y and x where such a piece is looked for
BEYOND = 32  # px beyond the halo that the piece shows, and that a tile of it answers for
CELLS = (72, 24, 6, 12)  # px, between lines of zeros in numbers that try a head
SMOOTHED = 8  # times that neighbours are added, in numbers that try a head
LOCAL = ("none", "AsStack", "Sharpened")  # heads that see no further than the halo that the bundle states
LABELLING = {  # made last, on the stitched image
    "Instances": "zooready.nets.labelling.Instances",
    "Peaks": "zooready.nets.peaks.Peaks",
    "ClassedInstances": "zooready.nets.classed.ClassedInstances",
}
CLASSES = "classes"  # the output of the last of them that is no label image, although it is of that kind
Spread = Callable[[Graph, Iterable[Array]], Generator[tuple[Array, ...]]]  # windows (c, ..., y, x) -> outputs of each, in their order


class NotTiled(Exception):
    """Why a bundle is run on whole images only, in words that follow "since"."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """A network that can be run on tiles.

    ``graph`` is as onnx loads it; ``taken`` names its tensors that hold the statistics. ``maps`` are the places of the outputs that are
    computed by tiles, ``labels`` that of the labels, made by ``head``, ``classes`` that of the objects' classes; None without.
    """

    bundle: Bundle
    device: Device
    graph: Any
    normalization: Operator
    taken: tuple[str, ...]
    maps: tuple[int, ...]
    labels: int | None
    classes: int | None
    head: Any
    halo: int
    stride: int
    minimum: int

    @property
    def names(self) -> list[str]:
        """Of the outputs that are computed by tiles."""
        return [self.bundle.kinds[index][0] for index in self.maps]

    def of(self, image: Array) -> str:
        """Hash of whatever decides on the results of an image: two runs with the same one may share their tiles."""
        facts = (LAYOUT, self.device, self.normalization, self.taken, self.names, self.halo, self.stride, self.minimum)
        return fingerprint(facts, sha256(self.bundle.formats["onnx"]), image)

    def graph_with(self, values: Statistics) -> Graph:
        """The network with given statistics: a window (1, c, ..., y, x) float32 to the outputs that are computed by tiles."""
        constants = dict(zip(self.taken, values, strict=True))
        content = onnx.cut(self.graph, self.taken, self.names)
        return Graph(bundle=self.bundle, content=content, outputs=tuple(self.names), device=self.device, constants=constants)


def tiling(bundle: Bundle, input: TensorSpec, *, format: Format, device: Device, zoom: float) -> Tiling:
    """How a bundle is run on tiles.

    Raises
    ------
    NotTiled
        It cannot be.
    """
    from onnx import load

    outputs, named = [kind for _, kind in bundle.kinds], [name for name, _ in bundle.kinds]
    _demand_tileable(bundle, input, format, zoom)
    normalization, head = bundle.inside["normalization"], bundle.inside["head"]
    made = [index for index, kind in enumerate(outputs) if kind == "labels"]
    classes = named.index(CLASSES) if head.name == "ClassedInstances" and CLASSES in named else None
    labels = next((index for index in made if index != classes), None)
    if made and (head.name not in LABELLING or labels is None or set(made) - {labels, classes} or "image" not in outputs):
        raise NotTiled("its labels are made inside the network in a way that is not known here")
    graph = load(bundle.formats["onnx"], load_external_data=False)
    taken = onnx.normalising(graph) if normalization.name != "none" else ()
    if normalization.name != "none" and not taken:
        raise NotTiled("its ONNX graph does not begin with the normalisation that the bundle states")
    halo = bundle.measured_halo_px
    assert isinstance(halo, int)
    return Tiling(
        bundle=bundle, device=device, graph=graph, normalization=normalization, taken=taken,
        maps=tuple(index for index, kind in enumerate(outputs) if kind != "labels"), labels=labels, classes=classes,
        head=None if labels is None else _labelling(head),
        halo=halo, stride=bundle.measured_stride_px or 1, minimum=bundle.measured_minimum_px or 1,
    )  # fmt: skip


def _demand_tileable(bundle: Bundle, input: TensorSpec, format: Format, zoom: float) -> None:
    """Raise NotTiled for what the description alone rules out."""
    steps = [step.name for tensor in (*bundle.inputs, *bundle.outputs) for step in tensor.operators if step.name != "ensure_dtype"]
    known = {"normalization": (*KNOWN, "none"), "head": (*LOCAL, *LABELLING)}
    reasons = {
        f"only its ONNX weights can be, and {format} was asked for": format != "onnx",
        "the bundle does not say what its network takes from the whole image": not set(known) <= set(bundle.inside),
        "its network sees the whole image": bundle.measured_halo_px == "whole image",
        "the bundle does not say how far its network sees": bundle.measured_halo_px is None or bundle.measured_stride_px is None,
        "scores are of the whole image": any("y" not in tensor.axes for tensor in bundle.outputs),
        f"{', '.join(steps)} outside its network may depend on the whole image": bool(steps),
        "it is resampled": zoom != 1.0,
        "its network takes one size only": bool(set(input.sizes) & {"y", "x"}),
    }
    for place, names in known.items():
        part = bundle.inside.get(place)
        reasons[f"{part.name if part else ''}, its {place}, is not known here"] = part is not None and part.name not in names
    for reason, holds in reasons.items():
        if holds:
            raise NotTiled(reason)


def _labelling(head: Operator) -> Any:
    """The labelling that a bundle states."""
    numbers = {key: value for key, value in head.kwargs.items() if isinstance(value, int | float)}
    try:
        return Part(path=LABELLING[head.name], kwargs=numbers).build()
    except TypeError:
        raise NotTiled(f"{head.name} with {', '.join(head.kwargs)} is not known here") from None


def predicted(
    tiling: Tiling,
    planes: Sequence[Array],
    results: Sequence[Sequence[Array]],
    *,
    parts: Parts,
    progress: Callable[[int, int], None] | None = None,
    spread: Spread | None = None,
) -> None:
    """Run a network on all tiles of one input after the other.

    Parameters
    ----------
    planes
        The inputs, each (c, ..., y, x), as the image has it, in memory or in a file.
    results
        For each input what becomes of it, one for each output: (c, ..., y, x) float32; (1, y, x) int32 zeros for labels.
    parts
        Where the results lie, and how many tiles are done.
    progress
        Called with (tiles done, tiles in all).
    spread
        Has the tiles of an input computed elsewhere; they are computed here, one by one, if None.

    Raises
    ------
    InputInvalid
        Not even one tile fits into memory.
    BundleInvalid
        What comes out has another shape than the bundle promises.
    NotTiled
        The graph is not what the bundle states: it takes other statistics from an image, sees further, or makes other labels.
    """
    _demand_true(tiling, planes[0])
    graph, size = tiling.graph_with(statistics(planes[0], tiling.normalization)), (planes[0].shape[-2], planes[0].shape[-1])
    run = graph.start()
    least = 2 * -(-tiling.halo // tiling.stride) * tiling.stride + max(tiling.stride, tiling.minimum)
    parts.begin(tile_side(run, as_float32(planes[0][..., :512, :512])[None], SIDE, least))
    assert parts.side is not None
    cut = list(tiles(size, parts.side, halo=tiling.halo, stride=tiling.stride, minimum=tiling.minimum))
    for number, plane in enumerate(planes):
        first = max(0, parts.done - number * len(cut))
        if number and first < len(cut):
            graph = tiling.graph_with(statistics(plane, tiling.normalization))
            run = graph.start() if spread is None else run
        windows = (plane[..., *tile.window] for tile in cut[first:])
        with closing(spread(graph, windows) if spread else (run(as_float32(window)[None]) for window in windows)) as computed:
            for tile, outputs in zip(cut[first:], computed, strict=True):
                for index, output in zip(tiling.maps, outputs, strict=True):
                    _keep(output, results[number][index], tile, tiling.bundle.kinds[index][0])
                release(plane)
                parts.keep(parts.done + 1)
                if progress:
                    progress(parts.done, len(planes) * len(cut))
        if tiling.labels is not None:
            source, target = results[number][tiling.maps[0]], results[number][tiling.labels][0]
            classes = None if tiling.classes is None else results[number][tiling.classes][0]
            label(source, in_a_file(target.shape, np.int32, parts.scratch), target, tiling.head, LABEL_SIDE, classes)


def _keep(output: Array, result: Array, tile: Tile, name: str) -> None:
    """Put the inner part of what was computed where it belongs."""
    inner = tile.cropped(output)
    place = result[..., *tile.inner]
    if inner.shape != (1, *place.shape):
        raise BundleInvalid(f"'{name}' has the shape {output.shape} for a tile of the image: export the bundle again.")
    place[...] = inner[0]
    release(result)


def _demand_true(tiling: Tiling, plane: Array) -> None:
    """Raise NotTiled unless what the bundle says of its network holds on a piece of the image, and its labels are those of the head."""
    margin = -(-tiling.halo // tiling.stride) * tiling.stride
    first, inner = tiling.stride + margin, -(-max(BEYOND, tiling.minimum) // tiling.stride) * tiling.stride
    piece = as_float32(_varied(plane, max(PIECE, first + inner + margin + BEYOND)))[None]
    names = [*tiling.taken, *tiling.names]
    computed = graph_run(tiling.bundle, onnx.cut(tiling.graph, (), names), names)(piece)
    own, entire = computed[: len(tiling.taken)], computed[len(tiling.taken) :]
    _demand_statistics(tiling, own, statistics(piece[0], tiling.normalization))
    window, kept = [slice(None)] * 2, [slice(None)] * 2
    for axis, length in enumerate(piece.shape[-2:]):
        if length > first + inner + margin:  # elsewhere no image as narrow as this is cut
            window[axis] = slice(tiling.stride, first + inner + margin)
            kept[axis] = slice(first, first + inner)
    cut = Tile(inner=(kept[0], kept[1]), window=(window[0], window[1]))
    for expected, output in zip(entire, tiling.graph_with(own).start()(piece[..., *cut.window]), strict=True):
        result, wanted = (array[..., *place] for array, place in ((output, _shifted(cut)), (expected, cut.inner)))
        room = ALIKE * float(np.ptp(expected)) + 4 * float(np.finfo(np.float32).eps * np.abs(expected).max())
        if result.shape != wanted.shape or not (np.abs(result - wanted) <= room).all():
            raise NotTiled("a piece of the image comes out differently when cut as the bundle states (its halo, stride or normalization)")
    _demand_head(tiling)


def _shifted(tile: Tile) -> tuple[slice, slice]:
    """What a tile answers for, in its window."""
    y, x = (
        slice(None) if inner.start is None else slice(inner.start - window.start, inner.stop - window.start)
        for inner, window in zip(tile.inner, tile.window, strict=True)
    )
    return y, x


def _varied(plane: Array, side: int) -> Array:
    """Of pieces (c, ..., y, x) spread over an image, the one whose values differ most."""
    starts = [np.unique(np.linspace(0, max(0, length - side), PLACES).astype(int)) for length in plane.shape[-2:]]
    pieces = (np.ascontiguousarray(plane[..., y : y + side, x : x + side]) for y in starts[0] for x in starts[1])
    return max(pieces, key=lambda piece: float(piece.std(dtype=np.float64)))


def _demand_statistics(tiling: Tiling, own: Sequence[Array], expected: Statistics) -> None:
    """Raise NotTiled unless the graph's own statistics of a piece of the image are those that the bundle says it takes."""
    if not expected:
        return
    matches = len(own) == len(expected) and own[0].shape == expected[0].shape
    if matches:
        scale = expected[-1]
        offsets = np.abs(sum(ours.astype(float) - theirs for ours, theirs in zip(expected[:-1], own[:-1], strict=True))) / scale
        matches = bool((offsets < ALIKE).all() and (np.abs(own[-1] / scale - 1) < ALIKE).all())
    if not matches:
        raise NotTiled(f"its ONNX graph does not take the statistics of {tiling.normalization.name} from an image, as the bundle states")


def _demand_head(tiling: Tiling) -> None:
    """Raise NotTiled unless the graph makes the labels that the bundle's head makes, of numbers in which every threshold shows."""
    if tiling.labels is None:
        return
    kinds, source = tiling.bundle.kinds, tiling.bundle.outputs[tiling.maps[0]]
    numbers = _blobs(len(source.channels))
    labels, classes = np.zeros((2, *numbers.shape[1:]), np.int32)
    made = [(tiling.labels, labels)] + ([] if tiling.classes is None else [(tiling.classes, classes)])
    names = [kinds[index][0] for index, _ in made]
    try:
        content = onnx.cut(tiling.graph, [source.name], names, alone=True)
    except ValueError:
        raise NotTiled(f"its labels are not made of '{source.name}' alone") from None
    own = graph_run(tiling.bundle, content, names)(numbers[None])
    label(numbers, np.zeros_like(labels), labels, tiling.head, LABEL_SIDE, None if tiling.classes is None else classes)
    if any(not np.array_equal(np.rint(output[0, 0]), ours) for output, (_, ours) in zip(own, made, strict=True)):
        raise NotTiled(f"its ONNX graph does not make the labels of {type(tiling.head).__name__}, its head, as the bundle states")


def _blobs(channels: int) -> Array:
    """Smooth random numbers (c, y, x), in each channel spread evenly from 0 to 1, so that blobs of every size lie above any threshold.

    Lines of zeros part them, since the network's own labelling may part what is very winding. Below lies a long slope, which foreground
    climbs along.
    """
    rng = np.random.default_rng(0)
    found = []
    for _ in range(channels):
        field = rng.random((PIECE, PIECE))
        for axis in (0, 1):
            for _ in range(SMOOTHED):
                field = field + np.roll(field, 1, axis)
        ranks = np.empty(field.size)
        ranks[np.argsort(field, axis=None)] = np.arange(field.size)
        found.append(ranks.reshape(field.shape) / field.size)
    numbers, lines = np.stack(found), np.cumsum(np.resize(CELLS, PIECE // min(CELLS)))
    for line in lines[lines < PIECE]:
        numbers[:, line], numbers[..., line] = 0, 0
    numbers[:, -12:], slope = 0, np.linspace(0, 1, PIECE) ** 8
    numbers[0, -9:-3, 1:-1], numbers[1:2, -9:-3, 1:-1] = 0.95, slope[1:-1]
    return as_float32(numbers)


def as_labels(numbers: Array, scratch: Path | None) -> Array:
    """Labels, int32 in a file, as uint16, or float32 beyond 65,535."""
    most = max(int(numbers[block].max()) for block in blocks(numbers))
    result = in_a_file(numbers.shape, np.uint16 if most <= np.iinfo(np.uint16).max else np.float32, scratch)
    for block in blocks(numbers):
        result[block] = numbers[block]
        release(result)
    return result


def room_for(tensor: TensorSpec, lengths: tuple[int, ...], plane: Array, spec: TensorSpec, parts: Parts) -> Array:
    """A file for one output of all inputs: (..., c, ..., y, x), int32 zeros for labels, else float32."""
    given = {**dict(zip(spec.axes[1:], plane.shape, strict=True)), **tensor.sizes, "c": len(tensor.channels)}
    if missing := [axis for axis in tensor.axes[1:] if axis not in given]:
        raise NotTiled(f"the bundle does not say how long {', '.join(missing)} of '{tensor.name}' is")
    return parts.room((*lengths, *(given[axis] for axis in tensor.axes[1:])), is_kept=tensor.kind != "labels")
