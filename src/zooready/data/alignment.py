"""Whether a mask lies where its image has edges, or would after a shift, a flip or a turn: told only where the evidence is strong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zooready.records import Array

SMOOTH_PX = 1.5  # standard deviation, px: rims that people draw are off by a pixel or two
LARGEST_PX = 1024  # a larger image is looked at in its middle
LEAST_PX = 32  # of a side, below which chance looks like evidence
SHIFTED_PX = 4  # a smaller shift is a matter of drawing
STRONG, POOR = 0.25, 0.4  # correlation of the edges elsewhere; and share of it that they reach as the mask lies
CERTAIN = 8.0  # best correlation elsewhere / spread of all correlations
TURNS: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("", lambda plane: plane),
    ("flipped from left to right", lambda plane: plane[:, ::-1]),
    ("flipped from top to bottom", lambda plane: plane[::-1]),
    ("turned by 180 degrees", lambda plane: plane[::-1, ::-1]),
    ("turned by 90 degrees", lambda plane: np.rot90(plane)),
    ("turned by 270 degrees", lambda plane: np.rot90(plane, 3)),
    ("mirrored on its diagonal", lambda plane: plane.T),
    ("mirrored on its other diagonal", lambda plane: plane[::-1, ::-1].T),
)


def misplaced(mask: Array, image: Array) -> str:
    """How a mask (y, x) would have to be moved to fit its image (y, x), in words with the cure; empty if it fits, or nothing is certain.

    Edges of both are correlated: as they lie, and at every shift of the mask in each of its eight positions. A network trained on masks
    that lie elsewhere learns nothing, and its loss looks like that of a hard task.
    """
    if mask.shape != image.shape or min(mask.shape) < LEAST_PX:
        return ""
    middle = tuple(slice(max(0, side - LARGEST_PX) // 2, max(0, side - LARGEST_PX) // 2 + LARGEST_PX) for side in mask.shape)
    wanted, drawn = _edges(image[middle].astype(np.float32)), _outlines(mask[middle])
    if not wanted.any() or not drawn.any():
        return ""
    spectrum = np.fft.rfft2(wanted)
    here, found, words, down, right = float((wanted * drawn).mean()), 0.0, "", 0, 0
    for way, turn in TURNS:
        turned = turn(drawn)
        if turned.shape != wanted.shape:
            continue
        everywhere = np.fft.irfft2(spectrum * np.conj(np.fft.rfft2(turned)), wanted.shape) / wanted.size
        largest = float(everywhere.max())
        if largest > found and largest > CERTAIN * everywhere.std():
            rows, columns = np.unravel_index(everywhere.argmax(), everywhere.shape)
            found, words, down, right = largest, way, _signed(int(rows), len(wanted)), _signed(int(columns), wanted.shape[1])
    is_elsewhere = bool(words) or max(abs(down), abs(right)) >= SHIFTED_PX
    if not is_elsewhere or found < STRONG or here > POOR * found:
        return ""
    shift = f"moved by {right} px to the right and {down} px down" if max(abs(down), abs(right)) >= SHIFTED_PX else ""
    return (
        f"does not lie on its image: {' and '.join(filter(None, (words, shift)))} it would (their edges then agree by {found:.2f}, and by "
        f"{here:.2f} as it is). Put it in place, in Fiji with Image > Transform, or find the image that it belongs to"
    )


def _edges(image: Array) -> Array:
    """How steep an image is, mean 0 and standard deviation 1; zeros for a flat one. The steepest pixels count no more than others."""
    from scipy import ndimage

    steep = ndimage.gaussian_gradient_magnitude(image, SMOOTH_PX)
    return _standard(np.minimum(steep, np.quantile(steep, 0.98)))


def _outlines(mask: Array) -> Array:
    """The rims of a mask's objects, as blurred as an image's."""
    from scipy import ndimage

    rims = np.zeros(mask.shape, np.float32)
    for axis in (0, 1):
        ahead = np.roll(mask, -1, axis)
        differs = ahead != mask
        differs[(slice(None),) * axis + (-1,)] = False
        rims += differs
    return _standard(ndimage.gaussian_filter(np.minimum(rims, 1), SMOOTH_PX))


def _standard(values: Array) -> Array:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


def _signed(shift: int, side: int) -> int:
    """A shift around the border as one to either side."""
    return shift - side if shift > side // 2 else shift
