"""One bundle with everything, looked at from all sides; the same bytes twice; nothing of the machine inside; nothing half-written."""

import ast
import getpass
import hashlib
import io
import os
import platform
import signal
import site
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch
import yaml
from core import core_says
from interrupting import interruptible
from networks import ABOUT, UNET, BakedSize, Planes, Several, SmallUNet, cells, seeded, unet_bundle
from torch import nn

import zooready
from zooready import TensorSpec, java
from zooready.commands.export import export
from zooready.errors import ConsumerFailed, InputInvalid
from zooready.exporting import arguments, attempts
from zooready.formats.torchscript import tracing
from zooready.nets.normalization import Percentiles
from zooready.nets.wrapping import FijiSafe
from zooready.records import Image, Part

ELSEWHERE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from networks import unet_bundle
for variant in ("plain", "channels_last"):
    unet_bundle(Path(sys.argv[2]) / f"{variant}.zip", variant)
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return unet_bundle(tmp_path_factory.mktemp("deep") / "folders" / "that" / "were" / "missing" / "unet.zip", "plain")


@pytest.fixture(scope="session")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def rdf(folder):
    return yaml.safe_load((folder / "rdf.yaml").read_text())


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory):
    """The same exports by another process, whose user, home, temporary and working folder have names that are easy to find."""
    place = tmp_path_factory.mktemp("zaphods-place")
    for name in ("home", "scratch", "work"):
        (place / name).mkdir()
    told = {"HOME": str(place / "home"), "TMPDIR": str(place / "scratch"), "USER": "zaphod", "LOGNAME": "zaphod", "HOSTNAME": "betelgeuse"}
    command = [sys.executable, "-c", ELSEWHERE, str(Path(__file__).parents[1] / "helpers"), str(place)]
    done = subprocess.run(command, cwd=place / "work", env={**os.environ, **told}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return place


@pytest.fixture
def here(monkeypatch):
    """Record in this process, which saves the seconds of a fresh one; the fixtures above record apart, as a user's export does."""

    def refuse(job):
        raise TypeError("not in this test")

    monkeypatch.setattr(tracing, "_pickled", refuse)


def quick(module, example, out, **options):
    return zooready.export(module, example, ABOUT, out, **{"torchscript": "plain", "formats": ("torchscript",), **options})


# What is in the zip


def test_bioimageios_own_test_passes(made):
    assert [*core_says([made.path])] == ["passed"]


def test_all_three_formats_are_there(made, rdf):
    assert made.formats == ("state_dict", "torchscript", "onnx")
    assert set(rdf["weights"]) == {"pytorch_state_dict", "torchscript", "onnx"}
    assert not made.unavailable


def named(node):
    if isinstance(node, dict):
        if "source" in node:
            yield node["source"], node["sha256"]
        for value in node.values():
            yield from named(value)
    elif isinstance(node, list):
        for value in node:
            yield from named(value)


def test_every_file_is_named_with_its_hash_and_nothing_else_lies_there(folder, rdf):
    hashes = dict(named({key: value for key, value in rdf.items() if key != "config"}))
    assert hashes == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in hashes}
    rest = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - set(hashes)
    assert rest == {"rdf.yaml", "README.md", "cover.png"}
    assert rdf["documentation"] == "README.md"
    assert rdf["covers"] == ["cover.png"]


def leaves(node):
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from leaves(value)
    else:
        yield node


def test_nothing_is_null(rdf):
    assert None not in list(leaves(rdf))


@pytest.mark.parametrize("key", ["name", "license", "documentation", "description", "id", "format_version"])
def test_jdll_finds_plain_text(rdf, key):
    assert isinstance(rdf[key], str)


def test_versions_of_pytorch_are_texts(rdf):
    assert isinstance(rdf["weights"]["torchscript"]["pytorch_version"], str)
    assert isinstance(rdf["weights"]["pytorch_state_dict"]["pytorch_version"], str)


def test_tensors_are_what_fiji_reads(rdf):
    (image,), (output,) = rdf["inputs"], rdf["outputs"]
    assert [axis.get("id", axis["type"][0]) for axis in image["axes"]] == ["b", "c", "y", "x"]
    assert [axis["type"] for axis in image["axes"]] == ["batch", "channel", "space", "space"]
    assert image["axes"][1]["channel_names"] == ["intensity"]
    assert len(output["axes"][1]["channel_names"]) == 2
    assert [axis["size"] for axis in image["axes"][2:]] == [{"min": 1, "step": 1}] * 2
    assert [axis["size"] for axis in output["axes"][2:]] == [{"tensor_id": "image", "axis_id": "y"}, {"tensor_id": "image", "axis_id": "x"}]
    assert {tensor["data"]["type"] for tensor in (image, output)} == {"float32"}
    assert not any("halo" in axis for axis in output["axes"])


