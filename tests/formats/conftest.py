"""Files that several tests read, each written once."""

import pytest
import torch
from format_networks import Modern, TinyUNet, make_image, settled, write_rewritten

from zooready.formats.onnx import onnx_file
from zooready.formats.torchscript import torchscript_file, tracing


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
    return make_image(1, 1, 45, 62)


@pytest.fixture(scope="session")
def traced(unet, example, tmp_path_factory):
    """Variant to Weights of the U-Net."""
    folder = tmp_path_factory.mktemp("traced")
    return {
        variant: torchscript_file.write(unet, example, folder / f"{variant}.pt", variant=variant) for variant in torchscript_file.VARIANTS
    }


@pytest.fixture(scope="session")
def exported(unet, example, tmp_path_factory):
    """The U-Net by the legacy ONNX exporter."""
    return onnx_file.write(
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

    monkeypatch.setattr(torchscript_file, "record_apart", record_here)
    monkeypatch.setattr(onnx_file, "record_apart", record_here)


@pytest.fixture(scope="session")
def modern(example, tmp_path_factory):
    return torchscript_file.write(Modern(), example, tmp_path_factory.mktemp("modern") / "weights.pt")
