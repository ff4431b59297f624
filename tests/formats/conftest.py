"""Files that several tests read, each written once."""

import pytest
import torch
from format_networks import Modern, TinyUNet, picture, settled

from zooready.formats import torchscript


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def unet():
    torch.manual_seed(0)
    return settled(TinyUNet())


@pytest.fixture(scope="session")
def example():
    return picture(1, 1, 45, 62)


@pytest.fixture(scope="session")
def traced(unet, example, tmp_path_factory):
    """Variant to Weights of the U-Net."""
    folder = tmp_path_factory.mktemp("traced")
    return {variant: torchscript.write(unet, example, folder / f"{variant}.pt", variant=variant) for variant in torchscript.VARIANTS}


@pytest.fixture(scope="session")
def modern(example, tmp_path_factory):
    return torchscript.write(Modern(), example, tmp_path_factory.mktemp("modern") / "weights.pt")