@pytest.fixture
def one_thread():
    """PyTorch on one thread, as in an export: the last digit depends on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_expected_outputs_are_the_eager_networks(folder, rdf):
    safe = FijiSafe(seeded(UNET.build).eval(), Percentiles(1, 99.8), stride=4, minimum=4)
    pairs = [("test-image.npy", "test-output.npy"), *((c["input"], c["outputs"][0]) for c in rdf["config"]["zooready"]["cases"])]
    shapes = set()
    for given, expected in pairs:
        image, output = np.load(folder / given), np.load(folder / expected)
        assert image.dtype == output.dtype == np.float32
        with torch.no_grad():
            assert np.array_equal(safe(torch.from_numpy(image)).numpy(), output)
        shapes.add(image.shape)
    assert shapes == {(1, 1, 128, 128), (1, 1, 70, 97), (2, 1, 33, 40), (1, 1, 1, 1), (1, 1, 32, 32), (1, 1, 71, 97)}


def test_samples_open_with_axes_and_calibration(folder):
    with tifffile.TiffFile(folder / "sample-image.tif") as file:
        assert np.array_equal(file.asarray(), cells(150, 180))
        assert file.series[0].axes == "YX"
        count, length = file.pages[0].tags["XResolution"].value
        assert count / length == pytest.approx(1 / 0.325, rel=1e-4)
        assert file.imagej_metadata["unit"] in ("um", "\\u00B5m", "micron")
    with tifffile.TiffFile(folder / "sample-output.tif") as file:
        assert file.series[0].axes == "CYX"
        assert file.asarray().shape == (2, 150, 180)
        assert file.asarray().dtype == np.float32


def test_the_cover_is_an_image_with_something_on_it(folder):
    with PIL.Image.open(folder / "cover.png") as cover:
        assert cover.format == "PNG"
        panels = np.asarray(cover.convert("L"))
    assert (folder / "cover.png").stat().st_size < 500_000
    width = panels.shape[1] // 3
    assert all(panels[:200, width * n + 20 : width * (n + 1) - 20].std() > 10 for n in range(3))


def test_the_readme_says_what_was_measured(folder):
    text = (folder / "README.md").read_text()
    for words in (
        "multiples of 4 px, from 4 px on",
        "up to 23 px away",
        "0.2 to 0.5 µm",
        "| f1 | 0.875 |",
        "Ada Author",
        "doi.org/10.5281",
    ):
        assert words in text, words
    assert "`weights.pt` | TorchScript, used by Fiji |" in text


def test_the_halo_counts_what_a_head_sees(tmp_path):
    network = nn.Conv2d(1, 1, 5, padding=2)
    head = Part(path="zooready.nets.sharpening.Sharpened", kwargs={"sigma_px": 1.0, "amount": 0.6})
    described = (TensorSpec(name="restored", axes="bcyx", channels=("grey",), description="Sharper."),)
    how = {"normalization": "none", "formats": ("onnx",)}
    plain = zooready.export(network, cells(40, 44), ABOUT, tmp_path / "plain.zip", **how)
    sharper = zooready.export(network, cells(40, 44), ABOUT, tmp_path / "sharper.zip", head=head, outputs=described, **how)
    assert (plain.measured.halo, sharper.measured.halo) == (2, 2 + 4)


def test_the_halo_in_the_readme_is_the_measured_one(made):
    assert made.measured.halo == 23
    assert (made.measured.stride, made.measured.minimum) == (4, 4)


def test_the_config_is_complete(rdf):
    config = rdf["config"]["zooready"]
    assert set(config["versions"]) == {"python", "zooready", "torch", "numpy", "onnx", "onnxruntime", "bioimageio.spec"}
    assert config["versions"]["torch"] == torch.__version__.split("+")[0]
    assert config["trained"] == {"versions": {"torch": "1"}}
    assert (config["seed"], config["data_sha256"], config["metrics"]) == (5, "0" * 64, {"f1": 0.875})
    assert config["pixel_size_um"] == [0.2, 0.5]
    measured = {"stride": 4, "minimum": 4, "halo": 23, "tile_step": 4, "compared": [1024, 1024], "notes": []}
    assert config["measured"] == measured
    assert config["restores"] is False
    assert config["inside"] == {"normalization": {"name": "Percentiles", "low": 1.0, "high": 99.8}, "head": {"name": "none"}}
    assert config["tolerance"] == {"state_dict": 1e-5, "torchscript": 1e-5, "onnx": 1e-4}
    assert config["weights"]["torchscript"]["variant"] == "plain"
    assert config["weights"]["onnx"]["opset"] == 17


def test_the_config_names_the_commit_of_a_checkout(rdf):
    command = ["git", "-C", str(Path(zooready.__file__).parent), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        assert "git" not in rdf["config"]["zooready"]
        return
    assert {commit.rstrip("+") for commit in rdf["config"]["zooready"]["git"].values()} == {done.stdout.strip()}


def test_the_architecture_needs_pytorch_alone(folder):
    tree = ast.parse((folder / "architecture.py").read_text())
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} == {"__future__", "collections", "torch"}
    assert "pytorch ==" in (folder / "environment.yaml").read_text()


# Nothing of this machine


def contents(archive_bytes, name=""):
    """Bytes of every member, of zips inside zips too."""
    with zipfile.ZipFile(io.BytesIO(archive_bytes)) as archive:
        for member in archive.namelist():
            content = archive.read(member)
            yield f"{name}/{member}", member.encode() + content
            if content[:4] == b"PK\x03\x04":
                yield from contents(content, f"{name}/{member}")


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_no_folder_user_or_host_is_inside(made, elsewhere, where):
    secrets = {str(Path(path)) for path in (site.getsitepackages()[0], sys.prefix, Path.cwd(), tempfile.gettempdir(), Path.home())}
    secrets |= {str(Path(zooready.__file__).parent), str(made.path.parent), "/site-packages", "zaphod", "betelgeuse"}
    secrets |= {name for name in (platform.node(), getpass.getuser()) if len(name) > 4}  # shorter ones occur in any compressed bytes
    path = made.path if where == "here" else elsewhere / "plain.zip"
    searched = list(contents(path.read_bytes()))
    assert any(name.count("/") > 2 for name, _ in searched), "the weights' own zips were not opened"
    found = [(name, secret) for name, content in searched for secret in secrets if secret.encode() in content]
    assert not found


def test_reasons_and_facts_are_stripped_of_folders(tmp_path, here):
    class Failing(nn.Module):
        def forward(self, x):
            if torch.jit.is_tracing() and torch.onnx.is_in_onnx_export():
                raise ValueError("no file /home/zaphod/secret/nets.py")
            return x * 1.5

    made = quick(Failing(), cells(24, 28), tmp_path / "a.zip", formats=("torchscript", "onnx"), provenance={"data": Path("/home/zaphod/x")})
    with zipfile.ZipFile(made.path) as archive:
        assert not [name for name in archive.namelist() if b"zaphod" in archive.read(name)]
        assert yaml.safe_load(archive.read("rdf.yaml"))["config"]["zooready"]["data"] == "x"


# The same bytes


def differing(first, second):
    """Names of the members that differ, and whether the bytes around them do; pytest's own comparison of megabytes takes hours."""
    opened = [dict(contents(path.read_bytes())) for path in (first, second)]
    members = [name for name in sorted({*opened[0], *opened[1]}) if opened[0].get(name) != opened[1].get(name)]
    return members or ([] if first.read_bytes() == second.read_bytes() else ["the zip itself"])


