"""Java's numbers against eager PyTorch, and every way in which the child process can end."""

import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import PIL.Image
import pytest
import tifffile
import torch
from interrupting import interruptible
from java_networks import save
from torch import nn

from zooready import java
from zooready.errors import ConsumerFailed, ConsumerMissing, InputInvalid
from zooready.images.files import read_image

pytestmark = [pytest.mark.java, pytest.mark.usefixtures("engines")]

SHAPES = [(1, 2, 13, 17), (1, 2, 1, 1), (2, 2, 8, 5), (1, 2, 7, 1), (1, 2, 64, 33)]


def eager(network, array):
    with torch.no_grad():
        return [output.numpy() for output in network(torch.from_numpy(array))]


RUNNING = {"pytorch": ("pytorch", "2.0.0"), "onnx-1.12.1": ("onnxruntime", "1.12.1"), "onnx-1.13.1": ("onnxruntime", "1.13.1")}


@pytest.mark.parametrize("engine", java.ENGINES)
def test_java_equals_eager_at_odd_sizes_batch_2_and_two_outputs(engine, weights, two_outputs, rng):
    inputs = [rng.normal(0, 3, shape).astype(np.float32) for shape in SHAPES]
    result = java.run(engine, weights[engine], inputs)
    for array, outputs in zip(inputs, result.outputs, strict=True):
        for expected, output in zip(eager(two_outputs, array), outputs, strict=True):
            assert output.dtype == np.float32
            np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)
    name, version = RUNNING[engine]
    assert (result.versions[name], result.versions["imagej"]) == (version, "1.54p")  # as the engines say themselves


def test_outputs_in_channels_last_memory_come_back_in_order(tmp_path, rng):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 5, 3, padding=1)

        def forward(self, image):
            return self.conv(image.contiguous(memory_format=torch.channels_last))

    network = Last().eval().to(memory_format=torch.channels_last)
    image = rng.random((2, 2, 9, 6), dtype=np.float32)
    (output,) = java.run("pytorch", save(network, tmp_path / "weights.pt", torch.rand(1, 2, 8, 8)), [image]).outputs[0]
    np.testing.assert_allclose(output, network(torch.from_numpy(image)).detach().numpy(), atol=1e-5)


def test_a_list_of_outputs_is_several_outputs(tmp_path):
    class Two(nn.Module):
        def forward(self, image):
            return [image, image * 2]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Two()), tmp_path / "weights.pt")
    image = np.ones((1, 1, 3, 2), np.float32)
    first, second = java.run("pytorch", tmp_path / "weights.pt", [image]).outputs[0]
    assert (first.sum(), second.sum()) == (6, 12)


ORDER = {"YX": (0, 1), "CYX": (0, 1, 2), "TCYX": (0, 1, 2, 3), "ZCYX": (1, 0, 2, 3), "TZCYX": (0, 2, 1, 3, 4), "YXS": (2, 0, 1)}
TIFFS = [
    ("uint8", (5, 7), "YX", (1, 1, 5, 7)),
    ("uint16", (5, 7), "YX", (1, 1, 5, 7)),
    ("float32", (5, 7), "YX", (1, 1, 5, 7)),
    ("uint16", (3, 5, 7), "CYX", (1, 3, 5, 7)),
    ("float32", (4, 3, 5, 7), "TCYX", (4, 3, 5, 7)),
    ("float32", (4, 3, 5, 7), "ZCYX", (1, 3, 4, 5, 7)),
    ("uint8", (2, 4, 3, 5, 7), "TZCYX", (2, 3, 4, 5, 7)),
    ("uint8", (5, 7, 3), "YXS", (1, 3, 5, 7)),
]


