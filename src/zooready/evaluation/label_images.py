"""Label images of a network and of classical methods against true ones: the numbers of segmentation's card.

The classical methods are Otsu's and Li's threshold followed by a watershed of the distance transform, with common
settings. Thresholds of the network were chosen on held-out fields (``benchmarks/nuclei.py``), never on the real image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from zooready.families import segmentation
from zooready.nets.labelling import Instances
from zooready.records import Array, Family, Pair

Labels = NDArray[np.int32]
Method = Callable[[Array], Labels]  # (y, x) raw -> (y, x) labels
HELD_OUT_SEED = 5_100_002  # of fields to measure on; no training uses them
HELD_OUT_FIELDS, FIELD_PX = 40, 320
SMOOTH_PX, APART_PX = 1.0, 5  # of the classical methods: blur before the threshold; least distance between two middles


def classical(image: Array, rule: str) -> Labels:
    """Objects by threshold and watershed.

    Parameters
    ----------
    image
        (y, x), any dtype.
    rule
        "otsu" or "li": the rule for the threshold, after a Gaussian blur of 1 px.

    Returns
    -------
    (y, x) int32
        0 background, 1…n.
    """
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_li, threshold_otsu
    from skimage.segmentation import watershed

    smooth = ndimage.gaussian_filter(image.astype(np.float32), SMOOTH_PX)
    if smooth.min() == smooth.max():
        return np.zeros(image.shape, np.int32)
    threshold = threshold_otsu(smooth) if rule == "otsu" else threshold_li(smooth)
    mask = ndimage.binary_fill_holes(smooth > threshold)
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), SMOOTH_PX)
    middles = peak_local_max(depth, min_distance=APART_PX, labels=ndimage.label(mask)[0], exclude_border=False)
    seeds = np.zeros(image.shape, np.int32)
    seeds[tuple(middles.T)] = np.arange(1, len(middles) + 1)
    labels: Labels = watershed(-depth, seeds, mask=mask).astype(np.int32)
    return labels


class Segmenter:
    """A trained network as a method; ``head`` makes labels of probabilities."""

    def __init__(self, weights: Mapping[str, torch.Tensor], head: Instances | None = None, family: Family = segmentation.FAMILY) -> None:
        self.network = family.network.architecture.build().eval()
        self.network.load_state_dict(weights)
        self.normalization = family.network.normalization.build() if family.network.normalization else torch.nn.Identity()
        self.dimensions = len(family.input.axes) - 2
        self.head = head or (family.network.head or segmentation.HEAD).build()

    def probabilities(self, image: Array) -> torch.Tensor:
        """(y, x) or (c, y, x) raw -> (1, 2 or more, y, x) float32; replicated to the next multiple of 32 px and cut back.

        Of a family for stacks (z, y, x) or (c, z, y, x), to (1, 2 or more, z, y, x).
        """
        spatial = image.shape[-self.dimensions :]
        height, width = spatial[-2:]
        tensor = torch.as_tensor(image.astype(np.float32)).reshape(1, -1, *spatial)
        margins = (0, -width % 32, 0, -height % 32, *(0, 0) * (self.dimensions - 2))
        with torch.no_grad():
            padded = torch.nn.functional.pad(self.normalization(tensor), margins, mode="replicate")
            probabilities: torch.Tensor = self.network(padded)[..., :height, :width]
        return probabilities

    def __call__(self, image: Array) -> Labels:
        """(y, x) or (c, y, x) raw -> (y, x) labels; with z, of a family for stacks."""
        return labelled(self.head, self.probabilities(image))

    def classed(self, image: Array) -> tuple[Labels, Labels]:
        """(c, y, x) raw -> (y, x) labels and the class of each object, of a family that has several."""
        _, found, classes = self.head(self.probabilities(image))
        return found[0, 0].numpy().astype(np.int32), classes[0, 0].numpy().astype(np.int32)


def labelled(head: Instances, probabilities: torch.Tensor) -> Labels:
    """The label image (y, x) that a head makes of probabilities (1, 2, y, x)."""
    labels: torch.Tensor = head(probabilities)[1]  # (1, 1, y, x)
    return labels[0, 0].numpy().astype(np.int32)


def fields(seed: int, count: int, size: int = FIELD_PX) -> list[Pair]:
    """Simulated fields of nuclei to measure on."""
    return [segmentation.field(seed, number, size) for number in range(count)]


def measured(method: Method, images: Sequence[tuple[Array, Array | None]]) -> dict[str, float]:
    """Means over (image, true labels) pairs: f1_50, f1_75, mean_iou (of what matched), rounded to four digits."""
    scores = [segmentation.scores(method(image), truth) for image, truth in images]
    return {name: round(float(np.mean([score[name] for score in scores])), 4) for name in scores[0]}


def tables(segmenter: Segmenter, count: int = HELD_OUT_FIELDS) -> dict[str, Any]:
    """Network, Otsu and Li on simulated held-out fields and on the real development image; plain data.

    Returns
    -------
    dict
        ``{"simulated": {method: scores}, "real": {method: scores}}``.
    """
    sets: Mapping[str, Sequence[tuple[Array, Array | None]]] = {
        "simulated": [(pair.input[0], pair.truth) for pair in fields(HELD_OUT_SEED, count)],
        "real": [(segmentation.sample().array, segmentation.sample_labels())],
    }
    methods: Mapping[str, Method] = {
        "network": segmenter,
        "otsu": lambda image: classical(image, "otsu"),
        "li": lambda image: classical(image, "li"),
    }
    return {name: {title: measured(method, images) for title, method in methods.items()} for name, images in sets.items()}


def flat(tables: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Tables as one level of names: ``f1_50`` of the network on simulated fields, ``f1_50_real`` and ``f1_50_real_otsu`` beside it."""
    return {
        score + ("_real" if images == "real" else "") + (f"_{method}" if method != "network" else ""): value
        for images, methods in tables.items()
        for method, scores in methods.items()
        for score, value in scores.items()
    }
