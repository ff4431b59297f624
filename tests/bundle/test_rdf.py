"""What rdf.yaml says, from facts that differ."""

import numpy as np
import pytest
import yaml
from networks import ABOUT

from zooready.bundle import writing
from zooready.bundle.describing import describe
from zooready.bundle.found import measured_facts
from zooready.errors import BundleInvalid
from zooready.records import Measured, Weights
from zooready.tensors import TensorSpec

IMAGE = TensorSpec(name="image", axes="bcyx", channels=("a", "b"))
MAPS = TensorSpec(name="maps", axes="bcyx", channels=("a",), description="Where things are.", unit="photons")
SCORES = TensorSpec(name="scores", axes="bc", channels=("a", "b", "c"), kind="scores")
STACK = TensorSpec(name="stack", axes="bczyx", channels=("a",), sizes={"z": 7})


@pytest.fixture
def described(tmp_path):
    """A description of files that lie in a folder."""
    for name in ("weights.pt", "weights.onnx", "state.pt", "architecture.py", "environment.yaml", "case-odd-image.npy", "cover.png"):
        (tmp_path / name).write_text(name)
    weights = (
        Weights(format="torchscript", path=tmp_path / "weights.pt", sha256="", details={"torch": "2.15.0"}),
        Weights(format="onnx", path=tmp_path / "weights.onnx", sha256="", details={"opset": 17}),
        Weights(format="state_dict", path=tmp_path / "state.pt", sha256="", details={"torch": "2.15.0"}),
    )

    def make(input=IMAGE, outputs=(MAPS,), weights=weights, **more):
        for spec in (input, *outputs):
            np.save(tmp_path / f"test-{spec.name}.npy", np.zeros(1))
        facts = {
            "about": ABOUT,
            "form": "rich",
            "identity": "an-id",
            "pytorch_version": "2.0.0",
            "config": {"seed": 1},
            "folder": tmp_path,
            **more,
        }
        return describe(input=input, outputs=outputs, weights=weights, **facts)

    return make


def test_weights_carry_the_version_that_their_engine_needs(described):
    weights = described()["weights"]
    assert weights["torchscript"]["pytorch_version"] == "2.0.0"
    assert weights["onnx"]["opset_version"] == 17
    state = weights["pytorch_state_dict"]
    assert state["pytorch_version"] == "2.15.0"
    assert (state["architecture"]["callable"], state["architecture"]["kwargs"]) == ("build", {})  # BiaPy refuses one without kwargs
    assert state["dependencies"]["source"] == "environment.yaml"


def test_files_that_nothing_else_names_are_attached(described):
    assert [entry["source"] for entry in described()["attachments"]] == ["case-odd-image.npy"]


def test_images_follow_the_inputs_size(described):
    axes = described()["outputs"][0]["axes"]
    assert axes[2:] == [{"type": "space", "id": a, "size": {"tensor_id": "image", "axis_id": a}} for a in "yx"]


def test_scores_have_no_place_and_a_stack_has_its_planes(described):
    scores, stack = described(outputs=(SCORES, STACK))["outputs"]
    assert [axis["type"] for axis in scores["axes"]] == ["batch", "channel"]
    assert stack["axes"][2] == {"type": "space", "id": "z", "size": 7}


def test_one_size_is_stated_as_a_number(described):
    fixed = TensorSpec(name="image", axes="bcyx", channels=("a",), sizes={"y": 64, "x": 48})
    assert [axis["size"] for axis in described(input=fixed)["inputs"][0]["axes"][2:]] == [64, 48]


def test_time_is_no_space(described):
    series = TensorSpec(name="image", axes="btcyx", channels=("a",))
    assert described(input=series)["inputs"][0]["axes"][1]["type"] == "time"


def test_description_and_unit_of_a_tensor_are_told(described):
    (output,) = described()["outputs"]
    assert output["description"] == "Where things are."
    assert output["data"] == {"type": "float32", "unit": "photons"}
    assert described()["inputs"][0]["data"] == {"type": "float32"}


def test_a_sample_is_named_where_there_is_one(described, tmp_path):
    assert "sample_tensor" not in described()["inputs"][0]
    (tmp_path / "sample-image.tif").write_text("tiff")
    assert described()["inputs"][0]["sample_tensor"]["source"] == "sample-image.tif"


def test_an_unbounded_halo_is_said_in_words():
    measured = Measured(stride=4, minimum=8, halo=None, outputs=("bcyx",), channels=(1,), notes=("a note",))
    assert measured_facts(measured) == {"stride": 4, "minimum": 8, "halo": "whole image", "notes": ["a note"]}


def test_what_the_specification_refuses_is_told(described, tmp_path):
    content = described(about=ABOUT)
    content["name"] = "a/b"
    (tmp_path / "rdf.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(BundleInvalid, match=r"the description is not valid BioImage\.IO: .*name.*Correct about\.yaml or the names given"):
        writing.validate(tmp_path)


@pytest.mark.parametrize(("name", "id"), [("Nuclei (test)", "nuclei-test"), ("A  b_c+1", "a-b-c-1")])
def test_the_id_is_made_of_the_name(name, id):
    assert writing.identity(name) == id
