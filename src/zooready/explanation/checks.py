"""Tests of explanations from the literature: whether a map depends on the weights, is complete, and lies in the cell."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.records import Array

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Share:
    """How much of a map's positive part lies in a cell, and how much in a box of the same area in the image's middle; 0 to 1.

    ``area`` is the cell's share of the image, which a map without preference would have.
    """

    inside: float
    box: float
    area: float


def share_inside(values: Array, mask: Array) -> Share:
    """The share of a map inside a cell, beside that inside an equally large box in the image's middle, which needs no network.

    Parameters
    ----------
    values
        (y, x), any sign; only what is above 0 counts.
    mask
        (y, x), other than 0 in the cell.

    Raises
    ------
    InputInvalid
        Shapes differ, the mask is empty, or nothing of the map is above 0.
    """
    inside = np.asarray(mask) != 0
    if inside.shape != values.shape:
        raise InputInvalid(f"the mask has shape {inside.shape} and the map {values.shape}: give a mask of the image's size.")
    if not inside.any():
        raise InputInvalid("the mask is empty: give one that is other than 0 in the cell.")
    positive = np.clip(np.asarray(values, dtype=np.float64), 0, None)
    total = float(positive.sum())
    if not total > 0:
        raise InputInvalid("nothing of the map is above 0, so it has no share anywhere: take the winning class.")
    box = centred_box(inside.shape, int(inside.sum()))
    return Share(inside=float(positive[inside].sum() / total), box=float(positive[box].sum() / total), area=float(inside.mean()))


def centred_box(shape: tuple[int, ...], area: int) -> NDArray[np.bool_]:
    """A box in the middle of an image (y, x), of its proportions and, to rounding, of ``area`` px.

    >>> int(centred_box((4, 8), 8).sum())
    8
    """
    height = min(shape[0], max(1, round(math.sqrt(area * shape[0] / shape[1]))))
    width = min(shape[1], max(1, round(area / height)))
    box = np.zeros(shape, bool)
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    box[top : top + height, left : left + width] = True
    return box


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's correlation of two maps of one shape, -1 to 1; 0 if one of them is constant.

    References
    ----------
    .. [1] Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018: a map that stays the same when the weights are replaced by random
       ones does not explain the network.
    """
    from scipy.stats import rankdata

    ranks = [rankdata(values.ravel()) for values in (first, second)]
    if not ranks[0].std() or not ranks[1].std():
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """A copy of a network with random weights in place of the learnt ones; everything else stays.

    Each layer is initialised by its own rule; weights of layers without one become normal with the spread that they had.
    """
    import torch

    random_network = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in random_network.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
            else:
                for weight in module.parameters(recurse=False):
                    weight.normal_(0.0, float(weight.std(correction=0)) or 1.0)
    return random_network


def completeness_error(attributions: Array, score: float, score_of_baseline: float) -> float:
    """Relative error of the sum of attributions, which should be the score's rise above the baseline's: difference / rise.

    References
    ----------
    .. [1] Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017.
    """
    rise = score - score_of_baseline
    return abs(float(np.sum(attributions, dtype=np.float64)) - rise) / max(abs(rise), 1e-12)
