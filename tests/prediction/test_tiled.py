"""Tiles give the numbers of the whole image, whatever they are, and only where a bundle says what its network takes from the whole."""

import dataclasses
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from torch import nn

from zooready.bundle.rdf import read
from zooready.bundle.specs import input_spec
from zooready.errors import InputInvalid
from zooready.images import files, mapped, tiff
from zooready.images.chunked import Chunked
from zooready.images.matching import match
from zooready.nets.classed import ClassedInstances
from zooready.nets.labelling import Instances
from zooready.nets.normalization import FirstMeanStd, MeanStd, MinMax, Percentiles
from zooready.nets.peaks import Peaks
from zooready.nets.sharpening import Sharpened
from zooready.nets.wrapping import FijiSafe
from zooready.prediction import memory, predict, save, stitched_labels, tiled, whole
from zooready.prediction import statistics as whole_image
from zooready.prediction.parts import Parts
from zooready.prediction.statistics import statistics
from zooready.prediction.tiles import tiles
from zooready.records import Image
from zooready.tensors import Operator


class Coarse(nn.Module):
    """A network with a stride of 4 whose padding shows at every edge."""

    def __init__(self, channels=1):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.last = nn.Conv2d(4, channels, 3, padding=1)

    def forward(self, image):
        small = nn.functional.avg_pool2d(torch.relu(self.first(image)), 4)
        return self.last(nn.functional.interpolate(small, scale_factor=4.0)) + image


class Spots(nn.Module):
    """Foreground and distance where an image is bright."""

    def forward(self, image):
        smooth = nn.functional.avg_pool2d(nn.functional.pad(image, (2, 2, 2, 2)), 5, stride=1)
        return torch.cat((torch.sigmoid(8 * (smooth - 0.5)), smooth.clamp(0, 1)), 1)


class Classed(Spots):
    """And classes by brightness, with specks of a few pixels that have no middle."""

    def forward(self, image):
        foreground, distance = super().forward(image).chunk(2, 1)
        speck = (image > 0.8).to(image.dtype) * (distance < 0.45)
        first = torch.sigmoid(4 * (nn.functional.avg_pool2d(image, 7, stride=1, padding=3) - 0.5))
        return torch.cat((torch.maximum(foreground, speck), distance, first, 0.9 - first, speck), 1)


