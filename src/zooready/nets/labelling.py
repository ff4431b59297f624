"""Object labels from probabilities, computed inside the network with operations that every engine supports.

    core = foreground near an object's middle  ->  one number per connected core  ->  growth into the foreground

Connected cores are labelled with pointers. Each core pixel stores a pointer to the largest pixel index known in its part: 3×3 maxima
spread indices to neighbours, and following pointers (``gather``) spreads them over long distances. The pixel that points to itself is
the root of its core, and roots are numbered. Indices are int64, because float32 counts pixels exactly only up to 4096 × 4096; the 3×3
maxima are written out, because ONNX has no max-pooling of integers, and because this is four times as fast as ``max_pool2d`` on a CPU.
"""

import torch
from torch import nn


def highest_around(values: torch.Tensor) -> torch.Tensor:
    """Largest of the 3×3 values around each pixel; (b, 1, y, x), not negative, of any dtype; 0 beyond the border."""
    wide = nn.functional.pad(values, (1, 1, 1, 1))
    rows = torch.maximum(torch.maximum(wide[:, :, :, :-2], wide[:, :, :, 2:]), wide[:, :, :, 1:-1])  # (b, 1, y + 2, x)
    return torch.maximum(torch.maximum(rows[:, :, :-2], rows[:, :, 2:]), rows[:, :, 1:-1])


class Instances(nn.Module):
    """(b, 2, y, x) foreground and distance -> the same, and labels (b, 1, y, x) float32: 0 background, 1…n in each image.

    Parameters
    ----------
    foreground
        Probability above which a pixel belongs to some object.
    core
        Distance (0 at an outline, 1 in the middle) above which a foreground pixel belongs to an object's core.
    rounds
        Number of rounds, each of two 3×3 maxima and one step along the pointers. Twelve join any core whose shape is not very winding;
        an arm that is not reached becomes a separate object, never part of another one.
    growth
        Number of steps in which objects grow by one pixel: first towards lower distances, in the last quarter into any foreground.
        Foreground that is farther from every core becomes background.
    """

    def __init__(self, foreground: float = 0.5, core: float = 0.5, rounds: int = 12, growth: int = 20) -> None:
        super().__init__()
        self.foreground, self.core, self.rounds, self.growth = foreground, core, rounds, growth

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"foreground={self.foreground}, core={self.core}, rounds={self.rounds}, growth={self.growth}"

    def forward(self, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        foreground = probabilities[:, 0:1] > self.foreground
        distance = probabilities[:, 1:2]
        seeds = self.numbered(foreground & (distance > self.core))
        return probabilities, self.grown(seeds, foreground, distance)

    def numbered(self, core: torch.Tensor) -> torch.Tensor:
        """(b, 1, y, x) bool -> float32: 0 outside, and 1…n, one number per 8-connected part, in the order of their last pixels."""
        flat = core.flatten(1)
        index = (flat | ~flat).to(torch.int64).cumsum(1)  # (b, y·x): 1, 2, 3, …
        inside = core.to(torch.int64)
        pointer = index.reshape(core.shape) * inside  # 0 outside
        for _ in range(self.rounds):
            for _ in range(2):
                pointer = highest_around(pointer) * inside
            pointer = self.followed(pointer) * inside
        for _ in range(3):
            pointer = self.followed(pointer) * inside
        target = pointer.flatten(1)
        is_root = (flat & (target == index)).to(torch.int64)
        number = is_root.cumsum(1) * is_root  # a pointer that does not reach a root gives 0, never another object's number
        return (torch.gather(number, 1, (target - 1).clamp(min=0)).reshape(core.shape) * inside).to(torch.float32)

    def followed(self, pointer: torch.Tensor) -> torch.Tensor:
        """Each pixel's pointer replaced by that of the pixel it points to; (b, 1, y, x) int64, meaningless where it is 0."""
        flat = pointer.flatten(1)
        return torch.gather(flat, 1, (flat - 1).clamp(min=0)).reshape(pointer.shape)

    def grown(self, labels: torch.Tensor, foreground: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
        """Labels (b, 1, y, x) float32 spread into the foreground; where two meet, each keeps what it reached first."""
        downhill = self.growth - self.growth // 4
        for step in range(self.growth):
            allowed = foreground
            if step < downhill:
                allowed = foreground & (distance > self.core * (1 - (step + 1) / downhill))
            reached = highest_around(labels) * allowed.to(torch.float32)
            labels = torch.where(labels > 0, labels, reached)
        return labels