@pytest.fixture(scope="module")
def opened(identity, tmp_path_factory):
    """Each of ``TIFFS`` as written and as ImageJ read it."""
    rng, folder = np.random.default_rng(3), tmp_path_factory.mktemp("tiffs")
    paths, written = [], []
    for number, (dtype, shape, axes, _) in enumerate(TIFFS):
        top = 1 if dtype == "float32" else np.iinfo(dtype).max + 1
        written.append((rng.random(shape) * top).astype(dtype))
        paths.append(folder / f"{number}.tif")
        tifffile.imwrite(paths[-1], written[-1], imagej=True, metadata={"axes": axes})
    return list(zip(written, java.run("pytorch", identity, paths).outputs, strict=True))


@pytest.mark.parametrize("number", range(len(TIFFS)), ids=[f"{case[0]}-{case[2]}" for case in TIFFS])
def test_imagej_opens_tiffs_by_name_of_axis_with_raw_values(number, opened):
    _, _, axes, shape = TIFFS[number]
    written, (output,) = opened[number]
    assert output.shape == shape
    assert np.array_equal(output, written.astype(np.float32).transpose(ORDER[axes]).reshape(shape))


def test_arrays_pass_through_imagej_unchanged(identity, rng):
    small = [(1, 1, 1, 1), (1, 5, 1, 1), (1, 2, 9, 1), (1, 3, 1, 9), (1, 4, 4, 4)]
    deep = [(1, 2, 3, 5, 4), (2, 1, 3, 5, 4), (1, 1, 1, 6, 6)]
    images = [rng.normal(0, 1e6, shape).astype(np.float32) for shape in small + deep]
    for image, (output,) in zip(images, java.run("pytorch", identity, images, through_imagej=True).outputs, strict=True):
        assert np.array_equal(output, image)


def test_java_needs_no_java_on_the_path_and_ignores_foreign_settings(monkeypatch, weights, rng, tmp_path):
    monkeypatch.setenv("ZOOREADY_CACHE", str(java.engines.folder().parent))
    for name, value in {
        "PATH": str(tmp_path),
        "JAVA_HOME": "/nowhere",
        "_JAVA_OPTIONS": "-Xmx1k",
        "CLASSPATH": "/nowhere",
        "HOME": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    assert len(java.run("pytorch", weights["pytorch"], [rng.random((1, 2, 4, 4), dtype=np.float32)]).outputs) == 1


def test_repeats_report_a_median_after_a_warm_up(weights, rng):
    image = rng.random((1, 2, 64, 64), dtype=np.float32)
    once, often = (java.run("pytorch", weights["pytorch"], [image], repeats=repeats) for repeats in (0, 5))
    assert 0 < often.seconds[0] < once.seconds[0]
    assert np.array_equal(often.outputs[0][0], once.outputs[0][0])


def test_the_worker_never_imports_torch(tmp_path):
    code = "import sys, zooready.java.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def endless(path):
    class Endless(nn.Module):
        def forward(self, image):
            while bool(image.max() > -1):
                image = image + 1
            return image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Endless()), path)
    return path


def test_a_network_that_never_ends_is_ended(tmp_path):
    started = time.monotonic()
    with pytest.raises(ConsumerFailed, match=r"pytorch in Java, at input 1 of 1, 1x1x2x3: no answer after 12 s \(its limit\)"):
        java.run("pytorch", endless(tmp_path / "weights.pt"), [np.zeros((1, 1, 2, 3), np.float32)], limit_s=12)
    assert time.monotonic() - started < 60


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is watched where /proc tells it")
def test_a_network_that_takes_too_much_memory_is_ended(tmp_path):
    class Greedy(nn.Module):
        def forward(self, image):
            return (torch.ones(200_000_000) * image.max()).sum()[None]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Greedy()), tmp_path / "weights.pt")
    with pytest.raises(ConsumerFailed, match=r"input 1 of 1, 1x1x2x2: it took \d+ MiB of memory \(limit 700\)"):
        java.run("pytorch", tmp_path / "weights.pt", [np.zeros((1, 1, 2, 2), np.float32)], memory_mb=700)


