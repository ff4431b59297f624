"""What a dye does to a specimen: it is unevenly bound, or so sparse that its molecules can be counted; and specimens of twice the size.

Each takes a generator, a size in px (one number for a plane, (z, y, x) for a volume) and the specimen to change, ``draw(rng, size)``, and
returns float64, zero or more, with a maximum of one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.simulate import microscopes
from zooready.simulate.volumes import Shape

Float = NDArray[np.float64]
Draw = Callable[..., Float]
MOLECULES = (2.0, 200.0)  # in the brightest pixel
UNEVENNESS, ROUGHNESS = (0.1, 0.6), (0.0, 1.5)  # standard deviation of the logarithm of its density; falling exponent of its spectrum
GRAIN_PX = (0.0, 0.7)  # standard deviation of the spot that a molecule is


def enlarged(rng: np.random.Generator, size: int | Shape, draw: Draw) -> Float:
    """A specimen of twice the size: most real structures are larger than the blur."""
    shape = _shape(size)
    half = tuple((side + 1) // 2 for side in shape)
    large = scipy.ndimage.zoom(draw(rng, half[0] if isinstance(size, int) else half), 2, order=3)
    return _of_maximum_one(large[tuple(slice(side) for side in shape)].clip(min=0))


def uneven(rng: np.random.Generator, size: int | Shape, draw: Draw, aspect: float = 1.0) -> Float:
    """A specimen whose dye is unevenly bound: mottled from pixel to pixel, or in patches; `aspect` is a plane's distance over a pixel."""
    shape = _shape(size)
    steps = (1.0, 1.0, aspect)[: len(shape)][::-1]
    axes = [np.fft.fftfreq(side, step) for side, step in zip(shape[:-1], steps[:-1], strict=True)]
    frequency = np.sqrt(sum(axis**2 for axis in np.ix_(*axes, np.fft.rfftfreq(shape[-1]))))
    frequency[(0,) * len(shape)] = 1 / max(shape)
    spectrum = np.fft.rfftn(rng.normal(size=shape)) * frequency ** -rng.uniform(*ROUGHNESS)
    density = np.fft.irfftn(spectrum, s=shape, axes=tuple(range(len(shape))))
    return _of_maximum_one(draw(rng, size) * np.exp(rng.uniform(*UNEVENNESS) * density / density.std()))


def grainy(rng: np.random.Generator, size: int | Shape, draw: Draw, aspect: float = 1.0) -> Float:
    """A specimen of countable dye molecules: grains where others are smooth, and no line without gaps."""
    molecules = rng.poisson(microscopes.log_uniform(rng, MOLECULES) * draw(rng, size)).astype(np.float64)
    grain = float(rng.uniform(*GRAIN_PX))
    return _of_maximum_one(scipy.ndimage.gaussian_filter(molecules, (grain / aspect, grain, grain)[-molecules.ndim :]))


def _shape(size: int | Shape) -> tuple[int, ...]:
    """(y, x) of a side, (z, y, x) as it is."""
    return (size, size) if isinstance(size, int) else size


def _of_maximum_one(specimen: Float) -> Float:
    return np.asarray(specimen / max(float(specimen.max()), 1e-12))