def test_two_processes_make_the_same_bundle(made, elsewhere):
    assert differing(made.path, elsewhere / "plain.zip") == []


def test_two_processes_make_the_same_bundle_in_channels_last(elsewhere, tmp_path):
    again = unet_bundle(tmp_path / "again.zip", "channels_last")
    assert differing(again.path, elsewhere / "channels_last.zip") == []
    assert again.variant == "channels_last"


def test_another_seed_makes_another_bundle(tmp_path, here):
    first = quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip")
    torch.manual_seed(6)
    second = quick(SmallUNet(), cells(24, 28), tmp_path / "b.zip")
    assert differing(first.path, second.path)


# The module and the caller's state are left alone


def test_the_module_stays_as_it_was_and_batchnorm_is_exported_in_eval(tmp_path, here):
    module = seeded(SmallUNet).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    made = quick(module, cells(24, 28), tmp_path / "a.zip", normalization="mean-std")
    assert all(part.training for part in module.modules())
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    with zipfile.ZipFile(made.path) as archive:
        archive.extract("weights.pt", tmp_path)
    loaded = torch.jit.load(str(tmp_path / "weights.pt"))
    image = torch.rand(1, 1, 12, 16) * 900
    from zooready.nets.normalization import MeanStd

    with torch.no_grad():
        assert torch.allclose(loaded(image), module.eval()(MeanStd()(image)), atol=1e-6)


