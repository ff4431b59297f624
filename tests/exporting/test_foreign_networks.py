"""Networks of strangers: each gives files that compute what it computes at sizes never seen in the export, or is refused with a cure."""

import copy
import filecmp
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import (
    ABOUT,
    Attention,
    BakedSize,
    Branch,
    Classes,
    Classifier,
    Complex,
    Counting,
    Doubling,
    Fourier,
    Group,
    InPlace,
    Instance,
    Planes,
    Random,
    RootMeanSquare,
    Several,
    SmallUNet,
    TwoInputs,
    Volume,
    cells,
    seeded,
)
from torch import nn

import zooready
from zooready import java
from zooready.errors import InputInvalid
from zooready.exporting.probing import prepared
from zooready.formats import onnx
from zooready.formats.torchscript import tracing
from zooready.nets.wrapping import FijiSafe, flat

SIZES = {4: ((1, 31, 45), (2, 20, 84), (1, 1, 3)), 5: ((1, 3, 13, 21), (2, 6, 10, 8), (1, 1, 1, 2))}  # (batch, (z,) y, x): none is exported
TOLERANCE = {"torchscript": 1e-5, "onnx": 1e-4}
STACK = (1, 1, 6, 20, 24)


@pytest.fixture
def here(monkeypatch):
    """Record in this process, which saves the seconds of a fresh one; numbers do not depend on it."""

    def refuse(job):
        raise TypeError("not in this test")

    monkeypatch.setattr(tracing, "_pickled", refuse)


