"""Classical measurements of one object: intensity, shape, and the textures that cell biologists have long classified by.

In: a grey picture and the mask of the object. Out: numbers by name, the same names for every object, units in the names.

May import: errors
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from zooready.errors import ConsumerMissing, InputInvalid

LEVELS = 64  # grey levels of an object for its co-occurrences; a few pixels of each pair remain in an object of 30 x 30 px
HARALICK = (
    "angular_second_moment",
    "contrast",
    "correlation",
    "variance",
    "inverse_difference_moment",
    "sum_average",
    "sum_variance",
    "sum_entropy",
    "entropy",
    "difference_variance",
    "difference_entropy",
    "information_correlation_1",
    "information_correlation_2",
)
LBP_POINTS, LBP_RADIUS = 8, 1
PATTERNS = sorted({min((n >> k | n << 8 - k) & 255 for k in range(8)) for n in range(256)})  # 36 of eight neighbours that no turn changes
ADJACENCY = ("around_mean", "above_low", "above_mean", "not_around_mean", "not_above_low", "not_above_mean")  # 9 numbers of neighbours each
PERCENTILES = (5, 25, 50, 75, 95)


def measurements(image: NDArray[np.generic], mask: NDArray[np.generic] | None = None) -> dict[str, float]:
    """Intensity, shape and texture of one object.

    Parameters
    ----------
    image
        (y, x), any real dtype, raw pixels; finite.
    mask
        (y, x), other than 0 in the object; None takes the whole picture as the object.

    Returns
    -------
    dict
        ``intensity_*`` in the picture's unit; ``shape_*`` with ``_px`` (length) or ``_px2`` (area) where there is a unit;
        ``haralick_*`` (mean and range over four directions), ``lbp_*`` and ``tas_*`` (shares of pixels) without unit. Textures are
        those of the object scaled to its own darkest and brightest pixel, so that they do not repeat its brightness. All are finite.

    Raises
    ------
    InputInvalid
        Shapes differ, the mask is empty, or pixels are not finite.
    ConsumerMissing
        mahotas is not installed.

    References
    ----------
    .. [1] Haralick et al., IEEE Trans. Syst. Man Cybern. 3, 610 (1973).
    .. [2] Ojala et al., Lect. Notes Comput. Sci. 1842, 404 (2000): local binary patterns.
    .. [3] Hamilton et al., BMC Bioinformatics 8, 110 (2007): threshold adjacency statistics; without parameters as in Coelho et al. (2010).
    """
    pixels, inside = _checked(image, mask)
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    pixels, inside = pixels[box], inside[box]
    return {**_intensity(pixels, inside), **_shape(pixels, inside), **_texture(pixels, inside)}


def _checked(image: NDArray[np.generic], mask: NDArray[np.generic] | None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pixels as float64, and where the object is."""
    if find_spec("mahotas") is None:
        raise ConsumerMissing("mahotas measures textures and is not installed: pip install 'zooready[explain]'.")
    if image.ndim != 2 or not image.size:
        raise InputInvalid(f"a picture of shape {image.shape} was to be measured: give one channel of one plane, (y, x).")
    inside = np.ones(image.shape, bool) if mask is None else np.asarray(mask) != 0
    if inside.shape != image.shape:
        raise InputInvalid(f"the mask has shape {inside.shape} and the picture {image.shape}: give a mask of the picture's size.")
    if not inside.any():
        raise InputInvalid("the mask is empty, so there is no object to measure: give one with at least one pixel.")
    pixels = np.asarray(image, dtype=np.float64)
    if bad := int((~np.isfinite(pixels[inside])).sum()):
        raise InputInvalid(f"{bad} pixels of the object are NaN or infinite: replace them, in Fiji with Process > Noise > Remove NaNs.")
    return pixels, inside


def _intensity(pixels: NDArray[np.float64], inside: NDArray[np.bool_]) -> dict[str, float]:
    values = pixels[inside]
    spread = float(values.std())
    found = {
        "intensity_mean": float(values.mean()),
        "intensity_std": spread,
        "intensity_min": float(values.min()),
        "intensity_max": float(values.max()),
        "intensity_sum": float(values.sum()),
        "intensity_skewness": float((((values - values.mean()) / spread) ** 3).mean()) if spread else 0.0,
    }
    return found | {f"intensity_p{share:02d}": float(np.percentile(values, share)) for share in PERCENTILES}


def _shape(pixels: NDArray[np.float64], inside: NDArray[np.bool_]) -> dict[str, float]:
    from skimage.measure import regionprops

    region = regionprops(inside.astype(np.uint8))[0]
    y, x = np.nonzero(inside)
    above = (pixels - pixels[inside].min())[inside]
    weight = above / above.sum() if above.sum() else np.full(above.shape, 1 / above.size)
    distance = float(np.hypot((y * weight).sum() - y.mean(), (x * weight).sum() - x.mean()))
    return {
        "shape_area_px2": float(region.area),
        "shape_perimeter_px": float(region.perimeter_crofton),
        "shape_major_axis_px": float(region.axis_major_length),
        "shape_minor_axis_px": float(region.axis_minor_length),
        "shape_eccentricity": float(region.eccentricity),
        "shape_extent": float(region.extent),
        "shape_solidity": float(inside.sum() / _hull_area(inside)),
        "shape_mass_displacement_px": distance,
    }


def _hull_area(inside: NDArray[np.bool_]) -> float:
    """Pixels of the convex hull, px2; of objects that are a line, which have none, the object's own."""
    from skimage.morphology import convex_hull_image

    return float(convex_hull_image(inside).sum()) if min(inside.shape) > 2 else float(inside.sum())


def _texture(pixels: NDArray[np.float64], inside: NDArray[np.bool_]) -> dict[str, float]:
    import mahotas.features
    from skimage.feature import local_binary_pattern

    low, high = pixels[inside].min(), pixels[inside].max()
    share = np.where(inside, (pixels - low) / ((high - low) or 1.0), 0.0)
    coarse = np.where(inside, 1 + np.rint(share * (LEVELS - 1)), 0).astype(np.uint8)  # 0 is what mahotas leaves out
    fine = np.where(inside, 1 + np.rint(share * 254), 0).astype(np.uint8)
    try:
        directions = np.nan_to_num(mahotas.features.haralick(np.pad(coarse, 1), ignore_zeros=True))
    except ValueError:  # no two neighbours in some direction
        directions = np.zeros((4, len(HARALICK)))
    found = {}
    for place, name in enumerate(HARALICK):
        found[f"haralick_{name}_mean"] = float(directions[:, place].mean())
        found[f"haralick_{name}_range"] = float(np.ptp(directions[:, place]))
    patterns = local_binary_pattern(np.pad(fine, LBP_RADIUS), LBP_POINTS, LBP_RADIUS, "ror")[1:-1, 1:-1][inside]
    found |= {f"lbp_{pattern:08b}": float((patterns == pattern).mean()) for pattern in PATTERNS}
    adjacency = np.nan_to_num(mahotas.features.pftas(np.pad(fine, 1)))
    names = [f"tas_{where}_{neighbours}" for where in ADJACENCY for neighbours in range(9)]
    return found | {name: float(value) for name, value in zip(names, adjacency, strict=True)}