def test_an_export_draws_no_random_numbers_of_the_caller(tmp_path, here):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    quick(nn.Conv2d(1, 1, 3, padding=1).eval(), cells(24, 28), tmp_path / "a.zip")
    module = nn.Conv2d(1, 1, 3, padding=1)
    torch.manual_seed(3)
    quick(module, cells(24, 28), tmp_path / "b.zip", formats=("torchscript", "state_dict"), architecture=("torch.nn.Conv2d", {}))
    assert torch.equal(torch.rand(3), expected)


# Examples of every kind


def tiff(path):
    tifffile.imwrite(path, cells(30, 34), imagej=True, resolution=(4, 4), metadata={"unit": "um", "axes": "YX"})
    return path


def png(path):
    PIL.Image.fromarray((cells(30, 34) // 20).astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("example", "shape", "side"),
    [
        (lambda folder: tiff(folder / "a.tif"), (30, 34), 0.25),
        (lambda folder: str(png(folder / "a.png")), (30, 34), None),
        (lambda folder: Image(array=cells(30, 34), axes="yx", pixel_size_um=0.5), (30, 34), 0.5),
        (lambda folder: cells(1, 30, 34), (1, 30, 34), None),
        (lambda folder: cells(2, 1, 30, 34), (1, 30, 34), None),
        (lambda folder: Image(array=cells(30, 34)[..., None], axes="yxc"), (1, 30, 34), None),
    ],
    ids=["tiff", "png", "image", "cyx", "bcyx", "yxc"],
)
def test_an_example_may_be_a_file_an_image_or_an_array(tmp_path, example, shape, side):
    sample, image = arguments.sample(example(tmp_path))
    assert sample.array.shape == shape
    assert sample.pixel_size_um == side
    assert image.shape == (1, 1, 30, 34)
    assert image.dtype == np.float32


def test_a_stack_is_an_example_too():
    sample, image = arguments.sample(cells(1, 1, 5, 20, 24))
    assert (sample.axes, sample.array.shape, image.shape) == ("czyx", (1, 5, 20, 24), (1, 1, 5, 20, 24))
    sample, image = arguments.sample(Image(array=cells(5, 20, 24), axes="zyx"))
    assert (sample.axes, image.shape) == ("zyx", (1, 1, 5, 20, 24))


def test_of_a_large_example_the_middle_travels():
    large = np.zeros((1500, 1200), np.uint16)
    large[750, 600] = 9
    sample, image = arguments.sample(large)
    assert image.shape == (1, 1, 1024, 1024)
    assert sample.array[512, 512] == 9


# What is refused before any work


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (np.zeros(5), r"example of shape \(5,\), float64: give numbers as \(y, x\)"),
        (np.zeros((0, 4)), r"example of shape \(0, 4\)"),
        (np.zeros((4, 4), complex), r"example of shape \(4, 4\), complex128"),
        (Image(array=np.zeros((2, 4, 4)), axes="tyx"), r"time series \(axes 'tyx'\): give one of its time points"),
        (np.array([[1.0, np.nan], [np.inf, 2.0]]), "holds 2 NaN or infinite pixels: give an image without them"),
    ],
)
def test_an_example_that_is_no_image_is_refused(example, message, tmp_path):
    with pytest.raises(InputInvalid, match=message):
        quick(SmallUNet(), example, tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"torchscript": "fast"}, "torchscript='fast' is not known: use one of 'auto', 'plain', 'frozen', 'channels_last'"),
        ({"formats": ("keras",)}, r"formats=\('keras',\): give some of 'state_dict', 'torchscript', 'onnx'"),
        ({"formats": ()}, r"formats=\(\): give some of"),
        ({"formats": "onnx"}, "formats='onnx': give some of"),
        ({"tolerance": {"torch": 1e-3}}, r"tolerance=\{'torch': 0.001\}: give a positive number for some of"),
        ({"tolerance": {"onnx": 0}}, r"tolerance=\{'onnx': 0\}: give a positive number"),
        (
            {"normalization": "minmax"},
            "normalization='minmax' is not known: use one of 'none', 'percentiles', 'mean-std', 'min-max'",
        ),
        ({"provenance": {"weights": 1, "cases": 2}}, "provenance holds 'cases', 'weights', which zooready writes itself"),
        ({"provenance": {"data": {"sizes": {1, 2}}}}, r"provenance\['data'\]\['sizes'\] is a set, '\{1, 2\}': give text, numbers"),
        ({"head": Part(path="torch.nn.Identity")}, "head='torch.nn.Identity' changes what comes out: describe its results with outputs="),
        ({"keep": (1,)}, r"keep=\(1,\): name each output once; there are 1, counted from 0"),
        ({"keep": (0, 0)}, r"keep=\(0, 0\): name each output once"),
        (
            {"input": TensorSpec(name="image", axes="bczyx", channels=("a",))},
            "input 'image' has axes 'bczyx' and 1 channel, but the example is bcyx with 1: make the two agree",
        ),
        (
            {"input": TensorSpec(name="image", axes="bcyx", channels=("a",), sizes={"y": 8})},
            "states sizes {'y': 8}, but sizes are",
        ),
        (
            {"outputs": (TensorSpec(name="maps", axes="bcyx", channels=("a", "b", "c")),)},
            r"outputs are described as \['bcyx with 3 channels'\], but the network returns \['bcyx with 2 channels'\]: make the two agree",
        ),
        (
            {"head": Part(path="torch.nn.Identity"), "outputs": (TensorSpec(name="maps", axes="bcyx", channels=("a",)),)},
            r"outputs are described as 'maps' bcyx with 1 channel, but the shapes \[\(1, 2, 24, 28\)\] come out: make the two agree",
        ),
    ],
)
def test_a_choice_that_nobody_can_read_is_refused(options, message, tmp_path, here):
    with pytest.raises(InputInvalid, match=message):
        quick(SmallUNet(), cells(24, 28), tmp_path / "a.zip", **options)
    assert not list(tmp_path.iterdir())