def image(size, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.indices(size)
    bright = 400 * (np.sin(y / 5) * np.sin(x / 7) > 0.4) + 2 * x  # spots on a slope, which every tile would normalise in its own way
    return rng.poisson(bright + 100).astype(np.uint16)


def bundle(folder, network, normalization, head=None, outputs=("output",), restores=False, *, inside, halo=8, classes=()):
    """A bundle as export makes it, of which only the description and the ONNX graph are there."""
    module = FijiSafe(network, normalization, head, stride=4, minimum=4, axes=("bcyx",), restores=restores).eval()
    free = {name: {2: "y", 3: "x"} for name in ("image", *outputs)}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy exporter is deprecated, and the one that bundles are made with
        torch.onnx.export(
            module, (torch.rand(1, 1, 40, 48),), str(folder / "weights.onnx"), dynamo=False, opset_version=17, input_names=["image"],
            output_names=list(outputs), dynamic_axes=free,
        )  # fmt: skip
    kinds = [{"id": name, "kind": "labels" if name in ("labels", "classes") else "image"} for name in outputs]
    channels = {"probabilities": ("foreground", "distance", *classes)}
    rdf = {
        "format_version": "0.5.3", "type": "model", "name": "tiny tiled bundle",
        "inputs": [{"id": "image", "axes": [axis(letter, ("intensity",)) for letter in "bcyx"]}],
        "outputs": [{"id": name, "axes": [axis(letter, channels.get(name, (name,))) for letter in "bcyx"]} for name in outputs],
        "config": {"zooready": {"outputs": kinds, "measured": {"stride": 4, "minimum": 4, "halo": halo}, "inside": inside}},
    }  # fmt: skip
    return read(rdf, path=folder / "tiny.zip", folder=folder, formats={"onnx": folder / "weights.onnx"}, trusted=False)


def axis(letter, channels):
    if letter == "c":
        return {"id": "channel", "type": "channel", "channel_names": list(channels)}
    return {"id": "batch", "type": "batch"} if letter == "b" else {"id": letter, "type": "space", "size": {"min": 1, "step": 1}}


@pytest.fixture(scope="module")
def restoring(tmp_path_factory):
    inside = {"normalization": {"name": "MeanStd"}, "head": {"name": "none"}}
    return bundle(tmp_path_factory.mktemp("restoring"), Coarse(), MeanStd(), restores=True, inside=inside)


@pytest.fixture(scope="module")
def sharpening(tmp_path_factory):
    settings = {"sigma_px": 1.0, "amount": 0.6}
    inside = {"normalization": {"name": "MeanStd"}, "head": {"name": "Sharpened", **settings}}
    return bundle(tmp_path_factory.mktemp("sharpening"), Coarse(), MeanStd(), Sharpened(**settings), restores=True, inside=inside, halo=12)


@pytest.fixture(scope="module")
def labelling(tmp_path_factory):
    thresholds = {"core": 0.4, "smallest": 10, "doublings": 5}
    inside = {"normalization": {"name": "Percentiles", "low": 1.0, "high": 99.0}, "head": {"name": "Instances", **thresholds}}
    outputs = ("probabilities", "labels")
    return bundle(tmp_path_factory.mktemp("labelling"), Spots(), Percentiles(), Instances(**thresholds), outputs, inside=inside)


@pytest.fixture(scope="module")
def marking(tmp_path_factory):
    inside = {"normalization": {"name": "Percentiles", "low": 1.0, "high": 99.0}, "head": {"name": "Peaks", "core": 0.3, "growth": 3}}
    outputs, head = ("probabilities", "labels"), Peaks(core=0.3, growth=3)
    return bundle(tmp_path_factory.mktemp("marking"), Spots(), Percentiles(), head, outputs, inside=inside)


@pytest.fixture(scope="module")
def classing(tmp_path_factory):
    thresholds = {"core": 0.6, "smallest": 0, "doublings": 5}
    inside = {"normalization": {"name": "Percentiles", "low": 1.0, "high": 99.0}, "head": {"name": "ClassedInstances", **thresholds}}
    outputs = ("probabilities", "labels", "classes")
    head, folder = ClassedInstances(**thresholds), tmp_path_factory.mktemp("classing")
    return bundle(folder, Classed(), Percentiles(), head, outputs, inside=inside, classes=("a", "b", "c"))


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(whole, "AREA", 1)
    monkeypatch.setattr(tiled, "SIDE", 48)
    monkeypatch.setattr(tiled, "LABEL_SIDE", 40)


def beside(tileable, given, monkeypatch):
    """The images of a bundle run on the whole, and of one run where the image should be cut, and the progress of that."""
    monkeypatch.setattr(whole, "AREA", 10**9)
    entire = predict(tileable, given)
    monkeypatch.setattr(whole, "AREA", 1)
    calls = []
    other = predict(tileable, given, progress=lambda *numbers: calls.append(numbers))
    return entire.images, other.images, calls


def both(tileable, given, monkeypatch):
    """The images of a bundle run on the whole, and by tiles."""
    entire, cut, calls = beside(tileable, given, monkeypatch)
    assert calls[-1][0] == calls[-1][1] > 4
    return entire, cut


def alone(tileable, given, monkeypatch):
    """The images of a bundle run on the whole, and where it should be cut and is not."""
    entire, uncut, calls = beside(tileable, given, monkeypatch)
    assert calls == [(1, 1)]
    return entire, uncut


@pytest.mark.parametrize("size", [(130, 171), (48, 200), (131, 5)])
def test_tiled_equals_whole(restoring, small_tiles, monkeypatch, size):
    entire, cut = both(restoring, Image(array=image(size), axes="yx", pixel_size_um=0.1), monkeypatch)
    expected, result = entire["output"], cut["output"]
    assert (result.axes, result.pixel_size_um, result.array.shape) == (expected.axes, 0.1, size)
    assert np.abs(result.array - expected.array).max() <= 1e-5 * np.ptp(expected.array)


def test_a_head_that_sharpens_is_tiled_too(sharpening, small_tiles, monkeypatch):
    entire, cut = both(sharpening, Image(array=image((130, 171)), axes="yx"), monkeypatch)
    assert np.abs(cut["output"].array - entire["output"].array).max() <= 1e-5 * np.ptp(entire["output"].array)


def test_each_plane_has_statistics_of_its_own(restoring, small_tiles, monkeypatch):
    stack = np.stack([image((60, 70)), 5 * image((60, 70), 1)])
    entire, cut = both(restoring, Image(array=stack, axes="zyx"), monkeypatch)
    assert np.abs(cut["output"].array - entire["output"].array).max(axis=(1, 2)) == pytest.approx([0, 0], abs=1e-5 * np.ptp(stack))


def altered(tileable, **parts):
    return dataclasses.replace(tileable, inside={**tileable.inside, **parts})


@pytest.mark.parametrize("stated", [{"measured_halo_px": 0}, {"measured_halo_px": 4}, {"measured_stride_px": 1}, {"measured_stride_px": 3}])
def test_the_stated_halo_and_stride_are_tried_before_an_image_is_cut(restoring, small_tiles, monkeypatch, stated):
    given = Image(array=image((150, 171)), axes="yx")
    entire, uncut = alone(dataclasses.replace(restoring, **stated), given, monkeypatch)
    np.testing.assert_array_equal(uncut["output"].array, entire["output"].array)
    monkeypatch.setattr(tiled, "_demand_true", lambda *given: None)
    entire, cut = both(dataclasses.replace(restoring, **stated), given, monkeypatch)
    assert np.abs(cut["output"].array - entire["output"].array).max() > 1e-3 * np.ptp(entire["output"].array)


def test_a_normalization_that_is_not_stated_is_found(restoring, small_tiles, monkeypatch):
    silent = altered(restoring, normalization=Operator(name="none"))
    entire, cut = alone(silent, Image(array=image((150, 171)), axes="yx"), monkeypatch)
    np.testing.assert_array_equal(cut["output"].array, entire["output"].array)


@pytest.mark.parametrize(
    "stated",
    [{"core": 0.41}, {"foreground": 0.49}, {"smallest": 11}, {"doublings": 3}, {"growth": 7}],
    ids=lambda stated: next(iter(stated)),
)
def test_labels_that_the_graph_does_not_make_are_found(labelling, small_tiles, monkeypatch, stated):
    head = labelling.inside["head"]
    other = altered(labelling, head=Operator(name="Instances", kwargs={**head.kwargs, **stated}))
    entire, cut = alone(other, Image(array=image((150, 170)), axes="yx"), monkeypatch)
    np.testing.assert_array_equal(cut["labels"].array, entire["labels"].array)


def test_labels_of_tiles_are_those_of_the_whole(labelling, small_tiles, monkeypatch):
    entire, cut = both(labelling, Image(array=image((150, 170)), axes="yx"), monkeypatch)
    assert cut["labels"].array.max() > 20
    assert cut["labels"].array.dtype == np.uint16
    np.testing.assert_array_equal(cut["labels"].array, entire["labels"].array)
    np.testing.assert_allclose(cut["probabilities"].array, entire["probabilities"].array, atol=1e-6)


def test_peaks_of_tiles_are_those_of_the_whole(marking, small_tiles, monkeypatch):
    entire, cut = both(marking, Image(array=image((150, 170)), axes="yx"), monkeypatch)
    assert cut["labels"].array.max() > 20
    np.testing.assert_array_equal(cut["labels"].array, entire["labels"].array)


def test_objects_and_classes_of_tiles_are_those_of_the_whole(classing, small_tiles, monkeypatch):
    given = image((150, 170))
    given[::37, ::41], given[40:52, 40:60] = 2000, 200
    entire, cut = both(classing, Image(array=given, axes="yx"), monkeypatch)
    assert set(cut) == {"probabilities", "labels", "classes"}
    matches = match(entire["labels"].array, cut["labels"].array, 0.999)
    assert matches.f1 == 1
    np.testing.assert_array_equal(cut["labels"].array, entire["labels"].array)
    np.testing.assert_array_equal(cut["classes"].array, entire["classes"].array)
    assert set(np.unique(cut["classes"].array)) == {0, 1, 2, 3}
    assert (cut["labels"].array > 0).sum() > ((cut["probabilities"].array[1] > 0.6) & (cut["labels"].array > 0)).sum()
    assert cut["labels"].array.max() > 20
    assert cut["classes"].array.dtype == np.uint16


def test_a_class_image_alone_is_not_made_by_tiles(classing):
    outputs = tuple(output for output in classing.outputs if output.name != "labels")
    with pytest.raises(tiled.NotTiled, match="its labels are made inside the network in a way that is not known here"):
        tiled.tiling(dataclasses.replace(classing, outputs=outputs), input_spec(classing), format="onnx", device="cpu", zoom=1.0)


@pytest.mark.parametrize("side", [7, 16, 33, 500])
@pytest.mark.parametrize("smallest", [0, 30])
def test_classes_do_not_depend_on_the_tiling(side, smallest):
    """Random classes, so that votes are close; many parts of the foreground have no middle of their own."""
    rng = np.random.default_rng(5)
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(rng.random((90, 110)), 2)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    probabilities = np.concatenate([[smooth, smooth], rng.integers(0, 3, (4, 90, 110))]).astype(np.float32)
    head = ClassedInstances(foreground=0.45, core=0.65, doublings=6, growth=3, smallest=smallest)
    _, expected, of_objects = (tensor[0, 0].numpy() for tensor in head(torch.from_numpy(probabilities)[None]))
    seeds, labels, classes = np.zeros((3, 90, 110), np.int32)
    count = stitched_labels.label(probabilities, seeds, labels, head, side, classes)
    without = Instances(foreground=0.45, core=0.65, doublings=6, growth=3, smallest=smallest)
    assert count == expected.max() > without(torch.from_numpy(probabilities[:2])[None])[1].max() > 5
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(classes, of_objects)
    assert set(np.unique(classes)) >= {0, 1, 2}


HEADS = [Instances(foreground=0.45, core=0.55, doublings=6, growth=3, smallest=20), Peaks(foreground=0.45, core=0.55, growth=3)]


@pytest.mark.parametrize("head", HEADS, ids=["middles", "peaks"])
@pytest.mark.parametrize("side", [7, 16, 33, 500])
def test_numbers_do_not_depend_on_the_tiling(side, head):
    rng = np.random.default_rng(3)
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(rng.random((90, 110)), 2)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    probabilities = np.stack([smooth, smooth]).astype(np.float32)
    expected = head(torch.from_numpy(probabilities)[None])[1][0, 0].numpy()
    seeds, labels = np.zeros((2, 90, 110), np.int32)
    count = stitched_labels.label(probabilities, seeds, labels, head, side)
    assert count == expected.max() > 10
    np.testing.assert_array_equal(labels, expected)


def test_a_core_that_winds_through_many_tiles_is_one():
    spiral = np.zeros((64, 64), np.float32)
    spiral[2:62:4, 2:62] = 1
    spiral[2:62, 2:4] = 1
    probabilities = np.stack([np.ones_like(spiral), spiral])
    seeds, labels = np.zeros((2, 64, 64), np.int32)
    assert stitched_labels.label(probabilities, seeds, labels, Instances(core=0.3), 9) == 1
    assert (labels[spiral > 0] == 1).all()


def test_an_image_without_objects_has_no_labels():
    probabilities = np.zeros((2, 30, 40), np.float32)
    seeds, labels = np.zeros((2, 30, 40), np.int32)
    assert stitched_labels.label(probabilities, seeds, labels, Instances(), 16) == 0
    assert not labels.any()


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("MeanStd", MeanStd()),
        ("MinMax", MinMax()),
        ("Percentiles", Percentiles(1.0, 99.8)),
        ("Percentiles", Percentiles(0.0, 100.0)),
        ("Percentiles", Percentiles(10.0, 99.8, brightest=0.5)),
        ("Percentiles", Percentiles(10.0, 99.8, brightest=1e-3)),
        ("FirstMeanStd", FirstMeanStd(unit=10.0)),
    ],
)
@pytest.mark.parametrize("values", ["counts", "signed floats", "constant", "one pixel", "large offset"])
def test_statistics_are_those_of_the_network(name, module, values, monkeypatch):
    monkeypatch.setattr(mapped, "BLOCK", 100)
    monkeypatch.setattr(whole_image, "WINDOW", 20)
    rng = np.random.default_rng(0)
    array = {
        "counts": rng.poisson(100, (2, 31, 47)).astype(np.uint16),
        "signed floats": rng.normal(-3, 50, (2, 31, 47)),
        "constant": np.full((2, 31, 47), 7, np.uint8),
        "one pixel": np.full((2, 1, 1), 7, ">u2"),
        "large offset": (60000 + rng.normal(0, 1, (2, 31, 47))).astype(np.float32),
    }[values]
    kwargs = {key: getattr(module, key) for key in ("low", "high", "unit", "brightest") if hasattr(module, key)}
    found = statistics(array, Operator(name=name, kwargs=kwargs))
    expected = [part.numpy() for part in module.statistics(torch.from_numpy(array.astype(np.float32))[None])]
    assert [part.shape for part in found] == [part.shape for part in expected]
    np.testing.assert_allclose(found[-1], expected[-1], rtol=1e-5)
    offset, wanted = (sum(part.astype(np.float64) for part in parts[:-1]) for parts in (found, expected))
    np.testing.assert_allclose(offset, wanted, atol=1e-5 * float(expected[-1].max()))


