"""ONNX graphs of strangers that crash, fill the memory, never end or read other files: the command goes on, with words."""

import itertools
import time

import numpy as np
import pytest
from foreign import good, make_image, network, onnx_model
from onnx import TensorProto, helper, numpy_helper

from zooready import cli
from zooready.bundle.reading import opened
from zooready.comparison import compare
from zooready.consumers import sandbox
from zooready.consumers.onnx_rules import outside
from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid
from zooready.images.files import write_image
from zooready.prediction import engine, predict
from zooready.records import Image

ELSEWHERE = "../../../../etc/passwd"
IMAGE = Image(array=make_image("odd")[0, 0], axes="yx")


def elsewhere(name="w", values=()):
    """A tensor whose values are in another file."""
    tensor = numpy_helper.from_array(np.ones(values or (2, 1, 3, 3), np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", ELSEWHERE
    return tensor


def graph(nodes, stored=(), **more):
    image, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("image", "probabilities"))
    made = helper.make_graph(nodes, "hostile", [image], [out], list(stored), **more)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("f", 1)], ir_version=8)


def constant(name, value):
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value), name))


def convolved(weights):
    return helper.make_node("Conv", ["image", weights], ["probabilities"], pads=[1, 1, 1, 1])


def doubled(name):
    return helper.make_node("Concat", [name, name], ["probabilities"], axis=1)


def write(folder, model):
    draft = good()
    draft.files["weights.onnx"] = model if isinstance(model, bytes) else model.SerializeToString()
    return draft.write(folder / "hostile.zip")


def with_sparse(**where):
    sparse = helper.make_sparse_tensor(elsewhere("w", (2,)), numpy_helper.from_array(np.array([0, 5]), "i"), [2, 1, 3, 3])
    if "attribute" in where:
        return graph([helper.make_node("Constant", [], ["w"], sparse_value=sparse), convolved("w")])
    return graph([convolved("w")], sparse_initializer=[sparse])


def in_a_branch():
    out = helper.make_tensor_value_info("o", TensorProto.FLOAT, None)
    part = helper.make_graph([helper.make_node("Conv", ["image", "w"], ["o"])], "part", [], [out], [elsewhere()])
    return graph([constant("yes", True), helper.make_node("If", ["yes"], ["probabilities"], then_branch=part, else_branch=part)])


def in_a_function():
    nodes = [helper.make_node("Constant", [], ["w"], value=elsewhere()), helper.make_node("Conv", ["a", "w"], ["o"])]
    made = helper.make_function("f", "Net", ["a"], ["o"], nodes, [helper.make_opsetid("", 17)])
    model = graph([helper.make_node("Net", ["image"], ["probabilities"], domain="f")])
    model.functions.append(made)
    return model


def for_training():
    model = onnx_model(network())
    model.training_info.add().algorithm.CopyFrom(helper.make_graph([], "training", [], [], [elsewhere()]))
    return model


PLACES = {
    "stored": lambda: graph([convolved("w")], [elsewhere()]),
    "attribute": lambda: graph([helper.make_node("Constant", [], ["w"], value=elsewhere()), convolved("w")]),
    "sparse": with_sparse,
    "sparse attribute": lambda: with_sparse(attribute=True),
    "branch": in_a_branch,
    "function": in_a_function,
    "training": for_training,
}


@pytest.mark.parametrize("place", PLACES)
def test_tensors_in_other_files_are_seen_wherever_they_hide(place, tmp_path):
    path = write(tmp_path, PLACES[place]())
    with opened(path) as bundle:
        assert outside(bundle.formats["onnx"]) == [ELSEWHERE]
        with pytest.raises(BundleInvalid, match="leads out of the bundle"):
            engine(bundle)


def growing():
    """Doubles its input without end."""
    number, go, on = (
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in (("n", TensorProto.INT64), ("go", TensorProto.BOOL), ("on", TensorProto.BOOL))
    )
    taken, given = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("all", "more"))
    kept = helper.make_node("Identity", ["go"], ["on"])
    more = helper.make_node("Concat", ["all", "all"], ["more"], axis=3)
    body = helper.make_graph([kept, more], "body", [number, go, taken], [on, given])
    loop = helper.make_node("Loop", ["often", "yes", "image"], ["r"], body=body)
    return graph([constant("often", 60), constant("yes", True), loop, doubled("r")])


def test_a_graph_that_fills_the_memory_ends_without_this_process(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "memory_bytes", lambda: 4 * 2**30)
    with opened(write(tmp_path, growing())) as bundle, pytest.raises((InputInvalid, ConsumerFailed), match="memory|crashed"):
        predict(bundle, IMAGE)


def test_one_operator_that_never_ends_is_stopped(tmp_path):
    """ONNX Runtime itself can stop between two operators only."""
    nodes = [
        constant("shape", np.array([30000, 30000])),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceMax", ["image"], ["largest"], keepdims=0),
        helper.make_node("Add", ["zeros", "largest"], ["some"]),
        helper.make_node("MatMul", ["some", "some"], ["product"]),
        helper.make_node("ReduceMax", ["product"], ["number"], keepdims=0),
        helper.make_node("Add", ["image", "number"], ["sum"]),
        doubled("sum"),
    ]
    with (
        opened(write(tmp_path, graph(nodes)), time_limit_s=6) as bundle,
        pytest.raises((ConsumerFailed, InputInvalid), match="stopped after 6 s"),
    ):
        predict(bundle, IMAGE)


