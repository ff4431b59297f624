"""What rooms hand to each other: frozen, printable facts without behaviour of their own.

May import: errors, tensors
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.tensors import Blur, Kind, KnownKind, Objects, Operator, StatedWeights, Tensor, TensorSpec

Array = NDArray[Any]
Format = Literal["state_dict", "torchscript", "onnx"]
Status = Literal["passed", "differs", "refused", "failed", "missing", "untrusted"]
Level = Literal["rules", "engine", "ran"]
Form = Literal["rich", "zoo"]  # of a bundle: for colleagues, or as the BioImage Model Zoo takes it
FORMATS: tuple[Format, ...] = ("state_dict", "torchscript", "onnx")
LEVELS: tuple[Level, ...] = ("rules", "engine", "ran")  # from the weakest claim to the strongest
TOLERANCE: Mapping[Format, float] = {"state_dict": 1e-5, "torchscript": 1e-5, "onnx": 1e-4}  # largest difference / range


@dataclass(frozen=True, kw_only=True)
class Part:
    """Where a module comes from: import path of a callable and its keyword arguments.

    >>> Part(path="collections.Counter", kwargs={"a": 2}).build()
    Counter({'a': 2})
    """

    path: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Any:
        """Import the callable and call it.

        Raises
        ------
        InputInvalid
            The path does not lead to a callable.
        """
        module, _, name = self.path.rpartition(".")
        try:
            return getattr(importlib.import_module(module), name)(**self.kwargs)
        except (ImportError, AttributeError, ValueError) as error:
            raise InputInvalid(f"cannot import {self.path!r} ({error}): give 'package.module.Class' of an installed package.") from None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One training example.

    ``input`` and ``target`` are (c, y, x) float32 (raw pixels in, what the loss asks for out); ``truth`` is what
    metrics compare with, e.g. a (y, x) int32 label image; ``pixel_size_um`` is the side of a pixel in micrometres.
    """

    input: Array
    target: Array
    pixel_size_um: float
    truth: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How images of files are varied beyond flips and turns; each change in a ``share`` of the crops, and as strong as drawn.

    ``zoom`` is the smallest and the largest factor of size, ``blur_px`` the largest standard deviation of a blur, ``noise`` that of noise
    over the range of grey values, ``light`` the largest fall of light from the middle to the edge (1 is to nothing), and ``gamma`` the
    largest natural logarithm of the exponent that bends the grey values.
    """

    zoom: tuple[float, float] = (1.0, 1.0)
    blur_px: float = 0.0
    noise: float = 0.0
    light: float = 0.0
    gamma: float = 0.0
    share: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a family is trained; budgets count steps."""

    steps: int
    batch: int
    optimizer: str = "AdamW"  # a name of :mod:`zooready.training.optimizers`
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    clip: float = 1.0
    augmentation: Augmentation = Augmentation()
    adversary: float | None = None  # weight of the term of an :class:`Adversary`; without one if None
    freeze: float = 0.0  # share of the steps that hold the encoder


@dataclass(frozen=True, kw_only=True)
class Network:
    """What a bundle computes: ``head(network(normalization(image)))``; each a :class:`Part`, whose source can travel with the weights.

    Training and metrics see the output of ``architecture`` itself, before the head. ``normalization`` leads from raw pixels to what the
    network sees; None if it sees raw pixels. ``head`` finishes the outputs, e.g. by softmax; None if nothing does. ``restores`` says that
    outputs are mapped back to the image's intensities, as those of a restoration are.
    """

    architecture: Part
    normalization: Part | None
    head: Part | None = None
    restores: bool = False


