"""Nuclei: one fluorescence image in, probabilities and an instance label image out.

    image (b, 1, y, x)  -- U-Net at half size -->  foreground, distance (b, 2, y, x)  -- Instances -->  the same, and labels (b, 1, y, x)

Distance: 1 in the middle of an object, falling to 0 at its outline, so that touching objects have separate cores.
:func:`family` makes the record for images of several channels, and for objects of several classes, whose network says the class as well.
Trained on simulated nuclei (:mod:`zooready.simulate.monolayer`) of 7 to 120 px, and then on real ones (``benchmarks/nuclei.py``), so that
images can be given as they are, whatever their pixel size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.data.augmentation import augmented
from zooready.errors import InputInvalid, amount
from zooready.images.files import read_image
from zooready.images.matching import match
from zooready.records import Array, Family, Image, Network, Pair, Part, Recipe, Training
from zooready.simulate import monolayer
from zooready.tensors import Objects, TensorSpec
from zooready.training.losses import cross_entropy, dice

if TYPE_CHECKING:
    import torch

HEAD = Part(path="zooready.nets.labelling.Instances", kwargs={"foreground": 0.5, "core": 0.4, "smallest": 10})
LONGEST = 128  # letters of the description of an output, in BioImage.IO
OBJECT_NAMES, CHANNELS = ("nuclei",), ("fluorescence",)
OBJECTS = Objects(diameter_px=(7.0, 120.0), foreground=0.8, background=(0.0, 0.35))  # of the simulated fields and of the crops of real ones
PIXEL_SIZE_UM = (0.15, 1.0)  # at which nuclei of 8 to 15 um are 8 to 100 px wide
SEAM, SEAM_PX = 0.3, 3  # distance below which a pixel so far from any background lies on a seam
FIELDS, FIELD_PX, CROP_PX = 400, 320, 160  # simulated fields per seed, their side, and the side of a training crop


def pair(seed: int, index: int) -> Pair:
    """Training pair ``index``: a turned crop of one of ``FIELDS`` simulated fields of nuclei, made again from the two numbers."""
    rng = np.random.default_rng((seed, index))
    return augmented(_field(seed, int(rng.integers(FIELDS))), rng, CROP_PX)


def field(seed: int, number: int, size: int = FIELD_PX) -> Pair:
    """A whole simulated field of nuclei, (1, size, size); any ``number`` from 0."""
    rng = np.random.default_rng((seed, 1, number))
    image, labels = monolayer.field(rng, size)
    return pair_of(image[None], labels)


_field = lru_cache(maxsize=FIELDS)(field)


def pair_of(image: Array, labels: Array, pixel_size_um: float = 1.0) -> Pair:
    """An image (c, y, x) or stack (c, z, y, x) and its labels, of any size, as a pair for training or evaluation.

    ``labels`` is (y, x) or (z, y, x), 0 background and a number per object; where all objects have the same number (a mask), connected
    parts count.

    Raises
    ------
    InputInvalid
        Labels have channels, are negative, or are not whole numbers.
    """
    if labels.ndim != image.ndim - 1 or (labels < 0).any() or (labels != np.floor(labels)).any():
        axes = "y, x" if image.ndim < 4 else "z, y, x"
        raise InputInvalid(
            f"a label image of shape {labels.shape} ({labels.dtype}): give ({axes}), 0 background, 1, 2, … one number an object."
        )
    names, ranks = np.unique(np.append(labels, labels.dtype.type(0)), return_inverse=True)  # 0 comes first, whether or not it occurs
    labels = ranks[:-1].reshape(labels.shape).astype(np.int32)
    if len(names) == 2:
        labels = scipy.ndimage.label(labels)[0].astype(np.int32)
    target = np.stack([labels > 0, relative_distance(labels)]).astype(np.float32)
    return Pair(input=np.asarray(image, np.float32), target=target, pixel_size_um=pixel_size_um, truth=labels)


def pair_of_classes(image: Array, labels: Array, pixel_size_um: float = 1.0) -> Pair:
    """An image (c, y, x) with the label images of its classes, (k, y, x), each as for :func:`pair_of`, as a pair.

    Objects of all classes are numbered together; where two overlap, the pixels belong to the smaller one. The target is foreground,
    distance, and each class as 0 or 1.
    """
    objects = [(number, pair_of(image, plane).truth) for number, plane in enumerate(labels)]
    pixels = [(np.count_nonzero(plane == name), number, plane == name) for number, plane in objects if plane is not None
              for name in range(1, int(plane.max()) + 1)]  # fmt: skip
    together, classes = np.zeros(labels.shape[1:], np.int32), np.zeros(labels.shape, np.float32)
    for name, (_, number, inside) in enumerate(sorted(pixels, key=lambda one: -one[0]), 1):
        together[inside] = name
        classes[:, inside] = 0
        classes[number][inside] = 1
    pair = pair_of(image, together, pixel_size_um)
    return replace(pair, target=np.concatenate([pair.target, classes]))


def relative_distance(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Distance of each pixel to its own object's outline over the largest one in that object: (y, x) or (z, y, x) -> the same, 0..1.

    The border of the image is no outline: an object that it cuts goes on behind it.
    """
    distance = np.zeros(labels.shape, np.float32)
    for name, box in enumerate(scipy.ndimage.find_objects(labels), 1):
        if box is None:
            continue
        wide = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
        inside = labels[wide] == name
        depth = scipy.ndimage.distance_transform_edt(inside) if not inside.all() else np.ones(inside.shape)
        distance[wide][inside] = (depth / depth.max())[inside]
    return distance


