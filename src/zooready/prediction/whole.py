"""A bundle on an image: each plane whole, or by tiles where it is large."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from zooready.bundle.specs import (
    channel_limits,
    input_spec,
    known_blur,
    known_kind,
    output_specs,
    pixel_range_um,
    plane_distance_um,
    size_steps,
    trained_objects,
)
from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid, amount
from zooready.formats.starting import Device
from zooready.images.calibration import beyond, demand_small, outside, planes_differ
from zooready.images.loading import demand_no_stack_of_stacks, empty, rounded
from zooready.images.mapped import blocks, is_mapped
from zooready.images.notebook import image_html, notes_html, table_html
from zooready.images.resampling import resampled
from zooready.images.tiff import in_order
from zooready.prediction.embedding import Judged, load, strangers
from zooready.prediction.inputs import Inputs, as_input, seen_through
from zooready.prediction.memory import available_bytes, demand_room, demand_room_to_scale
from zooready.prediction.parts import Parts
from zooready.prediction.scaling import PixelSize, of_blur, sized, through, untold, zoom_for
from zooready.prediction.steps import READERS, NamedArray, axis_ids, processed
from zooready.prediction.steps import notes as notes_on_steps
from zooready.prediction.suitability import of_another_kind, unlike
from zooready.prediction.tiled import AREA, NotTiled, Spread, Tiling, as_labels, predicted, room_for, tiling
from zooready.records import Array, Bundle, Format, Image, as_float32
from zooready.tensors import TensorSpec

SHARE = 0.25  # of the free memory that a padded input may take; the network needs more
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A table: one row for each plane, its columns t and z (where the image has them, from 0) and then one for each class."""

    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a bundle says of an image, by the id of its outputs.

    ``images`` are calibrated; labels are uint16 where 65,535 objects suffice, everything else float32. ``notes`` are sentences
    that a person should read before trusting the numbers, each with its cure. ``not_finite`` names outputs that hold NaN or infinity.
    """

    images: Mapping[str, Image] = field(default_factory=dict)
    scores: Mapping[str, Scores] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    not_finite: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """What a notebook shows: notes, images, scores."""
        shown = [notes_html(self.notes), *(image_html(name, image) for name, image in self.images.items())]
        return "".join([*shown, *(table_html(table.columns, table.rows) for table in self.scores.values())])


def predict(
    bundle: Bundle,
    image: Image,
    *,
    format: Format = "onnx",
    device: Device = "auto",
    pixel_size: PixelSize | None = None,
    diameter: float | None = None,
    na: float | None = None,
    wavelength_nm: float | None = None,
    channel: int | str | None = None,
    loaded: Judged | None = None,
    progress: Progress | None = None,
    parts: Parts | None = None,
    spread: Spread | None = None,
) -> Prediction:
    """Run a bundle on an image of any size.

    Parameters
    ----------
    bundle
        An opened bundle.
    image
        Raw pixels; time points, and planes for a network without z, are run one by one.
    format
        The weights to take.
    device
        ``auto`` is a CUDA device if the runtime sees one, else the CPU.
    pixel_size
        ``"auto"`` resamples y and x so that pixels come into the bundle's range, and the outputs back to the image's size; so does a
        number, the side of the image's pixels in µm, whatever the image itself states. Where that enlarges the image, and the bundle
        restores images, the outputs keep the network's finer pixels: the image's own could not show what it restored.
    diameter
        Width of a typical object in the image, px: y and x are resampled so that it is in the middle of the bundle's range, and the
        outputs back.
    na, wavelength_nm
        Numerical aperture of the objective, and emission wavelength, nm, whatever the image itself states: y and x are resampled so that
        a network which takes blur away sees one that it takes away well, and the outputs back.
    channel
        The one channel to take, by name or by number from 1.
    loaded
        What :func:`load` gave for this bundle, to use it for several images; made from ``format`` and ``device`` if None.
    progress
        Called with (done, in all): of inputs, or of tiles where an image is cut into them.
    parts
        Where results that do not fit into memory grow, and what an earlier run left there; the system's folder for temporary files if
        None.
    spread
        Has tiles computed elsewhere, such as :func:`cluster`.

    Returns
    -------
    Prediction
        One entry for each output of the bundle; arrays of large images lie in files without a name.

    Raises
    ------
    InputInvalid
        The image does not suit the bundle, has values beyond 1e15, or does not fit into memory.
    BundleInvalid, ConsumerFailed, ConsumerMissing
        As :func:`zooready.prediction.sessions.engine`.
    """
    image = through(sized(image, pixel_size), na, wavelength_nm)
    spec, outputs = input_spec(bundle, READERS), output_specs(bundle)
    inputs = as_input(image, spec, channel=channel)
    demand_small(inputs.array)
    image = seen_through(image, spec, channel)
    demand_no_stack_of_stacks(inputs.loop, {tensor.name: tensor.axes for tensor in outputs})
    zoom = zoom_for(bundle, image, pixel_size, diameter, is_told=na is not None)
    notes = _notes_on_image(bundle, spec, image, inputs, zoom, is_as_it_is=pixel_size is None and diameter is None)
    parts = parts or Parts()
    embeddings: list[Array] = []
    why_whole, results = f"it is scaled by {zoom:.3g}" if zoom != 1.0 else "", None
    if math.prod(inputs.array.shape[len(inputs.loop) + 1 :]) > AREA:
        try:
            way = tiling(bundle, spec, format=format, device=device, zoom=zoom)
            results, loaded = _by_tiles(way, inputs, spec, outputs, parts, progress, spread), None
            if parts.before:
                notes.append(f"went on after {amount(parts.before, 'tile')} that a stopped run had computed.")
        except NotTiled as reason:
            why_whole = str(reason)
    if results is None:
        if spread:
            notes.append(f"computed here and not by the cluster, since {why_whole or 'it is too small to be cut into tiles'}.")
        loaded = loaded or load(bundle, format, device)
        results, embeddings = _whole(loaded, bundle, inputs, outputs, zoom, why_whole, progress)
    if _is_finer(bundle, zoom):
        notes.append(
            f"the results have {zoom:.3g} times as many pixels a side as the image, whose own are too coarse for what was restored."
        )
    notes += _notes_on_objects(loaded, bundle, inputs, results, zoom)
    notes += _notes_on_kind(bundle, embeddings)
    images, scores, not_finite = {}, {}, []
    for tensor, stacked in zip(outputs, results, strict=True):
        if wrong := sum(int((~np.isfinite(stacked[block])).sum()) for block in blocks(stacked)):
            not_finite.append(tensor.name)
            notes.append(f"'{tensor.name}' has {wrong} values that are not finite: do not use it, and run zooready check on the bundle.")
        if "y" in tensor.axes:
            if tensor.kind == "labels":
                stacked = as_labels(stacked, parts.scratch) if is_mapped(stacked) else _small_labels(stacked)
            images[tensor.name] = _image(stacked, inputs.loop, tensor, image, plane_distance_um(bundle))
        else:
            scores[tensor.name] = _scores(stacked, inputs, tensor)
    return Prediction(images=images, scores=scores, notes=tuple(notes), not_finite=tuple(not_finite))


def _notes_on_image(bundle: Bundle, spec: TensorSpec, image: Image, inputs: Inputs, zoom: float, *, is_as_it_is: bool) -> list[str]:
    """How the image compares with those that the network was trained for, and what happens outside the network."""
    known = known_blur(bundle)
    found = [
        outside(image.pixel_size_um, pixel_range_um(bundle)) if is_as_it_is else "",
        empty(inputs.array),
        rounded(inputs.array),
        planes_differ(image.z_um, plane_distance_um(bundle)) if "z" in spec.axes else "",
        of_blur(zoom, image, known),
        untold(image, known),
        *beyond(inputs.array, inputs.loop + spec.axes[1:], spec.channels, channel_limits(bundle)),
    ]
    for described in (*bundle.inputs, *bundle.outputs):
        found += notes_on_steps(described, is_many=math.prod(inputs.lengths) > 1, is_input=described in bundle.inputs)
    return [note for note in found if note]


def _notes_on_objects(loaded: Judged | None, bundle: Bundle, inputs: Inputs, results: list[Array], zoom: float) -> list[str]:
    """Whether the image is of the kind that a network which finds objects was trained on; ``loaded`` is None if it was cut into tiles."""
    trained, outputs = trained_objects(bundle), output_specs(bundle)
    number = next((number for number, tensor in enumerate(outputs) if tensor.kind == "labels" and tensor.axes == "bcyx"), None)
    if trained is None or number is None:
        return []

    def found(image: Array) -> Array:
        assert loaded is not None
        return _one(loaded, bundle, image, outputs, 1.0, "", first=False)[0][number]

    return unlike(inputs, results[number], trained, zoom, found if loaded else None)


def _notes_on_kind(bundle: Bundle, embeddings: list[Array]) -> list[str]:
    """Whether the images are of the kind that a classifier was trained on, if the bundle states what tells them apart."""
    known = known_kind(bundle)
    if known is None or not embeddings:
        return []
    found = [strangers(embedding, known, bundle)[0] for embedding in embeddings]
    return [note] if (note := of_another_kind(sum(map(bool, found)), len(found), "planes", known)) else []


def _whole(
    loaded: Judged, bundle: Bundle, inputs: Inputs, outputs: tuple[TensorSpec, ...], zoom: float, why_whole: str, progress: Progress | None
) -> tuple[list[Array], list[Array]]:
    """Each output for all inputs, (..., c, ..., y, x), and the embeddings, if a rule asks for them; the network runs once an input."""
    results: list[list[Array]] = [[] for _ in outputs]
    embeddings: list[Array] = []
    if _is_finer(bundle, zoom):  # all of them stay as large as the network saw them
        demand_room_to_scale(inputs.array.shape, _scaled(inputs.array.shape, zoom))
    for done, array in enumerate(inputs):
        computed, embedding = _one(loaded, bundle, array, outputs, zoom, why_whole, first=done == 0)
        for result, output in zip(results, computed, strict=True):
            result.append(output)
        embeddings += [] if embedding is None else [embedding]
        if progress:
            progress(done + 1, math.prod(inputs.lengths))
    stacked = [np.stack([array[0] for array in arrays]).reshape(*inputs.lengths, *arrays[0].shape[1:]) for arrays in results]
    return stacked, embeddings


def _by_tiles(
    way: Tiling,
    inputs: Inputs,
    spec: TensorSpec,
    outputs: tuple[TensorSpec, ...],
    parts: Parts,
    progress: Progress | None,
    spread: Spread | None,
) -> list[Array]:
    """The same, every input run tile by tile, in files."""
    planes = list(inputs.planes())
    parts.claim(way.of(inputs.array))
    results = [room_for(tensor, inputs.lengths, planes[0], spec, parts) for tensor in outputs]
    each = [[result[index] for result in results] for index in np.ndindex(*inputs.lengths)]
    predicted(way, planes, each, parts=parts, progress=progress, spread=spread)
    return results


def _one(
    loaded: Judged, bundle: Bundle, image: Array, outputs: tuple[TensorSpec, ...], zoom: float, why_whole: str, *, first: bool
) -> tuple[list[Array], Array | None]:
    """The outputs for one input, at the input's size or finer, and its embedding."""
    given, inputs, scaled = _given(bundle, image, zoom)
    size = image.shape[-2:]
    if first:
        demand_room(lambda piece: loaded(piece)[0], given, why_whole)
    kept = []
    computed, embedding = loaded(given)
    for tensor, described, output in zip(outputs, bundle.outputs, computed, strict=True):
        if output.ndim != len(tensor.axes) or output.shape[tensor.axes.index("c")] != len(tensor.channels):
            raise BundleInvalid(
                f"{bundle.path.name} promises '{tensor.name}' with axes {tensor.axes!r} and {amount(len(tensor.channels), 'channel')}, and "
                f"its network gave the shape {output.shape}. Export it again."
            )
        if not output.size:
            raise ConsumerFailed(f"'{tensor.name}' came out empty for an image of {size[1]} x {size[0]} px: give a larger image.")
        if tensor.axes.endswith("yx"):
            height, width = (have * want // grown for have, want, grown in zip(output.shape[-2:], scaled, given.shape[-2:], strict=True))
            output = output[..., :height, :width]
        output = as_float32(processed(output, described, inputs))
        if zoom != 1.0 and tensor.axes.endswith("yx") and not _is_finer(bundle, zoom):
            output = resampled(output, size, labels=tensor.kind == "labels", cubic=_is_sharp(bundle, zoom))
        kept.append(output)
    return kept, embedding


def _is_finer(bundle: Bundle, zoom: float) -> bool:
    """Whether outputs keep the network's pixels, which are finer than the image's and show what was restored.

    Not where the image was enlarged for its blur: its own pixels are then fine enough.
    """
    return bundle.restores and zoom > 1.0 and known_blur(bundle) is None


def _is_sharp(bundle: Bundle, zoom: float) -> bool:
    """Whether an image is scaled by cubic splines, which are sharper: one that is reduced for a network that restores."""
    return bundle.restores and zoom < 1.0


def _given(bundle: Bundle, image: Array, zoom: float) -> tuple[Array, dict[str, NamedArray], tuple[int, int]]:
    """What the network is given for one input: scaled, after the steps outside the network, padded; these inputs; the scaled y and x."""
    scaled = _scaled(image.shape, zoom)
    demand_room_to_scale(image.shape, scaled)
    raw = resampled(image, scaled, cubic=_is_sharp(bundle, zoom))
    inputs = {bundle.inputs[0].name: NamedArray(array=raw, axes=axis_ids(bundle.inputs[0]))}
    return np.ascontiguousarray(_grown(processed(raw, bundle.inputs[0], inputs, is_input=True), bundle)), inputs, scaled


def _scaled(shape: tuple[int, ...], zoom: float) -> tuple[int, int]:
    """The y and x that the network sees, px."""
    return max(1, round(shape[-2] * zoom)), max(1, round(shape[-1] * zoom))


def margins(shape: tuple[int, ...], bundle: Bundle) -> list[tuple[int, int]]:
    """Pixels to add before and after each axis of an input of this shape, so that its y and x have lengths that the bundle takes.

    Raises
    ------
    InputInvalid
        There is not enough memory for them.
    """
    steps = size_steps(bundle)
    added = [(0, 0)] * len(shape)
    for index, axis in ((-2, "y"), (-1, "x")):
        minimum, step = steps.get(axis, (1, 1))
        have = shape[index]
        added[index] = (0, minimum - have if have < minimum else -(have - minimum) % step)
    room, needed = available_bytes(), 4 * math.prod(have + after for have, (_, after) in zip(shape, added, strict=True))
    if room is not None and needed > SHARE * room and any(after for _, after in added):
        height, width = (have + after for have, (_, after) in zip(shape[-2:], added[-2:], strict=True))
        raise InputInvalid(
            f"{bundle.path.name} takes no image of {shape[-1]} x {shape[-2]} px: it would be padded to {width} x {height} px, which needs "
            f"{needed / 1e9:.1f} GB of memory, and {room / 1e9:.1f} GB are free. Correct the sizes in its rdf.yaml."
        )
    return added


def _grown(image: Array, bundle: Bundle) -> Array:
    """The input with its edges repeated right and below, up to a length that the bundle takes."""
    added = margins(image.shape, bundle)
    return np.pad(image, added, mode="edge") if any(after for _, after in added) else image


def _image(array: Array, loop: str, tensor: TensorSpec, source: Image, z_um: float | None) -> Image:
    """The stacked outputs as an image with the calibration of its source."""
    array, axes = in_order(array, loop + tensor.axes[1:])
    width = source.array.shape[source.axes.index("x")]
    side = source.pixel_size_um * width / array.shape[axes.index("x")] if source.pixel_size_um else None
    if array.shape[axes.index("c")] == 1:
        array, axes = array.squeeze(axes.index("c")), axes.replace("c", "")
    distance = source.z_um if "z" in source.axes else z_um
    return Image(
        array=array, axes=axes, pixel_size_um=side, z_um=distance if "z" in axes else None, channels=tensor.channels,
        frame_s=source.frame_s if "t" in axes else None,
    )  # fmt: skip


def _small_labels(array: Array) -> Array:
    """Labels as uint16, where that holds them."""
    return np.rint(array).astype(np.uint16) if array.min() >= 0 and array.max() <= np.iinfo(np.uint16).max else array


def _scores(array: Array, inputs: Inputs, tensor: TensorSpec) -> Scores:
    if tensor.axes != "bc":
        raise BundleInvalid(f"'{tensor.name}' has axes {tensor.axes!r}: scores need exactly b and c. Export the bundle again.")
    rows = tuple((*map(float, index), *map(float, array[index])) for index in np.ndindex(*inputs.lengths))
    return Scores(columns=(*inputs.loop, *tensor.channels), rows=rows)
