"""Explanations of image outputs: how far each pixel sees, how much of its value is noise, and how stable it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zooready.records import Array, as_float32

Run = Callable[[Array], Array]
REPEATS = 16
BINS = 8  # of brightness, in which noise is estimated
MAD = 1.4826  # standard deviation / median absolute deviation of normal numbers
SHARE = 0.9  # of the gradient, within the effective radius
NEGLIGIBLE = 1e-6  # of the largest gradient; anything smaller counts as none
CHANNELS = 8  # of an output, whose gradients are added


def effective_field(outputs: Callable[..., object], image: Array) -> tuple[Array, dict[str, float]]:
    """How strongly the output's middle pixel depends on each pixel of the image.

    Parameters
    ----------
    outputs
        (1, c, ..., y, x) -> (1, k, ..., y, x), tensors, differentiable. Of a stack, its middle plane counts.
    image
        (1, c, ..., y, x) float32.

    Returns
    -------
    values
        (y, x) float32, length of the gradient over output channels, input channels and planes, 1 at its largest.
    facts
        ``radius_90_px``, of the circle that holds 90 % of it; ``reach_px``, the farthest pixel (along y or x) that has any.

    References
    ----------
    .. [1] Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks, NeurIPS 2016.
    """
    import torch

    tensor = torch.from_numpy(as_float32(image)).requires_grad_(True)
    output: torch.Tensor = outputs(tensor)  # type: ignore[assignment]
    middle = tuple(size // 2 for size in output.shape[2:])
    squares = np.zeros(image.shape[-2:])
    for channel in range(min(CHANNELS, output.shape[1])):
        (gradient,) = torch.autograd.grad(output[(0, channel, *middle)], tensor, retain_graph=True)
        squares += (gradient.double().numpy() ** 2).reshape(-1, *image.shape[-2:]).sum(0)
    strength = np.sqrt(squares)
    values = strength / (strength.max() or 1.0)
    y, x = np.indices(values.shape)
    y, x = y - middle[-2], x - middle[-1]
    order = np.argsort(np.hypot(y, x), axis=None, kind="stable")
    within = np.cumsum(values.ravel()[order])
    radius = np.hypot(y, x).ravel()[order][np.searchsorted(within, SHARE * within[-1])] if within[-1] else 0.0
    reach = np.maximum(abs(y), abs(x))[values > NEGLIGIBLE]
    return as_float32(values), {"radius_90_px": float(radius), "reach_px": int(reach.max()) if reach.size else 0}


def noise_of(image: Array) -> Array:
    """Standard deviation of an image's own noise at each pixel, (..., y, x), estimated plane by plane.

    Noise is estimated from second differences along both axes; its variance is fitted as a straight line over local brightness, as for
    photon noise plus read noise of a camera.

    References
    ----------
    .. [1] Immerkaer, Fast Noise Variance Estimation, Computer Vision and Image Understanding 64, 300 (1996): the second differences.
    """
    planes = np.asarray(image, dtype=np.float64).reshape(-1, *image.shape[-2:])
    return np.stack([_noise_of_plane(plane) for plane in planes]).reshape(image.shape)


def _noise_of_plane(plane: Array) -> Array:
    from scipy.ndimage import convolve, uniform_filter
    from scipy.optimize import nnls

    difference = np.array([1.0, -2.0, 1.0])
    residual = convolve(plane, np.outer(difference, difference), mode="mirror") / 6  # of white noise it has the standard deviation
    light = uniform_filter(plane, 5, mode="mirror")
    groups = np.array_split(np.argsort(light, axis=None, kind="stable"), BINS)
    variance = np.array([(MAD * np.median(np.abs(residual.ravel()[group]))) ** 2 for group in groups])
    level = np.array([light.ravel()[group].mean() for group in groups])
    darkest = float(light.min())
    (constant, slope), _ = nnls(np.stack([np.ones(len(groups)), level - darkest], axis=1), variance)
    return np.asarray(np.sqrt(constant + slope * (light - darkest)))


def noise_sensitivity(run: Run, image: Array, rng: np.random.Generator, repeats: int = REPEATS) -> tuple[Array, dict[str, float]]:
    """How much each output pixel varies with the noise of the input: noise like the image's own is added, several times.

    Parameters
    ----------
    run
        (1, c, ..., y, x) -> (1, k, ..., y, x).
    image
        (1, c, ..., y, x) float32.
    rng
        Source of the noise.
    repeats
        How often, 2 or more.

    Returns
    -------
    values
        (k, ..., y, x) float32, standard deviation over the repeats, in the output's unit.
    facts
        ``noise_of_image`` (mean standard deviation, the image's unit), ``mean``, ``largest``, ``repeats``.
    """
    spread = noise_of(image)
    outputs = [run(as_float32(image + spread * rng.standard_normal(image.shape)))[0] for _ in range(repeats)]
    values = np.std(np.asarray(outputs, dtype=np.float64), axis=0, ddof=1)
    facts = {"noise_of_image": float(spread.mean()), "mean": float(values.mean()), "largest": float(values.max()), "repeats": repeats}
    return as_float32(values), facts


def uncertainty(run: Run, image: Array, quarter_turns: bool = True) -> tuple[Array, dict[str, float]]:
    """How much each output pixel changes when the image is flipped and turned, and the output turned back.

    Parameters
    ----------
    run
        (1, c, ..., y, x) -> (1, k, ..., y, x).
    image
        (1, c, ..., y, x) float32.
    quarter_turns
        All eight flips and turns; else the four that keep the image's height and width.

    Returns
    -------
    values
        (k, ..., y, x) float32, standard deviation over them, in the output's unit. 0 everywhere for a network that knows no direction.
    facts
        ``mean``, ``largest``, ``views``.
    """
    outputs = []
    for turns in range(0, 4, 1 if quarter_turns else 2):
        for is_flipped in (False, True):
            turned = np.rot90(image, turns, axes=(-2, -1))
            output = run(as_float32(turned[..., ::-1] if is_flipped else turned))[0]
            outputs.append(np.rot90(output[..., ::-1] if is_flipped else output, -turns, axes=(-2, -1)))
    values = np.std(np.asarray(outputs, dtype=np.float64), axis=0)
    return as_float32(values), {"mean": float(values.mean()), "largest": float(values.max()), "views": len(outputs)}
