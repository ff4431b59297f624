"""What bioimageio's own test is told to allow, where it would call good weights different."""

import zipfile

import numpy as np
import pytest
import torch
import yaml
from networks import ABOUT, cells
from torch import nn

import zooready
from zooready import TensorSpec
from zooready.exporting import reproducing
from zooready.records import Case


class Counts(nn.Module):
    """Thousands around zero, which the ONNX exporters put off by a constant: 4e-6 of the range, but twenty times 0.001."""

    def forward(self, x):
        return (torch.tanh(x / 500) - 0.5) * 5000 + (0.02 if torch.onnx.is_in_onnx_export() else 0.0)


def stated(path):
    with zipfile.ZipFile(path) as archive:
        return yaml.safe_load(archive.read("rdf.yaml"))["config"].get("bioimageio")


def exported(network, path):
    return zooready.export(network, cells(40, 52), ABOUT, path, formats=("onnx",)).path


def test_a_bundle_of_large_values_states_what_was_measured_and_bioimageio_passes_it(tmp_path, monkeypatch):
    told = exported(Counts(), tmp_path / "told.zip")
    (entry,) = stated(told)["reproducibility_tolerance"]
    assert entry == {"relative_tolerance": 1e-3, "absolute_tolerance": pytest.approx(0.05, abs=0.011), "output_ids": ["output"]}
    monkeypatch.setattr(reproducing, "MISMATCHED", 1e6)
    untold = exported(Counts(), tmp_path / "untold.zip")
    assert stated(untold) is None
    statuses = [zooready.check(path, consumers=["bioimageio"]).verdicts[0].status for path in (told, untold)]
    assert statuses == ["passed", "differs"]


def test_nothing_is_stated_where_nothing_asks_for_it(tmp_path):
    assert stated(exported(nn.Sequential(nn.Softsign()), tmp_path / "a.zip")) is None


def of(right, *given, kind="image"):
    right = np.asarray(right, np.float32).reshape(1, 1, 1, -1)
    spec = TensorSpec(name="out", axes="bcyx", channels=("a",), kind=kind)
    case = Case(name="test", input=right, outputs=(right,))
    return reproducing.stated((spec,), case, [(np.asarray(one, np.float32).reshape(right.shape),) for one in given])


def test_the_worst_of_all_files_counts():
    entries, notes = of([0, 5000], [0, 5000], [0.004, 5000], [0.009, 5000])
    assert (entries[0]["absolute_tolerance"], notes) == (pytest.approx(0.02), ())


def test_labels_are_allowed_pixels_and_no_other_numbers():
    right, off = np.full(10_000, 7.0), np.full(10_000, 7.0)
    off[:4] = 6
    entries, notes = of(right, off, kind="labels")
    assert entries[0] == {
        "relative_tolerance": 1e-3,
        "absolute_tolerance": 1e-3,
        "mismatched_elements_per_million": pytest.approx(800, abs=1),
        "output_ids": ["out"],
    }
    assert notes == ()


@pytest.mark.parametrize(
    ("right", "given", "kind"), [([0, 1], [0.02, 1], "image"), ([1, 2], [2, 1], "labels"), ([-5, 0], [-5, 1], "image")]
)
def test_what_no_bundle_can_state_is_told(right, given, kind):
    entries, (note,) = of(right, given, kind=kind)
    assert entries == ()
    assert "bioimageio's own test will say that 'out' differs" in note
