"""Whatever a caller gives as an image, as one: a file, an array of any library, or an Image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from zooready.errors import InputInvalid
from zooready.images.files import demand_usable, pillow_image, read_image, read_mask
from zooready.images.mapped import blocks
from zooready.images.tiff import ORDER, RGB, in_order
from zooready.records import Array, Image

LEAST = 1e-12  # spread of values that normalisations do not divide by
WHITE = (1, 255, 65535)  # what masks have beside 0
FEW = 1024  # pixels, below which one or two values may be all that there are
EXACT = 2**24  # up to here float32 holds every whole number
SAMPLES = (2, 3, 4)  # lengths of a last axis that holds channels rather than pixels
DIMENSIONS = {  # names of xarray's dimensions, in capitals or not
    **{letter: letter for letter in ORDER},
    **{"time": "t", "frame": "t", "plane": "z", "slice": "z", "depth": "z", "channel": "c", "band": "c"},
    **{"row": "y", "height": "y", "column": "x", "col": "x", "width": "x"},
}


class HasArray(Protocol):
    """An array of another library than NumPy, such as xarray, Dask or PyTorch."""

    def __array__(self) -> Array:
        """The values in memory."""
        ...


Given = Path | str | Image | HasArray | Sequence[Any]


def as_image(image: Given, *, axes: str | None = None) -> Image:
    """Whatever a caller gives, as an :class:`Image`.

    Parameters
    ----------
    image
        A file, an :class:`Image`, or an array: of NumPy, PyTorch, xarray (whose dimensions name the axes, and whose coordinates the
        channels), an image of Pillow, anything with ``__array__``, nested lists.
    axes
        Letters of ``tzcyx``, in capitals or not, for the axes of the array, or of the file's array; (y, x) or (c, y, x) if None;
        an array whose last axis looks like channels needs them.

    Raises
    ------
    InputInvalid
        The file cannot be read, or the array has other axes, no numbers, or some that are NaN or infinite.
    """
    if isinstance(image, str | Path):
        return read_image(image, axes=axes)
    loaded = image if isinstance(image, Image) else _from_pillow(image) or _from_array(image, axes)
    _demand_axes(loaded.array, loaded.axes, f" with axes {loaded.axes!r}")
    demand_usable(loaded.array, loaded.axes, "the image")
    return loaded


def _from_pillow(image: object) -> Image | None:
    """An image of Pillow as its file would be read; None if it is something else."""
    import PIL.Image

    return pillow_image(image) if isinstance(image, PIL.Image.Image) else None


def _from_array(image: HasArray | Sequence[Any], axes: str | None) -> Image:
    """An array with its axes in order: those that were named, its own, or (y, x) and (c, y, x)."""
    array = _as_array(image)
    names = [str(name).lower() for name in getattr(image, "dims", ())]  # of xarray
    channels: tuple[str, ...] = ()
    if axes is not None:
        letters = axes.lower()
    elif set(names) & set(DIMENSIONS):
        array = array.squeeze(tuple(n for n, name in enumerate(names) if name not in DIMENSIONS and array.shape[n] == 1))
        kept = [name for name, length in zip(names, image.shape, strict=True) if name in DIMENSIONS or length != 1]  # type: ignore[union-attr]
        if unknown := [name for name in kept if name not in DIMENSIONS]:
            raise InputInvalid(f"an image with the dimensions {names}: say what {', '.join(unknown)} is, by axes of letters of '{ORDER}'.")
        letters, channels = "".join(DIMENSIONS[name] for name in kept), _named_channels(image)
    else:
        letters = {2: "yx", 3: "cyx"}.get(array.ndim, "")
        _demand_channels_first(array)
    _demand_axes(array, letters, f" with axes {axes!r}" if axes else "")
    array, letters = in_order(array, letters)
    return Image(array=array, axes=letters, channels=channels)


def _named_channels(image: Any) -> tuple[str, ...]:
    """The coordinates of an xarray's channels, if they are texts."""
    name = next((name for name in image.dims if DIMENSIONS.get(str(name).lower()) == "c"), None)
    values = image.coords[name].values.tolist() if name in image.coords else []
    return tuple(values) if len(set(values)) == len(values) and all(isinstance(value, str) for value in values) else ()