def test_statistics_of_pixels_in_chunks_are_those_of_an_array(monkeypatch):
    monkeypatch.setattr(mapped, "BLOCK", 100)
    monkeypatch.setattr(whole_image, "WINDOW", 20)
    array = np.random.default_rng(0).poisson(100, (2, 31, 47)).astype(">u2")
    seen = ((0, 2), (0, 31), (0, 47))
    stored = Chunked(read=lambda region: array[region], dtype=array.dtype, chunks=(1, 8, 16), seen=seen, order=(0, 1, 2))
    for name, kwargs in (("Percentiles", {"low": 10.0, "high": 99.8, "brightest": 0.5}), ("MeanStd", {}), ("MinMax", {})):
        normalization = Operator(name=name, kwargs=kwargs)
        for found, expected in zip(statistics(stored, normalization), statistics(array, normalization), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_ranks_are_exact(monkeypatch):
    monkeypatch.setattr(mapped, "BLOCK", 64)
    values = np.concatenate([np.random.default_rng(0).normal(0, 1e3, 500), [0.0, -0.0, 1e-40, 3.4e38, -3.4e38]]).astype(np.float32)
    from zooready.prediction.statistics import ranked

    ranks = (0, 1, 100, 250, 503, 504)
    np.testing.assert_array_equal(ranked(values[None], ranks), np.sort(values)[list(ranks)])


@pytest.mark.parametrize(
    ("size", "side", "halo", "stride", "minimum"), [((97, 33), 32, 5, 4, 8), ((5, 300), 64, 40, 8, 16), ((1, 1), 9, 2, 1, 1)]
)
def test_tiles_cover_an_image_once_and_begin_on_the_stride(size, side, halo, stride, minimum):
    seen = np.zeros(size, int)
    for tile in tiles(size, side, halo=halo, stride=stride, minimum=minimum):
        seen[tile.inner] += 1
        for inner, window, length in zip(tile.inner, tile.window, size, strict=True):
            assert window.start % stride == 0
            assert window.stop - window.start >= min(minimum, length)
            assert window.start <= max(0, inner.start - halo)
            assert window.stop >= min(length, inner.stop + halo)
    assert (seen == 1).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"inside": {}}, "the bundle does not say what its network takes from the whole image"),
        ({"measured_halo_px": "whole image"}, "its network sees the whole image"),
        ({"measured_halo_px": None}, "how far its network sees"),
        ({"inside": {"normalization": Operator(name="Own"), "head": Operator(name="none")}}, "Own, its normalization, is not known here"),
        ({"inside": {"normalization": Operator(name="MinMax"), "head": Operator(name="none")}}, "does not take the statistics of MinMax"),
        ({"inside": {"normalization": Operator(name="MeanStd"), "head": Operator(name="Scores")}}, "Scores, its head, is not known here"),
    ],
)
def test_a_bundle_that_cannot_be_tiled_is_run_whole_or_refused_with_the_reason(restoring, small_tiles, monkeypatch, change, reason):
    given = Image(array=image((130, 171)), axes="yx")
    monkeypatch.setattr(memory, "LARGE", 1)
    changed = dataclasses.replace(restoring, **change)
    assert predict(changed, given).images["output"].array.shape == (130, 171)
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    with pytest.raises(InputInvalid, match=f"GB are free, and it is not cut into tiles, since .*{reason}.*: cut it into smaller ones"):
        predict(changed, given)


