"""Whole images: one run of the network for each plane, no tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from zooready.bundle.specs import input_spec, output_specs, pixel_range_um, plane_distance_um, size_steps, trained_objects
from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid
from zooready.formats.starting import Device, Run
from zooready.images.calibration import outside, planes_differ
from zooready.images.tiff import in_order
from zooready.prediction.inputs import Inputs, as_input
from zooready.prediction.memory import demand_room
from zooready.prediction.scaling import PixelSize, resampled, sized, zoom_for
from zooready.prediction.sessions import engine
from zooready.prediction.steps import OPERATORS, NamedArray, axis_ids, processed
from zooready.prediction.steps import notes as notes_on_steps
from zooready.prediction.suitability import unlike
from zooready.records import Array, Bundle, Format, Image, as_float32
from zooready.tensors import TensorSpec


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A table: one row for each plane, its columns t and z (where the image has them, from 0) and then one for each class."""

    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a bundle says of an image, by the id of its outputs.

    ``images`` are calibrated; labels are uint16 where 65,535 objects suffice, everything else float32. ``notes`` are sentences
    that a person should read before trusting the numbers, each with its cure.
    """

    images: Mapping[str, Image] = field(default_factory=dict)
    scores: Mapping[str, Scores] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def predict(
    bundle: Bundle,
    image: Image,
    *,
    format: Format = "onnx",
    device: Device = "auto",
    pixel_size: PixelSize | None = None,
    diameter: float | None = None,
    channel: int | str | None = None,
    run: Run | None = None,
    progress: Callable[[int, int], None] | None = None,
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
        number, the side of the image's pixels in µm, whatever the image itself states.
    diameter
        Width of a typical object in the image, px: y and x are resampled so that it is in the middle of the bundle's range, and the
        outputs back.
    channel
        The one channel to take, by name or by number from 1.
    run
        What :func:`engine` gave for this bundle, to use it for several images; made from ``format`` and ``device`` if None.
    progress
        Called with (inputs done, inputs in all).

    Returns
    -------
    Prediction
        One entry for each output of the bundle.

    Raises
    ------
    InputInvalid
        The image does not suit the bundle, or does not fit into memory.
    BundleInvalid, ConsumerFailed, ConsumerMissing
        As :func:`zooready.prediction.sessions.engine`.
    """
    image = sized(image, pixel_size)
    spec, outputs = input_spec(bundle, OPERATORS), output_specs(bundle)
    allowed = pixel_range_um(bundle)
    inputs = as_input(image, spec, channel=channel)
    _check_stacks(inputs, outputs)
    zoom = zoom_for(bundle, image, pixel_size, diameter)
    notes = [note] if pixel_size is None and diameter is None and (note := outside(image.pixel_size_um, allowed)) else []
    if "z" in spec.axes and (note := planes_differ(image.z_um, plane_distance_um(bundle))):
        notes.append(note)
    run, total = run or engine(bundle, format, device), math.prod(inputs.lengths)
    for described in (*bundle.inputs, *bundle.outputs):
        notes += notes_on_steps(described, is_many=total > 1, is_input=described in bundle.inputs)
    results: list[list[Array]] = [[] for _ in outputs]
    for done, array in enumerate(inputs):
        for result, output in zip(results, _one(run, bundle, array, outputs, zoom, first=done == 0), strict=True):
            result.append(output)
        if progress:
            progress(done + 1, total)
    notes += _notes_on_objects(run, bundle, inputs, results, zoom)
    images, scores = {}, {}
    for tensor, arrays in zip(outputs, results, strict=True):
        wrong = sum(int((~np.isfinite(array)).sum()) for array in arrays)
        if wrong:
            notes.append(f"'{tensor.name}' has {wrong} values that are not finite: do not use it, and run zooready check on the bundle.")
        stacked = np.stack([array[0] for array in arrays]).reshape(*inputs.lengths, *arrays[0].shape[1:])
        if "y" in tensor.axes:
            images[tensor.name] = _image(stacked, inputs.loop, tensor, image, plane_distance_um(bundle))
        else:
            scores[tensor.name] = _scores(stacked, inputs, tensor)
    return Prediction(images=images, scores=scores, notes=tuple(notes))


