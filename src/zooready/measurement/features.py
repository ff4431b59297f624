"""Classical features of a cell: intensity, shape, bright parts, texture, threshold adjacency, local binary patterns.

In: a grey image and the object's mask. Out: values by name, the same names for every object, units in the names. Haralick's 13 texture
features (mean and range over four directions, at one and at three pixels), threshold adjacency statistics and local binary patterns are
those of mahotas; the connected parts above Otsu's threshold correspond to the objects that subcellular location features count.

May import: errors

References
----------
.. [1] R. M. Haralick et al., IEEE Trans. Syst. Man Cybern. SMC-3, 610 (1973).
.. [2] N. A. Hamilton et al., BMC Bioinformatics 8, 110 (2007): threshold adjacency statistics.
.. [3] T. Ojala et al., IEEE Trans. Pattern Anal. 24, 971 (2002): local binary patterns.
.. [4] M. V. Boland, R. F. Murphy, Bioinformatics 17, 1213 (2001): subcellular location features.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from zooready.errors import ConsumerMissing, InputInvalid, amount

Array = NDArray[Any]

LEVELS = 64  # grey levels of the texture features
HARALICK = (
    "angular_second_moment", "contrast", "correlation", "variance", "inverse_difference_moment", "sum_average", "sum_variance",
    "sum_entropy", "entropy", "difference_variance", "difference_entropy", "correlation_information_1", "correlation_information_2",
)  # fmt: skip
PERCENTILES = (1, 10, 25, 50, 75, 90, 99)
SHAPES = {  # of regionprops
    "shape_area_px2": "area", "shape_perimeter_px": "perimeter", "shape_eccentricity": "eccentricity", "shape_solidity": "solidity",
    "shape_extent": "extent", "shape_axis_major_px": "axis_major_length", "shape_axis_minor_px": "axis_minor_length",
    "shape_euler_number": "euler_number",
}  # fmt: skip
SMALLEST = 8  # px, smallest side that mahotas accepts; smaller objects are padded


def measurements(image: Array, mask: Array | None = None) -> dict[str, float]:
    """Every measurement of one object, by name.

    Parameters
    ----------
    image
        (y, x), any real dtype, raw pixels.
    mask
        (y, x), not 0 inside the object, at least one pixel. If None, the whole image is measured, and the shape is that of the pixels
        above Otsu's threshold.

    Returns
    -------
    dict of float
        Always the same names in the same order; all values finite. ``intensity_*`` are in the image's unit; names that end in ``_px`` and
        ``_px2`` are lengths and areas; the others have no unit and do not change if the image is multiplied by a constant.

    Raises
    ------
    InputInvalid
        The image is not (y, x), the mask has another shape or is empty, or the object has pixels that are not finite.
    ConsumerMissing
        mahotas is not installed.
    """
    if find_spec("mahotas") is None:
        raise ConsumerMissing("mahotas measures textures and is not installed: pip install 'zooready[explain]'.")
    pixels, inside = _object(np.asarray(image), mask)
    grey = levels(pixels, inside)
    bright = above(grey, inside)
    features: dict[str, float] = {}
    for group in (
        intensities(pixels[inside]), shapes(bright if mask is None else inside), parts(bright, inside, pixels),
        haralick(grey, inside), adjacency(grey), patterns(grey),
    ):  # fmt: skip
        features.update(group)
    return {name: float(value) if np.isfinite(value) else 0.0 for name, value in features.items()}


def basics(image: Array, mask: Array) -> dict[str, float]:
    """Shape and intensity of one object, by name: part of :func:`measurements`, with the same arguments, errors and numbers."""
    pixels, inside = _object(np.asarray(image), mask)
    return {name: float(value) for group in (shapes(inside), intensities(pixels[inside])) for name, value in group}


def _object(image: Array, mask: Array | None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The image inside the object's bounding box, padded to at least ``SMALLEST`` px per side, and the mask there."""
    if image.ndim != 2 or not image.size:
        raise InputInvalid(f"an image of shape {image.shape} cannot be measured: give one channel of one plane, (y, x).")
    inside = np.ones(image.shape, bool) if mask is None else np.asarray(mask) != 0
    if inside.shape != image.shape or not inside.any():
        raise InputInvalid(
            f"the mask {inside.shape} with {inside.sum()} px does not fit the image {image.shape}: give one of equal shape, not empty."
        )
    (box,) = ndimage.find_objects(inside.astype(np.uint8))
    pixels, inside = image[box].astype(np.float64), inside[box]
    if bad := int((~np.isfinite(pixels[inside])).sum()):
        raise InputInvalid(
            f"the object has {amount(bad, 'pixel')} of NaN or infinity: replace them, in Fiji with Process > Noise > Remove NaNs."
        )
    around = [(0, max(0, SMALLEST - side)) for side in inside.shape]
    return np.pad(np.where(inside, pixels, pixels[inside].min()), around, mode="edge"), np.pad(inside, around)


