"""What the cards of all Deep-Z families share: simulated series with truth, the network as a function, beads, and words.

A series is what the microscope sees at 21 focal planes, 0.5 um apart, of one specimen; the middle plane, or two near it, with noise, are
the image, and the network makes the others out of it. :mod:`zooready.evaluation.stacks` and :mod:`zooready.evaluation.deepz` measure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from zooready.evaluation.contract import Weights, digits
from zooready.families import deepz, deepz_pair, deepz_stack
from zooready.images.similarity import psnr, ssim
from zooready.nets.wrapping import FijiSafe
from zooready.records import Array, Family
from zooready.simulate import thick, volumes
from zooready.simulate.camera import Camera
from zooready.simulate.specimens import Specimen
from zooready.simulate.unseen import NEW_VOLUMES, UNSEEN, UNSEEN_VOLUMES

Float = NDArray[np.float64]
Refocus = Callable[[Array], Array]
SEED = 4_200_001  # never used in training, whose seeds are small
FIELD_PX = 96  # side of a series that is measured
FOCUS = np.arange(-deepz.FURTHEST, deepz.FURTHEST + 1)  # planes of a series
UM = np.array(deepz_stack.PLANES_UM)
FAR = np.abs(UM) >= 2
NOMINAL = deepz.ABERRATION[1]  # waves
GROUPS: Mapping[str, tuple[thick.Thick, ...]] = {"sparse": deepz.SPARSE, "dense": deepz.DENSE, "flat": deepz.FLAT}
PHOTONS, BACKGROUND = 1000.0, 5.0  # of robustness and of beads
BEAD_PX, BEADS, HALF = 32, 4, 12  # room of a bead, beads a side of an image, and what is looked at around each, px
STILL_SHARP = 1.5  # times the width of a bead in focus
LONGEST_UM = 10.0  # of a width; a bead that is lost in noise has none


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is recorded: a family whose network makes stacks, the planes of a series that its image has, and aberrations in waves."""

    family: Family
    recorded: tuple[int, ...]
    aberrations: tuple[float, ...]
    nominal: float  # of them, for beads