def _demand_channels_first(array: Array) -> None:
    """Refuse an array whose last axis looks like the channels of a colour image, which would be read as columns of pixels."""
    if array.ndim == 3 and array.shape[-1] in SAMPLES and min(array.shape[:2]) > max(SAMPLES):
        raise InputInvalid(
            f"an array of shape {array.shape} looks like (y, x, channels), and without axes one of three is (c, y, x): give axes='yxc', or "
            "axes='cyx' if it is so."
        )


def _demand_axes(array: Array, letters: str, stated: str) -> None:
    if len(letters) != array.ndim or set(letters) - set(ORDER) or len(set(letters)) < len(letters) or not {"y", "x"} <= set(letters):
        raise InputInvalid(
            f"an image of shape {array.shape}{stated}: give (y, x) or (c, y, x), or an Image that names its axes, or axes, {array.ndim} "
            f"different letters of '{ORDER}'."
        )


def as_grey(image: Image) -> Image:
    """The same image, with one channel if it is grey stored as red, green and blue that are equal."""
    if image.channels != RGB or "c" not in image.axes:
        return image
    red, green, blue = np.moveaxis(image.array, image.axes.index("c"), 0)
    if not all(np.array_equal(red[block], other[block]) for block in blocks(red) for other in (green, blue)):
        return image
    return replace(image, array=red, axes=image.axes.replace("c", ""), channels=())


def axes_as_channels(image: Image, count: int, taken: str) -> str:
    """The axes of an image without channels whose planes or time points are the ``count`` channels that are wanted; else empty.

    A network that takes axes of letters ``taken`` keeps those.

    >>> pair = Image(array=np.zeros((2, 5, 5)), axes="zyx")
    >>> axes_as_channels(pair, 2, "bcyx"), axes_as_channels(pair, 3, "bcyx"), axes_as_channels(pair, 2, "bczyx")
    ('cyx', '', '')
    """
    if "c" not in image.axes and count > 1:
        for axis, length in zip(image.axes, image.array.shape, strict=True):
            if axis in "zt" and axis not in taken and length == count:
                return image.axes.replace(axis, "c")
    return ""


def planes_elsewhere(image: Image, channels: int) -> str:
    """What to do if the planes of an image without z may lie along another axis, for a network of stacks that takes this many channels.

    >>> planes_elsewhere(Image(array=np.zeros((9, 5, 5)), axes="cyx"), 1)[:77]
    "if its channels are the planes of a stack, name its axes so ('zyx'), or excha"
    >>> planes_elsewhere(Image(array=np.zeros((9, 5, 5)), axes="zyx"), 1)
    ''
    """
    count = image.array.shape[image.axes.index("c")] if "c" in image.axes else 1
    may_hold = {"t": "t" in image.axes, "c": count not in (1, channels) and image.channels != RGB}
    axis = next((axis for axis, holds in may_hold.items() if holds), "")
    if not axis or "z" in image.axes:
        return ""
    what = "frames" if axis == "t" else "channels"
    return (
        f"if its {what} are the planes of a stack, name its axes so ({image.axes.replace(axis, 'z')!r}), or exchange slices and {what} in "
        "Fiji (Image > Properties) and save it"
    )


def demand_no_stack_of_stacks(loop: str, outputs: Mapping[str, str]) -> None:
    """Refuse planes of a stack, each by itself, for a network that makes a stack of every plane.

    Parameters
    ----------
    loop
        The image's axes, of t and z, along which the network is given one input after the other.
    outputs
        Axes of each output, by its name.

    Raises
    ------
    InputInvalid
        An output has an axis of ``loop``.
    """
    for name, axes in outputs.items():
        if doubled := [axis for axis in loop if axis in axes]:
            raise InputInvalid(
                f"the network makes a stack along {doubled[0]} of every plane ('{name}' has axes {axes!r}), and the image "
                f"has planes along {doubled[0]} already: save one plane as its own image, in Fiji with Image > Duplicate."
            )


def as_plane(image: Path | str | Array) -> Array:
    """The one plane (y, x) of a mask or label image.

    Raises
    ------
    InputInvalid
        It cannot be read, or has channels, planes or time points.
    """
    loaded = as_grey(read_mask(image) if isinstance(image, str | Path) else as_image(image))
    if loaded.axes != "yx":
        raise InputInvalid(f"a mask or label image has axes {loaded.axes!r}: give one plane of one channel.")
    return loaded.array


def crossed(have: Sequence[str], want: Sequence[str]) -> tuple[str, str] | None:
    """A channel and another one in whose place it lies, if names contradict the order.

    >>> crossed(["Nuclei", "dapi"], ["cells", "nuclei"]), crossed(["red", "green"], ["cells", "nuclei"])
    (('nuclei', 'cells'), None)
    """
    ours, theirs = ([name.lower() for name in names] for names in (have, want))
    return next(((own, other) for own, other in zip(ours, theirs, strict=False) if own != other and own in theirs), None)


