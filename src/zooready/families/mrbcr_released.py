"""Deconvolution by the published network: the topology of m-rBCR's released checkpoint, trained as :mod:`zooready.families.mrbcr` is.

    image (b, 1, y, x) counts  -- mean and spread out, network, back in -->  restored (b, 1, y, x) counts

For comparison with the paper: it is some ten times slower than `mrbcr` and was less accurate after equal training (`model_cards/mrbcr.md`).
No weights are shipped. Li, Kudryashev, Yakimovich, ECCV 2024, doi:10.1007/978-3-031-73226-3_22
"""

from __future__ import annotations

from dataclasses import replace

from zooready.families import mrbcr
from zooready.records import Part

FAMILY = replace(
    mrbcr.FAMILY,
    name="mrbcr-released",
    title="m-rBCR deconvolution (released topology)",
    description=(
        "Removes blur, haze and noise from a wide-field fluorescence image whose wavelength / (NA x pixel size) is 4 to 16 pixels, by the "
        "network of the authors' released checkpoint (236,630 parameters) at three resolutions."
    ),
    network=replace(mrbcr.FAMILY.network, architecture=Part(path="zooready.nets.rbcr.RBCR", kwargs={"kernel": "released"})),
    evaluation="mrbcr_released",
)
