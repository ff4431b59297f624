"""Conditions on sizes in a network's Python, its own padding, and one stride an axis: what eager does is the measure."""

import numpy as np
import pytest
import torch
from networks import ABOUT, cells, conv
from torch import nn
from torch.nn import functional

import zooready
from zooready.bundle.reading import opened
from zooready.errors import InputInvalid
from zooready.exporting import sizes
from zooready.exporting.probing import measure, prepared
from zooready.exporting.trying import Trial
from zooready.formats import FORMATS
from zooready.formats.torchscript import tracing

EXAMPLE = torch.rand(1, 1, 50, 61, generator=torch.Generator().manual_seed(3))


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Record in this process, which saves the seconds of a fresh one; do not ask `torch.export` for its conditions, which takes longer."""

    def refuse(job):
        raise TypeError("not in this test")

    monkeypatch.setattr(tracing, "_pickled", refuse)
    monkeypatch.setattr(sizes, "_turns", lambda *given: {})


class Deciding(nn.Module):
    """Another layer where the size fulfils a condition."""

    def __init__(self, condition):
        super().__init__()
        torch.manual_seed(0)
        self.condition, self.first, self.second = condition, conv(1, 1), conv(1, 1)

    def forward(self, x):
        return self.first(x) if self.condition(*x.shape[2:]) else self.second(x)


@pytest.mark.parametrize(
    "condition",
    [lambda h, w: h * w < 90000, lambda h, w: min(h, w) > 256, lambda h, w: h * w > 200000],
    ids=["area", "shorter side", "large area"],
)
def test_a_condition_on_the_size_that_only_large_images_fulfil_is_found(condition):
    found = measure(prepared(Deciding(condition)), EXAMPLE)
    assert (found.stride, found.eager_stride, found.fixed) == (0, 0, {"y": 50, "x": 61})
    assert "its Python decides on the size: at 512 x 512 px its trace is wrong" in found.notes[0]


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        (lambda h, w: h * w < 3_000_000, lambda h, w: h * w >= 3_000_000),
        (lambda h, w: w != 333, lambda h, w: w == 333),
        (lambda h, w: h * w != 307_200, lambda h, w: h * w == 307_200),
        (lambda h, w: h <= 700 or not 750 < w < 760, lambda h, w: h > 700 and 750 < w < 760),
    ],
    ids=["area", "one width", "one area", "behind another condition"],
)
def test_the_conditions_of_torch_export_lead_to_sizes_beyond_the_usual_ones(monkeypatch, condition, where):
    monkeypatch.undo()
    network = prepared(Deciding(condition))
    trial = Trial(network=network, example=EXAMPLE, axes=("bcyx",))
    traced, lines = trial.traced(trial.image((25, 27)))
    assert "to a Python boolean" in lines[0]
    right, why = sizes.doubted(trial, traced, (1, 1), 1, (25, 27))
    assert not right
    assert where(*map(int, why.split(" px ")[0].split("at ")[1].split(" x ")))


def test_one_exact_size_behind_which_torch_export_cannot_look_is_told(monkeypatch):
    monkeypatch.undo()
    network = prepared(Deciding(lambda h, w: (h, w) != (640, 480)))
    trial = Trial(network=network, example=EXAMPLE, axes=("bcyx",))
    traced, _ = trial.traced(trial.image((25, 27)))
    right, why = sizes.doubted(trial, traced, (1, 1), 1, (25, 27))
    assert right
    assert "hangs on whether a side is exactly 640 px" in why


def test_a_size_that_is_too_large_to_be_compared_is_told(monkeypatch):
    network = prepared(Deciding(lambda h, w: h * w < 60_000_000))
    trial = Trial(network=network, example=EXAMPLE, axes=("bcyx",))
    traced, _ = trial.traced(trial.image((25, 27)))
    monkeypatch.setattr(sizes, "LARGEST", 2**19)
    monkeypatch.setattr(sizes, "_turns", lambda *given: {(8192, 8192): "size[2]*size[3] < 60000000"})
    right, note = sizes.doubted(trial, traced, (1, 1), 1, (25, 27))
    assert right
    assert "hangs on the size from 8192 x 8192 px on (size[2]*size[3] < 60000000)" in note
    assert "larger images may give other numbers" in note


def test_a_condition_on_the_batch_is_found(tmp_path):
    class Batch(Deciding):
        def forward(self, x):
            return self.first(x) if x.shape[0] < 3 else self.second(x)

    with pytest.raises(InputInvalid, match=r"case '4 of 48 x 67' \(4, 1, 48, 67\) differs by"):
        zooready.export(Batch(None), cells(50, 61), ABOUT, tmp_path / "a.zip", torchscript="plain", formats=("torchscript",))


class PadsItself(nn.Module):
    """Two levels; what comes up is padded where it is smaller than what went down, as most U-Nets have it."""

    def __init__(self, in_python=False):
        super().__init__()
        torch.manual_seed(0)
        self.in_python = in_python
        self.first, self.second, self.third = conv(1, 4), conv(4, 4), conv(4, 4)
        self.up, self.top, self.last = nn.ConvTranspose2d(4, 4, 2, 2), nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(8, 1, 1)

    def fitted(self, small, large):
        dy, dx = large.shape[2] - small.shape[2], large.shape[3] - small.shape[3]
        if self.in_python:  # the width of the padding is a constant
            small = functional.pad(small, (0, 0, 0, 1)) if dy != 0 else small
            return functional.pad(small, (0, 1, 0, 0)) if dx != 0 else small
        if dy or dx:
            small = functional.pad(small, (dx // 2, dx - dx // 2, dy // 2, dy - dy // 2))
        return small

    def forward(self, x):
        a = self.first(x).relu()
        b = self.second(functional.max_pool2d(a, 2)).relu()
        c = self.third(functional.max_pool2d(b, 2)).relu()
        b = torch.cat([b, self.fitted(self.up(c), b)], 1)
        return self.last(torch.cat([a, self.fitted(self.top(b), a)], 1))


def test_a_network_that_pads_inside_keeps_its_own_padding_at_every_size(tmp_path):
    network = PadsItself()
    made = zooready.export(network, cells(64, 80), ABOUT, tmp_path / "a.zip", torchscript="plain", formats=("torchscript", "onnx"))
    assert made.formats == ("torchscript", "onnx")
    assert (made.measured.stride, made.measured.notes) == (1, ())
    rng = np.random.default_rng(0)
    with opened(made.path) as bundle:
        for format in made.formats:
            run = FORMATS[format].start(bundle.formats[format])
            for shape in ((200, 200), (101, 67), (50, 63), (64, 64)):
                image = (rng.random((1, 1, *shape)) * 1000).astype(np.float32)
                with torch.no_grad():
                    expected = network(torch.from_numpy(image)).numpy()
                assert np.abs(run(image)[0] - expected).max() <= 1e-5 * np.ptp(expected)


def test_padding_that_no_recording_holds_is_told_with_what_it_moves():
    network = prepared(PadsItself(in_python=True))
    found = measure(network, EXAMPLE)
    assert (found.stride, found.eager_stride) == (4, 1)
    (note,) = found.notes
    assert "sizes that are no multiple of 4 px, and those below" in note
    stated = float(note.split("by up to ")[1].split(" ")[0])
    height, width = map(int, note.split("(at ")[1].split(" px")[0].split(" x "))
    image = Trial(network=network, example=EXAMPLE).image((height, width))
    missing = (0, -width % 4, 0, -height % 4)
    with torch.no_grad():
        own = network(image)
        padded = network(functional.pad(image, missing, mode="replicate"))[..., :height, :width]
    spread = max(float(own.max() - own.min()), 0.1 * float(own.abs().max()))
    assert stated == pytest.approx(float((own - padded).abs().max()) / spread, rel=0.05)


class Cropping(nn.Module):
    """Pads itself to 64, and crops with a slice that is empty where there was nothing to pad."""

    def forward(self, x):
        below, right = -x.shape[2] % 64, -x.shape[3] % 64
        y = functional.pad(x, (0, right, 0, below))
        y = y + functional.interpolate(functional.avg_pool2d(y, 64), scale_factor=64.0)
        y = y[:, :, :-below] if below else y
        return y[:, :, :, :-right] if right else y


def test_a_slice_that_is_empty_at_round_sizes_is_found():
    found = measure(prepared(Cropping()), torch.rand(1, 1, 100, 100))
    assert found.stride == 64
    assert "no multiple of 64 px" in found.notes[0]


class Anisotropic(nn.Module):
    """Pools y and x by 4, z not at all."""

    def __init__(self):
        super().__init__()
        self.first, self.up = nn.Conv3d(1, 2, 3, padding=1), nn.ConvTranspose3d(2, 2, (1, 4, 4), (1, 4, 4))

    def forward(self, x):
        a = self.first(x)
        return torch.cat([a, self.up(functional.max_pool3d(a, (1, 4, 4)))], 1)


def test_every_axis_has_a_stride_of_its_own():
    found = measure(prepared(Anisotropic()), torch.rand(1, 1, 5, 24, 28))
    assert (found.stride, found.strides, found.minimums) == (4, (1, 4, 4), (1, 4, 4))


class FlatPlanes(nn.Module):
    """Planes become channels, so that their number is fixed, while y and x are free."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(5, 5, 3, padding=1)

    def forward(self, x):
        return self.inner(x[:, 0]).unsqueeze(1)