def crashing(path):
    helper, numbers = onnx.helper, onnx.TensorProto
    zero = helper.make_tensor("zero", numbers.INT64, [1], [0])
    nodes = [
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Div", ["shape", "zero"], ["divided"]),  # a whole number by zero: SIGFPE in ONNX Runtime
        helper.make_node("Cast", ["divided"], ["out"], to=numbers.FLOAT),
    ]
    image = helper.make_tensor_value_info("image", numbers.FLOAT, ["b", 1, "y", "x"])
    graph = helper.make_graph(nodes, "g", [image], [helper.make_tensor_value_info("out", numbers.FLOAT, [4])], [zero])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_crash_of_the_engine_is_told_with_its_signal(tmp_path):
    images = [np.ones((1, 1, 3, 2), np.float32)]
    with pytest.raises(
        ConsumerFailed, match=r"(?s)onnx-1.13.1 in Java, at input 1 of 1, 1x1x3x2: the JVM crashed with SIGFPE in .*onnxruntime.*\n  \| "
    ):
        java.run("onnx-1.13.1", crashing(tmp_path / "weights.onnx"), images)


def counted(monkeypatch):
    """The child processes that are started from now on."""
    started, work = [], java.child.work
    monkeypatch.setattr(java.child, "work", lambda *given, **options: (started.append(given), work(*given, **options))[1])
    return started


def test_several_files_run_in_one_process(weights, two_outputs, rng, tmp_path, monkeypatch):
    started = counted(monkeypatch)
    other = save(nn.Conv2d(2, 3, 1), tmp_path / "weights.pt", torch.rand(1, 2, 9, 11))
    inputs = [rng.normal(0, 3, shape).astype(np.float32) for shape in SHAPES]
    first, second = java.race("pytorch", [weights["pytorch"], other], inputs, repeats=2)
    assert len(started) == 1
    for array, outputs, others in zip(inputs, first.outputs, second.outputs, strict=True):
        for expected, output in zip(eager(two_outputs, array), outputs, strict=True):
            np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)
        assert [output.shape for output in others] == [(array.shape[0], 3, *array.shape[2:])]
    assert len(first.seconds) == len(second.seconds) == 1
    assert first.versions["pytorch"] == second.versions["pytorch"] == "2.0.0"


class Counting(nn.Module):
    """Adds to an image how often it ran since it was loaded."""

    def __init__(self):
        super().__init__()
        self.register_buffer("runs", torch.zeros(1))

    def forward(self, image):
        self.runs += 1
        return image + self.runs


def test_torchscript_is_loaded_once_and_runs_twice_on_the_first_image(tmp_path):
    torch.jit.script(Counting()).save(str(tmp_path / "weights.pt"))
    images = [np.zeros((1, 1, 4, side), np.float32) for side in (3, 5, 7)]
    (raced,) = java.race("pytorch", [tmp_path / "weights.pt"], images, repeats=1)
    for result in (java.run("pytorch", tmp_path / "weights.pt", images), raced):
        assert [output.shape[-1] for (output,) in result.outputs] == [3, 5, 7]
        assert [float(output.max()) for (output,) in result.outputs] == [2, 3, 4]


def test_a_file_that_fails_leaves_the_others(weights, rng, tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"not a network")
    inputs = [rng.random((1, 2, 4, 4), dtype=np.float32)]
    failed, result = java.race("pytorch", [tmp_path / "weights.pt", weights["pytorch"]], inputs, repeats=1)
    assert re.match(r"pytorch in Java: at the loading of file 1 of 2: PytorchStreamReader failed reading zip archive", str(failed))
    assert result.outputs[0][0].shape == (1, 3, 4, 4)


