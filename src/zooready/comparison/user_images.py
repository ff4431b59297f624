"""An image, or each of its planes, in the shape of a bundle's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zooready.errors import InputInvalid, amount
from zooready.images.calibration import RESCALE, beyond, outside, planes_differ, too_large
from zooready.images.files import read_image
from zooready.images.loading import axes_as_channels, demand_no_stack_of_stacks, matched, planes_elsewhere, rounded
from zooready.images.tiff import RGB, as_imagej_opens
from zooready.records import Array, Bundle, Image, as_float32

MOST = 5  # planes of one image that every program runs
FOR_IMAGEJ = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
BY_BIO_FORMATS = (
    "ImageJ alone takes the planes of this file for slices, so the programs were given its channels and planes as it names them: in Fiji "
    "open it with Plugins > Bio-Formats."
)
AS_NAMED = (
    "The programs were given the axes that you named. Before you run the network in Fiji, set these channels, slices and frames there in "
    "Image > Properties."
)
BY_NAME = (
    "Its channels have the network's names in another order, and the programs were given them in the network's. Before you run the network "
    "in Fiji, which takes them by their order, use Image > Color > Arrange Channels there."
)


@dataclass(frozen=True, kw_only=True)
class UserImage:
    """A whole image, or one piece of it, for a bundle's input.

    ``array`` is (b, c, …) float32. ``path`` is the person's file where the file is that input and nothing else, for programs that open
    files themselves. ``name`` is what verdicts call it, ``where`` which piece it is, e.g. ``"t 2, z 1"``, empty for a whole image.
    ``pixel_size_um`` and ``z_um`` are the file's, None where it does not say. ``notes`` say which of its numbers were rounded, and
    which programs cannot open the file as it is.
    """

    name: str
    array: Array
    path: Path | None = None
    where: str = ""
    pixel_size_um: float | None = None
    z_um: float | None = None
    notes: tuple[str, ...] = ()


def as_inputs(bundle: Bundle, path: Path, *, axes: str | None = None) -> tuple[UserImage, ...]:
    """What the bundle's network is given for an image: all of it, or planes and time points that the network does not take at once.

    Of more than :data:`MOST` pieces as many are taken, evenly spread from the first to the last. ``axes``, letters of ``tzcyx``, are those
    of a file that names none or wrong ones.

    Raises
    ------
    InputInvalid
        The bundle takes several inputs, or the image has other channels than its one, no stack where it takes stacks, or one where it makes
        a stack of every plane.
    """
    if not bundle.cases:
        raise InputInvalid(f"{path.name} cannot be run: the bundle takes {len(bundle.inputs)} inputs. Leave the image out.")
    image = read_image(path, axes=axes)
    letters, shape = bundle.inputs[0].axes, bundle.cases[0].input.shape
    _demand_fit(bundle, image, path)
    array, order = image.array, image.axes
    is_moved = False
    if "c" in letters and "c" in order:
        count = shape[letters.index("c")]
        want = bundle.inputs[0].channels if len(bundle.inputs[0].channels) == count else ("",) * count
        places = matched(image.channels if len(image.channels) == count else (), want)
        is_moved = places != list(range(count))
        array = np.take(array, places, axis=order.index("c")) if is_moved else array
    for axis in letters:
        if axis not in order:
            array, order = array[None], axis + order
    loop = "".join(axis for axis in "tz" if axis in order and axis not in letters)
    demand_no_stack_of_stacks(loop, {output.name: output.axes for output in bundle.outputs})
    array = array.transpose([order.index(axis) for axis in loop + letters])
    indices = list(np.ndindex(*array.shape[: len(loop)]))
    if len(indices) > MOST:
        indices = [indices[round(n)] for n in np.linspace(0, len(indices) - 1, MOST)]
    is_input = not loop and len(letters) == len(shape) and path.suffix.lower() in FOR_IMAGEJ
    is_opened = is_input and axes is None and not is_moved and (image.axes == "yx" or image.channels == RGB or as_imagej_opens(path))
    is_stack = axes is None and image.axes == "zyx"  # its planes are slices, as ImageJ takes them
    unlike = BY_NAME if is_moved else "" if is_opened or is_stack or not is_input else BY_BIO_FORMATS if axes is None else AS_NAMED
    notes = tuple(filter(None, (rounded(image.array), unlike)))
    pieces = []
    for index in indices:
        where = ", ".join(f"{axis} {number + 1}" for axis, number in zip(loop, index, strict=True))
        name = f"image {where}".strip()
        pieces.append(
            UserImage(
                name=name,
                array=as_float32(array[index]),
                path=path if is_opened else None,
                where=where,
                pixel_size_um=image.pixel_size_um,
                z_um=image.z_um,
                notes=notes,
            )  # fmt: skip
        )
    return tuple(pieces)


def unlike_training(bundle: Bundle, pieces: Sequence[UserImage]) -> tuple[str, ...]:
    """What of an image does not suit the network, its pixel size, distance of planes, values and large numbers, with the cure.

    The numbers of the programs agree all the same, since all are given the same pixels.
    """
    image, tensor = pieces[0], bundle.inputs[0]
    note = outside(image.pixel_size_um, bundle.pixel_size_um, RESCALE)
    of_planes = planes_differ(image.z_um, bundle.plane_distance_um) if "z" in tensor.axes else ""
    values = np.stack([piece.array for piece in pieces])
    of_values = (too_large(values), *beyond(values, f"n{tensor.axes}", tensor.channels, bundle.limits))
    return tuple(filter(None, (note, of_planes, *of_values, *image.notes)))


def _demand_fit(bundle: Bundle, image: Image, path: Path) -> None:
    letters, shape = bundle.inputs[0].axes, bundle.cases[0].input.shape
    sizes = dict(zip(image.axes, image.array.shape, strict=True))
    channels = shape[letters.index("c")] if "c" in letters else 1
    if sizes.get("c", 1) != channels or len(letters) != len(shape):
        cure = "choose the channel in Fiji and save it as its own TIFF"
        if len(letters) == len(shape) and (named := axes_as_channels(image, channels, letters)):
            cure = (
                f"if its planes are these channels, name its axes so ({named!r}), or set {amount(channels, 'channel')} in Fiji with "
                "Image > Properties, and save it"
            )
        elif "z" in letters and "t" not in sizes and (elsewhere := planes_elsewhere(image, channels)):
            cure = elsewhere
        raise InputInvalid(
            f"{path.name} has axes {image.axes!r} {image.array.shape}, and the bundle takes {letters!r} with "
            f"{amount(channels, 'channel')}: {cure}."
        )
    for axis, what in (("z", "stacks"), ("t", "time series")):
        if axis in letters and axis not in sizes and shape[letters.index(axis)] > 1:
            cure = (planes_elsewhere(image, channels) if axis == "z" else "") or f"give an image with an axis {axis}"
            raise InputInvalid(
                f"{path.name} has axes {image.axes!r} {image.array.shape}, and the bundle takes {what} ({letters!r}): {cure}."
            )