def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy and Dice of the foreground, and three times the mean absolute error of the distance; (b, 2, y, x) float32 each.

    The error counts fivefold on seams: where the distance is low although no background is near, as between nuclei that touch.
    """
    from torch.nn import functional

    foreground, distance = output.unbind(1)
    inner = -functional.max_pool2d(-target[:, 0], 2 * SEAM_PX + 1, stride=1, padding=SEAM_PX)
    weight = 1 + 4 * inner * (target[:, 1] < SEAM).to(inner.dtype)
    error = (weight * (distance - target[:, 1]).abs()).mean()
    return cross_entropy(foreground, target[:, 0]) + dice(foreground, target[:, 0]) + 3 * error


def loss_of_classes(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """:func:`loss` of foreground and distance, and cross-entropy and Dice of each class; (b, 2 + k, y, x) float32 each."""
    classes = [cross_entropy(output[:, k], target[:, k]) + dice(output[:, k], target[:, k]) for k in range(2, target.shape[1])]
    return loss(output[:, :2], target[:, :2]) + sum(classes[1:], classes[0]) / len(classes)


def metrics(output: torch.Tensor, pair: Pair) -> Mapping[str, float]:
    """F1 at intersection over union 0.5 and 0.75, and the mean over union of what matched at 0.5; ``output`` (1, 2, y, x), all 0..1."""
    return scores(labels(output), pair.truth)


def metrics_of_classes(output: torch.Tensor, pair: Pair, *, names: tuple[str, ...]) -> Mapping[str, float]:
    """:func:`metrics` of all objects, and F1 at intersection over union 0.5 of each class that the image or the output has."""
    _, found, classes = (tensor[0, 0].numpy().astype(np.int32) for tensor in head_of_classes().build()(output))
    measured = scores(found, pair.truth)
    for number, name in enumerate(names):
        true, own = pair.truth * (pair.target[2 + number] > 0), found * (classes == number + 1)
        measured[f"f1_50_{name}"] = match(true, own).f1
    return measured


def head_of_classes() -> Part:
    """The labelling of a network for several classes, which drops no small objects, since they may be a class."""
    return Part(path="zooready.nets.classed.ClassedInstances", kwargs={**HEAD.kwargs, "smallest": 0})


def labels(output: torch.Tensor) -> NDArray[np.int32]:
    """The label image (y, x) that the bundle makes of the network's own output (1, 2, y, x)."""
    label_image: torch.Tensor = HEAD.build()(output)[1]
    return label_image[0, 0].numpy().astype(np.int32)


def scores(labels: Array, truth: Array | None) -> dict[str, float]:
    """How well one label image (y, x) matches the true one: f1_50, f1_75, mean_iou."""
    if truth is None:
        raise InputInvalid("a pair without a label image cannot be scored: give masks.")
    matches = match(truth, labels)
    return {"f1_50": matches.f1, "f1_75": match(truth, labels, 0.75).f1, "mean_iou": matches.mean_iou}


def sample() -> Image:
    """The real image that every bundle of this family carries: 512 x 512 uint16; its origin is told in ``samples/ORIGIN.md``."""
    with as_file(files("zooready").joinpath("samples", "nuclei.tif")) as path:
        return read_image(path)


def sample_labels() -> Array:
    """Its 125 nuclei as outlined by hand, (512, 512) uint16; never trained on."""
    with as_file(files("zooready").joinpath("samples", "nuclei-labels.tif")) as path:
        return read_image(path).array


def unsimulated(seed: int, index: int) -> Pair:
    """No pair: only nuclei in one channel are simulated.

    Raises
    ------
    InputInvalid
        Always.
    """
    raise InputInvalid("these classes or channels are not simulated, only nuclei in one channel are: train on a folder of images.")


