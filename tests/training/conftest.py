"""What several tests of training begin with."""

import pytest
import torch
from test_train import run


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A finished run of the tiny family."""
    torch.set_num_threads(1)
    return run(tmp_path_factory.mktemp("first") / "run")
