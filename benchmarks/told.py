"""Two ways to use the blur that a person tells: mrbcr sees images near or beyond the ends of its range scaled, mrbcr-told all of them.

    python benchmarks/told.py            the table, into the records of both; then `zooready list --cards model_cards`

`zooready predict --na --wavelength-nm`, and `--pixel-size auto` for files that state both, scale such images. Blurs below 4 px, the Nyquist
limit, are simulated with finer pixels, which a coarse camera then sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from recording import put

from zooready.evaluation import deconvolution, deconvolution_cards, microscope_range
from zooready.evaluation.deconvolution import Restore
from zooready.evaluation.mrbcr import KNOWN
from zooready.evaluation.mrbcr_told import told, zoomed
from zooready.families import load_weights, mrbcr, mrbcr_told
from zooready.images.similarity import Image2D, psnr
from zooready.simulate import microscopes
from zooready.simulate.optics import convolved, psf, transferred
from zooready.simulate.specimens import Specimen
from zooready.simulate.unseen import UNSEEN
from zooready.tensors import Blur

COARSE = {2.0: 4, 2.7: 3, 3.4: 2}  # blur, px, and how many fine pixels a side make one
FINE = (4.0, 5.5, 7.5, 9.2, 11.0, 13.0, 16.0, 20.0, 24.0, 32.0)
WAYS = ("mrbcr as it is", "mrbcr told", "mrbcr-told")
PER_BLUR, UNSEEN_PER_BLUR, SEED, RIM_PX = 20, 8, 4_170_021, 32
WORDS = (
    f"{PER_BLUR} held-out fields of {deconvolution.FIELD_PX} px for each blur and {UNSEEN_PER_BLUR} of kinds never trained on, by random "
    "microscopes as in the tables of eight blurs; below 4 px, where the camera's pixels are too coarse for the objective, without haze. "
    "Told: scaled as `predict --na --wavelength-nm` does, for mrbcr to 6 px where the blur is below 3 and to 9 px where it is above 12, "
    "which was chosen on other fields, for mrbcr-told always to 9.2 px; the result is compared at the image's own size; "
    "python benchmarks/told.py"
)


def coarse(kinds: Sequence[Specimen], blur: float, count: int) -> list[tuple[Image2D, Image2D]]:
    """Images and truths of a camera whose pixels are too large for the objective, (y, x) each."""
    made = []
    for index in range(count):
        rng = np.random.default_rng((SEED, round(10 * blur), index))
        times = COARSE[blur]
        side = times * deconvolution.FIELD_PX + 2 * RIM_PX
        specimen = kinds[index % len(kinds)](rng, side)
        light = convolved(specimen, transferred(psf(microscopes.microscope(rng, blur * times), specimen.shape)))
        binned = [
            plane[RIM_PX:-RIM_PX, RIM_PX:-RIM_PX].reshape(deconvolution.FIELD_PX, times, deconvolution.FIELD_PX, times).mean((1, 3))
            for plane in (light, specimen)
        ]
        exposure = mrbcr.any_exposure(rng)
        photons = np.maximum(binned[0], 0) / binned[0].max() * exposure["photons"] + exposure["background"]
        made.append((exposure["camera"].exposed(photons, rng), binned[1]))
    return made


def row(restore: Restore, restore_told: Restore, blur: float, kinds: Sequence[Specimen], count: int) -> dict[str, Any]:
    """Mean PSNR of the input and of every way, and the worst field's gain; ``restore_told`` is mrbcr-told's network."""
    if blur in COARSE:
        pairs = coarse(kinds, blur, count)
    else:
        pairs = [(field.image, field.truth) for field in microscope_range.scenes(kinds, SEED, blur, count)]
    by_scale, by_told = zoomed(restore, Blur.of(microscopes.BLUR_PX).zoom(blur)), told(restore_told, blur)
    values = np.array(
        [[psnr(shown, truth) for shown in (image, restore(image), by_scale(image), by_told(image))] for image, truth in pairs]
    )
    worst = (values[:, 1:] - values[:, :1]).min(0)
    return {
        **{f"{name}, dB": round(float(value), 2) for name, value in zip(("input itself", *WAYS), values.mean(0), strict=True)},
        **{f"{name} minus input, worst field, dB": round(float(gain), 2) for name, gain in zip(WAYS, worst, strict=True)},
    }


def main() -> None:
    """Measure, and write the records of both families."""
    torch.set_num_threads(1)
    restore, restore_told = (
        deconvolution_cards.restoring(family, load_weights(family.name)) for family in (mrbcr.FAMILY, mrbcr_told.FAMILY)
    )
    rows = [
        {"method": f"blur of {blur:g} px, {words}", **row(restore, restore_told, blur, kinds, count)}
        for words, kinds, count in (("held-out", KNOWN, PER_BLUR), ("unseen", UNSEEN, UNSEEN_PER_BLUR))
        for blur in (*COARSE, *FINE)
    ]
    for family in (mrbcr.FAMILY, mrbcr_told.FAMILY):
        put(family.name, {"told": rows}, {"told": WORDS})


if __name__ == "__main__":
    main()