def test_a_crash_is_charged_to_its_file(tmp_path, monkeypatch):
    started = counted(monkeypatch)
    good = save(nn.Conv2d(1, 1, 1), tmp_path / "good.onnx", torch.rand(1, 1, 3, 2))
    image = np.ones((1, 1, 3, 2), np.float32)
    result, failed = java.race("onnx-1.13.1", [good, crashing(tmp_path / "weights.onnx")], [image], repeats=1)
    assert len(started) == 3  # together, then each by itself
    assert result.outputs[0][0].shape == image.shape
    assert "the JVM crashed with SIGFPE" in str(failed)


def test_a_killed_child_is_told_with_its_signal(tmp_path, monkeypatch):
    ended = java.child._watched

    def watched(child, limit_s, memory_mb):
        time.sleep(1)
        os.kill(child.pid, signal.SIGKILL)
        return ended(child, limit_s, memory_mb)

    monkeypatch.setattr(java.child, "_watched", watched)
    with pytest.raises(ConsumerFailed, match=r"killed by SIGKILL \(the system may be out of memory\) after"):
        java.run("pytorch", endless(tmp_path / "weights.pt"), [np.zeros((1, 1, 2, 3), np.float32)])


@pytest.mark.parametrize(
    ("engine", "name", "message"),
    [
        ("pytorch", "weights.pt", "pytorch in Java, at the loading of weights.pt: PytorchStreamReader failed reading zip archive"),
        ("onnx-1.12.1", "weights.onnx", r"onnx-1.12.1 in Java, at the loading of weights.onnx: Error code - \w+ - .*[Pp]rotobuf"),
    ],
)
def test_a_corrupt_file_is_the_engines_own_error(engine, name, message, tmp_path):
    (tmp_path / name).write_bytes(b"not a network")
    with pytest.raises(ConsumerFailed, match=message):
        java.run(engine, tmp_path / name, [np.zeros((1, 1, 2, 2), np.float32)])


def test_an_error_inside_the_network_is_told_without_its_traceback(weights, rng):
    with pytest.raises(
        ConsumerFailed, match=r"at input 2 of 2, 1x3x4x4: RuntimeError: Given groups=1.* expected input\[1, 3, 4, 4\] to have 2 channels"
    ):
        java.run("pytorch", weights["pytorch"], [rng.random((1, c, 4, 4), dtype=np.float32) for c in (2, 3)])


def test_other_dtypes_than_float32_are_refused_by_name(tmp_path, weights):
    class Whole(nn.Module):
        def forward(self, image):
            return image, (image > 0).long()

    image = np.zeros((1, 1, 4, 4), np.float32)
    for engine, suffix in (("pytorch", ".pt"), ("onnx-1.13.1", ".onnx")):
        path = save(Whole(), tmp_path / f"weights{suffix}", torch.rand(1, 1, 4, 4), ("same", "whole"))
        with pytest.raises(ConsumerFailed, match="output 2 is int64, not float32, the only type that a bundle may return"):
            java.run(engine, path, [image])
    with pytest.raises(InputInvalid, match=r"input 2 is float64: .*astype\('float32'\)"):
        java.run("pytorch", weights["pytorch"], [image, image.astype(np.float64)])


def test_an_onnx_file_of_two_inputs_is_refused(tmp_path):
    class Sum(nn.Module):
        def forward(self, a, b):
            return a + b

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Sum(), (torch.rand(1), torch.rand(1)), tmp_path / "w.onnx", dynamo=False, opset_version=17, input_names=["a", "b"]
        )
    with pytest.raises(ConsumerFailed, match=r"the ONNX file takes 2 inputs \(a, b\): a bundle has exactly one"):
        java.run("onnx-1.13.1", tmp_path / "w.onnx", [np.zeros(1, np.float32)])


def test_images_that_imagej_cannot_take_as_they_are_get_refused(identity, tmp_path):
    (tmp_path / "no.tif").write_bytes(b"no TIFF")
    with pytest.raises(ConsumerFailed, match=r"at input 1 of 1, no.tif: ImageJ cannot open no.tif: save it as an ImageJ TIFF"):
        java.run("pytorch", identity, [tmp_path / "no.tif"])


