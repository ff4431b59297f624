"""What a tensor of a bundle means: axes, channels, kind, fixed sizes, unit; what objects labels stand for; and what is said of weights.

May import: errors
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zooready.errors import InputInvalid

AXES = "bitczyx"  # one-letter ids that JDLL and bioimageio.spec both know
Kind = Literal["image", "labels", "scores"]


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One input or output of a bundle.

    Parameters
    ----------
    name
        Id in the bundle: lower case, at most 32 characters.
    axes
        One letter per axis, in order, e.g. ``"bcyx"``, ``"bczyx"``, ``"bc"``; a channel axis is required, because JDLL requires it.
    channels
        Name of each channel; its length is the number of channels.
    kind
        How values are compared and shown: ``image`` by value, ``labels`` by matched objects, ``scores`` by value (drawn as bars).
    sizes
        Axes of one fixed length, e.g. ``{"z": 7}``. Other spatial axes take any length; those of an output have the length of the input's.
    description
        One sentence for the reader of the bundle.
    planes_um
        Of planes that are made from an image: distance of each from the image, micrometres, equal steps apart; empty otherwise.
    unit
        Physical unit of the values, e.g. ``"photons"``; empty if arbitrary.
    limits
        Smallest and largest value that the network was trained for, by channel, where a channel holds no light but a quantity such as a
        distance, e.g. ``{"distance_um": (-5.0, 5.0)}``.

    Raises
    ------
    InputInvalid
        Axes, names or channels that consumers cannot read.
    """

    name: str
    axes: str
    channels: tuple[str, ...]
    kind: Kind = "image"
    sizes: Mapping[str, int] = field(default_factory=dict)
    description: str = ""
    unit: str = ""
    planes_um: tuple[float, ...] = ()
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.name.isidentifier() and self.name == self.name.lower() and len(self.name) <= 32):
            raise InputInvalid(f"tensor name {self.name!r}: ids are lower-case identifiers of at most 32 characters, e.g. 'probabilities'.")
        unknown = set(self.axes) - set(AXES)
        if unknown or len(set(self.axes)) != len(self.axes) or "c" not in self.axes or not self.axes.startswith("b"):
            raise InputInvalid(f"axes {self.axes!r} of '{self.name}': use each of {AXES!r} at most once, begin with b, and include c.")
        if not self.channels or len(set(self.channels)) != len(self.channels):
            raise InputInvalid(f"channels {self.channels!r} of '{self.name}': give one distinct name per channel.")
        if set(self.sizes) - set(self.axes):
            raise InputInvalid(f"sizes {dict(self.sizes)!r} of '{self.name}': only axes in {self.axes!r} can have a size.")
        if not set(self.limits) <= set(self.channels) or any(not low < high for low, high in self.limits.values()):
            raise InputInvalid(
                f"limits {dict(self.limits)!r} of '{self.name}': give (smallest, largest) for some of its channels {self.channels!r}."
            )

    @property
    def spatial(self) -> str:
        """The axes that measure space, in order: some of z, y, x."""
        return "".join(axis for axis in self.axes if axis in "zyx")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis of an input or output, as a description of format 0.5 states it.

    ``letter`` is one of ``bitczyx``, or the axis's whole name where it has no letter; ``id`` and ``type`` are as written, empty if
    absent. The length is ``size`` if there is only one, px; or at least ``minimum`` and then in steps of ``step``, px; or that of
    the axis ``reference`` (tensor, axis), plus ``offset`` px. ``halo`` is px to cut off at each end of a tile, ``channels`` the names
    of a channel axis.
    """

    letter: str
    id: str = ""
    type: str = ""
    size: int | None = None
    minimum: int | None = None
    step: int | None = None
    reference: tuple[str, str] | None = None
    offset: int = 0
    halo: int = 0
    scale: float = 1.0
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A step of pre- or postprocessing outside the network, or a part inside it.

    ``kwargs`` are as written, since each program reads them in its own way.
    """

    name: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output, as a bundle describes it.

    ``axes`` are letters, e.g. ``"bcyx"``; ``details`` says more of each, and is empty in format 0.4. ``channels`` are names, empty if
    none are given. ``types`` are all data types that are declared. ``operators`` are pre- or postprocessing; ``sample`` is the
    name of the sample's file, empty without one; ``unit`` that of the values, empty if none is stated.
    """

    name: str
    axes: str
    details: tuple[Axis, ...] = ()
    kind: Kind = "image"
    channels: tuple[str, ...] = ()
    types: tuple[str, ...] = ("float32",)
    unit: str = ""
    operators: tuple[Operator, ...] = ()
    sample: str = ""


NARROW = 2.0  # largest over smallest blur; see `Blur.of`
SHARP, WIDE = (0.75, 1.5), (0.75, 0.5625)  # of the smallest and of the largest blur; measured with mrbcr (its card, "told")


@dataclass(frozen=True, kw_only=True)
class Blur:
    """The blur of a microscope, wavelength / (NA x pixel size), that a network takes away, px.

    ``trained_px`` is the smallest and the largest that training saw. An image that is blurred less than ``sharp_px[0]`` is scaled, so that
    the network sees a blur of ``sharp_px[1]``, and one that is blurred more than ``wide_px[0]``, so that it sees ``wide_px[1]``.
    """

    trained_px: tuple[float, float]
    sharp_px: tuple[float, float]
    wide_px: tuple[float, float]

    @classmethod
    def of(cls, trained_px: tuple[float, float]) -> Blur:
        """What a network that was trained for these blurs is to be shown; bundles state it, so that no program needs this rule.

        A network for a narrow range must be told the microscope, and is shown every other image with the blur in the middle.

        >>> Blur.of((4.0, 16.0))
        Blur(trained_px=(4.0, 16.0), sharp_px=(3.0, 6.0), wide_px=(12.0, 9.0))
        >>> Blur.of((8.0, 10.0)).is_one
        True
        """
        low, high = trained_px
        if high < NARROW * low:
            middle = math.sqrt(low * high)
            return cls(trained_px=trained_px, sharp_px=(low, middle), wide_px=(high, middle))
        return cls(trained_px=trained_px, sharp_px=(SHARP[0] * low, SHARP[1] * low), wide_px=(WIDE[0] * high, WIDE[1] * high))

    @property
    def is_one(self) -> bool:
        """Whether all images are brought to one blur: the network must be told the microscope."""
        return self.sharp_px[1] == self.wide_px[1]

    def zoom(self, smallest_px: float, largest_px: float | None = None) -> float:
        """Factor by which an image grows so that the network sees a blur that it takes away well, of the blurs of its channels.

        >>> Blur.of((4.0, 16.0)).zoom(2.0), Blur.of((4.0, 16.0)).zoom(8.0), Blur.of((4.0, 16.0)).zoom(8.0, 18.0)
        (3.0, 1.0, 0.5)
        """
        largest_px = smallest_px if largest_px is None else largest_px
        (below, sharp), (above, wide) = self.sharp_px, self.wide_px
        return sharp / smallest_px if smallest_px < below else wide / largest_px if largest_px > above else 1.0


@dataclass(frozen=True, kw_only=True)
class Objects:
    """The objects that a network was trained to find, and the images that it knows them from.

    ``diameter_px`` is the smallest and the largest diameter of a disk of an object's area, px; ``foreground`` the largest share of an image
    that objects covered; ``background`` the darkest and the brightest one, as :func:`zooready.images.appearance.background` measures it.
    """

    diameter_px: tuple[float, float]
    foreground: float
    background: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class KnownKind:
    """What tells images of the kind that a classifier was trained on from others.

    ``weights`` (n,) multiply what its last layer is given; their sum plus ``bias`` is above 0 for an image of another kind. ``kept`` is the
    share of held-out images of its own kind, by which the bias was chosen, that are at 0 or below.
    """

    weights: tuple[float, ...]
    bias: float
    kept: float


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What builds the network of a state dict: a ``callable`` of the bundle's file ``source``, or of an installed ``module``."""

    callable: str
    source: str = ""
    module: str = ""
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StatedWeights:
    """What a bundle says of one of its weight files.

    ``version`` is that of the program that reads them (PyTorch's, TensorFlow's) or ONNX's opset, exactly as written, since quotes that
    are left out matter to some programs; None if absent. ``architecture`` belongs to a state dict. ``parent`` is the key of the weights
    that these were converted from, empty if none is named.
    """

    version: object = None
    architecture: Architecture | None = None
    parent: str = ""