def test_an_enormous_answer_is_not_read(tmp_path, monkeypatch):
    nodes = [constant("shape", np.array([1, 20000, 1, 1])), helper.make_node("Expand", ["image", "shape"], ["probabilities"])]
    monkeypatch.setattr(sandbox, "ANSWER", 1e-6)
    with opened(write(tmp_path, graph(nodes))) as bundle, pytest.raises(ConsumerFailed, match="for one image, more than is read"):
        predict(bundle, IMAGE)


def test_a_padding_for_which_there_is_no_memory_is_refused(tmp_path):
    draft = good()
    for axis in draft.rdf["inputs"][0]["axes"][2:]:
        axis["size"] = {"min": 65536, "step": 65536}
    write_image(IMAGE, tmp_path / "image.tif")
    with opened(draft.write(tmp_path / "wide.zip")) as bundle:
        from zooready.prediction.whole import margins

        with pytest.raises(InputInvalid, match="it would be padded to 6553600 x 65536 px"):
            margins((1, 1, 7, 6553599), bundle)
    assert cli.main(["predict", str(tmp_path / "wide.zip"), str(tmp_path / "image.tif"), "-o", str(tmp_path / "out")]) in (1, 2)


def test_the_graph_of_a_stranger_gives_its_outputs_by_their_names(tmp_path):
    with opened(write(tmp_path, onnx_model(network()))) as bundle:
        expected = next(case for case in bundle.cases if case.name == "odd").outputs[0][0]
        np.testing.assert_allclose(predict(bundle, IMAGE).images["probabilities"].array, expected, atol=1e-6)


def test_an_output_of_other_than_real_numbers_is_refused(tmp_path):
    nodes = [helper.make_node("Cast", ["image"], ["words"], to=TensorProto.STRING), doubled("words")]
    model = graph(nodes)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.STRING
    with opened(write(tmp_path, model)) as bundle, pytest.raises(BundleInvalid, match="output 1 is of type object, not of real numbers"):
        predict(bundle, IMAGE)


def as_sequence():
    model = graph([helper.make_node("SequenceConstruct", ["image", "image"], ["probabilities"])])
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("probabilities", TensorProto.FLOAT, None))
    return model


def as_nothing():
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    model = graph([helper.make_node("Optional", [], ["probabilities"], type=kind)])
    model.graph.output[0].CopyFrom(helper.make_value_info("probabilities", helper.make_optional_type_proto(kind)))
    return model


@pytest.mark.parametrize(("make", "shown"), [(as_sequence, "list"), (as_nothing, "NoneType")])
def test_an_output_that_is_no_tensor_is_refused(make, shown, tmp_path):
    (verdict,) = compare(write(tmp_path, make()), consumers=["onnxruntime"]).verdicts
    assert (verdict.status, f"output 1 is no tensor (Python shows it as {shown})" in verdict.why) == ("refused", True)


@pytest.mark.parametrize("held", [999, 0, -3, None])
def test_an_opset_that_onnx_has_not_is_no_reason_to_write_it_into_the_description(held, tmp_path):
    model = onnx_model(network())
    del model.opset_import[:]
    if held is not None:
        model.opset_import.append(helper.make_opsetid("", held))
    (verdict,) = compare(write(tmp_path, model), consumers=["onnxruntime"]).verdicts
    assert (verdict.status, f"has opset {held or 0}, which ONNX has not" in verdict.why) == ("refused", True)


def test_an_empty_file_is_no_onnx(tmp_path):
    (verdict,) = compare(write(tmp_path, b""), consumers=["onnxruntime"]).verdicts
    assert (verdict.status, "weights.onnx is no readable ONNX file (0 bytes)" in verdict.why) == ("refused", True)


def looping(times):
    """Does nothing, over and over."""
    number, go, on = (
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in (("n", TensorProto.INT64), ("go", TensorProto.BOOL), ("on", TensorProto.BOOL))
    )
    taken, given = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("all", "same"))
    kept = [helper.make_node("Identity", [a], [b]) for a, b in (("go", "on"), ("all", "same"))]
    body = helper.make_graph(kept, "body", [number, go, taken], [on, given])
    loop = helper.make_node("Loop", ["often", "yes", "image"], ["r"], body=body)
    return graph([constant("often", np.int64(times)), constant("yes", True), loop, doubled("r")])


def chained(count):
    """Many operators, one behind the other, which take long to load."""
    names = ["image", *(f"x{n}" for n in range(count))]
    return graph([*(helper.make_node("Neg", [a], [b]) for a, b in itertools.pairwise(names)), doubled(names[-1])])


@pytest.mark.parametrize("make", [lambda: looping(2**62), lambda: chained(200_000)], ids=["loop", "chain"])
def test_a_check_ends_at_its_limit(make, tmp_path):
    started = time.monotonic()
    (verdict,) = compare(write(tmp_path, make()), consumers=["onnxruntime"], time_limit_s=3).verdicts
    assert (verdict.status, "was stopped after 3 s" in verdict.why) == ("failed", True)
    assert time.monotonic() - started < 60