def test_a_persons_own_file_is_opened_with_the_values_that_imagej_shows(identity, tmp_path):
    signed = np.array([[-32768, -5, 0], [7, 300, 32767]], np.int16)
    grey = np.array([[0, 1, 4], [7, 100, 255]], np.uint8)
    line = {"axes": "YX", "cf": 0, "c0": 10.0, "c1": 2.5, "vunit": "Gray Value"}
    tifffile.imwrite(tmp_path / "stored.tif", signed)
    tifffile.imwrite(
        tmp_path / "offset.tif",
        (signed.astype(np.int32) + 32768).astype(np.uint16),
        imagej=True,
        metadata=line | {"c0": -32768.0, "c1": 1.0},
    )
    tifffile.imwrite(tmp_path / "line.tif", grey, imagej=True, metadata=line)
    PIL.Image.fromarray(grey).save(tmp_path / "grey.PNG")
    expected = {"stored.tif": signed, "offset.tif": signed, "line.tif": 10 + 2.5 * grey, "grey.PNG": grey}
    seen = java.run("pytorch", identity, [tmp_path / name for name in expected]).outputs
    for (name, values), (output,) in zip(expected.items(), seen, strict=True):
        assert np.array_equal(output, values[None, None]), name
        assert np.array_equal(read_image(tmp_path / name).array, values), name


def test_wrong_arguments_are_told_before_anything_starts(identity, tmp_path):
    with pytest.raises(InputInvalid, match=r"engine 'tensorflow' is not known: use one of pytorch, onnx-1.12.1, onnx-1.13.1"):
        java.run("tensorflow", identity, [])
    with pytest.raises(InputInvalid, match=r"no weight file at .*none.pt"):
        java.run("pytorch", tmp_path / "none.pt", [])
    with pytest.raises(InputInvalid, match=r"no image at .*none.tif"):
        java.run("pytorch", identity, [tmp_path / "none.tif"])


def test_missing_engines_are_told_with_the_cure(identity, monkeypatch, tmp_path):
    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path))
    with pytest.raises(ConsumerMissing, match=r"no Java engines in .*: run `zooready engines install`"):
        java.run("pytorch", identity, [])


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])  # Ctrl-C, and a parent that can do nothing any more
def test_the_child_ends_with_its_parent(name, tmp_path):
    code = "import sys, numpy, pathlib, zooready.java as j; j.run('pytorch', pathlib.Path(sys.argv[1]), [numpy.zeros((1, 1, 2, 3), 'f')])"
    command = [sys.executable, "-c", code, str(endless(tmp_path / "weights.pt"))]
    home = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=home, preexec_fn=interruptible)
    try:
        job_folder = awaited(lambda: next((p.parent for p in tmp_path.glob("zooready-*/files/at.txt") if "1x1x2x3" in p.read_text()), None))
        child = next(int(p.name) for p in Path("/proc").glob("[0-9]*") if str(job_folder) in _command(p) and "worker" in _command(p))
        parent.send_signal(getattr(signal, name))
        parent.wait(20)
        awaited(lambda: not _command(Path(f"/proc/{child}")))
    finally:
        parent.kill()


def awaited(question, limit_s=30):
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if answer := question():
            return answer
        time.sleep(0.05)
    raise AssertionError("never came true")


def _command(process):
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not tell how much memory a process holds")
def test_memory_counts_what_the_child_started(tmp_path):
    started = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; a = bytearray(300 << 20); time.sleep(60)'])"
    begun = time.monotonic()
    end, code = java.child.attended([sys.executable, "-c", started], tmp_path, dict(os.environ), limit_s=50, memory_mb=200)
    assert re.fullmatch(r"it took \d+ MiB of memory \(limit 200\)\. Try a smaller image, or allow more", end)
    assert code == -signal.SIGKILL
    assert time.monotonic() - begun < 40
