"""Neurons that fire at several depths, recorded at one plane: how well their traces come back from the refocused stack.

frames (t, c, y, x) of the recorded plane or planes -- stack of every frame --> brightness of each neuron in its plane, over time
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from zooready.evaluation.contract import digits
from zooready.evaluation.refocusing import BACKGROUND, FIELD_PX, FOCUS, SEED, UM, Refocus, Setting
from zooready.families import deepz
from zooready.records import Array
from zooready.simulate import thick
from zooready.simulate.camera import Camera

Float = NDArray[np.float64]
RECORDINGS, FRAMES, NEURONS = 3, 24, 12
RADIUS_UM = (1.2, 2.5)  # of a cell body
PHOTONS = 300.0  # of the brightest voxel of a recording
RATE, DECAY = 0.12, 5.0  # events per frame, and frames in which the dye dims by 1/e
DEPTHS_UM = ((0.0, 1.5), (1.5, 3.0), (3.0, 5.5))


def traces(rng: np.random.Generator) -> Float:
    """Brightness of each neuron over time, (neurons, frames): rest, and events that fade, as those of a calcium dye."""
    events = (rng.random((NEURONS, FRAMES)) < RATE) * rng.uniform(0.5, 1.5, (NEURONS, FRAMES))
    events[:, 0] += rng.random(NEURONS)
    return np.asarray(0.3 + signal.lfilter([1.0], [1.0, -np.exp(-1 / DECAY)], events, axis=1))


def recording(setting: Setting, rng: np.random.Generator) -> tuple[Array, Float, list[tuple[int, int, int]]]:
    """Frames (t, c, y, x) in counts of round neurons at random places; their traces, and where they are: (plane, y, x)."""
    active, at, lights = traces(rng), [], []
    side = FIELD_PX * deepz.BINNING
    fine_um = deepz.PIXEL_UM / deepz.BINNING
    for _ in range(NEURONS):
        plane, (y, x) = int(rng.integers(len(FOCUS))), rng.integers(10, FIELD_PX - 10, 2)
        volume = np.zeros((len(FOCUS), side, side))
        radius = rng.uniform(*RADIUS_UM) / fine_um
        middle = np.array((plane, (y + 0.5) * deepz.BINNING, (x + 0.5) * deepz.BINNING))
        thick.globe(volume, middle, np.full(3, radius), radius, 1.0, deepz.Z_STEP_UM / fine_um)
        lights.append(deepz.light(volume, np.array(setting.recorded), setting.nominal))
        at.append((plane, int(y), int(x)))
    frames = np.einsum("nt,ncyx->tcyx", active, np.stack(lights))
    camera = Camera()
    return camera.exposed(frames / frames.max() * PHOTONS + BACKGROUND, rng), active, at


def correlations(setting: Setting, refocus: Refocus, index: int) -> Iterator[tuple[float, float, float]]:
    """Of each neuron of a recording: its height in um, and the correlation of its trace with that in the image itself and in the stack."""
    frames, active, at = recording(setting, np.random.default_rng((SEED, index, 2)))
    stacks = np.stack([refocus(frame) for frame in frames])  # (t, z, y, x)
    for (plane, y, x), trace in zip(at, active, strict=True):
        box = (slice(None), slice(y - 1, y + 2), slice(x - 1, x + 2))
        seen = frames[:, 0 if UM[plane] < 0 else -1]
        raw, refocused = (brightness[box].mean((1, 2)) for brightness in (seen, stacks[:, plane]))
        yield abs(float(UM[plane])), correlation(raw, trace), correlation(refocused, trace)


def correlation(first: Array, second: Array) -> float:
    """Pearson's, 0 for a trace that does not change."""
    if not (np.ptp(first) and np.ptp(second)):
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def by_depth(setting: Setting, refocus: Refocus) -> list[dict[str, Any]]:
    """Median correlation by the neurons' distance from the middle; two rows."""
    rows = [row for index in range(RECORDINGS) for row in correlations(setting, refocus, index)]
    lines = []
    for number, title in ((1, "input itself"), (2, "network")):
        of_depth = {
            f"{low:g} to {high:g} um": digits(np.median([row[number] for row in rows if low <= row[0] < high]), 3)
            for low, high in DEPTHS_UM
        }
        lines.append({"method": title, **of_depth})
    return lines


def words(setting: Setting) -> str:
    """On what it was measured."""
    return (
        f"{RECORDINGS} recordings of {NEURONS} round cell bodies of {RADIUS_UM[0]:g} to {RADIUS_UM[1]:g} um radius, {FRAMES} frames, "
        f"{PHOTONS:g} photons, {setting.nominal:g} waves of aberration; every frame becomes a stack; brightness is the mean of 3 x 3 px in "
        "the plane of the neuron, whose place is known, and in the recorded image at the same place; median of the correlation over time"
    )
