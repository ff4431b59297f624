import filecmp
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx as onnx_library
import onnxruntime
import pytest
import torch
from format_networks import Branching, Histogram, OwnFunction, Spectral, TinyUNet, WidthDecides, make_image
from onnx import TensorProto, helper
from torch import nn

from zooready.errors import BundleInvalid, InputInvalid
from zooready.formats import onnx, trials
from zooready.formats.demands import Demands
from zooready.formats.onnx import graph, onnx_file
from zooready.formats.onnx.downgrade import to_opset_17

TESTS = Path(__file__).parent
IMAGES = {"input_name": "image", "input_axes": "bcyx"}
ONE = {**IMAGES, "output_names": ["restored"], "output_axes": ["bcyx"]}
TWO = {**IMAGES, "output_names": ["maps", "scores"], "output_axes": ["bcyx", "bc"]}


def test_the_file_is_opset_17_ir_8_and_alone(exported):
    assert onnx.facts(exported.path) == {"opset": 17, "ir": 8, "external": False}
    assert (exported.details["opset"], exported.details["ir"], exported.details["exporter"]) == (17, 8, "legacy")
    assert list(exported.path.parent.iterdir()) == [exported.path]


def test_names_and_free_axes_are_as_asked(exported):
    session = onnx.load(exported.path)
    assert [(one.name, one.shape) for one in session.get_inputs()] == [("image", ["b", 1, "y", "x"])]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("maps", ["b", 2, "y", "x"]), ("scores", ["b", 2])]


def test_numbers_are_the_networks_at_other_sizes(exported, unet):
    eager = TinyUNet()
    eager.load_state_dict(unet.state_dict())
    session = onnx.load(exported.path)
    for shape in ((2, 1, 33, 19), (1, 1, 1, 1), (1, 1, 70, 97)):
        image = make_image(*shape, seed=5).numpy()
        for got, want in zip(session.run(None, {"image": image}), trials.eager(eager.eval(), image), strict=True):
            assert np.abs(got - want).max() <= 1e-4


def test_a_started_file_gives_its_outputs_in_the_order_asked_for(exported):
    image = make_image(2, 1, 33, 19, seed=5).numpy()
    maps, scores = onnx.start(exported.path)(image)
    assert (maps.shape, scores.shape) == ((2, 2, 33, 19), (2, 2))
    turned = onnx.start(exported.path, "cpu", outputs=["scores", "maps"])(image)
    assert [output.shape for output in turned] == [(2, 2), (2, 2, 33, 19)]
    assert np.array_equal(turned[1], maps)
    in_memory = onnx.start(exported.path.read_bytes(), outputs=["others"])(image)
    assert all(np.array_equal(first, second) for first, second in zip(in_memory, (maps, scores), strict=True))


def test_no_memory_is_kept_for_each_size_of_image(exported):
    assert not onnx.load(exported.path).get_session_options().enable_mem_pattern


def test_a_graph_of_two_inputs_is_not_started(exported, tmp_path):
    model = onnx_library.load(exported.path)
    model.graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1]))
    with pytest.raises(BundleInvalid, match=r"the ONNX graph takes 2 inputs \['image', 'second'\]: export it with one"):
        onnx.start(model.SerializeToString())


def test_the_same_network_gives_the_same_bytes_again(exported, unet, example, tmp_path):
    assert filecmp.cmp(onnx.write(unet, example, tmp_path / "other.onnx", **TWO).path, exported.path, shallow=False)


def test_rewritten_files_have_the_same_bytes_in_another_process(rewritten, tmp_path):
    program = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import format_networks; "
        "format_networks.write_rewritten(pathlib.Path(sys.argv[2]))"
    )
    other = tmp_path / "weights.onnx"
    subprocess.run([sys.executable, "-c", program, str(TESTS), str(other)], check=True, capture_output=True, timeout=300)
    assert filecmp.cmp(other, rewritten.path, shallow=False)


def test_what_only_dynamo_exports_is_rewritten_to_opset_17(rewritten):
    assert rewritten.details["exporter"] == "dynamo"
    assert onnx.facts(rewritten.path) == {"opset": 17, "ir": 8, "external": False}
    assert "ReduceMax" in {node.op_type for node in onnx_library.load(str(rewritten.path)).graph.node}


def test_files_hold_no_paths_and_no_metadata(exported, rewritten):
    for weights in (exported, rewritten):
        content = weights.path.read_bytes()
        assert b"format_networks" not in content
        assert b"site-packages" not in content
        model = onnx_library.load(str(weights.path))
        assert not model.metadata_props
        assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
        assert "+" not in model.producer_version