@dataclass(frozen=True, kw_only=True)
class Adversary:
    """A second network, the discriminator, which learns to tell targets from outputs while the first one learns to deceive it.

    Parameters
    ----------
    discriminator
        Module (b, 1, y, x) -> (b, 1), the logit of "this is a target".
    terms
        ``terms(output, target)``: the terms of the loss by name, which stand beside the adversarial one in place of ``Training.loss``.
    learning_rate
        Of the discriminator's AdamW, the same at every step.
    """

    discriminator: Part
    terms: Callable[[Any, Any], Mapping[str, Any]]
    learning_rate: float = 1e-4


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a network learns from, and how its progress is measured.

    Parameters
    ----------
    pair
        ``pair(seed, index)`` makes a training example; the same two numbers always make the same one.
    loss
        ``loss(output, target)`` of the network's own output, (b, ...) tensors; one number.
    guard
        ``guard(output, target, image)``, added to the loss, where ``image`` is what the network sees; None if nothing is added.
    recipe
        Steps, batch and optimiser, unless the person asks for others.
    metrics
        ``metrics(output, pair)`` of one held-out pair: numbers by name, those of the input itself among them.
    pair_of
        ``pair_of(image, partner, pixel_size_um)`` makes a whole pair of a file's image (c, y, x) or (c, z, y, x) and of its partner's;
        None if the family trains on its simulation only.
    partner
        The folder beside ``images/`` that holds the partners, under the same file names.
    crop_px
        Side of the image of one object that a classifier was trained on, px; None where that varies.
    adversary
        Against what it may be trained, if the recipe gives the adversarial term a weight; None: against nothing.
    """

    pair: Callable[[int, int], Pair]
    loss: Callable[[Any, Any], Any]
    recipe: Recipe
    metrics: Callable[[Any, Pair], Mapping[str, float]] | None = None
    pair_of: Callable[[Array, Array, float], Pair] | None = None
    partner: str = "masks"
    crop_px: int | None = None
    guard: Callable[[Any, Any, Any], Any] | None = None
    adversary: Adversary | None = None


@dataclass(frozen=True, kw_only=True)
class Family:
    """One of the tasks: network, training and meaning in one record, from which every list and help text about families is made.

    Parameters
    ----------
    name, title, description, cite, tags
        One lower-case word for the command line; a heading; a sentence or two; (text, DOI) pairs; words to find the bundle by.
    input, outputs
        What goes into the bundle and what comes out.
    pixel_size_um
        Smallest and largest side of a pixel that training saw, in micrometres; empty where another length counts.
    blur_px
        Of a network that takes the blur of a microscope away, the smallest and the largest that training saw, wavelength / (NA x pixel
        size), in pixels; empty for others.
    objects
        The objects that training saw; None for a network that finds none.
    tolerance
        Largest difference / range that each format may show.
    sample, sample_labels
        ``sample()`` is the raw image that the bundle carries; ``sample_labels()`` its true objects, (y, x) integers, by which the demo
        counts what was found.
    torchscript
        The variant that shipped bundles have.
    quality
        One line on the shipped model, filled from the metrics of its record: ``"PSNR {psnr:.1f} dB"``.
    weights
        The family whose weights are shipped for it too; empty if it has its own.
    evaluation
        Where it is judged: a module of :mod:`zooready.evaluation`, whose ``EVALUATION`` is taken; empty if nowhere.
    for_classes
        ``for_classes(classes, channels)`` makes the record for other classes, of images or of objects in them, and other channels; None
        for a family that has no others.
    """

    name: str
    title: str
    description: str
    cite: tuple[tuple[str, str], ...]
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    network: Network
    training: Training
    pixel_size_um: tuple[float, ...]
    blur_px: tuple[float, ...] = ()
    tags: tuple[str, ...] = ()
    tolerance: Mapping[Format, float] = field(default_factory=lambda: dict(TOLERANCE))
    sample: Callable[[], Image] | None = None
    sample_labels: Callable[[], Array] | None = None
    torchscript: str = "channels_last"
    quality: str = ""
    weights: str = ""
    evaluation: str = ""
    for_classes: Callable[[tuple[str, ...], tuple[str, ...]], Family] | None = None
    objects: Objects | None = None


@dataclass(frozen=True, kw_only=True)
class About:
    """Who and what: the facts of a bundle that no measurement can find.

    ``name`` is at least five characters of letters, digits, ``_+- ()``; ``authors`` are mappings with ``name`` and, if wanted,
    ``affiliation``, ``orcid``, ``github_user``; ``license`` is an SPDX identifier, e.g. ``"BSD-3-Clause"``; ``cite`` are (text, DOI)
    pairs, with a DOI, never a URL. ``pixel_size_um`` is the smallest and largest side of a pixel, in micrometres, that the network was
    trained for, ``blur_px`` the blur that it takes away, wavelength / (NA x pixel size), in pixels; None if unknown, or if it takes none
    away. ``documentation`` is Markdown for the bundle's README, below what zooready writes itself; ``parent`` the id of the model in the
    BioImage Model Zoo that this one was made from; ``cover`` an image file to show instead of a cover that is drawn; ``maintainers`` are
    mappings with ``github_user``, whom the zoo asks later on.
    """

    name: str
    description: str
    authors: tuple[Mapping[str, str], ...]
    license: str
    cite: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    pixel_size_um: tuple[float, float] | None = None
    blur_px: tuple[float, float] | None = None
    documentation: str = ""
    parent: str = ""
    cover: Path | None = None
    maintainers: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image with what its axes mean.

    ``array`` has one axis per letter of ``axes`` (of ``tzcyx``); ``pixel_size_um`` is the side of a pixel, ``z_um`` the distance of
    planes, in micrometres, and ``frame_s`` that of time points, in seconds; None if the file does not say. ``blurs_um`` is wavelength /
    NA of each channel, in micrometres; empty if the file does not say.
    """

    array: Array
    axes: str
    pixel_size_um: float | None = None
    z_um: float | None = None
    channels: tuple[str, ...] = ()
    blurs_um: tuple[float, ...] = ()
    frame_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What probing found about a network (the inner one, before wrapping).

    ``stride``: sizes that are multiples of it work, px. ``minimum``: smallest size that works, px (a multiple of ``stride``). ``halo``: px
    on each side that an output depends on beyond itself; None when every output depends on the whole image. ``outputs``: axes of each
    output, empty for one that nobody asked for. ``fixed``: the only size that works (axis to px), empty for networks that take any.
    ``strides``, ``minimums``: one a spatial axis (0: fixed), where they differ; ``stride`` and ``minimum`` are then the largest.
    ``tile_step``: tiles may begin at its multiples, px (0: unknown). ``compared``: the largest image on which files were compared, px.
    """

    stride: int
    minimum: int
    halo: int | None
    outputs: tuple[str, ...]
    channels: tuple[int, ...]
    fixed: Mapping[str, int] = field(default_factory=dict)
    eager_stride: int = 0  # of the eager network, which may take more sizes than its trace
    strides: tuple[int, ...] = ()
    minimums: tuple[int, ...] = ()
    tile_step: int = 0
    decides_on_sizes: bool = False  # a size became Python's while tracing, so that something may hang on it
    compared: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One weight file, written and hashed; ``details`` is plain data: torch version, opset, IR, variant, exporter, timings."""

    format: Format
    path: Path
    sha256: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Case:
    """An input and what the eager network returns for it: (b, c, y, x) float32 each, outputs in the bundle's order."""

    name: str
    input: Array
    outputs: tuple[Array, ...]


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """An opened bundle: its zip, the folder that it was safely unpacked to, and what its description says (:mod:`zooready.bundle.rdf`).

    ``formats`` maps each format inside to its file below ``folder``. ``cases`` begins with the specification's test pair, named
    "test", followed by the stored ones; ``tolerance`` is per format. ``trusted`` tells whether the bundle's own Python may be run;
    ``time_limit_s`` is how long its network may take, for each image or for all of a check in one program, None for the program's own.
    ``id`` and ``name`` are empty if absent; ``credits`` are lists of people and of what they wrote and drew. ``weights`` are by their key
    in the description, e.g. ``"pytorch_state_dict"``. ``pixel_size_um`` is the smallest and largest side of a pixel that the network was
    trained for, ``blur`` what it takes away of a microscope's, ``plane_distance_um`` the distance of planes that it takes, or makes of a
    single one; ``measured_halo_px``, ``measured_stride_px`` and ``measured_minimum_px`` are what export found (see :class:`Measured`),
    ``crop_px`` is the side of the image of one object, ``objects`` are those that it was trained to find, ``known_kind`` tells images of
    another kind; each None if the bundle is silent. ``inside`` is the network's "normalization" and "head", ``restores`` whether it
    sharpens images, ``limits`` the values of channels without light. ``texts`` is as written; ``programs`` have a part of ``config``;
    ``allows_tiling`` is what DeepImageJ's part says. ``faults`` are what could not be understood, by place.
    """

    path: Path
    folder: Path
    formats: Mapping[Format, Path]
    outputs: tuple[Tensor, ...]
    cases: tuple[Case, ...]
    tolerance: Mapping[Format, float]
    trusted: bool = False
    time_limit_s: float | None = None
    id: str = ""
    name: str = ""
    format_version: str = ""
    inputs: tuple[Tensor, ...] = ()
    weights: Mapping[str, StatedWeights] = field(default_factory=dict)
    pixel_size_um: tuple[float, float] | None = None
    blur: Blur | None = None
    plane_distance_um: float | None = None
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    measured_halo_px: int | Literal["whole image"] | None = None
    measured_stride_px: int | None = None
    measured_minimum_px: int | None = None
    inside: Mapping[str, Operator] = field(default_factory=dict)
    restores: bool = False
    crop_px: int | None = None
    objects: Objects | None = None
    known_kind: KnownKind | None = None
    texts: Mapping[str, object] = field(default_factory=dict)
    credits: Mapping[str, object] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    allows_tiling: bool | None = None
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[tuple[str, Kind], ...]:
        """(name, kind) of each output, in order."""
        return tuple((output.name, output.kind) for output in self.outputs)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is known of one format in one consumer, and never more than what ran.

    ``difference`` is the largest difference / range over all cases and outputs compared by value (None if none was);
    ``why`` says what happened, why, and what to do; ``versions`` names what ran.
    """

    consumer: str
    format: Format | None
    status: Status
    level: Level
    why: str = ""
    difference: float | None = None
    tolerance: float | None = None
    cases: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def as_float32(array: Array) -> NDArray[np.float32]:
    """The same values, contiguous and float32, as every bundle takes them."""
    return np.ascontiguousarray(array, dtype=np.float32)
