"""Object labels and the class of each object from probabilities, inside the network.

foreground, distance  -- Instances -->  labels
the class with the highest probability at each pixel, counted in each object  -->  the object's class, on all of its pixels
"""

import torch
from torch import nn

from zooready.nets.components import numbered
from zooready.nets.labelling import Instances


class ClassedInstances(Instances):
    """(b, 2 + k, y, x) foreground, distance and k classes -> the same, labels (b, 1, y, x), and classes (b, 1, y, x), float32.

    Labels are those of :class:`Instances`, and beside them each part of the foreground that has no core, since the middle of an object of
    few pixels is hardly higher than its outline. Classes are 0 in the background and 1...k in objects, each object of one class: the one
    that most of its pixels have, the first of several equal ones. Pixels are counted as whole numbers, so that every engine finds the
    same.
    """

    def forward(self, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """See the class."""
        foreground, height = self.heights(probabilities)
        seeds = numbered(height > self.core, self.rounds)
        labels = self.grown(self.climbed(seeds, foreground, height), foreground)
        parts = numbered(foreground & (labels == 0), self.rounds)
        count = seeds.flatten(1).amax(1).reshape(-1, 1, 1, 1)
        labels = self.without_small(torch.where(parts > 0, parts + count, labels), labels.flatten(1))
        return probabilities, labels, self.classes(labels, probabilities)

    def classes(self, labels: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        """The class of each object on all of its pixels; (b, 1, y, x) and (b, 2 + k, y, x) float32 -> (b, 1, y, x) float32."""
        flat = labels.flatten(1).to(torch.int64)
        inside = (flat > 0).to(torch.int64)
        highest = probabilities[:, 2:].argmax(1).flatten(1)  # (b, y·x)
        most = torch.zeros_like(nn.functional.pad(flat, (1, 0)))  # (b, 1 + y·x): most pixels of one class, by object
        best = most
        for number in range(probabilities.shape[1] - 2):
            pixels = torch.zeros_like(most).scatter_add(1, flat, inside * (highest == number).to(torch.int64))
            best = torch.where(pixels > most, torch.full_like(best, number + 1), best)
            most = torch.maximum(most, pixels)
        return (torch.gather(best, 1, flat) * inside).reshape(labels.shape).to(torch.float32)
