"""The caller's tolerance decides what export accepts, in both directions; labels are judged by their objects, as in every check."""

import zipfile

import pytest
import torch
import yaml
from networks import ABOUT, cells
from torch import nn

import zooready
from zooready import TensorSpec
from zooready.errors import InputInvalid
from zooready.formats import onnx, torchscript
from zooready.formats.demands import Demands
from zooready.formats.torchscript import tracing


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Record in this process, which saves the seconds of a fresh one."""

    def refuse(job):
        raise TypeError("not in this test")

    monkeypatch.setattr(tracing, "_pickled", refuse)


def is_recorded():
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


class Off(nn.Module):
    """Values between 0 and 1, which every recording (or only the ONNX exporters) puts off by a constant."""

    def __init__(self, off, only_onnx=False):
        super().__init__()
        self.off, self.only_onnx = off, only_onnx

    def forward(self, x):
        is_off = torch.onnx.is_in_onnx_export() if self.only_onnx else is_recorded()
        return torch.tanh(x / 500) + (self.off if is_off else 0.0)


def exported(module, tmp_path, formats, **options):
    return zooready.export(module, cells(40, 52), ABOUT, tmp_path / "a.zip", torchscript="plain", formats=formats, **options)


def stated(made):
    with zipfile.ZipFile(made.path) as archive:
        return yaml.safe_load(archive.read("rdf.yaml"))["config"]["zooready"]["tolerance"]


def test_a_larger_tolerance_lets_onnx_pass_and_the_bundle_states_it(tmp_path):
    network = Off(2e-3, only_onnx=True)
    refused = exported(network, tmp_path, ("torchscript", "onnx"))
    assert refused.formats == ("torchscript",)
    assert "differs by 0.003 of its range" in refused.unavailable["onnx"]
    assert "tolerance 0.0001" in refused.unavailable["onnx"]
    assert "allow onnx a larger tolerance if the difference is rounding" in refused.unavailable["onnx"]
    assert "operators" not in refused.unavailable["onnx"]
    accepted = exported(network, tmp_path, ("torchscript", "onnx"), tolerance={"onnx": 5e-3})
    assert accepted.formats == ("torchscript", "onnx")
    assert stated(accepted) == {"state_dict": 1e-5, "torchscript": 1e-5, "onnx": 5e-3}


def test_a_smaller_tolerance_refuses_onnx(tmp_path):
    network = Off(3e-5, only_onnx=True)
    assert exported(network, tmp_path, ("torchscript", "onnx")).formats == ("torchscript", "onnx")
    refused = exported(network, tmp_path, ("torchscript", "onnx"), tolerance={"onnx": 1e-5})
    assert refused.formats == ("torchscript",)
    assert "tolerance 1e-05" in refused.unavailable["onnx"]


def test_a_larger_tolerance_lets_torchscript_pass(tmp_path):
    message = r"differs by 4.4e-05 of its range at .*tolerance 1e-05.*allow torchscript a larger tolerance"
    with pytest.raises(InputInvalid, match=message):
        exported(Off(3e-5), tmp_path, ("torchscript",))
    assert exported(Off(3e-5), tmp_path, ("torchscript",), tolerance={"torchscript": 1e-4}).formats == ("torchscript",)


def test_a_smaller_tolerance_refuses_torchscript(tmp_path):
    assert exported(Off(3e-6), tmp_path, ("torchscript",)).formats == ("torchscript",)
    with pytest.raises(InputInvalid, match="tolerance 1e-06"):
        exported(Off(3e-6), tmp_path, ("torchscript",), tolerance={"torchscript": 1e-6})


def test_auto_keeps_to_a_tolerance_below_a_millionth(tmp_path):
    with pytest.raises(InputInvalid, match="tolerance 1e-07"):
        zooready.export(Off(5e-7), cells(40, 52), ABOUT, tmp_path / "a.zip", formats=("torchscript",), tolerance={"torchscript": 1e-7})


def test_the_writers_judge_by_the_tolerance_that_they_are_given(tmp_path):
    example = torch.from_numpy(cells(1, 1, 40, 52)).float()
    names = {"input_name": "image", "input_axes": "bcyx", "output_names": ["restored"], "output_axes": ["bcyx"]}
    written = torchscript.write(Off(3e-5), example, tmp_path / "w.pt", Demands(tolerance=1e-4))
    assert written.details["difference"] == pytest.approx(4.4e-5, rel=0.1)
    with pytest.raises(InputInvalid, match="tolerance 2e-05"):
        torchscript.write(Off(3e-5), example, tmp_path / "w.pt", Demands(tolerance=2e-5))
    written = onnx.write(Off(3e-5), example, tmp_path / "w.onnx", Demands(tolerance=1e-4), **names)
    assert written.details["difference"] == pytest.approx(4.4e-5, rel=0.1)
    with pytest.raises(InputInvalid, match="'restored' of case 'example' .* tolerance 2e-05"):
        onnx.write(Off(3e-5), example, tmp_path / "w.onnx", Demands(tolerance=2e-5), **names)


class Scrambled(nn.Module):
    """A hundred square objects; the ONNX exporters see the same foreground and the same hundred numbers, pixel by pixel elsewhere."""

    def forward(self, x):
        rows, columns = torch.ones_like(x).cumsum(2) - 1, torch.ones_like(x).cumsum(3) - 1
        if not torch.onnx.is_in_onnx_export():
            rows, columns = torch.floor(rows / 8), torch.floor(columns / 8)
        return (1 + 10 * torch.remainder(rows, 10) + torch.remainder(columns, 10)) * (x >= 0).to(x.dtype)


def test_labels_that_are_permuted_pixel_by_pixel_are_refused(tmp_path):
    labels = (TensorSpec(name="labels", axes="bcyx", channels=("objects",), kind="labels"),)
    made = zooready.export(
        Scrambled(), cells(80, 80), ABOUT, tmp_path / "a.zip", torchscript="plain", formats=("torchscript", "onnx"), outputs=labels
    )
    assert made.formats == ("torchscript",)
    assert "'labels' of case 'example' (1, 1, 80, 80) has " in made.unavailable["onnx"]
    assert "% of its objects' pixels in common with the expected ones in plane 0, and needs 99.9%" in made.unavailable["onnx"]