def test_an_output_axis_of_one_length_is_declared_so(tmp_path):
    class Stack(nn.Module):
        def forward(self, x):
            return x[:, :, None].expand(-1, -1, 7, -1, -1) * 1

    names = {**IMAGES, "output_names": ["stack"], "output_axes": ["bczyx"]}
    weights = onnx.write(Stack(), make_image(1, 1, 9, 11), tmp_path / "weights.onnx", **names)
    assert onnx.load(weights.path).get_outputs()[0].shape == ["b", 1, 7, "y", "x"]


def test_fixed_axes_are_numbers(tmp_path):
    weights = onnx.write(Spectral().eval(), make_image(1, 1, 16, 16), tmp_path / "w.onnx", Demands(fixed={"y": 16, "x": 16}), **ONE)
    assert onnx.load(weights.path).get_inputs()[0].shape == ["b", 1, 16, 16]


def test_what_neither_exporter_knows_is_torchscript_only(example, tmp_path):
    with pytest.raises(
        InputInvalid,
        match=r"TorchScript only: Histogram cannot be .* opset 17. legacy exporter: .*aten::histc.*Cure: replace the operators",
    ):
        onnx.write(Histogram(), example, tmp_path / "weights.onnx", **ONE)
    assert not list(tmp_path.iterdir())


class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inner = self.inner(x / 100)
        return inner.float()


def test_half_precision_is_told_with_its_cure(example, tmp_path):
    with pytest.raises(
        InputInvalid, match=r"bfloat16.*Cure: leave out autocast, half\(\) and bfloat16\(\), in which .*, or ship"
    ) as caught:
        onnx.write(Autocast(), example, tmp_path / "weights.onnx", **ONE)
    assert "export it again" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "operator 'a::b' is not supported. Support for this operator was added in version 20, try exporting with this version.",
            "supported",
        ),
        ("operator adaptive pooling, since output_size is not constant.. Please feel free to request support", "constant"),
    ],
)
def test_the_exporters_advice_is_left_out(said, kept):
    assert onnx_file._reason(ValueError(said)).endswith(kept)


def test_a_file_that_is_wrong_at_another_size_is_not_accepted(tmp_path, monkeypatch, here):
    monkeypatch.setattr(onnx_file, "EXPORTERS", ("legacy",))
    with pytest.raises(
        InputInvalid,
        match=r"'restored' of case '(larger|small and brighter)' \(1, 1, 37, (36|53)\) differs by .*take sizes from x.shape",
    ):
        onnx.write(WidthDecides(), make_image(1, 1, 20, 30), tmp_path / "weights.onnx", **ONE)


def test_a_branch_on_pixel_values_is_refused(example, tmp_path, here):
    with pytest.raises(InputInvalid, match=r"Branching cannot be written: an 'if' hangs on pixel values \(format_networks.py:\d+\)"):
        onnx.write(Branching(), example, tmp_path / "weights.onnx", **ONE)


def test_an_autograd_function_is_exported(example, tmp_path):
    assert onnx.write(OwnFunction(), example, tmp_path / "weights.onnx", **ONE).details["difference"] <= 1e-6


