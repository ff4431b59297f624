"""A classifier of three patterns that learns in a second, its bundle, and images whose cell lies where a test wants it."""

import numpy as np
import torch
from networks import ABOUT
from torch import nn
from torch.nn import functional

import zooready
from zooready import Part, TensorSpec

CLASSES = ("smooth", "spots", "bars")
SCORES = TensorSpec(name="scores", axes="bc", channels=CLASSES, kind="scores")
MAPS = TensorSpec(name="maps", axes="bcyx", channels=CLASSES, unit="arbitrary unit")


class Patterns(nn.Module):
    """(b, 1, y, x) -> logits (b, 3); average pooling, then one linear layer."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.Conv2d(12, 12, 3, stride=2, padding=1)
        self.last = nn.Linear(12, 3)

    def features(self, image):
        return functional.relu(self.second(functional.relu(self.first(image))))

    def forward(self, image):
        return self.last(self.features(image).mean((2, 3)))


class Mapped(Patterns):
    """The same with class activation maps beside the logits."""

    def forward(self, image):
        features = self.features(image)
        maps = functional.conv2d(features, self.last.weight[:, :, None, None])
        return self.last(features.mean((2, 3))), functional.interpolate(maps, size=image.shape[2:], mode="bilinear")


class Finished(nn.Module):
    """Softmax over the logits; maps pass."""

    def forward(self, logits, *maps):
        return (torch.softmax(logits, 1), *maps)


def cell(rng, pattern, size=48, middle=None):
    """A raw image (size, size) uint16 of a cell with one of the patterns, and its mask."""
    y, x = np.mgrid[:size, :size]
    cy, cx = rng.uniform(0.3, 0.7, 2) * size if middle is None else middle
    mask = np.hypot(y - cy, x - cx) < 0.22 * size
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 6)
    along, across = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle), (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
    waves = {
        "smooth": np.ones(y.shape),
        "bars": 1 + np.sin(1.4 * along + phase),
        "spots": (1 + np.sin(1.4 * along + phase)) * (1 + np.sin(1.4 * across + phase)),
    }[pattern]
    light = 200 + rng.uniform(400, 900) * mask * waves / waves[mask].mean()
    return rng.poisson(light).astype(np.uint16), mask


def standard(images):
    images = images.astype(np.float32)
    mean, spread = (function(axis=(2, 3), keepdims=True) for function in (images.mean, images.std))
    return torch.from_numpy((images - mean) / spread)


def trained():
    """The classifier after a hundred steps, as a state dict."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(2)
    network, rng = Patterns(), np.random.default_rng(4)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(100):
        labels = rng.integers(0, 3, 16)
        images = standard(np.stack([cell(rng, CLASSES[label])[0][None] for label in labels]))
        loss = functional.cross_entropy(network(images), torch.from_numpy(labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.set_num_threads(before)
    return network.state_dict()


def exported(kind, state, out, **options):
    network = kind()
    network.load_state_dict(state)
    outputs = (SCORES, MAPS) if kind is Mapped else (SCORES,)
    return zooready.export(
        network, cell(np.random.default_rng(0), "bars")[0], ABOUT, out, head=Part(path="patterns.Finished"), outputs=outputs,
        **{"normalization": "mean-std", "torchscript": "plain", "formats": ("torchscript", "onnx"), **options},
    )  # fmt: skip