def test_a_bundle_is_a_zip(tmp_path):
    with pytest.raises(InputInvalid, match=r"out='.*model': a bundle is a zip, so let its name end in \.zip"):
        quick(SmallUNet(), cells(24, 28), tmp_path / "model")


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "a.zip").mkdir()
    with pytest.raises(InputInvalid, match=r"a\.zip' is a folder: give the name of a file in it"):
        quick(SmallUNet(), cells(24, 28), tmp_path / "a.zip")
    (tmp_path / "file").touch()
    with pytest.raises(InputInvalid, match=r"file is a file, no folder: choose another place"):
        quick(SmallUNet(), cells(24, 28), tmp_path / "file" / "deeper" / "a.zip")


def test_facts_that_the_zoo_refuses_are_refused_at_once(tmp_path):
    poor = replace(ABOUT, name="ab", license="mine")
    with pytest.raises(InputInvalid, match=r"about: 'name': at least 5 characters .* got 'ab'; 'license': an SPDX identifier.* got 'mine'"):
        zooready.export(SmallUNet(), cells(24, 28), poor, tmp_path / "a.zip")


# The variant of TorchScript


def fake_java(seconds, monkeypatch, broken=()):
    """An engine that takes these seconds for plain, frozen, channels_last, and fails on the broken ones."""

    def run(engine, weights, inputs, repeats=0, **rest):
        variant = weights.parent.name
        if variant in broken:
            raise ConsumerFailed("the engine crashed.")
        network = torch.jit.load(str(weights))
        with torch.no_grad():
            outputs = tuple((network(torch.from_numpy(image)).numpy(),) for image in inputs)
        return java.JavaResult(outputs=outputs, seconds=tuple(seconds[variant] for _ in inputs), versions={"pytorch": "2.0.0"})

    def race(engine, weights, inputs, repeats):
        return [run(engine, file, inputs) if file.parent.name not in broken else ConsumerFailed("it failed.") for file in weights]

    monkeypatch.setattr(java, "missing", lambda: None)
    monkeypatch.setattr(java, "run", run)
    monkeypatch.setattr(java, "race", race)


