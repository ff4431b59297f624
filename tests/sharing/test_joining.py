"""Bundles of several inputs: as channels of one image their numbers are those of bioimageio.core, and what is no channel is refused."""

import warnings
from io import BytesIO

import numpy as np
import pytest
import torch
from foreign import npy
from makes import MAKES, draft, predicted_by_core

from zooready.bundle.reading import opened
from zooready.bundle.renewing import renewed
from zooready.cli import main
from zooready.errors import BundleInvalid
from zooready.sharing.crediting import cautions
from zooready.sharing.foreign_networks import network_of
from zooready.sharing.joining import example_of, joined, parts
from zooready.sharing.surrounding import surroundings

FLOAT = {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}


class Guided(torch.nn.Module):
    """Two channels of pixels and a mask with its axes the other way round."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.of_pixels, self.of_mask = torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.Conv2d(1, 3, 3, padding=1)

    def forward(self, raw, mask):
        return (torch.relu(self.of_pixels(raw)) * torch.sigmoid(self.of_mask(mask.unsqueeze(1).transpose(2, 3)))).sum(1, keepdim=True)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def sides(letters, size):
    """Axes of this size, or as long as those of the first input."""
    return [{"type": "space", "id": axis, "size": size or {"tensor_id": "raw", "axis_id": axis}} for axis in letters]


def guided():
    """The bundle, its test output that of bioimageio.core itself."""
    rng = np.random.default_rng(0)
    raw, mask = rng.gamma(2.0, 40.0, (1, 2, 40, 48)).astype(np.float32), rng.integers(0, 3, (1, 48, 40)).astype(np.uint8)
    bundle, stream = draft(MAKES["unet-torchscript"]), BytesIO()
    torch.jit.save(torch.jit.trace(Guided().eval(), (torch.from_numpy(raw), torch.from_numpy(mask).float())), stream)
    bundle.files |= {"weights.pt": stream.getvalue(), "raw.npy": npy(raw), "mask.npy": npy(mask), "test_output_0.npy": npy(raw[:, :1])}
    bundle.rdf["inputs"] = [
        {
            "id": "raw",
            "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["dapi", "actin"]}, *sides("yx", {"min": 8, "step": 4})],
            "test_tensor": {"source": "raw.npy"},
            "data": {"type": "float32"},
            "preprocessing": [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}}],
        },
        {
            "id": "mask",
            "axes": [{"type": "batch"}, *sides("xy", None)],
            "test_tensor": {"source": "mask.npy"},
            "data": {"type": "uint8"},
            "preprocessing": [FLOAT, {"id": "scale_linear", "kwargs": {"gain": 0.5, "offset": 0.1}}, FLOAT],
        },
    ]  # fmt: skip
    output = bundle.rdf["outputs"][0]
    for axis in output["axes"][2:]:
        axis["size"]["tensor_id"] = "raw"
    output["postprocessing"] = [{"id": "scale_range", "kwargs": {"reference_tensor": "mask", "axes": ["y", "x"], "max_percentile": 100.0}}]
    (expected,) = predicted_by_core(bundle, {"raw": raw, "mask": mask})[0]
    bundle.files["test_output_0.npy"] = npy(expected)
    return bundle


def test_inputs_of_one_size_are_the_channels_of_one_image(tmp_path):
    with opened(guided().write(tmp_path / "theirs.zip")) as original:
        newest = renewed(original)
        around = surroundings(newest)
        image = example_of(newest, around.input)
        network = network_of(newest, "torchscript")
        expected = np.load(original.folder / "test_output_0.npy")
        raw, mask = parts(image, newest.inputs)
        said = cautions(newest)
    assert (around.input.name, around.input.axes, around.input.channels) == ("raw_mask", "bcyx", ("raw_dapi", "raw_actin", "mask"))
    assert (image.shape, raw.shape, mask.shape) == ((1, 3, 40, 48), (1, 2, 40, 48), (1, 48, 40))
    assert np.array_equal(image[0, 2].T, mask[0])
    with torch.no_grad():
        output = around.around(network, around.grids).eval()(torch.from_numpy(image))
        odd = around.around(network, around.grids).eval()(torch.from_numpy(image[..., :41, :43]))
    assert np.abs(output.numpy() - expected).max() <= 3e-6 * np.ptp(expected)
    assert odd.shape == (1, 1, 40, 43)
    assert ["channels of one image here, in this order: raw_dapi, raw_actin, mask" in one for one in said] == [True]


@pytest.mark.slow
def test_a_bundle_of_two_inputs_is_adopted_with_the_numbers_of_the_original(tmp_path, capsys):
    source = guided().write(tmp_path / "theirs.zip")
    assert main(["adopt", str(source), "-o", str(tmp_path / "ours.zip"), "--in", "torch"]) == 0
    assert capsys.readouterr().out.count("from what bioimageio.core gives for the original") == 4
    with opened(tmp_path / "ours.zip") as ours:
        assert [tensor.channels for tensor in ours.inputs] == [("raw_dapi", "raw_actin", "mask")]
        assert "which are the channels of one image here" in (ours.folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ([{"type": "batch"}, {"type": "channel", "channel_names": ["far"]}], r"takes 2 inputs \(raw, mask\).*'mask' is no image \(b, c\)"),
        ([{"type": "batch"}, *sides("zyx", 48)], "'raw' has the axes bcyx and 'mask' bczyx"),
        (
            [{"type": "batch"}, *sides("yx", 48)],
            "'raw' and 'mask' differ in their sizes along y",
        ),
    ],
    ids=["a number", "a stack", "one size"],
)
def test_inputs_that_are_no_channels_of_one_image_are_refused_with_the_cause(axes, message, tmp_path):
    bundle = guided()
    bundle.rdf["inputs"][1]["axes"] = axes
    bundle.rdf["inputs"][1]["preprocessing"] = []
    bundle.rdf["outputs"][0]["postprocessing"] = []
    with opened(bundle.write(tmp_path / "theirs.zip")) as original, pytest.raises(BundleInvalid, match=message):
        joined(renewed(original))
