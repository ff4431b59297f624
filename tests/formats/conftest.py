"""Files that several tests read, each written once."""

import pytest
import torch
from format_networks import Modern, TinyUNet, picture, settled, write_rewritten

from zooready.formats import onnx, torchscript, tracing


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
def exported(unet, example, tmp_path_factory):
    """The U-Net by the legacy ONNX exporter."""
    return onnx.write(
        unet,
        example,
        tmp_path_factory.mktemp("onnx") / "weights.onnx",
        input_name="image",
        input_axes="bcyx",
        output_names=["maps", "scores"],
        output_axes=["bcyx", "bc"],
    )


@pytest.fixture(scope="session")
def rewritten(tmp_path_factory):
    """A network that only the dynamo exporter takes."""
    return write_rewritten(tmp_path_factory.mktemp("dynamo") / "weights.onnx")


@pytest.fixture
def here(monkeypatch):
    """Record in this process, for tests that are not about the fresh one."""

    def record_here(network, example, *, folder, **job):
        return tracing.record_here({"network": network, "example": example, **job}, folder, "for speed")

    monkeypatch.setattr(torchscript, "record_apart", record_here)
    monkeypatch.setattr(onnx, "record_apart", record_here)


@pytest.fixture(scope="session")
def modern(example, tmp_path_factory):
    return torchscript.write(Modern(), example, tmp_path_factory.mktemp("modern") / "weights.pt")