TIMES = {"plain": 3.0, "frozen": 2.0, "channels_last": 1.0}


def test_auto_takes_the_fastest_in_fijis_engine(tmp_path, here, monkeypatch):
    fake_java(TIMES, monkeypatch)
    made = quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", torchscript="auto", normalization="mean-std")
    assert (made.variant, made.timed_in, made.seconds) == ("channels_last", "java-pytorch", TIMES)
    with zipfile.ZipFile(made.path) as archive:
        assert yaml.safe_load(archive.read("rdf.yaml"))["config"]["zooready"]["weights"]["torchscript"]["variant"] == "channels_last"


def test_auto_keeps_the_plain_variant_where_others_are_faster_by_no_more_than_timings_differ(tmp_path, here, monkeypatch):
    """Three exports of one family held three different files."""
    fake_java({"plain": 0.71, "frozen": 0.70, "channels_last": 0.69}, monkeypatch)
    made = quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", torchscript="auto", normalization="mean-std")
    assert made.variant == "plain"


def test_auto_passes_over_a_variant_that_fails_there(tmp_path, here, monkeypatch):
    fake_java(TIMES, monkeypatch, broken=("channels_last",))
    made = quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", torchscript="auto", normalization="mean-std")
    assert made.variant == "frozen"
    assert "channels_last" not in made.seconds


def test_auto_passes_over_a_variant_that_is_further_off_than_a_millionth(tmp_path, here, monkeypatch):
    fake_java(TIMES, monkeypatch)
    from zooready.formats import torchscript

    start = torchscript.start

    def altered(path, device="cpu"):
        run = start(path, device)
        return (lambda image: (run(image)[0] + np.float32(2e-6),)) if path.parent.name == "channels_last" else run

    monkeypatch.setattr(torchscript, "start", altered)
    made = quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", torchscript="auto", normalization="mean-std")
    assert made.variant == "frozen"


def test_auto_does_not_repeat_a_recording_that_failed(tmp_path, here, monkeypatch):
    from zooready.formats import torchscript

    tried = []

    def fail(network, example, path, demands, *, variant):
        tried.append(variant)
        raise InputInvalid("recording took longer than 600 s: give a smaller example.")

    monkeypatch.setattr(torchscript, "write", fail)
    with pytest.raises(InputInvalid, match="took longer than 600 s"):
        quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", torchscript="auto", formats=("torchscript",))
    assert tried == ["plain"]


def test_without_java_variants_are_timed_in_python(tmp_path, here, monkeypatch):
    monkeypatch.setattr(java, "missing", lambda: "no Java")
    made = quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", torchscript="auto", normalization="mean-std")
    assert made.timed_in == "torch"
    assert set(made.seconds) == set(TIMES)
    assert made.seconds[made.variant] <= attempts.ALIKE * min(made.seconds.values())  # the plain one first, where they are alike


def test_where_every_variant_fails_in_java_they_are_timed_in_python(tmp_path, here, monkeypatch):
    fake_java(TIMES, monkeypatch, broken=tuple(TIMES))
    assert quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", torchscript="auto", normalization="mean-std").timed_in == "torch"


@pytest.mark.java
@pytest.mark.slow
def test_auto_is_timed_in_the_real_engine(tmp_path, here, engines):
    made = quick(seeded(SmallUNet), cells(64, 64), tmp_path / "a.zip", torchscript="auto", normalization="mean-std")
    assert made.timed_in == "java-pytorch"
    assert made.seconds[made.variant] <= attempts.ALIKE * min(made.seconds.values())


# The version that JDLL reads


def versioned(monkeypatch, version):
    """Let the writers believe in another PyTorch."""
    from zooready.formats.onnx import onnx_file
    from zooready.formats.torchscript import torchscript_file

    for module in (torchscript_file, onnx_file):
        monkeypatch.setattr(module, "torch_version", lambda: version)


def declared(made):
    with zipfile.ZipFile(made.path) as archive:
        rdf = yaml.safe_load(archive.read("rdf.yaml"))
    return rdf["weights"]["torchscript"]["pytorch_version"], rdf["config"]["zooready"]


