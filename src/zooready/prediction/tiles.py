"""How an image is cut into tiles: each is computed with a margin, the halo, that is thrown away.

    |<------------ window ------------>|
    |  halo  |<---- inner ---->|  halo  |

Windows begin at multiples of the network's stride and end at the image's edge or at such a multiple, so that a network sees every pixel
as it does in the whole image. At the image's edges there is no halo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zooready.records import Array

LAYOUT = 2  # changes with the way in which images are cut: what was computed by another is not taken up


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Places (y, x) in the image: what the tile answers for, and what is computed for it."""

    inner: tuple[slice, slice]
    window: tuple[slice, slice]

    def cropped(self, array: Array) -> Array:
        """The inner part of what was computed for the window, (..., y, x)."""
        ways = zip(self.inner, self.window, strict=True)
        y, x = (slice(inner.start - window.start, inner.stop - window.start) for inner, window in ways)
        return array[..., y, x]


def tiles(size: tuple[int, int], side: int, *, halo: int, stride: int = 1, minimum: int = 1) -> Iterator[Tile]:
    """Tiles of one size, but for the last ones, that together cover an image once, line by line.

    Parameters
    ----------
    size
        Of the image (y, x), px.
    side
        Most of a window's length, px, the halo included; the inner part keeps a quarter of it, however wide the halo is, if there are so
        many pixels. As many windows as this takes share the image equally.
    halo
        Pixels on each side that are computed and thrown away, px.
    stride, minimum
        Of the network, px.
    """
    margin = -(-halo // stride) * stride
    most = max(stride, max(side - 2 * margin, side // 4) // stride * stride)
    steps = [-(-length // -(-length // most) // stride) * stride for length in size]
    rows, columns = (
        [_along(length, first, step, margin, stride, minimum) for first in range(0, length, step)]
        for length, step in zip(size, steps, strict=True)
    )
    for inner_y, window_y in rows:
        for inner_x, window_x in columns:
            yield Tile(inner=(inner_y, inner_x), window=(window_y, window_x))


def _along(length: int, first: int, step: int, margin: int, stride: int, minimum: int) -> tuple[slice, slice]:
    """Inner part and window along one axis."""
    last = min(first + step, length)
    stop = min(last + margin, length)
    start = min(max(0, first - margin), max(0, stop - minimum) // stride * stride)
    return slice(first, last), slice(start, stop)
