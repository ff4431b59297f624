"""Explain the output of a bundle for an image, with every method that the bundle allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zooready.bundle.specs import channel_limits, input_spec, known_blur, output_specs, pixel_range_um, plane_distance_um
from zooready.errors import BundleInvalid, InputInvalid, amount
from zooready.explanation import attribution, restoration
from zooready.explanation.checks import share_inside
from zooready.explanation.networks import Network, network_of
from zooready.explanation.reblurring import doubt
from zooready.explanation.results import Explained, Explanation
from zooready.images.calibration import beyond, demand_small, outside
from zooready.images.resampling import resampled
from zooready.prediction import as_input
from zooready.prediction.embedding import watched
from zooready.prediction.inputs import seen_through
from zooready.prediction.scaling import PixelSize, sized, zoom_for
from zooready.prediction.whole import margins
from zooready.records import Array, Bundle, Image
from zooready.tensors import TensorSpec

SMALLEST, LARGEST = 16, 1024  # px a side: below, there is nothing to hide or to point at; above, gradients need too much memory
ANY_BLUR_PX = (4.0, 32.0)  # tried for a network that restores and does not say which blur it takes away


@dataclass(frozen=True, kw_only=True)
class _Job:
    """The output to explain: ``index`` is its position among the outputs, ``image`` the input (1, c, ..., y, x) float32."""

    bundle: Bundle
    network: Network
    spec: TensorSpec
    output: TensorSpec
    index: int
    image: Array
    seed: int
    blurs_px: tuple[float, float] | None

    def run(self, image: Array) -> Array:
        """The output for an image."""
        return self.network.run(image)[self.index]


def explain(
    bundle: Bundle,
    image: Image,
    *,
    class_name: str | None = None,
    mask: Array | None = None,
    channel: int | str | None = None,
    seed: int = 0,
    blur_px: float | None = None,
    pixel_size: PixelSize | None = None,
    diameter: float | None = None,
) -> Explained:
    """Explain the output of a bundle for an image.

    Parameters
    ----------
    bundle
        An opened bundle. One with class scores is explained as a classifier, any other by its first output that is an image.
    image
        Raw pixels, one plane (or one stack, for networks of stacks), 16 to 1024 px a side.
    class_name
        The class to explain; the winning one if None.
    mask
        (y, x), other than 0 in the cell; facts then hold the share of each class map inside.
    channel
        The one channel to take, by name or by number from 1.
    seed
        Seed of the noise that is added.
    blur_px
        Blur that the network takes away, wavelength / (NA x pixel size), px of the image; if None, one of those that the bundle states.
    pixel_size, diameter
        As for :func:`zooready.prediction.predict`: the image is resampled as the network should see it, and explained so, with the pixels
        that the network sees.

    Returns
    -------
    Explained
        For classifiers ``class_activation``, ``integrated_gradients``, ``occlusion``; for images ``receptive_field``,
        ``noise_sensitivity``, ``uncertainty``, and ``doubt`` for those that restore. Methods that the bundle does not allow
        are left out, and a note gives the reason.

    Raises
    ------
    InputInvalid
        The image does not suit or is constant, the class is unknown, or the bundle has no output to explain.
    ConsumerMissing
        captum is not installed, and a classifier is to be explained.
    """
    spec, outputs = input_spec(bundle), output_specs(bundle)
    index = _explained_index(bundle, outputs)
    image = seen_through(sized(image, pixel_size), spec, channel)
    zoom = zoom_for(bundle, image, pixel_size, diameter)
    array = _image(image, spec, channel, zoom)
    if mask is not None and mask.shape == image.array.shape[-2:]:
        mask = resampled(mask, array.shape[-2:], labels=True)
    if outputs[index].kind == "scores":
        attribution.demand_captum()
        target = None if class_name is None else _class(class_name, outputs[index])
    elif class_name is not None or mask is not None:
        raise InputInvalid(f"{bundle.path.name} gives no class scores, so there is no class to explain: give no class and no mask.")
    blurs_px = _taken_px(bundle) if blur_px is None else (blur_px * zoom,) * 2
    job = _Job(
        bundle=bundle, network=network_of(bundle), spec=spec, output=outputs[index], index=index, image=array, seed=seed, blurs_px=blurs_px
    )
    side_um = image.pixel_size_um / zoom if image.pixel_size_um else None
    is_as_it_is = pixel_size is None and diameter is None
    notes = [note] if is_as_it_is and (note := outside(side_um, pixel_range_um(bundle))) else []
    notes += _seen_as(image, zoom)
    notes += beyond(array, spec.axes, spec.channels, channel_limits(bundle))
    facts: dict[str, Any] = {"bundle": bundle.path.name, "output": job.output.name, "weights": job.network.format, "seed": seed}
    if job.output.kind == "scores":
        scores = _scores(job)
        target = int(scores.argmax()) if target is None else target
        facts |= {"class": job.output.channels[target], "scores": dict(zip(job.output.channels, map(float, scores), strict=True))}
        explanations = tuple(_of_class(job, outputs, target, float(scores[target]), mask, notes))
    else:
        explanations = tuple(_of_image(job, notes))
    network_input = Image(
        array=array[0], axes=spec.axes[1:], pixel_size_um=side_um,
        z_um=image.z_um if "z" in spec.axes else plane_distance_um(bundle), channels=spec.channels if len(spec.channels) > 1 else (),
    )  # fmt: skip
    return Explained(explanations=explanations, image=network_input, facts=facts, notes=tuple(notes))


def _seen_as(image: Image, zoom: float) -> list[str]:
    """At which size the image is explained, if at another than its own."""
    if zoom == 1.0:
        return []
    side = f", {image.pixel_size_um / zoom:.4g} µm a side" if image.pixel_size_um else ""
    return [f"explained as the network sees it, {zoom:.3g} times as large: values and figures have its pixels{side}."]


def _explained_index(bundle: Bundle, outputs: tuple[TensorSpec, ...]) -> int:
    """The output to explain: scores, else the first image."""
    for kind in ("scores", "image"):
        for index, output in enumerate(outputs):
            if output.kind == kind:
                return index
    available = ", ".join(f"{output.name} ({output.kind})" for output in outputs)
    raise InputInvalid(
        f"{bundle.path.name} gives {available}, which are whole numbers without gradients or spread: explain a bundle that gives scores or "
        "an image as well, e.g. probabilities."
    )


def _image(image: Image, spec: TensorSpec, channel: int | str | None, zoom: float) -> Array:
    """The one input that the image gives, resampled."""
    inputs = as_input(image, spec, channel=channel)
    if math.prod(inputs.lengths) != 1:
        loops = " and ".join(f"{length} along {axis}" for axis, length in zip(inputs.loop, inputs.lengths, strict=True))
        raise InputInvalid(f"the image has several planes ({loops}), and one is explained: save it alone, in Fiji with Image > Duplicate.")
    array = next(iter(inputs))
    height, width = (max(1, round(length * zoom)) for length in array.shape[-2:])
    seen = f" as the network sees it, {zoom:.3g} times as large" if zoom != 1.0 else ""
    if min(height, width) < SMALLEST:
        raise InputInvalid(
            f"the image has {width} x {height} px{seen}, and less than {SMALLEST} a side cannot be explained: give a larger one."
        )
    if max(height, width) > LARGEST:
        raise InputInvalid(
            f"the image has {width} x {height} px{seen}, and explanations take up to {LARGEST} a side: crop it to what you ask about, "
            "in Fiji with Image > Crop."
        )
    if array.min() == array.max():
        raise InputInvalid(f"every pixel of the image is {array.flat[0]:g}, so that there is nothing to explain: give another image.")
    demand_small(array)
    return resampled(array, (height, width))


def _taken_px(bundle: Bundle) -> tuple[float, float] | None:
    """Smallest and largest blur that the network may have taken away, px; None if it takes none away."""
    known = known_blur(bundle)
    return known.trained_px if known else ANY_BLUR_PX if bundle.restores else None


def _class(name: str, output: TensorSpec) -> int:
    lower = [channel.lower() for channel in output.channels]
    if name.lower() not in lower:
        raise InputInvalid(f"no class is called {name!r}: '{output.name}' has {', '.join(output.channels)}.")
    return lower.index(name.lower())


def _scores(job: _Job) -> Array:
    scores: Array = job.run(job.image)
    if scores.shape != (1, len(job.output.channels)):
        raise BundleInvalid(
            f"{job.bundle.path.name} promises '{job.output.name}' with {amount(len(job.output.channels), 'class', 'classes')} and gave the "
            f"shape {scores.shape}. Export it again."
        )
    return np.asarray(scores[0])


def _of_class(
    job: _Job, outputs: tuple[TensorSpec, ...], target: int, score: float, mask: Array | None, notes: list[str]
) -> Iterator[Explanation]:
    name = job.output.channels[target]
    title = f"{name} (score {score:.3g})"
    if maps := _maps(job, outputs, target, notes):
        values, unit, origin = maps
        yield Explanation(
            name="class_activation", title=f"Class activation map of {title}", values=values, axes="yx", unit=unit, scale="signed",
            facts={"from": origin, **_shares(values, mask)},
        )  # fmt: skip
    if (differentiable := job.network.differentiable) is not None:
        values, facts = attribution.integrated_gradients(
            lambda x: differentiable(x)[job.index], job.image, attribution.blurred(job.image), target
        )
        if not facts["is_complete"]:
            notes.append(f"integrated gradients miss the score's rise by {facts['completeness_error']:.0%}: do not read their size.")
        if facts["score_of_baseline"] > score / 2 > 0:
            notes.append(
                f"the blurred image has a score of {facts['score_of_baseline']:.2g} already: integrated gradients explain only the rest."
            )
        yield Explanation(
            name="integrated_gradients", title=f"Integrated gradients of {title}, from the blurred image", values=values,
            axes=job.spec.axes[1:], unit="score per pixel", scale="signed", channels=job.spec.channels,
            facts={**facts, **_shares(values.reshape(-1, *values.shape[-2:]).sum(0), mask)},
        )  # fmt: skip
    else:
        notes.append(f"no integrated gradients: {job.network.why}.")
    values, facts = attribution.occlusion(_with_numpy(job), job.image, attribution.background(job.image), target)
    yield Explanation(
        name="occlusion", title=f"Occlusion: what hiding a part takes from {title}", values=values, axes="yx", unit="fall of the score",
        scale="signed", facts={**facts, **_shares(values, mask)},
    )  # fmt: skip


def _with_numpy(job: _Job) -> Callable[[Any], Any]:
    """The scores as a function of tensors, without gradients."""
    import torch

    return lambda images: torch.from_numpy(np.ascontiguousarray(job.run(images.numpy())))


def _maps(job: _Job, outputs: tuple[TensorSpec, ...], target: int, notes: list[str]) -> tuple[Array, str, str] | None:
    """The class's map at the image's size, its unit, and where it comes from; None, with a note, if there is none."""
    for index, output in enumerate(outputs):
        if output.kind == "image" and len(output.channels) == len(job.output.channels) and output.axes == "bcyx":
            return (
                job.network.run(job.image)[index][0, target],
                _unit(job.bundle, index, "class activation"),
                f"the bundle's output '{output.name}'",
            )
    try:
        padded = np.pad(job.image, margins(job.image.shape, job.bundle), mode="edge")
        maps = watched(job.bundle)(np.ascontiguousarray(padded)).maps
    except (InputInvalid, BundleInvalid) as error:
        notes.append(f"no class activation map: {error}")
        return None
    if maps is None:
        notes.append(
            f"no class activation map: {job.bundle.path.name} has no output of one map a class, and its graph does not end in average "
            "pooling and one linear layer, from which maps would follow."
        )
        return None
    large = resampled(maps[:, target], (padded.shape[-2], padded.shape[-1]))[0]
    size = f"{maps.shape[3]} x {maps.shape[2]}"
    return (
        large[: job.image.shape[-2], : job.image.shape[-1]],
        "score before bias and softmax",
        f"the graph's last layer, {size} px, enlarged",
    )


def _unit(bundle: Bundle, index: int, otherwise: str) -> str:
    """The unit that the bundle states for an output."""
    return bundle.outputs[index].unit or otherwise


def _shares(values: Array, mask: Array | None) -> dict[str, float]:
    """The share of a map in the cell, if there is a mask and the map is positive anywhere."""
    if mask is None or not values.max() > 0:
        return {}
    return {f"share_{key}": value for key, value in asdict(share_inside(values, mask)).items()}


def _of_image(job: _Job, notes: list[str]) -> Iterator[Explanation]:
    name, unit = job.output.name, _unit(job.bundle, job.index, "unit of the output")
    common: dict[str, Any] = {"axes": job.output.axes[1:], "channels": job.output.channels, "unit": unit, "scale": "positive"}
    if job.network.differentiable is not None:
        field = _field(job, job.network.differentiable)
        if isinstance(field.facts["halo_px"], int) and field.facts["reach_px"] > field.facts["halo_px"]:
            notes.append(
                f"gradients reach {field.facts['reach_px']} px, further than the halo of {field.facts['halo_px']} px: a halo is that "
                "of the layers, and normalisation takes its numbers from the whole image."
            )
        yield field
    else:
        notes.append(f"no receptive field: {job.network.why}.")
    values, facts = restoration.noise_sensitivity(job.run, job.image, np.random.default_rng(job.seed))
    yield Explanation(
        name="noise_sensitivity", values=values, facts=facts, **common,
        title=f"Noise in '{name}': standard deviation when the image's own noise ({facts['noise_of_image']:.3g}) is added again",
    )  # fmt: skip
    is_square = job.image.shape[-1] == job.image.shape[-2] or not set("yx") & set(job.spec.sizes)
    values, facts = restoration.uncertainty(job.run, job.image, quarter_turns=is_square)
    yield Explanation(
        name="uncertainty", title=f"Uncertainty of '{name}': standard deviation over {facts['views']} flips and turns", values=values,
        facts=facts, **common,
    )  # fmt: skip
    if job.blurs_px is not None:
        yield from _doubted(job, job.blurs_px, notes)


def _doubted(job: _Job, blurs_px: tuple[float, float], notes: list[str]) -> Iterator[Explanation]:
    """The restored image, blurred again, against the image; none, with a note, where the two are not one plane each."""
    restored = job.run(job.image)
    if restored.shape != job.image.shape or restored.shape[1] != 1 or restored.ndim != 4:
        if blurs_px != ANY_BLUR_PX:
            notes.append("no doubt: only an image of one channel and one plane, restored to the same size, is blurred again.")
        return
    values, facts = doubt(job.image[0, 0], restored[0, 0], blurs_px)
    shares = f"{facts['invented_share']:.1%} of its pixels invented, {facts['missing_share']:.1%} missing"
    yield Explanation(
        name="doubt", title=f"'{job.output.name}' blurred again (by {facts['blur_px']:g} px) minus the image: {shares}", values=values,
        axes="yx", unit="share of the image's contrast", scale="signed", facts=facts,
    )  # fmt: skip


def _field(job: _Job, differentiable: Callable[..., Any]) -> Explanation:
    """How far the middle pixel sees: the halo that the bundle states, else the reach of gradients, and the radius of most of it."""
    values, extent = restoration.effective_field(lambda x: differentiable(x)[job.index], job.image)
    facts: dict[str, Any] = {**extent}
    stated = job.bundle.measured_halo_px
    marks = {"90 % of the gradient, radius": facts["radius_90_px"]}
    if stated is None:
        facts |= {"halo_px": facts["reach_px"], "halo_from": "gradients of this image"}
    else:
        facts |= {"halo_px": stated, "halo_from": "the bundle"}
    if isinstance(facts["halo_px"], int):
        marks = {"all it can see, each way": facts["halo_px"], **marks}
    reach = f"{facts['halo_px']} px each way" if isinstance(facts["halo_px"], int) else "the whole image"
    return Explanation(
        name="receptive_field", title=f"What the middle pixel of '{job.output.name}' depends on: {reach}", values=values, axes="yx",
        unit="gradient / largest gradient", scale="log", facts=facts, marks=marks,
    )  # fmt: skip
