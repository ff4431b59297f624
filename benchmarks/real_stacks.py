"""Deep-Z on stacks of others: planes are the image, their measured neighbours the truth. Judged only, never trained on or tuned with.

    python benchmarks/real_images.py fetch       the Python wheels that hold them, into zooready's cache, checked by their hash
    python benchmarks/real_stacks.py FAMILY      deepz-stack or deepz-pair: a table into its record; then
                                                 `zooready list --cards model_cards`

None comes from the microscope that the networks are for. Yeast mitochondria (nellie, CC-BY-4.0): pixels of 0.0655 um, binned 5 x 5 to
0.3275 um, planes 0.25 um apart. Neuron (flowdec, Apache-2) and pollen (sdeconv, BSD-3): voxel sizes are not given, and planes are taken to
be 0.5 um apart; of pollen, the blurred stack is used. On which side the objective was is not known, so the stack is also compared upside
down.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from real_images import image
from recording import put

from zooready.evaluation.refocusing import ONE, TWO, UM, Refocus, planes_psnr, refocuser
from zooready.families import FAMILIES, deepz, load_weights
from zooready.records import Array

SETTINGS = {setting.family.name: setting for setting in (ONE, TWO)}
TITLE = "stacks of others, PSNR in dB"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A measured stack: where it is, planes in 0.5 um, the planes that are taken as middles, and how far from them truth reaches, um."""

    wheel: str
    file: str
    per_step: int
    middles: tuple[int, ...]
    reach_um: float
    binning: int = 1
    times: tuple[int, ...] = ()


STACKS = {
    "yeast mitochondria": Measured(
        wheel="nellie-1.0.4-py3-none-any.whl", file="sample_data/yeast_3d_mitochondria.ome.tif", per_step=2, middles=(8,), reach_um=2.0,
        binning=5, times=(0, 9, 19, 29),
    ),
    "neuron": Measured(
        wheel="flowdec-1.1.0-py3-none-any.whl", file="flowdec/datasets/neuron-25pct/data.tif", per_step=1, middles=(15, 20, 25, 30, 35),
        reach_um=5.0,
    ),
    "pollen": Measured(
        wheel="sdeconv-1.0.4-py3-none-any.whl", file="sdeconv/data/pollen_poisson_noise_blurred.tif", per_step=1, middles=(10, 14, 17, 21),
        reach_um=5.0,
    ),
}  # fmt: skip
WORDS = (
    "stacks of other microscopes, never trained on (benchmarks/real_stacks.py): recorded planes are the image, their neighbours in the "
    "stack the truth, noise and all. Yeast mitochondria: nellie 1.0.4, binned to 0.3275 um, four times, up to 2 um away. Neuron: flowdec "
    "1.1.0; pollen: sdeconv 1.0.4, blurred; both of unknown voxels, taken as 0.325 um and 0.5 um, up to 5 um away. The side of the "
    "objective is unknown: 'upside down' is the same stack reversed. Planes of the image itself are left out"
)


def series(stack: Measured) -> list[Array]:
    """Series (n, y, x) with n the planes of the network that were measured, middle one in the middle."""
    data = image(stack.wheel, stack.file)
    most = round(stack.reach_um / deepz.Z_STEP_UM)
    steps = stack.per_step * np.arange(-most, most + 1)
    volumes = [data[time] for time in stack.times] if stack.times else [data]
    return [binned(volume[middle + steps], stack.binning) for volume in volumes for middle in stack.middles]


def binned(planes: Array, binning: int) -> Array:
    """(n, y, x) with the mean of `binning` x `binning` pixels in place of each; what is left over at the edges is cut."""
    count, high, wide = planes.shape
    high, wide = high // binning, wide // binning
    cut = planes[:, : high * binning, : wide * binning].astype(np.float64)
    return np.asarray(cut.reshape(count, high, binning, wide, binning).mean((2, 4)))


def scores(refocus: Refocus, recorded: tuple[int, ...], truth: Array) -> Array:
    """PSNR of the planes that are not the image: (3, planes), of the nearest recorded plane, of the stack, and of the stack upside down."""
    half = len(truth) // 2
    shown = slice(len(UM) // 2 - half, len(UM) // 2 + half + 1)
    at = [plane - shown.start for plane in recorded]
    stacked = refocus(truth[at])[shown]
    turned = refocus(truth[at[::-1]])[shown][::-1]
    nearest = truth[[at[0] if um < 0 else at[-1] for um in UM[shown]]]
    others = [plane for plane in range(len(truth)) if plane not in at]
    return np.stack([planes_psnr(each[others], truth[others]) for each in (nearest, stacked, turned)])


def measure(name: str) -> list[dict[str, Any]]:
    """One row a stack."""
    setting = SETTINGS[name]
    refocus = refocuser(FAMILIES[name], load_weights(name))
    rows: list[dict[str, Any]] = []
    for title, stack in STACKS.items():
        found = np.concatenate([scores(refocus, setting.recorded, truth) for truth in series(stack)], axis=1)
        means = [round(float(value), 2) for value in found.mean(1)]
        below = round(100 * float(np.mean(found[1] < found[0])), 1)
        columns = ("input itself, dB", "network, dB", "network upside down, dB")
        rows.append({"method": title, **dict(zip(columns, means, strict=True)), "planes below the input, %": below})
    return rows


def main() -> None:
    """Parse, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=SETTINGS)
    name = parser.parse_args().family
    torch.set_num_threads(1)
    put(name, {TITLE: measure(name)}, {TITLE: WORDS})


if __name__ == "__main__":
    main()
