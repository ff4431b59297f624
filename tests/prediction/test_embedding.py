"""What the last layer sees, against eager PyTorch, for the ways in which classifiers are built; graphs that have none are refused."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid
from zooready.prediction.embedding import watched
from zooready.records import TOLERANCE, Bundle
from zooready.tensors import Tensor


def layers(last, pool):
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), *pool, *last).eval()


class Product(nn.Module):
    """A linear layer without bias, as a product of matrices."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 3))

    def forward(self, seen):
        return seen @ self.weight


class Highest(nn.Module):
    def forward(self, image):
        return image.amax((2, 3))


GAP = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
KINDS = {
    "pooled": lambda: layers((nn.Linear(5, 3), nn.Softmax(1)), GAP),
    "dropout": lambda: layers((nn.Dropout(), nn.Linear(5, 3)), GAP),
    "product": lambda: layers((Product(), nn.Softmax(1)), GAP),
    "deep": lambda: layers((nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), GAP),
    "highest": lambda: layers((nn.Linear(5, 3),), (Highest(),)),
    "convolution": lambda: layers((nn.Conv2d(5, 3, 1), *GAP), ()),
}
BEFORE = {"pooled": -2, "dropout": -1, "product": -2, "deep": -1, "highest": -1, "convolution": -3}  # the last layer's place
HAS_MAPS = ("pooled", "dropout", "product")


def bundle_of(path, kinds=("scores",)):
    outputs = tuple(Tensor(name=kind if kind == "scores" else f"{kind}s", axes="bcyx", kind=kind) for kind in kinds)
    return Bundle(path=path.with_suffix(".zip"), folder=path.parent, formats={"onnx": path}, outputs=outputs, cases=(), tolerance=TOLERANCE)


def written(network, path):
    torch.onnx.export(
        network, (torch.rand(1, 1, 12, 10),), path, input_names=["image"], output_names=["scores"], opset_version=17, dynamo=False,
        dynamic_axes={"image": {0: "b", 2: "y", 3: "x"}, "scores": {0: "b"}},
    )  # fmt: skip
    return bundle_of(path)


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(0, 1, (2, 1, 14, 11)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_the_embedding_is_what_the_last_layer_is_given(kind, image, tmp_path):
    network = KINDS[kind]()
    found = watched(written(network, tmp_path / "network.onnx"))(image)
    with torch.no_grad():
        seen = network[: BEFORE[kind]](torch.from_numpy(image)).numpy()
        scores = network(torch.from_numpy(image)).numpy()
    assert found.embedding == pytest.approx(seen.mean((2, 3)) if seen.ndim == 4 else seen, abs=1e-5)
    assert found.outputs[0] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_average_to_the_logits_less_the_bias_or_are_not_there(kind, image, tmp_path):
    network = KINDS[kind]()
    maps = watched(written(network, tmp_path / "network.onnx"))(image).maps
    assert (maps is not None) == (kind in HAS_MAPS)
    if maps is None:
        return
    last = network[BEFORE[kind]]
    with torch.no_grad():
        logits = network[: BEFORE[kind] + 1 or None](torch.from_numpy(image)) - getattr(last, "bias", 0)
        brightest = network[:2](torch.from_numpy(image)).numpy()
    assert maps.shape == (2, 3, 14, 11)
    assert maps.mean((2, 3)) == pytest.approx(logits.numpy(), abs=1e-5)
    weights = last.weight.detach().numpy()
    assert maps[1, 2, 4, 7] == pytest.approx(float((weights if kind != "product" else weights.T)[2] @ brightest[1, :, 4, 7]), abs=1e-5)


def graph(path, nodes, constants=()):
    stored = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in dict(constants).items()]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 1, None, None])]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, None])]
    model = helper.make_model(
        helper.make_graph(nodes, "tiny", inputs, outputs, stored), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(model, path)
    return bundle_of(path)


def test_pooling_that_is_no_mean_over_places_gives_no_maps(image, tmp_path):
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["rows"], axes=[3], keepdims=0),
        helper.make_node("Squeeze", ["rows", "axis"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["scores"]),
    ]
    bundle = graph(tmp_path / "g.onnx", nodes, {"weights": np.ones((14, 2))})
    model = onnx.load(bundle.formats["onnx"])
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "axis"))
    onnx.save(model, bundle.formats["onnx"])
    found = watched(bundle)(image)
    assert found.maps is None
    assert found.embedding == pytest.approx(image[:, 0].mean(2), abs=1e-5)


