"""Devices, losses, records: the small parts of training."""

import pytest
import torch
from safetensors.torch import load_file

from zooready.errors import InputInvalid
from zooready.training import checkpoint, devices
from zooready.training.losses import cross_entropy, dice


def test_auto_takes_the_first_device_that_is_here(monkeypatch):
    monkeypatch.setattr(devices, "AVAILABLE", {"cpu": lambda: True, "cuda": lambda: False, "mps": lambda: True})
    assert devices.chosen("auto") == "mps"
    assert devices.chosen("cpu") == "cpu"
    with pytest.raises(InputInvalid, match="device='cuda': PyTorch .* finds no such device here"):
        devices.chosen("cuda")


@pytest.mark.parametrize(
    ("flags", "expected"), [("flags : sse avx512_bf16 x", True), ("Features : asimd bf16", True), ("flags : avx2", False)]
)
def test_bfloat16_is_read_from_the_processors_flags(tmp_path, flags, expected):
    path = tmp_path / "cpuinfo"
    path.write_text(flags)
    assert devices._has_bfloat16(path) is expected
    assert not devices._has_bfloat16(tmp_path / "absent")


def test_precision_follows_the_device(monkeypatch):
    monkeypatch.setattr(devices, "_has_bfloat16", lambda: True)
    assert (devices.precision("cpu"), devices.precision("mps")) == ("bf16-mixed", "32-true")
    monkeypatch.setattr(devices, "_has_bfloat16", lambda: False)
    assert devices.precision("cpu") == "32-true"


def test_dice_is_zero_for_a_perfect_answer_and_near_one_for_the_opposite():
    target = torch.zeros(2, 30, 30)
    target[:, 5:20, 5:20] = 1
    assert dice(target, target) == 0
    assert dice(1 - target, target) > 0.99
    assert dice(target * 0, target * 0) == 0


def test_cross_entropy_of_a_certain_error_is_finite():
    assert cross_entropy(torch.zeros(1, 4, 4), torch.ones(1, 4, 4)) == 100


def test_weights_are_written_whole_and_read_back(tmp_path):
    state = {"a": torch.rand(3, 2).t(), "b": torch.arange(4)}
    checkpoint.write_weights(state, tmp_path / "w.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    loaded = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_outside_of_a_checkout_there_is_no_commit(tmp_path):
    assert checkpoint.git_commit(tmp_path) == ""


def test_numbers_of_a_record_are_plain():
    assert checkpoint.plain({"a": torch.tensor(1 / 3)}) == {"a": 0.333333}