def matched(have: Sequence[str], want: Sequence[str]) -> list[int]:
    """Index of the image's channel for each of the network's, of which there are as many: by name if the names agree, else in order.

    >>> matched(["Nuclei", "Cells"], ["cells", "nuclei"]), matched([], ["cells", "nuclei"]), matched(["red", "green"], ["cells", "nuclei"])
    ([1, 0], [0, 1], [0, 1])

    Raises
    ------
    InputInvalid
        Names contradict the order.
    """
    ours, theirs = ([name.lower() for name in names] for names in (have, want))
    if sorted(ours) == sorted(theirs) and len(set(ours)) == len(ours):
        return [ours.index(name) for name in theirs]
    if found := crossed(have, want):
        own, other = found
        raise InputInvalid(
            f"the image has the channels {', '.join(have)} and the network takes {', '.join(want)}: {own!r} would be taken for "
            f"{other!r}. Name them as the network does, or put them into its order, in Fiji with Image > Color > Arrange Channels."
        )
    return list(range(len(want)))


def demand_order(name: str, have: Sequence[str], first: Sequence[str]) -> None:
    """Refuse an image with the channels of those before it in another order.

    Raises
    ------
    InputInvalid
        A channel lies in the place of another one.
    """
    if crossed(have, first):
        raise InputInvalid(
            f"{name} has the channels {', '.join(have)}, and images before it {', '.join(first)}: give all the same order, in Fiji with "
            "Image > Color > Arrange Channels."
        )


def rounded(array: Array) -> str:
    """A note on whole numbers that float32, in which networks calculate, does not hold; empty if it holds all of them."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 4:
        return ""
    count, most = 0, 0.0
    for block in blocks(array):
        pixels = np.asarray(array[block])
        with np.errstate(invalid="ignore"):  # the largest of 64 bits is rounded to one more, which has no integer
            moved = pixels[pixels.astype(np.float32).astype(pixels.dtype) != pixels]
        count += moved.size
        most = max(most, float(np.spacing(np.abs(moved.astype(np.float32)).max(initial=0.0))) / 2) if moved.size else most
    if not count:
        return ""
    return (
        f"{count} of {array.size} pixels are whole numbers above {EXACT:,} that float32 does not hold: they are rounded by up "
        f"to {most:,.0f} before the network sees them. Where so little matters, subtract an offset from the image first."
    )


def empty(array: Array) -> str:
    """A note on an image in which there is nothing for a network: of one value or nearly so, or of a mask's two; empty for others.

    Of a few pixels nothing is said.

    >>> empty(np.full((40, 50), 7))
    'every pixel of the image is 7: there is nothing in it, and the result says nothing.'
    """
    low, high, seen = math.inf, -math.inf, set[float]()
    if array.size < FEW:
        return ""
    for block in blocks(array):
        pixels = np.asarray(array[block])
        seen |= {float(pixels.min()), float(pixels.max())}
        low, high = min(seen), max(seen)
        if high - low > LEAST and (len(seen) > 2 or ((pixels != low) & (pixels != high)).any()):
            return ""
    if high == low:
        return f"every pixel of the image is {low:g}: there is nothing in it, and the result says nothing."
    if high - low <= LEAST:
        return (
            f"the pixels of the image differ by {high - low:.1g} at most, which networks take for nothing: multiply them, in Fiji with "
            "Process > Math > Multiply."
        )
    is_mask = low == 0 and high in WHITE
    return f"every pixel of the image is 0 or {high:g}, as in a mask: give the image that the microscope took." if is_mask else ""


def _as_array(image: HasArray | Sequence[Any]) -> Array:
    """Numbers in memory; a tensor that PyTorch keeps on a GPU or records gradients for is copied."""
    if np.ma.is_masked(image):
        raise InputInvalid("a masked array hides some of its pixels, which a network would see: fill them, as in image.filled(0).")
    try:
        array = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise InputInvalid(f"an image of type {type(image).__name__} cannot be made an array ({error}): give numbers, (y, x).") from None
    if array.dtype.kind not in "biuf":
        raise InputInvalid(
            f"an image of type {type(image).__name__} holds {array.dtype}, not real numbers: give an array (y, x) of numbers."
        )
    return array