def exported(module, out, example=None, formats=("torchscript", "onnx"), **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = cells(40, 52) if example is None else example
        return zooready.export(module, example, ABOUT, out, torchscript="plain", formats=formats, **options)


def make_images(made, dimensions, channels):
    """Images of unseen sizes; other images of the one size where a network has one."""
    rng = np.random.default_rng(2)
    one = tuple(made.measured.fixed.values())
    for batch, *sizes in SIZES[dimensions]:
        shape = (1, channels, *one) if one else (batch, channels, *sizes)
        yield (rng.gamma(2.0, 300.0, shape) + rng.uniform(0, 500)).astype(np.float32)


def runners(folder, path):
    """Each format in the zip, as a function of an image."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    if (folder / "weights.pt").exists():
        script = torch.jit.load(str(folder / "weights.pt"))
        yield "torchscript", lambda image: [output.numpy() for output in flat(script(torch.from_numpy(image.copy())))]
    if (folder / "weights.onnx").exists():
        session = onnx.load(folder / "weights.onnx")
        yield "onnx", lambda image: session.run(None, {"image": image})


def demand_same(made, module, folder, dimensions=4, channels=1):
    """Every format equals the network: padded by hand where that is needed, and cropped."""
    inner = prepared(module)
    measured = made.measured
    safe = FijiSafe(inner, stride=measured.stride, minimum=measured.minimum, axes=measured.outputs).eval()
    found = {}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        images = list(make_images(made, dimensions, channels))
        spans = [np.ptp(output.numpy()) or 1 for output in flat(safe(torch.from_numpy(images[0].copy())))]
        for format, run in runners(folder, made.path):
            for image in images:
                expected = [output.numpy() for output in flat(safe(torch.from_numpy(image.copy())))]
                outputs = run(image)
                assert [output.shape for output in outputs] == [output.shape for output in expected]
                worst = max(np.abs(a - b).max() / span for a, b, span in zip(outputs, expected, spans, strict=True))
                assert worst <= TOLERANCE[format], (format, image.shape, worst)
                found[format] = max(found.get(format, 0), worst)
            fits = tuple(measured.fixed.values()) or (4 * max(1, measured.stride),) * (dimensions - 2)
            if min(fits) >= measured.minimum:  # here the network itself answers, without our wrapper
                image = np.float32(np.random.default_rng(4).gamma(2.0, 300.0, (1, channels, *fits)))
                direct = [output.numpy().astype(np.float32) for output in flat(inner(torch.from_numpy(image.copy())))]
                for a, b, span in zip(run(image), direct, spans, strict=True):
                    assert np.abs(a.reshape(b.shape) - b).max() <= TOLERANCE[format] * span
    assert tuple(found) == made.formats
    return found


EVERYWHERE = {
    "u-net": (SmallUNet, None, ("bcyx",)),
    "dict, list, none": (Several, None, ("bcyx", "bcyx")),
    "fft": (Fourier, None, ("bcyx",)),
    "instance norm": (Instance, None, ("bcyx",)),
    "group norm": (Group, None, ("bcyx",)),
    "stack": (Volume, STACK, ("bczyx",)),
    "classifier": (Classifier, None, ("bc",)),
    "argmax": (Classes, None, ("byx",)),
    "changes its input": (InPlace, None, ("bcyx",)),
    "int64 and shared": (Counting, None, ("bcyx",)),
    "planes": (Planes, None, ("bczyx",)),
    "data parallel": (lambda: nn.DataParallel(SmallUNet()), None, ("bcyx",)),
    "compiled": (lambda: torch.compile(SmallUNet()), None, ("bcyx",)),
    "half": (lambda: SmallUNet().half(), None, ("bcyx",)),
    "training": (lambda: SmallUNet().train(), None, ("bcyx",)),
    "reflecting": (lambda: nn.Conv2d(1, 2, 5, padding=2, padding_mode="reflect"), None, ("bcyx",)),
    "two channels": (lambda: SmallUNet(channels=2), (2, 40, 52), ("bcyx",)),
}


@pytest.mark.parametrize("name", EVERYWHERE)
def test_both_formats_equal_the_network_at_unseen_sizes(name, tmp_path, here):
    kind, shape, axes = EVERYWHERE[name]
    module = seeded(kind)
    made = exported(module, tmp_path / "a.zip", cells(*shape) if shape else None)
    assert made.formats == ("torchscript", "onnx"), made.unavailable
    assert made.measured.outputs == axes
    demand_same(made, module, tmp_path, 5 if name == "stack" else 4, 2 if name == "two channels" else 1)


def test_attention_over_the_whole_image_is_exported(tmp_path, here):
    module = seeded(Attention)
    made = exported(module, tmp_path / "a.zip")
    assert made.measured.halo is None
    assert "torchscript" in made.formats
    demand_same(made, module, tmp_path)


def test_a_size_that_is_baked_in_becomes_the_one_size(tmp_path, here):
    module = seeded(BakedSize)
    made = exported(module, tmp_path / "a.zip")
    assert made.measured.fixed == {"y": 40, "x": 52}
    demand_same(made, module, tmp_path)


def test_what_pytorch_2_0_does_not_know_leaves_onnx(tmp_path, here):
    module = seeded(RootMeanSquare)
    made = exported(module, tmp_path / "a.zip")
    assert made.formats == ("onnx",)
    assert made.unavailable["torchscript"].startswith("Fiji's PyTorch 2.0.0 does not know aten::rms_norm")
    demand_same(made, module, tmp_path)


REFUSED = {
    "branch on values": (Branch, r"an 'if' hangs on pixel values \(networks\.py:\d+\).*use torch\.where\(condition, a, b\)"),
    "random": (Random, r"two runs of the network on one image differ by .*remove what is random in eval mode"),
    "complex": (Complex, r"an output is complex \(torch\.complex64\).*return real and imaginary part as channels"),
    "two inputs": (TwoInputs, r"TwoInputs\.forward takes 2 inputs \(x, reference\).*stack them as channels of one image"),
    "doubling": (Doubling, r"turns \(40, 52\) px into \(80, 104\) px.*resize inside the module"),
    "meta": (lambda: SmallUNet().to("meta"), r"SmallUNet has weights on the 'meta' device, which hold no numbers: load its weights first"),
    "script": (lambda: torch.jit.script(nn.ReLU()), r"ReLU is TorchScript already: give the torch\.nn\.Module that it was made from"),
    "three channels": (
        lambda: SmallUNet(channels=3),
        r"failed on the example \(1, 1, 40, 52\).*takes 3 channels, and the first",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_with_the_cure(name, tmp_path, here):
    kind, message = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = seeded(kind)
    with pytest.raises(InputInvalid, match=message):
        exported(module, tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())


def test_a_dataset_is_no_network(tmp_path):
    with pytest.raises(InputInvalid, match=r"got dict where a network was expected: give a torch\.nn\.Module"):
        exported({}, tmp_path / "a.zip")


# Recorded in a fresh process, as every user's network is


def test_a_class_of_a_function_is_exported(tmp_path):
    class Local(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = SmallUNet()

        def forward(self, x):
            return self.inner(x) * 2

    module = seeded(Local)
    made = exported(module, tmp_path / "a.zip", formats=("torchscript",))
    demand_same(made, module, tmp_path)


SCRIPT = """
import sys
from pathlib import Path
import torch
from torch import nn
import zooready
sys.path.insert(0, sys.argv[1])
from networks import ABOUT, cells


class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x):
        return torch.relu(self.inner(x))


if __name__ == "__main__":
    torch.manual_seed(1)
    made = zooready.export(Mine(), cells(24, 28), ABOUT, Path(sys.argv[2]), torchscript="plain", formats=("torchscript",))
    print(made.formats, made.unavailable)
