"""Weight files of small networks."""

import numpy as np
import pytest
import torch
from java_networks import TwoOutputs, save
from torch import nn


@pytest.fixture(scope="session")
def two_outputs():
    torch.manual_seed(7)
    return TwoOutputs().eval()


@pytest.fixture(scope="session")
def weights(two_outputs, tmp_path_factory):
    """Engine to weight file of ``two_outputs``."""
    folder = tmp_path_factory.mktemp("weights")
    example = torch.rand(1, 2, 9, 11)
    traced = save(two_outputs, folder / "weights.pt", example)
    onnx = save(two_outputs, folder / "weights.onnx", example, ("maps", "scores"))
    return {"pytorch": traced, "onnx-1.12.1": onnx, "onnx-1.13.1": onnx}


@pytest.fixture(scope="session")
def identity(tmp_path_factory):
    """A TorchScript file that returns its input's values."""
    return save(nn.Identity(), tmp_path_factory.mktemp("identity") / "weights.pt", torch.rand(1, 1, 4, 4))


@pytest.fixture
def rng():
    return np.random.default_rng(3)
