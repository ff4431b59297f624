"""Your own network becomes a bundle: a module, one typical image, and the facts that nobody can measure.

    python export_my_network.py FOLDER

leaves FOLDER/image.tif, a simulated image of spots, and FOLDER/spots.zip. The network here needs no training: it subtracts a wide
blur from a narrow one. Put your own trained module in its place.
"""

# ruff: noqa: T201  scripts print

import sys
from pathlib import Path

import numpy as np
import tifffile
import torch
from torch import nn

import zooready

PIXEL_SIZE_UM = 0.1


class Spots(nn.Module):
    """Narrow blur minus wide blur, through a sigmoid: (b, 1, y, x) -> (b, 1, y, x), 0..1, near 1 on bright spots."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(1, 1, 15, padding=7, bias=False)
        self.wide = nn.Conv2d(1, 1, 15, padding=7, bias=False)
        for layer, sigma_px in ((self.narrow, 1.5), (self.wide, 4.0)):
            line = torch.exp(-(torch.arange(-7.0, 8.0) ** 2) / (2 * sigma_px**2))
            kernel = line[:, None] * line[None, :]
            layer.weight = nn.Parameter((kernel / kernel.sum())[None, None])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(4 * (self.narrow(image) - self.wide(image)) - 2)


def make_image(seed: int = 0, size: int = 128, spots: int = 40) -> np.ndarray:
    """Spots of 2 px radius on a noisy background: (y, x) uint16, camera counts."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    light = np.full((size, size), 100.0)
    for row, column in rng.uniform(0, size, (spots, 2)):
        light += 400 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 2.0**2))
    return rng.poisson(light).astype(np.uint16)


def main(folder: Path) -> Path:
    """Write the image and the bundle; returns the bundle's path."""
    calibration = {"resolution": (1 / PIXEL_SIZE_UM, 1 / PIXEL_SIZE_UM), "metadata": {"unit": "um"}}
    tifffile.imwrite(folder / "image.tif", make_image(), imagej=True, **calibration)
    about = zooready.About(
        name="Spots by two blurs",
        description="Finds bright spots of about 2 px radius.",
        authors=({"name": "Ada Example"},),
        license="CC-BY-4.0",
        pixel_size_um=(0.08, 0.12),
    )
    chances = zooready.TensorSpec(name="probabilities", axes="bcyx", channels=("spot",), description="Chance of a spot, 0..1.")
    bundle = zooready.export(
        Spots(),
        folder / "image.tif",
        about,
        folder / "spots.zip",
        normalization="mean-std",  # from camera counts to what the network was trained on; it becomes part of the bundle
        outputs=(chances,),
        torchscript="plain",  # leave this out, and three variants are written and timed
    )
    print(f"{bundle.path.name} holds {', '.join(bundle.formats)}")
    for format, reason in bundle.unavailable.items():
        print(f"no {format}: {reason}")
    return bundle.path


if __name__ == "__main__":
    main(Path(sys.argv[1]))