class ScriptedPart(nn.Module):
    """A part that is TorchScript already, as libraries ship them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        rest = nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(4, 1, 1), nn.Sigmoid()).eval()
        self.rest = torch.jit.script(rest.requires_grad_(False))

    def forward(self, x):
        return self.rest(self.first(x))


@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
def test_a_part_that_is_torchscript_already_is_exported(example, tmp_path, here):
    network = ScriptedPart().eval()
    run = onnx.start(onnx.write(network, example, tmp_path / "weights.onnx", **ONE).path)
    again = onnx.write(ScriptedPart().eval(), example, tmp_path / "again.onnx", **ONE)
    assert filecmp.cmp(again.path, tmp_path / "weights.onnx", shallow=False)
    for shape in ((2, 1, 33, 19), (1, 1, 70, 97)):
        image = make_image(*shape, seed=5).numpy()
        with torch.no_grad():
            expected = network(torch.from_numpy(image)).numpy()
        assert np.abs(run(image)[0] - expected).max() <= 1e-5


def test_exporters_print_nothing(example, tmp_path, capfd):
    with pytest.raises(InputInvalid):
        onnx.write(Histogram(), example, tmp_path / "weights.onnx", **ONE)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output_names": ["a", "b", "c"]}, r"the network returns 2 outputs"),
        ({"output_axes": ["bcyx", "bcyx"]}, r"give one letter an axis"),
        ({"input_axes": "byx"}, r"axes 'byx' for input \(1, 1, 45, 62\)"),
    ],
)
def test_names_and_axes_must_fit(unet, example, tmp_path, change, message):
    with pytest.raises(InputInvalid, match=message):
        onnx.write(unet, example, tmp_path / "weights.onnx", **{**TWO, **change})


def test_more_than_a_single_file_holds_is_refused(unet, example, tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "LARGEST", 100)
    with pytest.raises(InputInvalid, match="bytes are more than one ONNX file can hold"):
        onnx.write(unet, example, tmp_path / "weights.onnx", **TWO)


def test_what_is_no_model_is_refused(tmp_path):
    path = tmp_path / "weights.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(InputInvalid, match="weights.onnx is no ONNX model"):
        onnx.facts(path)
    with pytest.raises(InputInvalid, match="ONNX Runtime refuses weights.onnx"):
        onnx.load(path)


def model_18(nodes, initializers=(), shape=(2, 3, 4), outputs=("y",)):
    """A model of opset 18 with one input x and outputs of any shape."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [helper.make_tensor(name, TensorProto.INT64, [len(values)], values) for name, values in initializers],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def both(model, x):
    """Outputs of a model, and of its rewritten form."""
    run = [onnxruntime.InferenceSession(one.SerializeToString()).run(None, {"x": x}) for one in (model, to_opset_17(model))]
    return zip(*run, strict=True)


NODES = {
    "reduction": (helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0), [("axes", [0, -1])]),
    "reduction of everything": (helper.make_node("ReduceMax", ["x"], ["y"]), []),
    "reduction of nothing": (helper.make_node("ReduceMax", ["x"], ["y"], noop_with_empty_axes=1), []),
    "pad of named axes": (helper.make_node("Pad", ["x", "pads", "", "axes"], ["y"]), [("pads", [1, 2, 3, 4]), ("axes", [-1, 1])]),
    "pad of all axes": (helper.make_node("Pad", ["x", "pads"], ["y"], mode="edge"), [("pads", [0, 1, 2, 0, 1, 0])]),
    "mish": (helper.make_node("Mish", ["x"], ["y"]), []),
    "resize": (helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="nearest", antialias=0), [("sizes", [2, 3, 8])]),
}


@pytest.mark.parametrize("name", NODES)
def test_each_rewritten_operator_gives_the_same_numbers(name):
    node, initializers = NODES[name]
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    for before, after in both(model_18([node], initializers), x):
        assert np.allclose(before, after, rtol=1e-5, atol=1e-6)


def test_split_into_equal_parts_gives_the_same_numbers():
    node = helper.make_node("Split", ["x"], ["y", "z"], axis=2, num_outputs=2)
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for before, after in both(model_18([node], outputs=("y", "z")), x):
        assert np.array_equal(before, after)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (helper.make_node("ReduceMax", ["x", "unknown"], ["y"]), "no form in opset 17: ReduceMax over axes known only when it runs"),
        (helper.make_node("ReduceL2", ["x"], ["y"], noop_with_empty_axes=1), "ReduceL2 of each element"),
        (helper.make_node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=1), "no form in opset 17: GroupNormalization"),
        (helper.make_node("Resize", ["x", "", "s"], ["y"], antialias=1), "Resize with antialias"),
        (helper.make_node("Resize", ["x", "", "s"], ["y"], axes=[1]), "Resize by axes or aspect ratio"),
        (helper.make_node("ScatterND", ["x", "i", "u"], ["y"], reduction="max"), "ScatterND with reduction max"),
        (helper.make_node("Pad", ["x", "p", "", "a"], ["y"]), "Pad of axes known only when it runs"),
        (helper.make_node("Own", ["x"], ["y"], domain="mine"), "mine::Own"),
    ],
)
def test_what_has_no_form_in_opset_17_is_named(node, message):
    with pytest.raises(InputInvalid, match=message):
        to_opset_17(model_18([node]))


def test_another_opset_than_18_is_refused():
    model = model_18([helper.make_node("Relu", ["x"], ["y"])])
    model.opset_import[0].version = 20
    with pytest.raises(InputInvalid, match=r"the exporter wrote opset \{'': 20\}, not 18"):
        to_opset_17(model)
