"""How the benchmark chooses thresholds: those with the most objects found on held-out fields."""

import nuclei
import numpy as np
import torch
from nuclei_fields import field_of


class Blurred:
    """A network that sees a square of 20 px well, a second one weakly, and a speck of 3 px."""

    def probabilities(self, image):
        foreground, distance = torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
        for top, left, side, height in ((5, 5, 20, 0.9), (35, 35, 20, 0.35), (5, 50, 3, 0.9)):
            foreground[..., top : top + side, left : left + side], distance[..., top : top + side, left : left + side] = 0.95, height
        return torch.cat((foreground, distance), 1)


def test_the_thresholds_that_find_the_true_objects_are_chosen(monkeypatch):
    labels = np.zeros((64, 64), np.int32)
    labels[5:25, 5:25], labels[35:55, 35:55] = 1, 2
    field = field_of("two squares", "", labels, labels)
    monkeypatch.setattr(nuclei, "GRID", [(0.5, core, smallest) for core in (0.6, 0.3) for smallest in (0, 15)])
    assert nuclei.choose(Blurred(), [field]) == (0.5, 0.3, 15)
