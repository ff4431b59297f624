"""Tiny bundles whose right answer is known by arithmetic, their ONNX graphs written by hand."""

import numpy as np
import onnx
import pytest
import tifffile
import yaml
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import zooready
from zooready.bundle.rdf import read
from zooready.prediction import parts, tiled, whole

NODES = {  # id of an output -> (nodes, ONNX shape, axes, number of channels or None for the input's)
    "restored": ([("Mul", ["image", "two"], ["restored"], {})], "bcyx", None),
    "labels": ([("Greater", ["image", "hundred"], ["over"], {}), ("Cast", ["over"], ["labels"], {"to": TensorProto.FLOAT})], "bcyx", None),
    "scores": (
        [
            ("ReduceMax", ["image"], ["highest"], {"axes": [2, 3], "keepdims": 0}),
            ("Concat", ["highest", "highest"], ["scores"], {"axis": 1}),
        ],
        "bc",
        2,
    ),
    "stack": (
        [("Unsqueeze", ["image", "axis2"], ["one"], {}), ("Concat", ["one", "one", "one"], ["stack"], {"axis": 2})],
        "bczyx",
        None,
    ),
    "halved": ([("MaxPool", ["image"], ["halved"], {"kernel_shape": [2, 2], "strides": [2, 2]})], "bcyx", None),
    "square": ([("Reshape", ["image", "five"], ["square"], {})], "bcyx", None),
    "cut": ([("Slice", ["image", "five_rows", "many", "axis2"], ["cut"], {})], "bcyx", None),
    "maps": ([("Div", ["image", "image"], ["maps"], {})], "bcyx", None),
    "summed": ([("ReduceSum", ["image", "axis1"], ["summed"], {"keepdims": 1})], "bcyx", 1),
}
KINDS = {"labels": "labels", "scores": "scores"}


def axis(letter, channels=(), size=None):
    if letter == "c":
        return {"id": "channel", "type": "channel", "channel_names": list(channels)}
    if letter == "b":
        return {"id": "batch", "type": "batch"}
    return {"id": letter, "type": "space", "size": size or {"min": 1, "step": 1}}


def graph(path, outputs, axes, channels):
    shape = [None if letter != "c" else len(channels) for letter in axes]
    constants = {
        "two": np.float32(2),
        "hundred": np.float32(100),
        "axis1": np.array([1]),
        "axis2": np.array([2]),
        "five": np.array([1, 1, 5, 5]),
        "five_rows": np.array([5]),
        "many": np.array([9999]),
    }
    nodes = [helper.make_node(kind, ins, outs, **how) for name in outputs for kind, ins, outs, how in NODES[name][0]]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, path)


@pytest.fixture
def tiny(tmp_path):
    """Makes an opened bundle of any of the outputs in NODES."""

    def make(*outputs, channels=("intensity",), axes="bcyx", sizes=None, pixel_size_um=None, restores=False, trusted=False, **changes):
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        sizes = sizes or {}
        counts = {name: NODES[name][2] or len(channels) for name in outputs}
        rdf = {
            "format_version": "0.5.3",
            "type": "model",
            "name": "tiny bundle",
            "inputs": [{"id": "image", "axes": [axis(letter, channels, sizes.get(letter)) for letter in axes]}],
            "outputs": [
                {
                    "id": name,
                    "axes": [
                        axis(letter, [f"{name}{i}" for i in range(counts[name])], 3 if letter == "z" and name == "stack" else None)
                        for letter in (axes if NODES[name][1] == "bcyx" else NODES[name][1])
                    ],
                }
                for name in outputs
            ],
            "weights": {"onnx": {"source": "weights.onnx"}},
            "config": {
                "zooready": {
                    "outputs": [{"id": name, "kind": KINDS.get(name, "image")} for name in outputs],
                    **({"pixel_size_um": pixel_size_um} if pixel_size_um else {}),
                    "restores": restores,
                }
            },
        } | changes
        graph(folder / "weights.onnx", outputs, axes, channels)
        (folder / "rdf.yaml").write_text(yaml.safe_dump(rdf))
        return read(
            yaml.safe_load((folder / "rdf.yaml").read_text()),
            path=tmp_path / "tiny.zip",
            folder=folder,
            formats={"onnx": folder / "weights.onnx"},
            trusted=trusted,
        )

    return make


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle of two convolutions with random weights, which sees two pixels far."""
    path = tmp_path_factory.mktemp("bundle") / "convolution.zip"
    image = np.random.default_rng(0).poisson(100, (40, 48)).astype(np.uint16)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    about = zooready.About(name="two convolutions", description="A convolution.", authors=({"name": "nobody"},), license="BSD-3-Clause")
    zooready.export(network, image, about, path, normalization="mean-std", formats=("onnx",))
    return path


@pytest.fixture
def image(tmp_path):
    """A file of 300 x 400 px."""
    tifffile.imwrite(tmp_path / "image.tif", np.random.default_rng(1).poisson(100, (300, 400)).astype(np.uint16))
    return tmp_path / "image.tif"


@pytest.fixture
def small_tiles(monkeypatch):
    """Every image is computed by tiles of 64 px, whose progress is kept at once."""
    monkeypatch.setattr(whole, "AREA", 1)
    monkeypatch.setattr(tiled, "SIDE", 64)
    monkeypatch.setattr(parts, "EVERY_S", 0)


@pytest.fixture
def seen(monkeypatch):
    """Shapes of the inputs that networks get."""
    shapes, start = [], whole.load

    def watched(*args):
        run = start(*args)
        return lambda image: (shapes.append(image.shape), run(image))[1]

    monkeypatch.setattr(whole, "load", watched)
    return shapes