"""


def test_a_class_of_a_script_is_exported_the_same_each_time(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    for name in ("a.zip", "b.zip"):
        command = [sys.executable, str(tmp_path / "script.py"), str(Path(__file__).parents[1] / "helpers"), str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
        assert "('torchscript',) {}" in done.stdout, done.stderr[-2000:]
    assert filecmp.cmp((tmp_path / "a.zip"), (tmp_path / "b.zip"), shallow=False)


# Other people's packages


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Unet", "FPN"])
def test_segmentation_models_pytorch_come_in_all_three_formats(name, tmp_path):
    smp = pytest.importorskip("segmentation_models_pytorch", reason="segmentation-models-pytorch is not installed")
    kwargs = {"encoder_name": "resnet18", "encoder_weights": None, "in_channels": 1, "classes": 2}
    module = seeded(lambda: getattr(smp, name)(**kwargs))
    made = exported(
        module,
        tmp_path / "a.zip",
        cells(96, 128),
        formats=("state_dict", "torchscript", "onnx"),
        normalization="mean-std",
        architecture=(f"segmentation_models_pytorch.{name}", kwargs),
    )
    assert made.formats == ("state_dict", "torchscript", "onnx"), made.unavailable
    with zipfile.ZipFile(made.path) as archive:
        assert b"segmentation_models_pytorch==" in archive.read("environment.yaml")
        assert b"'encoder_weights': None" in archive.read("architecture.py") or b"encoder_weights=None" in archive.read("architecture.py")
    normalised = copy.deepcopy(module).eval()
    for format, run in runners(tmp_path, made.path):
        for sizes in ((64, 96), (160, 32)):
            image = np.random.default_rng(2).gamma(2.0, 300.0, (1, 1, *sizes)).astype(np.float32)
            seen = torch.from_numpy((image - image.mean()) / image.std())
            with torch.no_grad():
                expected = normalised(seen).numpy()
            assert np.abs(run(image)[0] - expected).max() <= 1e-4 * np.ptp(expected), (format, sizes)


@pytest.mark.slow
def test_a_torchvision_network_that_returns_a_dict(tmp_path, here):
    segmentation = pytest.importorskip("torchvision.models.segmentation", reason="torchvision is not installed")
    module = seeded(lambda: segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2)).eval()
    made = exported(module, tmp_path / "a.zip", cells(3, 64, 64), normalization="mean-std")
    assert "torchscript" in made.formats, made.unavailable
    for format, run in runners(tmp_path, made.path):
        image = np.random.default_rng(2).gamma(2.0, 300.0, (1, 3, 96, 128)).astype(np.float32)
        seen = (image - image.mean((2, 3), keepdims=True)) / image.std((2, 3), keepdims=True)
        with torch.no_grad():
            expected = module(torch.from_numpy(seen))["out"].numpy()
        assert np.abs(run(image)[0] - expected).max() <= 1e-4 * np.ptp(expected), format


# In Fiji's engines


@pytest.mark.java
@pytest.mark.parametrize("name", ["u-net", "dict, list, none", "stack", "classifier", "changes its input"])
def test_fijis_pytorch_gives_the_networks_numbers(name, tmp_path, here, engines):
    kind, shape, _ = EVERYWHERE[name]
    module = seeded(kind)
    made = exported(module, tmp_path / "a.zip", cells(*shape) if shape else None, formats=("torchscript",))
    with zipfile.ZipFile(made.path) as archive:
        archive.extract("weights.pt", tmp_path)
    safe = FijiSafe(prepared(module), stride=made.measured.stride, minimum=made.measured.minimum, axes=made.measured.outputs).eval()
    images = list(make_images(made, 5 if name == "stack" else 4, 1))
    result = java.run("pytorch", tmp_path / "weights.pt", images)
    spans = None
    for image, outputs in zip(images, result.outputs, strict=True):
        with torch.no_grad():
            expected = [output.numpy() for output in flat(safe(torch.from_numpy(image.copy())))]
        spans = spans or [np.ptp(output) or 1 for output in expected]
        for a, b, span in zip(outputs, expected, spans, strict=True):
            assert a.shape == b.shape
            assert np.abs(a - b).max() <= 1e-5 * span


def test_a_compiled_function_runs_as_it_was_written(tmp_path, here):
    compiled = []

    def backend(graph, inputs):
        compiled.append(graph)
        return graph.forward

    class Calling(nn.Module):
        def __init__(self):
            super().__init__()
            self.function = torch.compile(lambda x: x * 2 + 1, backend=backend)

        def forward(self, x):
            return self.function(x)

    made = exported(seeded(Calling), tmp_path / "compiled.zip", formats=("torchscript",))
    assert made.formats == ("torchscript",)
    assert not compiled
    ((_, run),) = runners(tmp_path / "open", made.path)
    image = np.random.default_rng(3).random((2, 1, 31, 45), np.float32)
    assert np.allclose(run(image)[0], image * 2 + 1)
