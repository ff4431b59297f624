"""Deconvolution (m-rBCR) that is told the microscope: an image is scaled until its blur is that of training, restored, and scaled back.

    image (b, 1, y, x) counts, blur 8 to 10 px  -- mean and spread out, network, back in -->  restored (b, 1, y, x) counts

The blur, wavelength / (NA x pixel size), follows from what a person or the file says. Images of every blur are among the pairs, scaled as
``predict`` scales them, so that the network knows the correlated noise of enlarged images. All else is as in
:mod:`zooready.families.mrbcr`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zooready.families import mrbcr
from zooready.images.resampling import resampled
from zooready.records import Pair, Recipe
from zooready.simulate import microscopes

CANONICAL_PX = microscopes.blur_px(mrbcr.OPTICS)  # blur of training: that of the reference microscope, 9.2 px
MISTOLD = (0.9, 1.1)  # the blur in training, over the canonical one: NA, wavelength and pixel size are never exactly known


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: (1, 96, 96) float32 counts each; any pair can be made again, so training resumes exactly."""
    rng = np.random.default_rng((seed, index))
    specimen = mrbcr.SPECIMENS[rng.integers(len(mrbcr.SPECIMENS))]
    if rng.random() < mrbcr.REFERENCE:
        simulated, zoom = mrbcr.scene(rng, mrbcr.SIZE, specimen), 1.0
    else:
        optics = microscopes.microscopes()[rng.integers(microscopes.NUMBER)]
        zoom = CANONICAL_PX / microscopes.blur_px(optics) * float(rng.uniform(*MISTOLD))
        simulated = mrbcr.varied(rng, int(np.ceil(mrbcr.SIZE / zoom)), specimen, optics)
    return Pair(
        input=scaled(simulated.image, zoom),
        target=scaled(simulated.truth, zoom, is_truth=True),
        pixel_size_um=simulated.optics.pixel_size_um / zoom,
    )


def scaled(plane: np.ndarray, zoom: float, *, is_truth: bool = False) -> np.ndarray:
    """A plane (y, x) scaled as in prediction, its middle (1, 96, 96) float32."""
    size = tuple(max(round(side * zoom), mrbcr.SIZE) for side in plane.shape)
    large = resampled(plane.astype(np.float32), size, cubic=zoom < 1 or is_truth)
    return large[None, : mrbcr.SIZE, : mrbcr.SIZE]


FAMILY = replace(
    mrbcr.FAMILY,
    name="mrbcr-told",
    title="m-rBCR deconvolution, told the microscope",
    training=replace(mrbcr.FAMILY.training, pair=pair, recipe=Recipe(steps=6000, batch=8, optimizer="Muon", learning_rate=1e-3)),
    blur_px=(0.9 * CANONICAL_PX, 1.1 * CANONICAL_PX),
)