def family(classes: tuple[str, ...] = OBJECT_NAMES, channels: tuple[str, ...] = CHANNELS) -> Family:
    """The record of a network that finds objects of these classes in images of these channels.

    Parameters
    ----------
    classes
        Names of the kinds of objects; of a single one the network gives no class.
    channels
        Names of the image's channels.

    Raises
    ------
    InputInvalid
        No classes or channels, or names that are not distinct.
    """
    if not classes or not channels or len(set(classes)) < len(classes) or len(set(channels)) < len(channels):
        raise InputInvalid(f"classes {classes!r} in channels {channels!r}: give distinct names, at least one of each.")
    if classes == OBJECT_NAMES and len(channels) == 1:
        return FAMILY
    several = classes if len(classes) > 1 else ()
    listed = ", ".join(f"{number} {name}" for number, name in enumerate(classes, 1))
    meaning = f"The class of each object: 0 background, {listed}."
    if len(meaning) > LONGEST:
        meaning = f"The class of each object: 0 background, 1 to {len(classes)} in the order of the last channels of 'probabilities'."
    probabilities, objects = FAMILY.outputs
    class_image = TensorSpec(name="classes", axes="bcyx", channels=("class",), kind="labels", description=meaning)
    return replace(
        FAMILY,
        title="Objects in fluorescence images",  # not their names, since only some characters may stand in the name of a bundle
        description=f"Finds {' and '.join(classes)} in an image of {amount(len(channels), 'channel')}: "
        f"probabilities, a label image in which each object has its own number{', and the class of each object' if several else ''}.",
        input=replace(FAMILY.input, channels=channels, description="Raw camera counts."),
        outputs=(
            replace(
                probabilities,
                channels=(*probabilities.channels, *several),
                description="Foreground: chance of an object, 0..1. Distance: 1 in an object's middle, 0 at its outline."
                f"{' Then the chance of each class.' if several else ''}",
            ),
            replace(objects, channels=("objects",) if several else classes, description="0 background, 1…n objects."),
            *((class_image,) if several else ()),
        ),
        network=replace(
            FAMILY.network,
            architecture=replace(FAMILY.network.architecture, kwargs={"channels_out": 2 + len(several), "channels_in": len(channels)}),
            head=head_of_classes() if several else HEAD,
        ),
        training=replace(
            FAMILY.training,
            pair=unsimulated,
            loss=loss_of_classes if several else loss,
            metrics=partial(metrics_of_classes, names=classes) if several else metrics,
            pair_of=pair_of_classes if several else pair_of,
        ),
        pixel_size_um=(),
        tags=("fluorescence", "instance segmentation", "2d"),
        sample=None,
        sample_labels=None,
        quality="",
    )


FAMILY = Family(
    name="segmentation",
    title="Nuclei in fluorescence images",
    description="Finds nuclei in one fluorescence image: probabilities, and a label image in which each nucleus has its own number.",
    cite=(("Ronneberger et al. 2015, U-Net", "10.1007/978-3-319-24574-4_28"),),
    input=TensorSpec(name="image", axes="bcyx", channels=CHANNELS, description="Raw camera counts of a nuclear stain."),
    outputs=(
        TensorSpec(
            name="probabilities",
            axes="bcyx",
            channels=("foreground", "distance"),
            description="Foreground: chance that a pixel belongs to a nucleus, 0..1. Distance: 1 in a nucleus's middle, 0 at its outline.",
        ),
        TensorSpec(name="labels", axes="bcyx", channels=OBJECT_NAMES, kind="labels", description="0 background, 1…n nuclei."),
    ),
    network=Network(
        architecture=Part(path="zooready.nets.halfsize.HalfSizeUNet", kwargs={"channels_out": 2}),
        normalization=Part(path="zooready.nets.normalization.Percentiles", kwargs={"low": 1.0, "high": 99.0}),
        head=HEAD,
    ),
    training=Training(
        pair=pair,
        loss=loss,
        recipe=Recipe(steps=2400, batch=4, learning_rate=2e-3, weight_decay=1e-4, clip=1.0),
        metrics=metrics,
        pair_of=pair_of,
    ),
    pixel_size_um=PIXEL_SIZE_UM,
    objects=OBJECTS,
    tags=("nuclei", "fluorescence", "instance segmentation", "2d"),
    sample=sample,
    sample_labels=sample_labels,
    quality="F1 at IoU 0.5 on the real development image {f1_50_real:.2f} (Otsu and watershed {f1_50_real_otsu:.2f})",
    evaluation="segmentation",
    for_classes=family,
)