def test_a_fixed_number_of_planes_leaves_y_and_x_free(tmp_path):
    made = zooready.export(
        FlatPlanes(), cells(1, 1, 5, 40, 52), ABOUT, tmp_path / "a.zip", torchscript="plain", formats=("torchscript", "onnx")
    )
    assert made.formats == ("torchscript", "onnx")
    assert made.measured.fixed == {"z": 5}
    assert made.measured.strides == (0, 1, 1)
    assert made.measured.compared == (5, 211, 223)


class Floored(nn.Module):
    """Gives the largest multiple of 4 below the image's size."""

    def forward(self, x):
        return functional.interpolate(functional.max_pool2d(x, 4), scale_factor=4.0)


def test_an_example_whose_size_the_network_floors_is_enlarged():
    found = measure(prepared(Floored()), torch.rand(1, 1, 150, 134))
    assert (found.stride, found.outputs) == (4, ("bcyx",))


class HalfBeside(nn.Module):
    def forward(self, x):
        return x * 2, functional.avg_pool2d(x, 2)


def test_an_output_that_is_left_out_may_have_any_size(tmp_path):
    made = zooready.export(
        HalfBeside(), cells(50, 61), ABOUT, tmp_path / "a.zip", torchscript="plain", formats=("torchscript", "onnx"), keep=(0,)
    )
    assert made.formats == ("torchscript", "onnx")
    assert made.measured.outputs == ("bcyx", "")
    with pytest.raises(InputInvalid, match=r"\(50, 61\) px into \(25, 30\) px.*can be left out \(keep=\)"):
        zooready.export(HalfBeside(), cells(50, 61), ABOUT, tmp_path / "b.zip")


