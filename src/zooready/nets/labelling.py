"""Object labels from probabilities, computed inside the network with operations that every engine supports.

    core = foreground near an object's middle  ->  one number per connected core  ->  the foreground climbs to its core

Connected cores are labelled with pointers. Each core pixel stores a pointer to the largest pixel index known in its part: 3×3 maxima
spread indices to neighbours, and following pointers (``gather``) spreads them over long distances. The pixel that points to itself is
the root of its core, and roots are numbered. Indices are int32, because float32 counts pixels exactly only up to 4096 × 4096, and int64
takes ONNX Runtime twice as long; where others are looked up by them they must be int64. The 3×3 maxima are written out, because ONNX has
no max-pooling of integers, and because this is four times as fast as ``max_pool2d`` on a CPU.
"""

import torch
from torch import nn


def highest_around(values: torch.Tensor) -> torch.Tensor:
    """Largest of the 3×3 values around each pixel; (b, 1, y, x), not negative, of any dtype; 0 beyond the border."""
    wide = nn.functional.pad(values, (1, 1, 1, 1))
    rows = torch.maximum(torch.maximum(wide[:, :, :, :-2], wide[:, :, :, 2:]), wide[:, :, :, 1:-1])  # (b, 1, y + 2, x)
    return torch.maximum(torch.maximum(rows[:, :, :-2], rows[:, :, 2:]), rows[:, :, 1:-1])


def counted(mask: torch.Tensor) -> torch.Tensor:
    """1, 2, 3, … for the pixels of each image, int32; (b, y·x) bool, of which the values do not matter."""
    return (mask | ~mask).to(torch.int32).cumsum(1, dtype=torch.int32)


def looked_up(values: torch.Tensor, pointer: torch.Tensor) -> torch.Tensor:
    """The value of the pixel that each pixel points to, counted from 1, and 0 where the pointer is 0; (b, y·x) and (b, 1, y, x) int32."""
    found = torch.gather(nn.functional.pad(values, (1, 0)), 1, pointer.flatten(1).to(torch.int64))
    return found.reshape(pointer.shape)


class Instances(nn.Module):
    """(b, 2, y, x) foreground and distance -> the same, and labels (b, 1, y, x) float32: 0 background, 1…n in each image.

    Parameters
    ----------
    foreground
        Probability above which a pixel belongs to some object.
    core
        Height (mean of 3×3 distances, 0 at an outline, 1 in the middle) above which a foreground pixel belongs to an object's core.
    rounds
        Number of rounds, each of two 3×3 maxima and one step along the pointers. Twelve join any core whose shape is not very winding;
        an arm that is not reached becomes a separate object, never part of another one.
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
        seeds = self.numbered(height > self.core)
        labels = self.grown(self.climbed(seeds, foreground, height), foreground)
        return probabilities, self.without_small(labels)

    def around(self, values: torch.Tensor) -> torch.Tensor:
        """:func:`highest_around`, for the axes that the objects have."""
        return highest_around(values)

    def heights(self, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 2, y, x) -> where the foreground is, bool, and its height, float32, 0 outside; (b, 1, y, x) each."""
        foreground = probabilities[:, 0:1] > self.foreground
        return foreground, nn.functional.avg_pool2d(probabilities[:, 1:2], 3, stride=1, padding=1) * foreground.to(torch.float32)

    def numbered(self, core: torch.Tensor) -> torch.Tensor:
        """(b, 1, y, x) bool -> float32: 0 outside, and 1…n, one number per 8-connected part, in the order of their last pixels."""
        flat = core.flatten(1)
        index = counted(flat)  # (b, y·x): 1, 2, 3, …
        inside = core.to(torch.int32)
        pointer = index.reshape(core.shape) * inside  # 0 outside
        for _ in range(self.rounds):
            for _ in range(2):
                pointer = self.around(pointer) * inside
            pointer = looked_up(pointer.flatten(1), pointer)
        for _ in range(3):
            pointer = looked_up(pointer.flatten(1), pointer)
        is_root = (flat & (pointer.flatten(1) == index)).to(torch.int32)
        number = is_root.cumsum(1, dtype=torch.int32) * is_root  # a pointer that reaches no root gives 0, never another object's number
        return looked_up(number, pointer).to(torch.float32)

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
        """Height of the highest pixel of the 3×3 around each, and its index; (b, 1, y, x) float32 and int32 -> the same two.

        The neighbour is found by its height: a chain in which each step compares with the highest one so far takes the optimiser of
        Fiji's libtorch minutes.
        """
        highest, target = highest_around(height), index
        wide, wide_index = nn.functional.pad(height, (1, 1, 1, 1)), nn.functional.pad(index, (1, 1, 1, 1))
        rows, columns = height.shape[2], height.shape[3]
        for dy in range(3):
            for dx in range(3):
                if (dy, dx) != (1, 1):
                    window = (slice(None), slice(None), slice(dy, dy + rows), slice(dx, dx + columns))
                    target = torch.where(wide[window] == highest, wide_index[window], target)
        return highest, target

    def grown(self, labels: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
        """Labels (b, 1, y, x) float32 spread into the foreground; where two meet, each keeps what it reached first."""
        allowed = foreground.to(torch.float32)
        for _ in range(self.growth):
            labels = torch.where(labels > 0, labels, self.around(labels) * allowed)
        return labels

    def without_small(self, labels: torch.Tensor) -> torch.Tensor:
        """Labels (b, 1, y, x) float32 without objects of less than ``smallest`` percent of the mean area, numbered 1…n again.

        Areas are compared as whole numbers, so that every engine keeps the same objects.
        """
        flat = labels.flatten(1).to(torch.int64)
        areas = torch.zeros_like(nn.functional.pad(flat, (1, 0))).scatter_add(1, flat, (flat > 0).to(torch.int64))  # (b, 1 + y·x)
        total, squares = areas.sum(1, keepdim=True), (areas * areas).sum(1, keepdim=True)
        is_kept = ((areas > 0) & (areas * total * 100 >= squares * self.smallest)).to(torch.int64)
        number = is_kept.cumsum(1) * is_kept
        return torch.gather(number, 1, flat).reshape(labels.shape).to(torch.float32)