def test_tiles_share_an_image_equally():
    windows = [tile.window for tile in tiles((4096, 300), 1664, halo=104)]
    assert [y.stop - y.start for y, _ in windows] == [1470, 1574, 1468]
    assert {(x.start, x.stop) for _, x in windows} == {(0, 300)}


def test_other_weights_are_run_whole(restoring):
    with pytest.raises(tiled.NotTiled, match="only its ONNX weights can be, and torchscript was asked for"):
        tiled.tiling(restoring, input_spec(restoring), format="torchscript", device="cpu", zoom=1.0)


def test_tiles_shrink_until_they_fit_and_are_refused_when_none_does(restoring, small_tiles, monkeypatch):
    given = Image(array=image((300, 300)), axes="yx")
    sizes = []
    monkeypatch.setattr(tiled, "SIDE", 200)
    monkeypatch.setattr(memory, "peak_bytes", lambda call: 1000 * 200**2)
    monkeypatch.setattr(memory, "TILE_BYTES", 10**9)
    cut = tiled.tiles
    monkeypatch.setattr(tiled, "tiles", lambda size, side, **how: sizes.append(side) or cut(size, side, **how))
    for room in (10**9, 2 * 10**7, 10**5):
        monkeypatch.setattr(memory, "available_bytes", lambda room=room: room)
        if room > 10**5:
            predict(restoring, given)
            continue
        with pytest.raises(InputInvalid, match=r"one tile of \d+ x \d+ px needs about \d\.\d GB"):
            predict(restoring, given)
    assert sizes[0] == 200 > sizes[1]


