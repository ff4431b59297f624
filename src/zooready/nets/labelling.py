"""Object labels from probabilities, computed inside the network with operations that every engine supports.

    core = foreground near an object's middle  ->  one number per connected core  ->  the foreground climbs to its core

Connected cores are numbered by :mod:`zooready.nets.components`. Choices are written as products of whole numbers where ``where`` would be
several times as slow in ONNX Runtime.
"""

from itertools import product
from typing import Any

import torch
from torch import nn

from zooready.nets.components import counted, highest_around, largest, numbered


def halved(labels: torch.Tensor) -> torch.Tensor:
    """Every second pixel of every axis, (b, n): as many as there can be parts of a mask that do not touch."""
    seconds: tuple[Any, ...] = (..., *[slice(None, None, 2)] * (labels.dim() - 2))
    return labels[seconds].flatten(1)


class Instances(nn.Module):
    """(b, 2, y, x) foreground and distance -> the same, and labels (b, 1, y, x) float32: 0 background, 1…n in each image.

    Parameters
    ----------
    foreground
        Probability above which a pixel belongs to some object.
    core
        Height (mean of 3×3 distances, 0 at an outline, 1 in the middle) above which a foreground pixel belongs to an object's core.
    rounds
        Number of rounds in which cores are joined; twelve suffice for any that is not very winding.
    doublings
        Foreground climbs to its core: each pixel points to its highest neighbour, and following the pointers so many times leads up to
        2 ** doublings pixels away, whatever the object's size.
    growth
        Number of steps in which objects then grow by one pixel into foreground whose way ended on a hill without a core.
        Foreground that is farther from every object becomes background.
    smallest
        Percent of the mean area below which an object becomes background, as micronuclei and debris beside nuclei; 0 keeps all. The mean
        is weighted by area: it is the area of the object in which an average foreground pixel lies.
    """

    def __init__(
        self, foreground: float = 0.5, core: float = 0.5, rounds: int = 12, doublings: int = 8, growth: int = 8, smallest: int = 0
    ) -> None:
        super().__init__()
        self.foreground, self.core, self.smallest = foreground, core, smallest
        self.rounds, self.doublings, self.growth = rounds, doublings, growth

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        names = ("foreground", "core", "rounds", "doublings", "growth", "smallest")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)

    def forward(self, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        foreground, height = self.heights(probabilities)
        seeds = numbered(height > self.core, self.rounds)
        labels = self.grown(self.climbed(seeds, foreground, height), foreground)
        return probabilities, self.without_small(labels, halved(labels))

    def heights(self, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 2, …) -> where the foreground is, bool, and its height, float32, 0 outside; (b, 1, …) each."""
        foreground = probabilities[:, 0:1] > self.foreground
        return foreground, nn.functional.relu(self.means(probabilities[:, 1:2])) * foreground.to(torch.float32)

    def means(self, distance: torch.Tensor) -> torch.Tensor:
        """Mean of the 3×3 pixels around each, 0 beyond the border; (b, 1, y, x) float32."""
        return nn.functional.avg_pool2d(distance, 3, stride=1, padding=1)

    def climbed(self, seeds: torch.Tensor, foreground: torch.Tensor, height: torch.Tensor) -> torch.Tensor:
        """Each foreground pixel gets the number of the core that is reached by going to the highest neighbour again and again.

        (b, 1, y, x) float32 numbers, bool, float32 -> float32; 0 where the way ends on a hill without a core, or is longer than
        2 ** ``doublings`` pixels.
        """
        index = counted(foreground.flatten(1)).reshape(foreground.shape) - 1
        highest, target = self.uphill(height, index)
        target = torch.where((height == highest) | (seeds > 0), index, target).flatten(1).to(torch.int64)
        for _ in range(self.doublings):
            target = torch.gather(target, 1, target)
        reached = torch.gather(seeds.flatten(1), 1, target).reshape(seeds.shape)
        return reached * foreground.to(torch.float32)

    def uphill(self, height: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Height of the highest pixel of the 3×3 around each, and the index of the last neighbour that is as high; 0 if none is.

        (b, 1, y, x) float32 and int32 -> the same two. The neighbour is found by its height: a chain in which each step compares with the
        highest one so far takes the optimiser of Fiji's libtorch minutes.
        """
        highest = highest_around(height)
        wide, wide_index = nn.functional.pad(height, (1, 1, 1, 1)), nn.functional.pad(index, (1, 1, 1, 1))
        rows, columns = height.shape[2], height.shape[3]
        windows = [
            (slice(None), slice(None), slice(dy, dy + rows), slice(dx, dx + columns))
            for dy, dx in product(range(3), repeat=2)
            if (dy, dx) != (1, 1)
        ]
        return highest, largest([(wide[window] == highest).to(torch.int32) * wide_index[window] for window in windows])

    def grown(self, labels: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
        """Labels (b, 1, y, x) float32 spread into the foreground; where two meet, each keeps what it reached first."""
        allowed = foreground.to(torch.float32)
        for _ in range(self.growth):
            labels = labels + highest_around(labels) * nn.functional.relu(allowed - labels)  # numbers are 1 and more, allowed is 0 or 1
        return labels

    def without_small(self, labels: torch.Tensor, room: torch.Tensor) -> torch.Tensor:
        """Labels (b, 1, y, x) float32 without objects of less than ``smallest`` percent of the mean area, numbered 1…n again.

        ``room`` is (b, n), with n not below the number of objects. Areas are compared as whole numbers, so that every engine keeps the
        same objects.
        """
        flat = labels.flatten(1).to(torch.int64)
        empty = torch.zeros_like(nn.functional.pad(room, (1, 0)), dtype=torch.int32)  # (b, 1 + n)
        areas = empty.scatter_add(1, flat, (labels.flatten(1) > 0).to(torch.int32)).to(torch.int64)
        total, squares = areas.sum(1, keepdim=True), (areas * areas).sum(1, keepdim=True)
        is_kept = ((areas > 0) & (areas * total * 100 >= squares * self.smallest)).to(torch.int64)
        number = (is_kept.cumsum(1) * is_kept).to(torch.float32)
        return torch.gather(number, 1, flat).reshape(labels.shape)
