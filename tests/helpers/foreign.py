"""A tiny good bundle, written by hand as a stranger would, of files that tests can change one by one.

The network: 3x3 convolution, batch normalisation, sigmoid; one channel in, two out.
"""

import copy
import hashlib
import json
import warnings
import zipfile
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import yaml

SIZES = {"test": (1, 1, 16, 20), "odd": (1, 1, 13, 7), "batch": (2, 1, 9, 11), "one": (1, 1, 1, 1), "black": (1, 1, 8, 8)}
ARCHITECTURE = '''"""The tiny network."""

import torch


class Tiny(torch.nn.Module):
    """Convolution, batch normalisation, sigmoid."""

    def __init__(self, channels: int = 2) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, channels, 3, padding=1)
        self.normalisation = torch.nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.normalisation(self.convolution(x)))
'''


@dataclass
class Draft:
    """The description and the files of a bundle to be; ``write`` hashes and zips them."""

    rdf: dict
    files: dict[str, bytes]
    hashed: bool = True
    packed: bool = True  # compressed, which takes a while where weights are large

    def write(self, path: Path) -> Path:
        if self.hashed:
            for entry in sources(self.rdf):
                if entry["source"] in self.files:
                    entry["sha256"] = hashlib.sha256(self.files[entry["source"]]).hexdigest()
        how = zipfile.ZIP_DEFLATED if self.packed else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(dated("rdf.yaml"), yaml.safe_dump(json.loads(json.dumps(self.rdf)), sort_keys=False), how, 1)
            for name, content in self.files.items():
                archive.writestr(dated(name), content, how, 1)
        return path

    def copy(self) -> "Draft":
        return copy.deepcopy(self)


def sources(node):
    if isinstance(node, dict):
        if isinstance(node.get("source"), str):
            yield node
        for key, value in node.items():
            if key != "config":
                yield from sources(value)
    elif isinstance(node, list):
        for value in node:
            yield from sources(value)


def dated(name) -> zipfile.ZipInfo:
    """A member of always the same date, so that a zip written again is the same."""
    return zipfile.ZipInfo(name)


def npy(array) -> bytes:
    stream = BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def network(seed=0):
    """The tiny network with weights and statistics that make every part of it matter."""
    import torch

    space = {"__name__": "tiny"}
    exec(ARCHITECTURE, space)
    tiny = space["Tiny"]()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in tiny.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) * 0.8 + 0.1)
    return tiny.eval()


def torchscript(module, example=None) -> bytes:
    import torch

    stream = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.from_numpy(make_image("test")) if example is None else example
        torch.jit.save(torch.jit.trace(module, example, check_trace=False), stream)
    return stream.getvalue()


def onnx_model(tiny, *, opset=17, ir=8):
    """The same network as an ONNX graph, written node by node."""
    from onnx import TensorProto, helper, numpy_helper

    weights = {name: value.numpy() for name, value in tiny.state_dict().items() if value.is_floating_point()}
    names = {"convolution.weight": "w", "convolution.bias": "b", "normalisation.weight": "s", "normalisation.bias": "t"}
    names |= {"normalisation.running_mean": "m", "normalisation.running_var": "v"}
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "s", "t", "m", "v"], ["n"], epsilon=1e-5),
        helper.make_node("Sigmoid", ["n"], ["probabilities"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 1, "y", "x"])
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["b", 2, "y", "x"])
    stored = [numpy_helper.from_array(value, names[name]) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "tiny", [image], [probabilities], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def state_dict(module) -> bytes:
    import torch

    stream = BytesIO()
    torch.save(module.state_dict(), stream)
    return stream.getvalue()


def make_image(name):
    if name == "black":
        return np.zeros(SIZES[name], np.float32)
    return np.random.default_rng(len(name)).uniform(0, 4, SIZES[name]).astype(np.float32)


def eager(module, image):
    import torch

    with torch.no_grad():
        return module(torch.from_numpy(image)).numpy()


def axis(name, **more):
    kinds = {"b": "batch", "c": "channel", "z": "space", "y": "space", "x": "space", "t": "time", "i": "index"}
    return {"id": name, "type": kinds[name], **more}


def description():
    """Format 0.5, obeying every rule of DeepImageJ."""
    free = {"min": 1, "step": 1}
    follow = {name: {"tensor_id": "image", "axis_id": name} for name in "yx"}
    return {
        "format_version": "0.5.5",
        "type": "model",
        "id": "tiny-network",
        "name": "tiny network",
        "description": "Convolution, batch normalisation, sigmoid.",
        "authors": [{"name": "A. Stranger"}],
        "cite": [{"text": "none", "doi": "10.5281/zenodo.1234567"}],
        "license": "BSD-3-Clause",
        "documentation": "README.md",
        "tags": ["tiny"],
        "covers": ["cover.png"],
        "inputs": [
            {
                "id": "image",
                "axes": [axis("b"), axis("c", channel_names=["intensity"]), axis("y", size=dict(free)), axis("x", size=dict(free))],
                "data": {"type": "float32"},
                "test_tensor": {"source": "test_image.npy"},
            }
        ],
        "outputs": [
            {
                "id": "probabilities",
                "axes": [
                    *[axis("b"), axis("c", channel_names=["foreground", "boundary"])],
                    *[axis("y", size=follow["y"]), axis("x", size=follow["x"])],
                ],
                "data": {"type": "float32"},
                "test_tensor": {"source": "test_probabilities.npy"},
            }
        ],
        "weights": {
            "onnx": {"source": "weights.onnx", "opset_version": 17},
            "pytorch_state_dict": {
                "source": "weights_state_dict.pt",
                "architecture": {"source": "tiny.py", "callable": "Tiny", "kwargs": {"channels": 2}},
                "pytorch_version": "2.15.0",
            },
            "torchscript": {"source": "weights.pt", "pytorch_version": "2.0.0"},
        },
        "config": {
            "zooready": {
                "outputs": [{"id": "probabilities", "kind": "image"}],
                "cases": [
                    {"name": name, "input": f"cases/{name}_image.npy", "outputs": [f"cases/{name}_probabilities.npy"]}
                    for name in SIZES
                    if name != "test"
                ],
            }
        },
    }


@cache
def _good() -> Draft:
    from PIL import Image

    tiny = network()
    files = {"README.md": b"# tiny network\n\nValidation: none, it is a test.\n", "tiny.py": ARCHITECTURE.encode()}
    cover = BytesIO()
    Image.fromarray(np.uint8(make_image("test")[0, 0] * 60)).resize((200, 100)).convert("RGB").save(cover, "PNG")
    files["cover.png"] = cover.getvalue()
    for name in SIZES:
        head = "test_" if name == "test" else f"cases/{name}_"
        files[f"{head}image.npy"] = npy(make_image(name))
        files[f"{head}probabilities.npy"] = npy(eager(tiny, make_image(name)))
    files |= {
        "weights.pt": torchscript(tiny),
        "weights_state_dict.pt": state_dict(tiny),
        "weights.onnx": onnx_model(tiny).SerializeToString(),
    }
    return Draft(rdf=description(), files=files)


def good() -> Draft:
    """A fresh copy of the good bundle; change it at will."""
    return _good().copy()


def expect(draft: Draft, module) -> None:
    """Store what another network gives as the expected outputs."""
    for name in SIZES:
        head = "test_" if name == "test" else f"cases/{name}_"
        draft.files[f"{head}probabilities.npy"] = npy(eager(module, make_image(name)))