@pytest.mark.parametrize(("room", "side"), [(4 * 10**9, 160), (10**9, 160), (8 * 10**6, 87), (4 * 10**6, 60), (3 * 10**6, None)])
def test_a_window_is_as_large_as_memory_allows(monkeypatch, room, side):
    monkeypatch.setattr(memory, "needed_bytes", lambda run, image: 500)
    monkeypatch.setattr(memory, "available_bytes", lambda: room)
    if side is None:
        with pytest.raises(InputInvalid, match=r"one tile of 60 x 60 px needs about 0.0 GB"):
            memory.tile_side(None, np.zeros((1, 1, 300, 300)), 160, 60)
        return
    found = memory.tile_side(None, np.zeros((1, 1, 300, 300)), 160, 60)
    assert side - 10 < found <= side
    assert found % 10 == 0


GRANDCHILD = "import sys; print(flush=True); sys.stdin.readline(); pixels = b'1' * 2**26; print(flush=True); sys.stdin.readline()"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {GRANDCHILD!r}])"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this system does not say how much memory a process takes")
def test_memory_of_the_process_that_a_process_started_counts():
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()  # it has begun

        def fill():
            child.stdin.write(b"\n")
            child.stdin.flush()
            child.stdout.readline()

        assert memory.peak_bytes(fill) > 2**25
        child.stdin.close()