def levels(image: Array, inside: Array) -> NDArray[np.uint8]:
    """The image in 255 grey levels between its 0.5th and 99.8th percentile: 1 to 255 inside the mask, 0 outside."""
    low, high = np.percentile(image[inside], (0.5, 99.8))
    scaled = np.clip((image - low) / max(float(high - low), 1e-12), 0, 1)
    return np.where(inside, 1 + np.rint(scaled * 254), 0).astype(np.uint8)


def above(grey: NDArray[np.uint8], inside: Array) -> NDArray[np.bool_]:
    """The pixels of the mask above their Otsu threshold; all of them if the image is constant."""
    from skimage.filters import threshold_otsu

    values = grey[inside]
    bright: NDArray[np.bool_] = inside & (grey > threshold_otsu(values)) if values.min() < values.max() else inside.copy()
    return bright


def intensities(values: Array) -> Iterator[tuple[str, float]]:
    """Moments and percentiles of the pixels (n,)."""
    mean, spread = float(values.mean()), float(values.std())
    standard = (values - mean) / (spread or 1.0)
    yield from (("intensity_mean", mean), ("intensity_std", spread), ("intensity_sum", float(values.sum())))
    yield from (("intensity_skewness", float((standard**3).mean())), ("intensity_kurtosis", float((standard**4).mean())))
    for rank, value in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True):
        yield f"intensity_p{rank:02d}", float(value)


def shapes(inside: Array) -> Iterator[tuple[str, float]]:
    """Size and shape of a mask (y, x), measured as one object."""
    from skimage.measure import regionprops

    (region,) = regionprops(inside.astype(np.uint8))
    for name, feature in SHAPES.items():
        yield name, float(getattr(region, feature))
    yield "shape_roundness", 4 * np.pi * region.area / max(float(region.perimeter), 1.0) ** 2


def parts(bright: Array, inside: Array, image: Array) -> Iterator[tuple[str, float]]:
    """Number, sizes, distances from the centre and share of intensity of the connected parts above Otsu's threshold."""
    labels, count = ndimage.label(bright)
    areas = np.bincount(labels.ravel())[1:].astype(float)
    light = np.where(inside, image - np.percentile(image[inside], 0.5), 0).clip(0)
    middle = np.array(ndimage.center_of_mass(light + 1e-12))
    distances = np.array([np.hypot(*(np.array(centre) - middle)) for centre in ndimage.center_of_mass(bright, labels, range(1, count + 1))])
    yield from (("parts_count", count), ("parts_area_mean_px2", areas.mean()), ("parts_area_std_px2", areas.std()))
    yield from (("parts_area_max_px2", areas.max()), ("parts_area_median_px2", float(np.median(areas))))
    yield "parts_largest_share", areas.max() / areas.sum()
    yield from (("parts_away_mean_px", distances.mean()), ("parts_away_std_px", distances.std()), ("parts_away_max_px", distances.max()))
    yield "parts_area_share", areas.sum() / inside.sum()
    yield "parts_light_share", light[bright].sum() / max(float(light.sum()), 1e-12)
    rows, columns = np.nonzero(inside)
    weights = light[inside]
    distance = np.hypot(rows - middle[0], columns - middle[1])
    yield "parts_light_radius", float((weights * distance).sum() / max(float(weights.sum()), 1e-12) / max(float(distance.mean()), 1e-12))


def haralick(grey: NDArray[np.uint8], inside: Array) -> Iterator[tuple[str, float]]:
    """Haralick's features at 1 and 3 px, mean and range over four directions; pixels outside the mask do not count."""
    import mahotas

    coarse = np.where(inside, 1 + grey.astype(int) * (LEVELS - 1) // 256, 0)
    for distance in (1, 3):
        try:
            by_direction = mahotas.features.haralick(coarse, ignore_zeros=True, distance=distance)
        except ValueError:  # no two pixels of the object are that far apart
            by_direction = np.zeros((4, len(HARALICK)))
        for name, values in zip(HARALICK, by_direction.T, strict=True):
            yield from ((f"haralick{distance}_{name}", values.mean()), (f"haralick{distance}_{name}_range", np.ptp(values)))


def adjacency(grey: NDArray[np.uint8]) -> Iterator[tuple[str, float]]:
    """Parameter-free threshold adjacency statistics, 54 numbers."""
    import mahotas

    yield from ((f"adjacency_{index:02d}", value) for index, value in enumerate(mahotas.features.pftas(grey)))


def patterns(grey: NDArray[np.uint8]) -> Iterator[tuple[str, float]]:
    """Local binary patterns on a circle of 8 points at 1 and at 3 px, as shares of the object's box."""
    import mahotas

    for radius in (1, 3):
        histogram = mahotas.features.lbp(grey, radius, 8)
        yield from ((f"lbp{radius}_{index:02d}", value / histogram.sum()) for index, value in enumerate(histogram))
