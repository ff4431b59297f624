import filecmp

import numpy as np
import pytest
import torch
from torch import nn

from zooready.errors import BundleInvalid, InputInvalid
from zooready.formats import FORMATS, state_dict
from zooready.formats.state_dict import Builder


def test_written_weights_come_back_and_fit_the_module(unet, tmp_path):
    weights = state_dict.write(unet, tmp_path / "weights.pt")
    loaded = state_dict.load(weights.path)
    assert list(loaded) == list(unet.state_dict())
    assert all(torch.equal(loaded[name], value) and value.dtype == loaded[name].dtype for name, value in unet.state_dict().items())
    assert weights.details["parameters"] == sum(value.numel() for value in unet.parameters())


def test_state_dict_is_byte_identical_under_any_name(unet, tmp_path):
    one, two = (state_dict.write(unet, tmp_path / name) for name in ("weights.pt", "other.pt"))
    assert one.sha256 == two.sha256
    assert filecmp.cmp(one.path, two.path, shallow=False)


def test_one_changed_weight_changes_the_bytes(unet, tmp_path):
    before = state_dict.write(unet, tmp_path / "before.pt").sha256
    changed = type(unet)()
    changed.load_state_dict(unet.state_dict())
    changed.last.bias.data[0] += 1e-3
    assert state_dict.write(changed, tmp_path / "after.pt").sha256 != before


def test_weights_that_are_not_contiguous_are_written_so(tmp_path):
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    loaded = state_dict.load(state_dict.write(network, tmp_path / "weights.pt").path)
    assert loaded["weight"].is_contiguous()
    assert torch.equal(loaded["weight"], network.weight)


def test_extra_state_is_refused(tmp_path):
    class Extra(nn.Module):
        def get_extra_state(self):
            return {"path": "x"}

    with pytest.raises(InputInvalid, match=r"state dict entries \['_extra_state'\] are not tensors"):
        state_dict.write(Extra(), tmp_path / "weights.pt")
    assert not list(tmp_path.iterdir())


def test_pickled_code_is_not_loaded(tmp_path):
    torch.save({"a": nn.Conv2d(1, 1, 1)}, tmp_path / "whole.pt")
    with pytest.raises(InputInvalid, match=r"whole.pt is no weights-only state dict"):
        state_dict.load(tmp_path / "whole.pt")


def test_a_lone_tensor_is_no_state_dict(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    with pytest.raises(InputInvalid, match="holds Tensor, not a state dict"):
        state_dict.load(tmp_path / "tensor.pt")


@pytest.fixture
def convolution(tmp_path):
    """Network, weights and a file that builds it with a dataclass inside, which looks its module up by name."""
    network = nn.Conv2d(1, 2, 3, padding=1).eval()
    file = tmp_path / "architecture.py"
    file.write_text(
        "from __future__ import annotations\n\nfrom dataclasses import dataclass\n\nfrom torch import nn\n\n\n@dataclass\nclass Sizes:\n"
        "    channels: int\n\n\ndef build(channels=0):\n    return nn.Conv2d(1, Sizes(channels).channels, 3, padding=1)\n"
    )
    return network, state_dict.write(network, tmp_path / "weights.pt").path, file


@pytest.mark.parametrize("installed", [False, True])
def test_a_started_state_dict_gives_the_networks_numbers(convolution, installed):
    network, path, file = convolution
    kwargs = {"in_channels": 1, "out_channels": 2, "kernel_size": 3, "padding": 1}
    in_file = Builder(callable="build", file=file, kwargs={"channels": 2})
    run = FORMATS["state_dict"].start(
        path, "cpu", builder=Builder(callable="Conv2d", module="torch.nn", kwargs=kwargs) if installed else in_file
    )
    image = np.random.default_rng(0).random((2, 1, 9, 7), dtype=np.float32)
    (output,) = run(image)
    with torch.no_grad():
        assert np.array_equal(output, network(torch.from_numpy(image)).numpy())
    assert output.dtype == np.float32


def test_weights_of_another_network_do_not_start(convolution):
    _, path, file = convolution
    with pytest.raises(RuntimeError, match="size mismatch"):
        state_dict.start(path, builder=Builder(callable="build", file=file, kwargs={"channels": 3}))


def test_an_architecture_that_is_no_python_file_is_refused(convolution, tmp_path):
    (tmp_path / "architecture.txt").write_text("def build(): ...")
    with pytest.raises(BundleInvalid, match=r"architecture.txt is no Python file: name the architecture's file \.py"):
        Builder(callable="build", file=tmp_path / "architecture.txt").build()