def test_a_child_that_has_ended_takes_no_memory():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and the system still lists it
    try:
        assert memory.peak_bytes(lambda: np.ones(2**22)) > 2**24
    finally:
        child.wait()


@pytest.mark.parametrize("how", [{}, {"compression": "zlib"}, {"byteorder": ">"}, {"bigtiff": True, "tile": (32, 32)}])
def test_a_large_file_stays_on_the_disk_and_gives_the_same_pixels(tmp_path, monkeypatch, how):
    monkeypatch.setattr(tiff, "LAZY_BYTES", 1)
    array = image((70, 90))
    tifffile.imwrite(tmp_path / "large.tif", array, **how)
    lazy, read = files.read_image(tmp_path / "large.tif", lazily=True), files.read_image(tmp_path / "large.tif")
    assert mapped.is_mapped(lazy.array)
    assert not mapped.is_mapped(read.array)
    np.testing.assert_array_equal(lazy.array, array)
    assert lazy.axes == read.axes


def test_a_cut_off_large_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "LAZY_BYTES", 1)
    tifffile.imwrite(tmp_path / "large.tif", image((70, 90)))
    content = (tmp_path / "large.tif").read_bytes()
    (tmp_path / "large.tif").write_bytes(content[:-4000])
    with pytest.raises(InputInvalid, match=r"large.tif is damaged or cut off"):
        files.read_image(tmp_path / "large.tif", lazily=True)


