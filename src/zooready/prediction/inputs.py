"""An image as the input of a network: channels by name, every plane that the network does not take at once in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np

from zooready.errors import InputInvalid, amount
from zooready.images.loading import as_grey, axes_as_channels, matched, planes_elsewhere
from zooready.images.tiff import RGB
from zooready.records import Array, Image, as_float32
from zooready.tensors import TensorSpec

MANY = 5  # channels of which a message does not name all


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """All inputs that one image gives, made one at a time.

    ``array`` has the axes ``loop`` (of t and z) and then the network's without b; ``loop`` is empty for a single input.
    """

    array: Array
    loop: str

    @property
    def lengths(self) -> tuple[int, ...]:
        """Length of each axis of ``loop``."""
        return self.array.shape[: len(self.loop)]

    def planes(self) -> Iterator[Array]:
        """The array of each input in turn, (c, ..., y, x), as the image holds it."""
        return (self.array[index] for index in np.ndindex(*self.lengths))

    def __iter__(self) -> Iterator[Array]:
        """Each input in turn, batch of one, float32, contiguous."""
        for plane in self.planes():
            yield as_float32(plane)[np.newaxis]


def as_input(image: Image, spec: TensorSpec, *, channel: int | str | None = None) -> Inputs:
    """What the network is given for an image.

    Parameters
    ----------
    image
        Any axes; time points, and planes of a stack if the network has no z, become independent inputs. Grey stored as equal red, green
        and blue is one channel for a network of one.
    spec
        The bundle's input. Channels with the same names in another order are put into the network's order.
    channel
        The one channel to take, by name or by number from 1 as Fiji counts; for networks of one channel.

    Raises
    ------
    InputInvalid
        Wrong number of channels, names of channels that contradict their order, no stack where one is needed, a size that is not the
        fixed one.
    """
    image = as_grey(image) if len(spec.channels) == 1 and channel is None else image
    array, axes = image.array, image.axes
    if "c" not in axes:
        array, axes = array[..., np.newaxis], axes + "c"
    if "i" in spec.axes:
        raise InputInvalid(f"the network's input '{spec.name}' has an axis i, which no image has: export it with axes of 'btczyx'.")
    for axis in spec.axes[1:]:
        if axis not in axes:
            elsewhere = planes_elsewhere(image, len(spec.channels)) if axis == "z" else ""
            cure = f"{elsewhere}; else give a stack" if elsewhere else f"give an image with an axis {axis}"
            raise InputInvalid(f"the network takes {spec.axes[1:]!r} and the image has {image.axes!r}: {cure}.")
    array = _taken(array, axes.index("c"), _channels(image, array.shape[axes.index("c")], spec, channel))
    loop = "".join(axis for axis in "tz" if axis in axes and axis not in spec.axes)
    array = array.transpose([axes.index(axis) for axis in loop + spec.axes[1:]])
    for axis, size in spec.sizes.items():
        length = array.shape[(loop + spec.axes[1:]).index(axis)]
        if length != size:
            raise InputInvalid(f"the network takes exactly {size} along {axis}, and the image has {length}: crop or pad it to {size}.")
    return Inputs(array=array, loop=loop)


def seen_through(image: Image, spec: TensorSpec, channel: int | str | None) -> Image:
    """The image with the blur of the channel that is taken, where one is asked for and the image states the blur of each."""
    count = image.array.shape[image.axes.index("c")] if "c" in image.axes else 1
    if channel is None or len(image.blurs_um) != count:
        return image
    (taken,) = _channels(image, count, spec, channel)
    return replace(image, blurs_um=(image.blurs_um[taken],))


def _taken(array: Array, axis: int, indices: list[int]) -> Array:
    """Some positions along an axis; of those that follow one another no copy is made."""
    if indices == list(range(indices[0], indices[0] + len(indices))):
        return array[(slice(None),) * axis + (slice(indices[0], indices[0] + len(indices)),)]
    return np.take(array, indices, axis=axis)


def _channels(image: Image, count: int, spec: TensorSpec, channel: int | str | None) -> list[int]:
    """Index of the image's channel for each of the network's."""
    names = image.channels if len(image.channels) == count else ()
    if channel is not None:
        return [_picked(names, count, spec, channel)]
    if count != len(spec.channels):
        raise InputInvalid(_mismatch(image, names, count, spec))
    return matched(names, spec.channels)


def _picked(names: tuple[str, ...], count: int, spec: TensorSpec, channel: int | str) -> int:
    """Index of the channel that was asked for."""
    if len(spec.channels) != 1:
        raise InputInvalid(
            f"channel {channel} was asked for, but the network takes {len(spec.channels)} channels ({', '.join(spec.channels)}): "
            "leave channel out, and give an image with these."
        )
    if isinstance(channel, str) and not channel.isdecimal():
        lower = [name.lower() for name in names]
        if channel.lower() in lower:
            return lower.index(channel.lower())
    elif isinstance(channel, bool) or not isinstance(channel, str | Integral):
        raise InputInvalid(f"{channel!r} is no channel: give its number, from 1, or its name.")
    elif 1 <= int(channel) <= count:
        return int(channel) - 1
    known = f" ({', '.join(names)})" if names else ""
    cure = f"Give a channel from 1 to {count}{', or a name' if names else ''}." if count > 1 else "Leave channel out."
    raise InputInvalid(f"the image has no channel {channel}: it has {count}{known}. {cure}")


def _any_of(words: list[str]) -> str:
    """The words, or of many the first and the last.

    >>> _any_of(["1", "2", "3"]), _any_of(["1", "2", "3", "4", "5"])
    ('1, 2 or 3', '1, ... or 5')
    """
    first = words[:-1] if len(words) < MANY else [words[0], "..."]
    return f"{', '.join(first)} or {words[-1]}"


def _mismatch(image: Image, names: tuple[str, ...], count: int, spec: TensorSpec) -> str:
    wants = f"{amount(len(spec.channels), 'channel')} ({', '.join(spec.channels)})"
    if len(spec.channels) == 1 and names == RGB:
        cure = "pick channel 'green', or convert it in Fiji with Image > Type > 8-bit"
        return f"the image is in colour (red, green, blue) and the network takes {wants}: {cure}."
    has = amount(count, "channel") + (f" ({', '.join(names)})" if names else "")
    cure = "put these channels into one image, in Fiji with Image > Color > Merge Channels"
    if len(spec.channels) == 1:
        cure = f"pick channel {_any_of([repr(name) for name in names] or [str(number) for number in range(1, count + 1)])}"
    elif axes := axes_as_channels(image, len(spec.channels), spec.axes):
        cure = f"if its planes are these channels, give axes {axes!r}"
    return f"the image has {has} and the network takes {wants}: {cure}."
