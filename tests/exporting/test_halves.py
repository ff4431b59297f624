"""The extra bundle with float16 weights: it passes its own check, says what it differs by, and leaves the usual one alone."""

import zipfile

import numpy as np
import pytest
import torch
import yaml
from networks import ABOUT, conv
from torch import nn

import zooready
from zooready.errors import InputInvalid
from zooready.exporting import halves
from zooready.images.agreement import ranges_of
from zooready.records import Case


def described(path):
    with zipfile.ZipFile(path) as archive:
        return yaml.safe_load(archive.read("rdf.yaml")), archive.read("README.md").decode()


def example():
    return np.random.default_rng(0).gamma(2.0, 300.0, (40, 52)).astype(np.float32)


def test_an_extra_bundle_has_smaller_weights_and_test_outputs_of_its_own(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(conv(1, 16), nn.ReLU(), conv(16, 32), nn.ReLU(), conv(32, 1))
    out = tmp_path / "net.zip"
    made = zooready.export(network, example(), ABOUT, out, formats=("onnx",), normalization="mean-std", float16=True)
    extra = made.float16
    assert extra.path == tmp_path / "net-float16.zip"
    assert extra.bytes[0] - extra.bytes[1] > 1.9 * network[2].weight.numel()
    (off,) = extra.off
    assert 0 < off.test <= off.most < 1e-2
    assert extra.largest >= (256, 256), "images that do not travel are compared, too"
    usual, own = described(out), described(extra.path)
    assert "float16" not in f"{usual}"
    assert list(own[0]["weights"]) == ["onnx"]
    assert halves.told(off) in own[0]["description"]
    assert halves.told(off) in own[1]
    assert "Not in Fiji" in own[1]
    with zipfile.ZipFile(out) as first, zipfile.ZipFile(extra.path) as second:
        name = "test-output.npy"
        expected, given = (np.load(archive.open(name)) for archive in (first, second))
    case = Case(name="test", input=expected, outputs=(expected,))
    assert (np.abs(given - expected) / ranges_of(case)[0]).max() == pytest.approx(off.test, rel=1e-3)
    verdicts = zooready.check(extra.path, consumers=["onnxruntime", "bioimageio"]).verdicts
    assert {verdict.status for verdict in verdicts} == {"passed"}


def test_a_network_without_large_weights_gets_no_extra_bundle(tmp_path):
    made = zooready.export(conv(1, 1), example(), ABOUT, tmp_path / "net.zip", formats=("onnx",), float16=True)
    assert made.float16 is None
    assert "no layer has 4096 weights" in made.unavailable["float16"]
    assert not (tmp_path / "net-float16.zip").exists()
    with pytest.raises(InputInvalid, match="float16 weights are those of an ONNX file"):
        zooready.export(conv(1, 1), example(), ABOUT, tmp_path / "no.zip", formats=("torchscript",), float16=True)


def test_labels_are_compared_by_objects_and_values_by_their_range():
    labels = np.zeros((1, 1, 4, 10), np.float32)
    labels[..., :4], labels[..., 6:] = 1, 2  # two objects of 16 px
    other = labels.copy()
    other[..., 0, 6:] = 0  # a quarter of the second
    values = np.linspace(0, 2, 40, dtype=np.float32).reshape(labels.shape)
    cases = [Case(name=name, input=values, outputs=(values, labels)) for name in ("test", "large")]
    found = halves.differences([("image", "image"), ("labels", "labels")], cases, [(values, labels), (values + 0.02, other)])
    assert (found[0].test, found[1].test) == (0, 0)
    assert found[0].most == pytest.approx(0.01, rel=1e-4)
    assert found[1].most == pytest.approx(4 / 32)
    assert found[1].objects == (4, 4)
    assert halves.told(found[1]) == (
        "labels in 0 of the objects' pixels on the test image and at most 0.12 (4 objects in all images, 4 with float16 weights)"
    )