def test_results_in_files_are_written_as_those_in_memory(restoring, small_tiles, tmp_path, monkeypatch):
    result = predict(restoring, Image(array=image((130, 171)), axes="yx", pixel_size_um=0.1), parts=Parts(scratch=tmp_path))
    assert mapped.is_mapped(result.images["output"].array)
    (path,) = save(result, tmp_path / "out", "image")
    back = files.read_image(path)
    assert (back.axes, back.pixel_size_um) == ("yx", pytest.approx(0.1))
    np.testing.assert_array_equal(back.array, result.images["output"].array)
    assert list((tmp_path / "out").iterdir()) == [path]


def test_what_imagej_s_tiff_cannot_hold_becomes_an_ome_tiff(restoring, small_tiles, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "IMAGEJ_BYTES", 1)
    result = predict(restoring, Image(array=np.stack([image((60, 70))] * 2), axes="zyx", pixel_size_um=0.1, z_um=0.3))
    (path,) = save(result, tmp_path, "image")
    back = files.read_image(path)
    assert path.name == "image_output.ome.tif"
    assert (back.axes, back.pixel_size_um, back.z_um) == ("zyx", pytest.approx(0.1), pytest.approx(0.3))
    np.testing.assert_array_equal(back.array, result.images["output"].array)


def test_a_result_whose_disk_is_full_is_not_there(restoring, small_tiles, tmp_path, monkeypatch):
    result = predict(restoring, Image(array=image((130, 171)), axes="yx"))

    def full(file, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "reserve", full)
    with pytest.raises(InputInvalid, match=r"cannot write .*image_output.tif: No space left on device. Nothing was left behind"):
        save(result, tmp_path / "out", "image")
    assert list((tmp_path / "out").iterdir()) == []
    monkeypatch.setattr(mapped, "reserve", full)
    with pytest.raises(InputInvalid, match="cannot make a file of 0.0 GB for results"):
        predict(restoring, Image(array=image((130, 171)), axes="yx"))
