"""What a bundle's description says of its tensors, as TensorSpec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zooready.errors import BundleInvalid, InputInvalid
from zooready.records import Bundle
from zooready.tensors import TensorSpec

LETTERS = {"batch": "b", "channel": "c", "time": "t", "index": "i"}  # by the type of an axis; axes in space go by their id
HARMLESS = ("ensure_dtype",)  # the only step that leaves float32 pixels as they are


def input_spec(bundle: Bundle) -> TensorSpec:
    """The one input of a bundle.

    Returns
    -------
    TensorSpec
        Axes with b first; ``sizes`` holds the axes of one fixed length.

    Raises
    ------
    BundleInvalid
        Not one input, format 0.4, steps outside the network (which would have to be done again here), axes that no image has.
    """
    inputs = bundle.rdf.get("inputs") or []
    if not str(bundle.rdf.get("format_version", "")).startswith("0.5"):
        raise BundleInvalid(f"{bundle.path.name} has format {bundle.rdf.get('format_version')}: run bioimageio update-format on it first.")
    if len(inputs) != 1:
        raise BundleInvalid(f"{bundle.path.name} takes {len(inputs)} inputs, and prediction gives one image: use bioimageio.core instead.")
    steps = [str(step.get("id")) for step in inputs[0].get("preprocessing") or []]
    steps += [str(step.get("id")) for output in bundle.rdf.get("outputs") or [] for step in output.get("postprocessing") or []]
    outside = [step for step in steps if step not in HARMLESS]
    if outside:
        raise BundleInvalid(
            f"{bundle.path.name} asks for {', '.join(outside)} outside its network, and prediction runs the network alone: "
            "use bioimageio.core, or export the bundle again with these steps inside."
        )
    return _spec(bundle, inputs[0])


def output_specs(bundle: Bundle) -> tuple[TensorSpec, ...]:
    """The outputs of a bundle, in its order, each with its kind.

    Raises
    ------
    BundleInvalid
        An output has axes that no image has.
    """
    return tuple(_spec(bundle, tensor, kind) for tensor, (_, kind) in zip(bundle.rdf["outputs"], bundle.outputs, strict=True))


def size_steps(bundle: Bundle) -> dict[str, tuple[int, int]]:
    """Smallest length and step of each input axis that grows by steps, px: axis to (min, step)."""
    sizes = {_letter(axis): axis.get("size") for axis in bundle.rdf["inputs"][0]["axes"]}
    return {
        axis: (int(size["min"]), int(size.get("step", 1))) for axis, size in sizes.items() if isinstance(size, Mapping) and "min" in size
    }


def pixel_range_um(bundle: Bundle) -> tuple[float, float] | None:
    """Smallest and largest side of a pixel that the bundle was trained for, in micrometres; None if it does not say.

    Raises
    ------
    BundleInvalid
        The range is not two positive numbers in order.
    """
    stated = ((bundle.rdf.get("config") or {}).get("zooready") or {}).get("pixel_size_um")
    if stated is None:
        return None
    try:
        low, high = (float(one) for one in stated)
    except (TypeError, ValueError):
        low, high = 1.0, 0.0
    if not 0 < low <= high < float("inf"):
        raise BundleInvalid(
            f"{bundle.path.name}: config.zooready.pixel_size_um is {stated!r}; give [smallest, largest] in µm. Export it again."
        )
    return low, high


def plane_distance_um(bundle: Bundle) -> float | None:
    """Distance of the planes of a stack that the network itself makes, in micrometres; None if the bundle does not say.

    It is in ``config.zooready.z_um``, because Fiji misreads a ``scale`` of an axis.

    Raises
    ------
    BundleInvalid
        It is not a positive number.
    """
    stated = ((bundle.rdf.get("config") or {}).get("zooready") or {}).get("z_um")
    if stated is None:
        return None
    if not isinstance(stated, (int, float)) or not 0 < stated < float("inf"):
        raise BundleInvalid(f"{bundle.path.name}: config.zooready.z_um is {stated!r}; give the distance of planes in µm. Export it again.")
    return float(stated)


def _letter(axis: Mapping[str, Any]) -> str:
    return LETTERS.get(str(axis.get("type")), str(axis.get("id", "")))


def _spec(bundle: Bundle, tensor: Mapping[str, Any], kind: str = "image") -> TensorSpec:
    axes = tensor["axes"]
    letters = [_letter(axis) for axis in axes]
    if any(len(letter) != 1 for letter in letters) or "c" not in letters:
        raise BundleInvalid(
            f"{bundle.path.name}: '{tensor['id']}' has axes {letters}, and one-letter ids with a channel axis are needed. Export it again."
        )
    channels = next(axis.get("channel_names") or ["value"] for axis, letter in zip(axes, letters, strict=True) if letter == "c")
    sizes = {
        letter: size for axis, letter in zip(axes, letters, strict=True) if letter not in "bc" and isinstance(size := axis.get("size"), int)
    }
    try:
        return TensorSpec(
            name=str(tensor["id"]),
            axes="".join(letters),
            channels=tuple(map(str, channels)),
            kind=kind,  # type: ignore[arg-type]  # one of Kind, which the safe reader has checked
            sizes=sizes,
        )
    except InputInvalid as error:
        raise BundleInvalid(f"{bundle.path.name}: {error}") from None
