"""Deconvolution (m-rBCR) that is told the microscope: an image is scaled until its blur is that of training, restored, and scaled back.

    image (b, 1, y, x) counts, blur 8.3 to 10.2 px  -- mean and spread out, network, back in -->  restored (b, 1, y, x) counts

The blur, wavelength / (NA x pixel size), follows from what a person or the file says. Training draws images of every blur and scales them
as ``predict`` does, so that the network knows the correlated noise of enlarged images. All else is as in :mod:`zooready.families.mrbcr`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zooready.families import mrbcr
from zooready.images.resampling import resampled
from zooready.records import Array, Pair, Recipe
from zooready.simulate import microscopes

CANONICAL_PX = microscopes.blur_px(mrbcr.OPTICS)  # blur of training: that of the reference microscope, 9.2 px
REFERENCE = 0.3  # share of pairs from the reference microscope, in focus and without haze, as they are
MISTOLD = (0.9, 1.1)  # blur in training over the canonical one: NA, wavelength and pixel size are never exactly known
BLUR_PX = (8.3, 10.2)  # the two together


def pair(seed: int, index: int) -> Pair:
    """Pair number `index`: (1, 96, 96) float32 counts each; any pair can be made again, so training resumes exactly."""
    rng = np.random.default_rng((seed, index))
    specimen = mrbcr.SPECIMENS[rng.integers(len(mrbcr.SPECIMENS))]
    if rng.random() < REFERENCE:
        simulated, zoom = mrbcr.scene(rng, mrbcr.SIZE, specimen), 1.0
    else:
        optics = microscopes.microscopes()[rng.integers(microscopes.NUMBER)]
        zoom = CANONICAL_PX / microscopes.blur_px(optics) * float(rng.uniform(*MISTOLD))
        simulated = mrbcr.varied(rng, int(np.ceil(mrbcr.SIZE / zoom)), specimen, optics)
    inner = (slice(mrbcr.SIZE), slice(mrbcr.SIZE))
    return Pair(
        input=scaled(simulated.image, zoom)[inner][None],
        target=scaled(simulated.truth, zoom, is_truth=True)[inner][None],
        pixel_size_um=simulated.optics.pixel_size_um / zoom,
    )


def scaled(plane: Array, zoom: float, *, is_truth: bool = False) -> Array:
    """A plane (y, x) scaled as in prediction, float32; the truth, which has no noise, by cubic splines in either direction."""
    size = round(plane.shape[0] * zoom), round(plane.shape[1] * zoom)
    return resampled(plane.astype(np.float32), size, cubic=zoom < 1 or is_truth)


FAMILY = replace(
    mrbcr.FAMILY,
    name="mrbcr-told",
    title="m-rBCR deconvolution (told the microscope)",
    description=(
        f"Removes blur, haze and noise from a wide-field fluorescence image whose wavelength / (NA x pixel size) is {BLUR_PX[0]:g} to "
        f"{BLUR_PX[1]:g} pixels. Others are scaled to it: zooready's macro in Fiji, module in CellProfiler and predict do so when they are "
        "told NA, wavelength and pixel size. Trained on simulated filaments, puncta, rings, meshes and textures with known truth."
    ),
    training=replace(mrbcr.FAMILY.training, pair=pair, recipe=Recipe(steps=4500, batch=8, optimizer="Muon", learning_rate=1e-3)),
    blur_px=BLUR_PX,
    evaluation="mrbcr_told",
)