ONE = Setting(family=deepz_stack.FAMILY, recorded=(len(UM) // 2,), aberrations=deepz.ABERRATION, nominal=NOMINAL)
TWO = Setting(family=deepz_pair.FAMILY, recorded=deepz_pair.RECORDED, aberrations=deepz_pair.ABERRATION, nominal=0.0)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One specimen: image (c, y, x) in counts, truth of all planes (21, y, x) in counts without noise; aberration in waves rms."""

    image: Array
    truth: Array
    kind: str
    aberration: float = NOMINAL

    @property
    def nearest(self) -> Array:
        """For each plane the image's channel that is nearest to it, (21, y, x); of two, the upper one serves those above the middle."""
        return self.image[[0 if um < 0 else -1 for um in UM]]


def thin(flat: Specimen) -> thick.Thick:
    """A flat specimen as one with depth: it lies in one plane, the others are empty."""

    def volume(rng: np.random.Generator, shape: volumes.Shape, aspect: float) -> Float:
        light = np.zeros(shape)
        light[int(rng.integers(shape[0]))] = flat(rng, shape[1])
        return light

    volume.__name__ = flat.__name__
    return volume


SEEN_KINDS: tuple[thick.Thick, ...] = (*UNSEEN_VOLUMES, *map(thin, UNSEEN))  # looked at while the networks were developed
NEW_KINDS: tuple[thick.Thick, ...] = NEW_VOLUMES  # of which no result was looked at before the weights were judged
THICK_KINDS = (*deepz.DENSE, *UNSEEN_VOLUMES, *NEW_VOLUMES)


def series(
    setting: Setting,
    kinds: Sequence[thick.Thick],
    seed: int,
    count: int,
    aberration: float | None = None,
    photons: float | None = None,
) -> list[Series]:
    """Simulated series, each kind of specimen in turn; aberration and light as in training, unless they are given."""
    choices = setting.aberrations if aberration is None else (aberration,)
    return [one(kinds[index % len(kinds)], setting.recorded, choices, seed, index, photons) for index in range(count)]


@lru_cache(maxsize=64)
def one(
    kind: thick.Thick, recorded: tuple[int, ...], aberrations: tuple[float, ...], seed: int, index: int, photons: float | None
) -> Series:
    """One simulated series, with one of the aberrations; see :func:`series`."""
    rng = np.random.default_rng((seed, index))
    waves = float(rng.choice(aberrations)) if len(aberrations) > 1 else aberrations[0]
    planes = deepz.focused(rng, kind, FIELD_PX, FOCUS, waves, is_thick=kind in THICK_KINDS)
    camera, light, background = deepz.exposure(rng)
    field = exposed(rng, planes, camera, photons or light, background, kind.__name__, recorded)
    return replace(field, aberration=waves)


def exposed(
    rng: np.random.Generator,
    planes: Array,
    camera: Camera,
    photons: float,
    background: float,
    kind: str,
    recorded: tuple[int, ...] = ONE.recorded,
) -> Series:
    """Planes of light, brightest pixel 1, as a series: those recorded with noise, all of them without."""
    image = camera.exposed(planes[list(recorded)] * photons + background, rng)
    return Series(image=image, truth=camera.expected(planes * photons + background), kind=kind)


def refocuser(family: Family, weights: Weights) -> Refocus:
    """Weights as a function: counts (c, y, x) in, what the family's bundle makes of them out, without the first axis."""
    import torch

    parts = family.network
    network = parts.architecture.build().eval()
    network.load_state_dict(weights)
    stride = 2 ** len(deepz.DESIGN["widths"])
    normal, head = (part.build() if part else None for part in (parts.normalization, parts.head))
    model = FijiSafe(network, normal, head, stride=stride, minimum=stride, restores=parts.restores).eval()

    def refocused(image: Array) -> Array:
        with torch.no_grad():
            output: Array = model(torch.from_numpy(image.astype(np.float32))[None])[0, 0].numpy()
        return output

    return refocused


def planes_psnr(stack: Array, truth: Array) -> Float:
    """PSNR in dB of each plane of a stack, each after one fit."""
    return np.array([psnr(plane, true) for plane, true in zip(stack, truth, strict=True)])


def compared(fields: Iterable[Series], refocus: Refocus) -> list[dict[str, Any]]:
    """Of each series: its kind, and PSNR and SSIM by plane of the image itself and of the network's stack."""
    rows = []
    for field in fields:
        same, stack = field.nearest, refocus(field.image)
        middles = [len(UM) // 2 + step for step in (-6, 6)]
        rows.append(
            {
                "kind": field.kind,
                "input": planes_psnr(same, field.truth),
                "network": planes_psnr(stack, field.truth),
                "ssim_input": np.mean([ssim(same[plane], field.truth[plane]) for plane in middles]),
                "ssim": np.mean([ssim(stack[plane], field.truth[plane]) for plane in middles]),
            }
        )
    return rows


def bead_image(
    rng: np.random.Generator, aberration: float, recorded: tuple[int, ...] = ONE.recorded
) -> tuple[Series, list[tuple[int, int, int]]]:
    """Small beads on a loose grid, each at a random height: the series, and (plane, y, x) of each bead, px."""
    side = BEAD_PX * BEADS
    volume = np.zeros((len(FOCUS), side * deepz.BINNING, side * deepz.BINNING))
    at = []
    for row in range(BEADS):
        for column in range(BEADS):
            plane, y, x = int(rng.integers(len(FOCUS))), *((place + 0.5) * BEAD_PX + rng.integers(-3, 4) for place in (row, column))
            volume[plane, int(y * deepz.BINNING), int(x * deepz.BINNING)] = 1.0
            at.append((plane, int(y), int(x)))
    volume = ndimage.gaussian_filter(volume, (0, 1.0, 1.0))
    planes = deepz.recorded(volume, np.arange(len(FOCUS)), aberration)
    return exposed(rng, planes, Camera(), PHOTONS, BACKGROUND, "beads", recorded), at


def bead_scores(stack: Array, field: Series, at: Sequence[tuple[int, int, int]]) -> list[dict[str, float]]:
    """Of each bead: its height, the height at which the stack shows it brightest, and its width there, in the image and in the truth."""
    scores = []
    for plane, y, x in at:
        box = (slice(y - HALF, y + HALF), slice(x - HALF, x + HALF))
        middle = (slice(y - 2, y + 3), slice(x - 2, x + 3))
        found = int(stack[(slice(None), *middle)].max((1, 2)).argmax())
        pictures = (("network", stack[plane]), ("input", field.nearest[plane]), ("truth", field.truth[plane]))
        widths = {name: width_um(picture[box]) for name, picture in pictures}
        scores.append({"height": float(UM[plane]), "found": float(UM[found]), **widths})
    return scores


def width_um(image: Array) -> float:
    """Full width at half maximum of the bead in the middle of an image, micrometres: that of a disc as large as what is above it."""
    fine = ndimage.zoom(image.astype(np.float64), 4, order=3)
    high, wide = fine.shape
    floor = float(np.median(np.concatenate((fine[:4].ravel(), fine[-4:].ravel(), fine[:, :4].ravel(), fine[:, -4:].ravel()))))
    near = fine[high // 2 - 10 : high // 2 + 11, wide // 2 - 10 : wide // 2 + 11]
    parts, _ = ndimage.label(fine > (floor + near.max()) / 2)
    y, x = np.unravel_index(int(near.argmax()), near.shape)
    part = parts[high // 2 - 10 + y, wide // 2 - 10 + x]
    area = float((parts == part).sum()) if part else np.inf
    return min(float(2 * np.sqrt(area / np.pi) * deepz.PIXEL_UM / 4), LONGEST_UM)


def sign_and_error(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Share of beads more than 1 um away on whose side the stack is wrong, per cent, and the median axial error, um."""
    far = [score for score in scores if abs(score["height"]) > 1]
    wrong = np.mean([score["height"] * score["found"] <= 0 for score in far])
    return {
        "wrong side, %": digits(100 * wrong, 1),
        "median axial error, um": digits(np.median([abs(score["height"] - score["found"]) for score in scores]), 2),
    }


def depth_of_field_um(scores: Sequence[Mapping[str, float]], key: str) -> float:
    """Heights around the focus, without a gap, at which the median width of beads stays within 1.5 times that in focus; um."""
    sharp = STILL_SHARP * np.median([score["truth"] for score in scores])
    widths = {um: [score[key] for score in scores if abs(score["height"] - um) < deepz.Z_STEP_UM / 2] for um in UM}
    good = [bool(widths[um]) and np.median(widths[um]) <= sharp for um in UM]
    parts, _ = ndimage.label(good)
    return float(deepz.Z_STEP_UM * max(np.bincount(parts)[1:], default=0))


UNSUITED = (
    "Measuring intensities, and looking for objects that are not in the image: what lies far from the focus is guessed from the image's "
    "own blur and from the specimens of the training.",
    "Microscopes without aberration: above and below the focus then look alike, and the side is a guess (table of aberrations). "
    "Microscopes whose aberration has the other sign: the stack comes out upside down.",
    "Large, hollow bodies that lie flat in one plane: far from the focus its result is often worse than the image itself (table of kinds, "
    "shells).",
    "Confocal, light-sheet or bright-field images, and other objectives: their blur is different.",
    "Diagnosis.",
)
LIMITS = (
    f"Point spread function: wide-field, NA 0.75, emission 600 nm, index 1.33, {deepz.ABERRATION[0]:g} to {deepz.ABERRATION[-1]:g} "
    "waves rms of primary spherical aberration of one sign.",
    f"Light: the brightest voxel of a series has {deepz.PHOTONS[0]:g} to {deepz.PHOTONS[1]:g} photons above a background of 1 to 20, read "
    "noise 0.8 to 2 electrons.",
    "Sign test for your microscope: record a small bead 3 um above and 3 um below the focus. If the two look alike, the side cannot "
    "be told; if the stack shows the bead on the wrong side, reverse the stack.",
    "It can invent structures: details that the image does not hold are guesses based on its training images.",
    "The method is patented (US 11,946,854, the paper's authors). Nothing of their code or weights was used: the published generator was "
    "written from its description, and this smaller network, its training and its simulation are our own.",
)
DATA = (
    "simulated beads, neurites, threads, puncta, balls, tubes, nets, sheets, clouds, round bodies (solid, hollow, pressed flat) and flat "
    "specimens in space "
    f"({deepz.SIZE} x {deepz.SIZE} px of {deepz.PIXEL_UM:g} um, planes {deepz.Z_STEP_UM:g} um apart, the camera's pixels binned "
    f"{deepz.BINNING} x {deepz.BINNING} from finer ones); distances uniform from {UM[0]:g} to {UM[-1]:g} um in steps of "
    f"{deepz.Z_STEP_UM:g} um, one for a whole image; no real images were used"
)
