"""Explanations of class scores: which parts of the image raise a score, by gradients and by occlusion."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from zooready.errors import ConsumerMissing
from zooready.explanation.checks import completeness_error
from zooready.records import Array, as_float32

if TYPE_CHECKING:
    from torch import Tensor

    Scoring = Callable[[Tensor], Tensor]

BLUR = 0.1  # of the shorter side: a cell keeps its position and brightness and loses its pattern
STEPS = (32, 128, 512)  # of the integral; more are tried until the result is complete
COMPLETE = 0.02  # largest error of completeness that is accepted, of the score or of its rise, whichever is larger
WINDOW = 8  # windows along the shorter side
DARK = 5  # percentile of the pixels that counts as background
AT_ONCE = 8  # images in a batch


def demand_captum() -> None:
    """Raise ConsumerMissing without captum."""
    if find_spec("captum") is None:
        raise ConsumerMissing("captum, which computes attributions, is not installed: pip install 'zooready[explain]'.")


def blurred(image: Array) -> Array:
    """The image without its pattern, (1, c, ..., y, x): a Gaussian of a tenth of the shorter side, planes and channels apart."""
    from scipy.ndimage import gaussian_filter

    sigma = BLUR * min(image.shape[-2:])
    return as_float32(gaussian_filter(image, (0,) * (image.ndim - 2) + (sigma, sigma), mode="nearest"))


def background(image: Array) -> Array:
    """The image's background, (1, c, 1, ..., 1): the 5th percentile of each channel."""
    levels = np.percentile(image, DARK, axis=tuple(range(2, image.ndim)), keepdims=True)
    return as_float32(levels)


def integrated_gradients(score: Scoring, image: Array, baseline: Array, target: int) -> tuple[Array, dict[str, float]]:
    """How much each pixel adds to a class's score, along a straight path from a baseline to the image.

    Parameters
    ----------
    score
        (b, c, ..., y, x) -> (b, classes), differentiable.
    image, baseline
        (1, c, ..., y, x) float32. A constant baseline explains nothing of a network that normalises: along the path to it only
        contrast changes, which the normalisation removes. Hence :func:`blurred`.
    target
        Index of the class, from 0.

    Returns
    -------
    values
        (c, ..., y, x) float32, in units of the score; they add up to the score's rise above the baseline's.
    facts
        ``score``, ``score_of_baseline``, ``completeness_error`` (of the sum, relative to the rise), ``steps``, ``is_complete``.

    Raises
    ------
    ConsumerMissing
        captum is not installed.

    References
    ----------
    .. [1] Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017.
    """
    demand_captum()
    import torch
    from captum.attr import IntegratedGradients

    tensor, start = torch.from_numpy(as_float32(image)), torch.from_numpy(as_float32(baseline))
    with torch.no_grad():
        final, initial = (float(score(batch)[0, target]) for batch in (tensor, start))
    method = IntegratedGradients(score, multiply_by_inputs=True)
    for steps in STEPS:
        attributions = method.attribute(tensor, start, target=target, n_steps=steps, internal_batch_size=AT_ONCE)
        values = attributions[0].detach().numpy()
        error = completeness_error(values, final, initial)
        is_complete = error * abs(final - initial) <= COMPLETE * max(abs(final), abs(final - initial))
        if is_complete:
            break
    facts = {"score": final, "score_of_baseline": initial, "completeness_error": error, "steps": steps, "is_complete": is_complete}
    return as_float32(values), facts


def occlusion(score: Scoring, image: Array, fill: Array, target: int, window: int | None = None) -> tuple[Array, dict[str, float]]:
    """How much a class's score falls when a part of the image is hidden.

    Parameters
    ----------
    score
        (b, c, ..., y, x) -> (b, classes).
    image
        (1, c, ..., y, x) float32.
    fill
        Values that cover it, of any shape that broadcasts to the image, e.g. :func:`background`.
    target
        Index of the class, from 0.
    window
        Side of the square that hides all channels and planes at once, px; an eighth of the shorter side if None. It moves by half its side.

    Returns
    -------
    values
        (y, x) float32, mean fall of the score over the windows that hid the pixel.
    facts
        ``window_px``, ``stride_px``, ``largest_fall``.

    Raises
    ------
    ConsumerMissing
        captum is not installed.

    References
    ----------
    .. [1] Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014.
    """
    demand_captum()
    import torch
    from captum.attr import Occlusion

    side = window or max(2, min(image.shape[-2:]) // WINDOW)
    stride = max(1, side // 2)
    shape, steps = (*image.shape[1:-2], side, side), (*image.shape[1:-2], stride, stride)
    filled = torch.from_numpy(np.broadcast_to(fill, image.shape).astype(np.float32))
    with torch.no_grad():
        attributions = Occlusion(score).attribute(
            torch.from_numpy(as_float32(image)), shape, strides=steps, baselines=filled, target=target, perturbations_per_eval=AT_ONCE
        )
    values = attributions[0].numpy().reshape(-1, *image.shape[-2:])[0]  # every channel and plane holds the same number
    return as_float32(values), {"window_px": side, "stride_px": stride, "largest_fall": float(values.max())}