class OtherwiseWhenTiny(nn.Module):
    """Mirrors its rim, which images of one or two pixels have no room for."""

    def forward(self, x):
        has_room = min(x.shape[2:]) > 2
        rim = functional.pad(x, (2, 2, 2, 2), mode="reflect" if has_room else "constant")
        return functional.avg_pool2d(rim, 5, stride=1)


def test_a_network_that_does_otherwise_only_when_tiny_keeps_its_stride_and_that_is_told():
    measured = measure(prepared(OtherwiseWhenTiny()), EXAMPLE)
    assert (measured.stride, measured.minimum, measured.halo) == (1, 3, 2)
    assert measured.notes[0].startswith("images below 3 px are padded, though the network itself takes some of them, by repeating")


class Shrinking(nn.Module):
    """Calculates on an image of seven tenths of the size."""

    def __init__(self, length):
        super().__init__()
        self.length = length

    def forward(self, x):
        small = functional.interpolate(x, size=tuple(map(self.length, x.shape[2:])))
        return functional.interpolate(small, size=x.shape[2:])


def test_the_cure_for_a_size_that_became_pythons_is_told_and_true():
    frozen = measure(prepared(Shrinking(lambda length: max(1, int(length * 0.7)))), EXAMPLE)
    assert frozen.fixed == {"y": 50, "x": 61}
    assert frozen.notes[0].endswith("without int(), math or NumPy (h * 7 // 10 for int(h * 0.7)) leave it free")
    assert measure(prepared(Shrinking(lambda length: length * 7 // 10 + 1)), EXAMPLE).stride == 1