def test_where_jdll_would_take_onnx_the_version_that_ran_is_declared(tmp_path, here, monkeypatch):
    fake_java({"plain": 1.0}, monkeypatch)
    versioned(monkeypatch, "2.8.0")
    version, config = declared(quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", formats=("torchscript", "onnx")))
    assert version == "2.0.0"
    assert config["weights"]["torchscript"]["torch"] == "2.8.0"


def test_without_onnx_the_real_version_is_declared(tmp_path, here, monkeypatch):
    fake_java({"plain": 1.0}, monkeypatch)
    versioned(monkeypatch, "2.8.0")
    assert declared(quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip"))[0] == "2.8.0"


@pytest.mark.parametrize("state", ["missing", "fails", "differs"])
def test_a_version_that_was_not_seen_to_run_is_not_declared(tmp_path, here, monkeypatch, state):
    versioned(monkeypatch, "2.8.0")
    fake_java({"plain": 1.0}, monkeypatch, broken=("plain",) if state == "fails" else ())
    if state == "missing":
        monkeypatch.undo()
        versioned(monkeypatch, "2.8.0")
        monkeypatch.setattr(java.child, "missing", lambda engine=None: "Java engines: no manifest. Run zooready engines install.")
    if state == "differs":
        good = java.run

        def wrong(*arguments, **options):
            result = good(*arguments, **options)
            return replace(result, outputs=tuple((first + 0.01,) for (first,) in result.outputs))

        monkeypatch.setattr(java, "run", wrong)
    made = quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", formats=("torchscript", "onnx"))
    version, config = declared(made)
    assert version == "2.8.0"
    said = "DeepImageJ would take the ONNX file, and crash, because the bundle states PyTorch 2.8.0"
    assert any(note.startswith(said) for note in config["measured"]["notes"])


@pytest.mark.java
@pytest.mark.slow
def test_the_real_engine_decides_the_version(tmp_path, here, monkeypatch, engines):
    versioned(monkeypatch, "2.8.0")
    made = quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", formats=("torchscript", "onnx"))
    assert declared(made)[0] == "2.0.0"


# Whole or not at all


def kept(tmp_path, module=None, **options):
    """Export over an older file, and return what lies in the folder afterwards."""
    (tmp_path / "a.zip").write_bytes(b"older")
    try:
        quick(module or nn.Conv2d(1, 1, 3, padding=1), cells(24, 28), tmp_path / "a.zip", **options)
    finally:
        assert (tmp_path / "a.zip").read_bytes() == b"older"
        assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_full_disk_leaves_the_older_zip(tmp_path, here, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputInvalid, match=r"cannot write .*: No space left on device"):
        kept(tmp_path)


def test_a_full_scratch_disk_is_named(tmp_path, here, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(InputInvalid, match=r"cannot write drafts below .*: No space left on device\. Free space, or set TMPDIR"):
        kept(tmp_path)


def test_a_stop_while_packing_leaves_the_older_zip(tmp_path, here, monkeypatch):
    write, calls = zipfile.ZipFile.writestr, []

    def stopped(self, member, content, **options):
        calls.append(member)
        if getattr(member, "filename", "") == "weights.pt":
            raise KeyboardInterrupt
        return write(self, member, content, **options)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", stopped)
    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path)
    assert calls


def test_a_network_that_is_refused_leaves_the_older_zip(tmp_path, here):
    with pytest.raises(InputInvalid, match="takes 2 inputs"):
        kept(tmp_path, nn.Bilinear(1, 1, 1))


@pytest.mark.slow
def test_ctrl_c_leaves_no_file_behind(tmp_path):
    for name in ("scratch", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "out" / "plain.zip").write_bytes(b"older")
    command = [sys.executable, "-c", ELSEWHERE, str(Path(__file__).parents[1] / "helpers"), str(tmp_path / "out")]
    home = {**os.environ, "TMPDIR": str(tmp_path / "scratch")}
    child = subprocess.Popen(command, env=home, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=interruptible)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "scratch").glob("zooready-*/*")) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode != 0
    assert b"KeyboardInterrupt" in said
    assert (tmp_path / "out" / "plain.zip").read_bytes() == b"older"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["plain.zip"]
    assert not list((tmp_path / "scratch").glob("zooready-*"))


# State dicts


def test_a_class_of_nobodys_package_gives_no_state_dict(tmp_path, here):
    made = quick(
        seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", formats=("state_dict", "torchscript"), architecture=("networks.SmallUNet", {})
    )
    assert "'networks.SmallUNet' is in no installed package, so nobody else can import it" in made.unavailable["state_dict"]


