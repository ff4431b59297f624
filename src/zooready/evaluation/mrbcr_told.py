"""The card of m-rBCR that is told the microscope: measured as m-rBCR's is, on images scaled by their blur as ``predict`` scales them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from zooready.evaluation import deconvolution_cards, mrbcr
from zooready.evaluation.deconvolution import Restore
from zooready.families import mrbcr_told
from zooready.families.mrbcr_told import FAMILY
from zooready.images.resampling import resampled
from zooready.records import Array
from zooready.simulate import microscopes
from zooready.tensors import Blur


def told(restore: Restore, blur_px: float) -> Restore:
    """The method for images (y, x) of one blur, px."""
    return zoomed(restore, Blur.of(mrbcr_told.BLUR_PX).zoom(blur_px))


def zoomed(restore: Restore, zoom: float) -> Restore:
    """A method that sees images (y, x) so many times as large; its results have their size."""

    def restored(image: Array) -> Array:
        height, width = image.shape
        shown = mrbcr_told.scaled(image, zoom)
        return resampled(np.asarray(restore(shown), np.float32), (height, width), cubic=zoom < 1)

    return restored


TOLD = "its blur in pixels, by which the image is scaled"
_LOW, _HIGH = microscopes.BLUR_PX
EVALUATION = replace(
    mrbcr.EVALUATION,
    measure=partial(mrbcr.measure, FAMILY, at=told, told=TOLD),
    spot=partial(deconvolution_cards.spot, FAMILY, mrbcr.sets),
    draw=partial(mrbcr.draw, FAMILY, at=told, told=TOLD),
    data=f"simulated filaments, puncta, rings, meshes and textures in {microscopes.NUMBER} random wide-field microscopes with blurs of "
    f"{_LOW:g} to {_HIGH:g} px, each scaled to within a tenth of {mrbcr_told.CANONICAL_PX:.1f} px, beginning with the weights of a network "
    f"for the reference microscope alone (commit 94fd93f); then, {mrbcr_told.REFERENCE:.0%} of the images from the reference microscope, "
    "from the mean of these weights (40 %) and those of the first training (60 %); no real images were used",
    suited=(
        f"Single planes in wide-field fluorescence, any objective, dye and camera for which wavelength / (NA x pixel size) is {_LOW:g} to "
        f"{_HIGH:g} px, where NA, wavelength and pixel size are known to a tenth and told: `zooready predict --na --wavelength-nm`, the "
        "macro in Fiji, and the module in CellProfiler ask for them. Below 8 px it is about as accurate as `mrbcr`, above 9 px more so "
        "(table told).",
    ),
    unsuited=(
        "Images as they are, of a microscope whose blur is not 8.3 to 10.2 px, without telling it: use `mrbcr`, which is told nothing.",
        *mrbcr.EVALUATION.unsuited,
    ),
    limits=(
        *(limit for limit in mrbcr.EVALUATION.limits if not limit.startswith(("It is made to be small", "Light of neighbouring"))),
        "It is made to be small and fast. Images whose blur is below 8.3 px are enlarged for it, which costs time: four times as many "
        "pixels at a blur of 4.6 px.",
    ),
)