def _notes_on_objects(run: Run, bundle: Bundle, inputs: Inputs, results: list[list[Array]], zoom: float) -> list[str]:
    """Whether the image is of the kind that a network which finds objects was trained on."""
    trained, outputs = trained_objects(bundle), output_specs(bundle)
    number = next((number for number, tensor in enumerate(outputs) if tensor.kind == "labels"), None)
    if trained is None or number is None:
        return []
    return unlike(inputs, results[number], trained, zoom, lambda image: _one(run, bundle, image, outputs, 1.0, first=False)[number])


def _check_stacks(inputs: Inputs, outputs: tuple[TensorSpec, ...]) -> None:
    for tensor in outputs:
        doubled = [axis for axis in inputs.loop if axis in tensor.axes]
        if doubled:
            raise InputInvalid(
                f"the network makes a stack along {doubled[0]} of every plane ('{tensor.name}' has axes {tensor.axes!r}), and the image "
                f"has planes along {doubled[0]} already: save one plane as its own image, in Fiji with Image > Duplicate."
            )


def _one(run: Run, bundle: Bundle, image: Array, outputs: tuple[TensorSpec, ...], zoom: float, *, first: bool) -> list[Array]:
    """The outputs for one input, at the input's size."""
    size = image.shape[-2:]
    scaled = (max(1, round(size[0] * zoom)), max(1, round(size[1] * zoom)))
    raw = resampled(image, scaled)
    inputs = {bundle.inputs[0].name: NamedArray(array=raw, axes=axis_ids(bundle.inputs[0]))}
    given = np.ascontiguousarray(_grown(processed(raw, bundle.inputs[0], inputs, is_input=True), bundle))
    if first:
        demand_room(run, given)
    kept = []
    for tensor, described, output in zip(outputs, bundle.outputs, run(given), strict=True):
        if output.ndim != len(tensor.axes) or output.shape[tensor.axes.index("c")] != len(tensor.channels):
            raise BundleInvalid(
                f"{bundle.path.name} promises '{tensor.name}' with axes {tensor.axes!r} and {len(tensor.channels)} channels, and its "
                f"network gave the shape {output.shape}. Export it again."
            )
        if not output.size:
            raise ConsumerFailed(f"'{tensor.name}' came out empty for an image of {size[1]} x {size[0]} px: give a larger image.")
        if tensor.axes.endswith("yx"):
            height, width = (have * want // grown for have, want, grown in zip(output.shape[-2:], scaled, given.shape[-2:], strict=True))
            output = output[..., :height, :width]
        output = as_float32(processed(output, described, inputs))
        if zoom != 1.0 and tensor.axes.endswith("yx"):
            output = resampled(output, size, labels=tensor.kind == "labels")
        kept.append(output)
    return kept


def margins(shape: tuple[int, ...], bundle: Bundle) -> list[tuple[int, int]]:
    """Pixels to add before and after each axis of an input of this shape, so that its y and x have lengths that the bundle takes."""
    steps = size_steps(bundle)
    added = [(0, 0)] * len(shape)
    for index, axis in ((-2, "y"), (-1, "x")):
        minimum, step = steps.get(axis, (1, 1))
        have = shape[index]
        added[index] = (0, minimum - have if have < minimum else -(have - minimum) % step)
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
    if tensor.kind == "labels" and array.min() >= 0 and array.max() <= np.iinfo(np.uint16).max:
        array = np.rint(array).astype(np.uint16)
    distance = source.z_um if "z" in source.axes else z_um
    return Image(array=array, axes=axes, pixel_size_um=side, z_um=distance if "z" in axes else None, channels=tensor.channels)


def _scores(array: Array, inputs: Inputs, tensor: TensorSpec) -> Scores:
    if tensor.axes != "bc":
        raise BundleInvalid(f"'{tensor.name}' has axes {tensor.axes!r}: scores need exactly b and c. Export the bundle again.")
    rows = tuple((*map(float, index), *map(float, array[index])) for index in np.ndindex(*inputs.lengths))
    return Scores(columns=(*inputs.loop, *tensor.channels), rows=rows)
