"""A mark for every peak of a probability, inside the network: for spots, which have a place and no shape."""

import torch

from zooready.nets.components import highest_around, numbered
from zooready.nets.labelling import Instances


class Peaks(Instances):
    """(b, 2, y, x) foreground and distance -> the same, and labels (b, 1, y, x) float32: 0 background, 1…n in each image.

    A peak is a pixel whose distance exceeds ``core`` and is not below that of any of its eight neighbours; peaks that touch are one. Its
    label spreads by ``growth`` pixels into the foreground and ends where it meets another. Unlike the middles of large objects, peaks of
    crowded spots stay apart when hardly any lower pixel lies between them.

    Parameters
    ----------
    foreground
        Probability above which a pixel belongs to some spot.
    core
        Distance, 0 to 1, above which a peak counts.
    growth
        Pixels by which a peak's label spreads.
    """

    def __init__(self, foreground: float = 0.5, core: float = 0.4, growth: int = 2) -> None:
        super().__init__(foreground, core, rounds=2, growth=growth)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"foreground={self.foreground}, core={self.core}, growth={self.growth}"

    def heights(self, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 2, y, x) -> where the foreground is, bool, and the distance of peaks, float32, 0 beside them; (b, 1, y, x) each."""
        foreground, distance = probabilities[:, 0:1] > self.foreground, probabilities[:, 1:2]
        return foreground, distance * (distance >= highest_around(distance)).to(torch.float32)

    def forward(self, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        foreground, height = self.heights(probabilities)
        return probabilities, self.grown(numbered(height > self.core, self.rounds), foreground)