def test_weights_that_are_computed_from_constants_are_weights(image, tmp_path):
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["weights", "weights"], ["squares"]),
        helper.make_node("MatMul", ["flat", "squares"], ["scores"]),
    ]
    found = watched(graph(tmp_path / "g.onnx", nodes, {"weights": [[3.0, 2.0]]}))(image)
    assert found.embedding == pytest.approx(image.mean((2, 3)), abs=1e-6)
    assert found.maps is None  # weights are not stored as such


def test_a_graph_without_weights_has_no_embedding(tmp_path):
    nodes = [helper.make_node("ReduceMean", ["image"], ["scores"], axes=[2, 3], keepdims=0)]
    with pytest.raises(BundleInvalid, match="no layer with weights leads to 'scores', so there is no embedding"):
        watched(graph(tmp_path / "g.onnx", nodes))


def test_a_bundle_without_scores_is_refused(tmp_path):
    with pytest.raises(InputInvalid, match=r"gives images \(image\) and no class scores: take the bundle of a classifier"):
        watched(bundle_of(tmp_path / "g.onnx", kinds=("image",)))


def test_a_bundle_without_onnx_is_refused(tmp_path):
    bundle = replace(bundle_of(tmp_path / "g.onnx"), formats={"torchscript": tmp_path / "weights.pt"})
    with pytest.raises(InputInvalid, match="holds torchscript and no ONNX.*export it with ONNX"):
        watched(bundle)


def test_weights_in_another_file_are_refused(tmp_path):
    bundle = written(KINDS["pooled"](), tmp_path / "g.onnx")
    onnx.save(onnx.load(tmp_path / "g.onnx"), tmp_path / "g.onnx", save_as_external_data=True, location="w", size_threshold=0)
    with pytest.raises(BundleInvalid, match="keeps weights in another file: export it as one file"):
        watched(bundle)


def test_a_file_that_is_no_onnx_is_refused(tmp_path):
    (tmp_path / "g.onnx").write_bytes(b"no graph at all")
    with pytest.raises(BundleInvalid, match="the ONNX weights do not load .*Export or download it again"):
        watched(bundle_of(tmp_path / "g.onnx"))


def test_a_graph_that_the_runtime_refuses_is_told(tmp_path):
    nodes = [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("Gemm", ["flat", "weights", "lost"], ["scores"])]
    with pytest.raises(BundleInvalid, match=r"the onnx weights do not load .*lost"):
        watched(graph(tmp_path / "g.onnx", nodes, {"weights": np.ones((4, 2))}))


def test_an_image_on_which_the_network_fails_is_told(image, tmp_path):
    run = watched(written(KINDS["pooled"](), tmp_path / "g.onnx"))
    with pytest.raises(ConsumerFailed, match=r"failed on an image of shape \(2, 2, 14, 11\)"):
        run(np.concatenate([image, image], 1))


def test_a_graph_with_more_outputs_than_promised_is_refused(tmp_path):
    bundle = written(KINDS["pooled"](), tmp_path / "g.onnx")
    model = onnx.load(bundle.formats["onnx"])
    model.graph.output.add().name = next(node for node in model.graph.node if node.op_type == "Relu").output[0]
    onnx.save(model, bundle.formats["onnx"])
    with pytest.raises(BundleInvalid, match="promises outputs scores, and its onnx network gave 2. Export it again"):
        watched(bundle)
