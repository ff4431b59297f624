"""What a bundle's description says of its tensors as TensorSpec, for whoever runs the network alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from zooready.bundle.fitting import misfits
from zooready.bundle.rdf import not_understood
from zooready.bundle.stated import BLUR, BLUR_SHOWN, CROP, KNOWN_KIND, LIMITS, OBJECTS, PIXEL_SIZE, PLANE_DISTANCE
from zooready.errors import BundleInvalid, InputInvalid
from zooready.records import Bundle
from zooready.tensors import Blur, KnownKind, Objects, Operator, Tensor, TensorSpec


def input_spec(bundle: Bundle, steps: Collection[str] = ()) -> TensorSpec:
    """The one input of a bundle.

    Parameters
    ----------
    steps
        Names of the steps outside the network that the caller runs.

    Returns
    -------
    TensorSpec
        Axes with b first; ``sizes`` holds the axes of one fixed length.

    Raises
    ------
    BundleInvalid
        Not one input, format 0.4, other steps outside the network that change float32 pixels, axes that no image has, values that the
        format does not have.
    """
    if not bundle.format_version.startswith("0.5"):
        raise BundleInvalid(f"{bundle.path.name} has format {bundle.format_version}: run bioimageio update-format on it first.")
    if len(bundle.inputs) != 1:
        raise BundleInvalid(
            f"{bundle.path.name} takes {len(bundle.inputs)} inputs, and prediction gives one image: use bioimageio.core instead."
        )
    asked = [step for tensor in (*bundle.inputs, *bundle.outputs) for step in tensor.operators]
    outside = [step.name for step in asked if step.name not in steps and not _is_harmless(step)]
    if outside:
        raise BundleInvalid(
            f"{bundle.path.name} asks for {', '.join(outside)} outside its network, and only the network itself would be run here: "
            "use bioimageio.core, or export the bundle again with these steps inside."
        )
    if faults := [*not_understood(bundle), *misfits(bundle)]:
        raise BundleInvalid(f"{bundle.path.name}: {' '.join(faults)}")
    return _spec(bundle, bundle.inputs[0])


def output_specs(bundle: Bundle) -> tuple[TensorSpec, ...]:
    """The outputs of a bundle, in its order, each with its kind.

    Raises
    ------
    BundleInvalid
        An output has axes that no image has.
    """
    return tuple(_spec(bundle, tensor) for tensor in bundle.outputs)


def size_steps(bundle: Bundle) -> dict[str, tuple[int, int]]:
    """Smallest length and step of each input axis that grows by steps, px: axis to (min, step)."""
    details = bundle.inputs[0].details if bundle.inputs else ()
    return {axis.letter: (axis.minimum, axis.step or 1) for axis in details if axis.minimum is not None}


def pixel_range_um(bundle: Bundle) -> tuple[float, float] | None:
    """Smallest and largest side of a pixel that the bundle was trained for, in micrometres; None if it does not say.

    Raises
    ------
    BundleInvalid
        The range is not two positive numbers in order.
    """
    _demand_understood(bundle, PIXEL_SIZE)
    return bundle.pixel_size_um


def known_blur(bundle: Bundle) -> Blur | None:
    """The blur that the network takes away; None if it takes none away.

    Raises
    ------
    BundleInvalid
        The range is not two positive numbers in order, or it is not understood which blur is shown.
    """
    _demand_understood(bundle, BLUR)
    _demand_understood(bundle, BLUR_SHOWN)
    return bundle.blur


def plane_distance_um(bundle: Bundle) -> float | None:
    """Distance of the planes of a stack that the network takes, or makes of a plane, in micrometres; None if the bundle does not say.

    It is in ``config.zooready.z_um``, because Fiji misreads a ``scale`` of an axis.

    Raises
    ------
    BundleInvalid
        It is not a positive number.
    """
    _demand_understood(bundle, PLANE_DISTANCE)
    return bundle.plane_distance_um


def channel_limits(bundle: Bundle) -> Mapping[str, tuple[float, float]]:
    """Smallest and largest value that the bundle was trained for, by channel of its input, of channels that hold no light.

    Raises
    ------
    BundleInvalid
        Some are not two numbers in order.
    """
    _demand_understood(bundle, LIMITS)
    return bundle.limits


def stated_crop_px(bundle: Bundle) -> int | None:
    """Side of the image of one object that the bundle's classifier was trained on, px; None if it does not say.

    Raises
    ------
    BundleInvalid
        It is not a whole number of 1 or more.
    """
    _demand_understood(bundle, CROP)
    return bundle.crop_px


def trained_objects(bundle: Bundle) -> Objects | None:
    """The objects that the bundle was trained to find; None if it finds none, or does not say.

    Raises
    ------
    BundleInvalid
        They are not described as :class:`zooready.tensors.Objects` has them.
    """
    _demand_understood(bundle, OBJECTS)
    return bundle.objects


def known_kind(bundle: Bundle) -> KnownKind | None:
    """What tells images of the classifier's own kind from others; None if the bundle does not say.

    Raises
    ------
    BundleInvalid
        It is not described as :class:`zooready.tensors.KnownKind` has it.
    """
    _demand_understood(bundle, KNOWN_KIND)
    return bundle.known_kind


def _demand_understood(bundle: Bundle, where: str) -> None:
    if where in bundle.faults:
        raise BundleInvalid(f"{bundle.path.name}: {bundle.faults[where]} Export it again.")


def _is_harmless(step: Operator) -> bool:
    """Whether a step leaves float32 pixels as they are."""
    return step.name == "ensure_dtype" and step.kwargs.get("dtype") == "float32"


def _spec(bundle: Bundle, tensor: Tensor) -> TensorSpec:
    letters = [axis.letter for axis in tensor.details]
    if any(len(letter) != 1 for letter in letters) or "c" not in letters:
        raise BundleInvalid(
            f"{bundle.path.name}: '{tensor.name}' has axes {letters}, and one-letter ids with a channel axis are needed. Export it again."
        )
    try:
        return TensorSpec(
            name=tensor.name,
            axes="".join(letters),
            channels=tensor.channels or ("value",),
            kind=tensor.kind,
            sizes={axis.letter: axis.size for axis in tensor.details if axis.letter not in "bc" and axis.size is not None},
        )
    except InputInvalid as error:
        raise BundleInvalid(f"{bundle.path.name}: {error}") from None
