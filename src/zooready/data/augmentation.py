"""Data augmentation: the same random crop, flip and quarter turn for all images of a pair; rotation, scaling and shift of cell images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import NDArray

from zooready.errors import InputInvalid
from zooready.records import Array, Augmentation, Pair

if TYPE_CHECKING:
    import torch


PLAIN = Augmentation()  # flips and turns only


def augmented(pair: Pair, rng: np.random.Generator, size: int, planes: int | None = None, how: Augmentation = PLAIN) -> Pair:
    """A random square of ``size`` px of a pair, flipped and rotated by quarter turns at random; of stacks, ``planes`` adjacent planes.

    Parameters
    ----------
    pair
        Arrays end in (y, x), all of the same y and x, at least ``size`` each.
    rng
        Draws position, rotation, flip, and all other changes; the same generator state gives the same crop.
    size
        Side of the crop, px.
    planes
        Number of planes to keep of a pair of stacks (c, z, y, x); all if None.
    how
        What else changes; the zoom changes input, target and truth, all else the input only.

    Raises
    ------
    InputInvalid
        The image is smaller than the crop.
    """
    height, width = pair.input.shape[-2:]
    if min(height, width) < size:
        raise InputInvalid(f"an image of {height}x{width} px is smaller than the crop of {size} px: leave it out, or choose smaller crops.")
    zoom = float(np.exp(rng.uniform(*np.log(how.zoom)))) if how.zoom != (1.0, 1.0) and rng.random() < how.share else 1.0
    side = size if zoom == 1.0 else min(max(round(size / zoom), 1), height, width)
    top, left = (int(rng.integers(extent - side + 1)) for extent in (height, width))
    turns, is_mirrored = int(rng.integers(4)), bool(rng.integers(2))
    first = int(rng.integers(pair.input.shape[-3] - planes + 1)) if planes else 0

    def same(array: Array, order: int = 1) -> NDArray[np.generic]:
        kept = array[..., first : first + planes, :, :] if planes else array
        crop = np.rot90(kept[..., top : top + side, left : left + side], turns, axes=(-2, -1))
        crop = crop if side == size else _resized(crop, size, order)
        return np.ascontiguousarray(crop[..., ::-1] if is_mirrored else crop)

    image = same(pair.input)
    if replace(how, zoom=PLAIN.zoom, share=PLAIN.share) != PLAIN:
        image = degraded(image.astype(np.float32), rng, how)
    truth = None if pair.truth is None else same(pair.truth, 0)
    return Pair(input=image, target=same(pair.target), pixel_size_um=pair.pixel_size_um * side / size, truth=truth)


def _resized(array: Array, size: int, order: int) -> Array:
    """An array (..., y, x) with ``size`` px along y and x; linear (order 1) or the nearest pixel (0); the same type."""
    from skimage.transform import resize

    shape = (*array.shape[:-2], size, size)
    is_smoothed = order > 0 and array.shape[-1] > size
    return np.asarray(resize(array, shape, order=order, mode="edge", preserve_range=True, anti_aliasing=is_smoothed)).astype(array.dtype)


def placed(image: Array, rng: np.random.Generator, *, scale: float = 0.15, shift: float = 0.08) -> NDArray[np.float32]:
    """An image of a cell, rotated, flipped, and in half of the cases also scaled and shifted.

    Quarter turns and flips keep every pixel's value; half of the images get nothing else, so that a network also sees noise that no
    interpolation has smoothed. The others are rotated by any angle with bilinear interpolation; pixels beyond the edge are mirrored.

    Parameters
    ----------
    image
        (c, y, x), any dtype.
    rng
        The same generator state gives the same image.
    scale
        Largest change of size: the factor lies between 1 - scale and 1 / (1 - scale).
    shift
        Largest shift, as a share of the image's side.

    Returns
    -------
    (c, y, x) float32
        Same size as the input. An image that is not square is rotated by half turns only.
    """
    is_square = image.shape[1] == image.shape[2]
    turns, is_mirrored, is_free = int(rng.integers(4)), bool(rng.integers(2)), bool(rng.integers(2))
    varied = np.rot90(image, turns if is_square else 2 * (turns // 2), axes=(1, 2))[..., :: -1 if is_mirrored else 1].astype(np.float32)
    if is_free:
        angle, zoom = rng.uniform(0, 2 * np.pi), (1 - scale) ** rng.uniform(-1, 1)
        sides = np.array(varied.shape[1:])
        matrix = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = (sides - 1) / 2
        offset = centre - matrix @ (centre + rng.uniform(-shift, shift, 2) * sides)
        varied = np.stack([scipy.ndimage.affine_transform(plane, matrix, offset, order=1, mode="mirror") for plane in varied])
    return np.ascontiguousarray(varied)


def degraded(image: NDArray[np.float32], rng: np.random.Generator, how: Augmentation) -> NDArray[np.float32]:
    """A raw image as a worse microscope would take it: out of focus, lit unevenly, noisy, its grey values bent; ``zoom`` does not count.

    Parameters
    ----------
    image
        (c, y, x) or (c, z, y, x) raw pixels; noise and grey values are those of each channel by itself.
    rng
        The same generator state gives the same image.
    how
        The largest changes, and the share of images that each of them changes.

    Returns
    -------
    ndarray
        The input's shape, float32.
    """
    within = tuple(range(1, image.ndim))
    is_blurred, is_lit, is_noisy = rng.random(3) < how.share
    if is_blurred:
        sigma = rng.uniform(0, how.blur_px)
        image = scipy.ndimage.gaussian_filter(image, (*[0] * (image.ndim - 2), sigma, sigma))
    if is_lit:
        y, x = np.meshgrid(*(np.linspace(-1, 1, extent) for extent in image.shape[-2:]), indexing="ij")
        turn, dark = rng.uniform(0, 2 * np.pi), np.percentile(image, 1, axis=within, keepdims=True)
        image = dark + (image - dark) * (1 + rng.uniform(0, how.light) * (y * np.sin(turn) + x * np.cos(turn)) / np.sqrt(2))
    if is_noisy:
        low, high = np.percentile(image, (1, 99.5), axis=within, keepdims=True)
        image = image + rng.uniform(0, how.noise) * (high - low) * rng.standard_normal(image.shape)
    if how.gamma and rng.random() < how.share:
        low, high = np.percentile(image, (1, 99.5), axis=within, keepdims=True)
        shares = (image - low) / np.maximum(high - low, 1e-9)
        image = low + np.sign(shares) * np.abs(shares) ** np.exp(rng.uniform(-how.gamma, how.gamma)) * (high - low)
    return np.ascontiguousarray(image, dtype=np.float32)


def jittered(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A normalised image (1, y, x) float32 under other light and another camera: gain, gamma, offset, blur, lamp, background, noise.

    Each of them in some of the images only, so that a network also sees images as they are.
    """
    import torch

    def field() -> torch.Tensor:
        """A plane that varies slowly, between about -1 and 1; (1, y, x)."""
        coarse = torch.as_tensor(rng.uniform(-1, 1, (1, 1, 3, 3)).astype(np.float32))
        return torch.nn.functional.interpolate(coarse, image.shape[1:], mode="bicubic", align_corners=True)[0]

    if rng.random() < 0.3:
        blurred = scipy.ndimage.gaussian_filter(image[0].numpy(), rng.uniform(0.4, 1.8))
        image = torch.as_tensor(blurred)[None]
    if rng.random() < 0.4:
        image = image.sign() * image.abs() ** float(np.exp(rng.uniform(-0.5, 0.5)))
    if rng.random() < 0.3:
        image = image * (1 + float(rng.uniform(0, 0.7)) * field()).clamp(min=0.1)
    if rng.random() < 0.3:
        image = image + float(rng.uniform(0, 0.4)) * field()
    if rng.random() < 0.5:
        image = image * float(np.exp(rng.uniform(-0.7, 0.5))) + float(rng.uniform(-0.08, 0.08))
    if rng.random() < 0.35:
        photons = float(np.exp(rng.uniform(np.log(8), np.log(300))))
        deviation = ((image.clamp(min=0) + 0.1) / photons).sqrt()
        image = image + deviation * torch.as_tensor(rng.standard_normal(image.shape, dtype=np.float32))
    return image