def test_without_architecture_the_state_dict_is_reported_missing(tmp_path, here):
    made = quick(seeded(SmallUNet), cells(24, 28), tmp_path / "a.zip", formats=("state_dict", "torchscript"))
    assert "the import path of its class was not given" in made.unavailable["state_dict"]
    with zipfile.ZipFile(made.path) as archive:
        assert "The bundle contains no state_dict: the import path of its class" in archive.read("README.md").decode()


@pytest.mark.parametrize(
    ("path", "kwargs", "message"),
    [
        ("torch.nn.Conv2d", {"in_channels": 1, "out_channels": 2, "kernel_size": 3}, "does not build the network that was given"),
        ("torch.nn.Conv2d", {"nonsense": 1}, r"does not build the network that was given \(TypeError"),
        ("torch.nn.Nonsense", {}, r"does not build the network that was given \(ImportError"),
        ("torch.nn.Conv2d", {"kernel_size": torch.Size([3])}, r"argument kernel_size=torch.Size\(\[3\]\) of 'torch.nn.Conv2d' is no plain"),
    ],
)
def test_an_architecture_that_builds_something_else_is_reported(tmp_path, here, path, kwargs, message):
    import re

    module = nn.Conv2d(1, 1, 3, padding=1)
    made = quick(module, cells(24, 28), tmp_path / "a.zip", formats=("state_dict", "torchscript"), architecture=(path, kwargs))
    assert re.search(message, made.unavailable["state_dict"])


def test_only_a_state_dict_can_be_asked_for(tmp_path):
    part = Part(path="torch.nn.Conv2d", kwargs={"in_channels": 1, "out_channels": 1, "kernel_size": 3, "padding": 1})
    made = quick(part.build(), cells(24, 28), tmp_path / "a.zip", formats=("state_dict",), architecture=part)
    assert made.formats == ("state_dict",)
    assert made.variant == ""


# Outputs


def test_several_outputs_are_named_and_can_be_chosen(tmp_path, here):
    everything = quick(seeded(Several), cells(24, 28), tmp_path / "a.zip")
    chosen = quick(seeded(Several), cells(24, 28), tmp_path / "b.zip", keep=(1,))
    names = []
    for made in (everything, chosen):
        with zipfile.ZipFile(made.path) as archive:
            names.append([output["id"] for output in yaml.safe_load(archive.read("rdf.yaml"))["outputs"]])
    assert names == [["output_0", "output_1"], ["output_1"]]


def test_a_stack_made_of_one_image_states_its_planes(tmp_path, here):
    made = quick(seeded(Planes), cells(24, 28), tmp_path / "a.zip")
    with zipfile.ZipFile(made.path) as archive:
        axes = yaml.safe_load(archive.read("rdf.yaml"))["outputs"][0]["axes"]
    assert axes[2] == {"type": "space", "id": "z", "size": 3}


def test_a_network_of_one_size_says_so_everywhere(tmp_path, here):
    made = quick(seeded(BakedSize), cells(24, 28), tmp_path / "a.zip", formats=("torchscript", "onnx"))
    assert made.measured.fixed == {"y": 24, "x": 28}
    with zipfile.ZipFile(made.path) as archive:
        rdf = yaml.safe_load(archive.read("rdf.yaml"))
        assert "**It takes images of one size only: 24 px in y × 28 px in x.**" in archive.read("README.md").decode()
    assert [axis["size"] for tensor in rdf["inputs"] + rdf["outputs"] for axis in tensor["axes"][2:]] == [24, 28, 24, 28]
    assert [*core_says([made.path])] == ["passed"]


def test_a_network_that_finds_nothing_is_refused(tmp_path, here):
    class Nothing(nn.Module):
        def forward(self, x):
            return x * 0

    with pytest.raises(InputInvalid, match="output 0 of the network is nowhere larger than 0 on the example, so nothing can be compared"):
        kept(tmp_path, Nothing())


def test_a_network_that_divides_by_nothing_is_refused(tmp_path, here):
    class Share(nn.Module):
        def forward(self, x):
            return x / x.sum((2, 3), keepdim=True)

    with pytest.raises(InputInvalid, match=r"not finite for the image 'black' \(1, 1, 32, 32\), values 0 to 0: 1024 of 1024"):
        kept(tmp_path, Share())


def test_the_door_of_the_package_is_the_same_function():
    assert zooready.export is export
    assert attempts.VARIANT_TOLERANCE == 1e-6
