"""What a description says of its tensors, in one reading for everybody."""

import numpy as np
import pytest
from foreign import axis, good, npy

from zooready.bundle.rdf import letter
from zooready.bundle.reading import opened
from zooready.bundle.specs import (
    input_spec,
    known_blur,
    output_specs,
    pixel_range_um,
    plane_distance_um,
    size_steps,
    stated_crop_px,
    trained_objects,
)
from zooready.comparison.user_images import as_inputs
from zooready.consumers import qupath
from zooready.consumers.cellprofiler import headless
from zooready.consumers.deepimagej.rules import RULES
from zooready.errors import BundleInvalid
from zooready.images.files import write_image
from zooready.records import Image
from zooready.tensors import Axis, Blur, Objects


@pytest.mark.parametrize(
    ("type", "id", "expected"),
    [
        *[("batch", "batch", "b"), ("batch", "", "b"), ("channel", "c", "c"), ("channel", "channel", "c"), ("time", "time", "t")],
        *[("time", "t", "t"), ("index", "", "i"), ("space", "y", "y"), ("space", "depth", "depth"), ("", "channel", "c"), ("", "x", "x")],
    ],
)
def test_an_axis_has_a_letter_by_its_type_and_in_space_by_its_id(type, id, expected):
    assert letter(type, id) == expected


@pytest.fixture
def timed(tmp_path):
    """The good bundle with an axis of time, spelt out, in its input and output."""
    draft = good()
    for tensor, count in ((draft.rdf["inputs"][0], 1), (draft.rdf["outputs"][0], 2)):
        tensor["axes"].insert(1, {"type": "time", "id": "time", "size": 1})
        draft.files[tensor["test_tensor"]["source"]] = npy(np.ones((1, 1, count, 6, 7), np.float32))
    draft.rdf["config"]["zooready"]["cases"] = []
    return draft.write(tmp_path / "timed.zip")


def test_an_axis_of_time_has_the_same_letter_in_every_room(timed, tmp_path):
    write_image(Image(array=np.ones((1, 6, 7), np.float32), axes="tyx"), tmp_path / "image.tif")
    with opened(timed) as bundle:
        assert {tensor.axes for tensor in (*bundle.inputs, *bundle.outputs)} == {"btcyx"}
        assert {spec.axes for spec in (input_spec(bundle), *output_specs(bundle))} == {"btcyx"}
        (whole,) = as_inputs(bundle, tmp_path / "image.tif")
        assert whole.array.shape == (1, 1, 1, 6, 7)
        assert any("'image' has axes 'btcyx'" in objection for objection in qupath.objections(bundle, "torchscript"))
        assert any("'image' has 'btcyx'" in objection for objection in headless.objections(bundle, "onnx"))
        objections = [objection for rule in RULES for objection in rule(bundle)]
    assert any("axis 'time' of 'image' is none of JDLL's letters" in objection for objection in objections)


def test_every_fact_of_a_description_has_a_field(tmp_path):
    draft = good()
    draft.rdf["inputs"][0] |= {"data": {"type": "float32", "unit": "photons"}, "sample_tensor": {"source": "README.md"}}
    draft.rdf["inputs"][0]["axes"][2] |= {"size": {"min": 16, "step": 8}, "scale": 2}
    draft.rdf["outputs"][0]["axes"][3] |= {"halo": 4, "size": {"tensor_id": "image", "axis_id": "x", "offset": -8}}
    draft.rdf["outputs"][0]["postprocessing"] = [{"id": "clip", "kwargs": {"min": 0.0}}]
    draft.rdf["config"]["zooready"] |= {
        "pixel_size_um": [0.1, 1],
        "blur_px": [4, 16],
        "blur_shown_px": [[2, 4.5], [16, 16]],
        "z_um": 2,
        "crop_px": 32,
        "measured": {"halo": 7},
    }
    draft.rdf["config"]["zooready"]["objects"] = {"diameter_px": [7, 120], "foreground": 0.8, "background": [0, 0.35]}
    with opened(draft.write(tmp_path / "a.zip")) as bundle:
        assert (bundle.id, bundle.name, bundle.format_version) == ("tiny-network", "tiny network", "0.5.5")
        (image,), (output,) = bundle.inputs, bundle.outputs
        assert (image.unit, image.sample, image.channels, image.types) == ("photons", "README.md", ("intensity",), ("float32",))
        assert image.details[2] == Axis(letter="y", id="y", type="space", minimum=16, step=8, scale=2.0)
        assert output.details[3] == Axis(letter="x", id="x", type="space", halo=4, reference=("image", "x"), offset=-8)
        assert [(step.name, step.kwargs) for step in output.operators] == [("clip", {"min": 0.0})]
        assert size_steps(bundle) == {"y": (16, 8), "x": (1, 1)}
        assert (pixel_range_um(bundle), plane_distance_um(bundle), stated_crop_px(bundle)) == ((0.1, 1.0), 2.0, 32)
        assert known_blur(bundle) == Blur(trained_px=(4.0, 16.0), sharp_px=(2.0, 4.5), wide_px=(16.0, 16.0))
        assert bundle.measured_halo_px == 7
        assert trained_objects(bundle) == Objects(diameter_px=(7.0, 120.0), foreground=0.8, background=(0.0, 0.35))
        assert {key: stated.version for key, stated in bundle.weights.items()} == {
            "onnx": 17, "pytorch_state_dict": "2.15.0", "torchscript": "2.0.0",
        }  # fmt: skip
        architecture = bundle.weights["pytorch_state_dict"].architecture
        assert (architecture.source, architecture.callable, architecture.kwargs) == ("tiny.py", "Tiny", {"channels": 2})
        assert bundle.faults == {}


def test_values_that_the_format_does_not_have_are_faults_with_their_place_and_stop_who_needs_them(tmp_path):
    draft = good()
    draft.rdf["inputs"][0]["axes"] = [
        axis("b"),
        axis("c", channel_names=["a"]),
        axis("y", size={"min": "one", "step": 16}),
        axis("x", halo="x"),
    ]
    draft.rdf["config"]["zooready"] |= {"pixel_size_um": [2, 1], "blur_px": 8, "z_um": "thin", "crop_px": 0}
    with opened(draft.write(tmp_path / "a.zip")) as bundle:
        assert list(bundle.faults)[:2] == ["inputs[0].axes[2].size.min", "inputs[0].axes[3].halo"]
        fault = r"understood \(ValueError: 'one' is no whole number from 0 to 65536 at inputs\[0\].axes\[2\].size.min\)"
        with pytest.raises(BundleInvalid, match=fault):
            input_spec(bundle)
        with pytest.raises(BundleInvalid, match=r"pixel_size_um is \[2, 1\]; give \[smallest, largest\] in µm"):
            pixel_range_um(bundle)
        with pytest.raises(BundleInvalid, match=r"blur_px is 8; give \[smallest, largest\] in px"):
            known_blur(bundle)
        with pytest.raises(BundleInvalid, match="z_um is 'thin'; give the distance of planes in µm"):
            plane_distance_um(bundle)
        with pytest.raises(BundleInvalid, match="crop_px is 0, which is not a size"):
            stated_crop_px(bundle)


@pytest.mark.parametrize(
    "stated",
    [
        "nuclei",
        {"diameter_px": [7, 120], "foreground": 0.8},
        {"diameter_px": [120, 7], "foreground": 0.8, "background": [0, 0.35]},
        {"diameter_px": [7, 120], "foreground": 80, "background": [0, 0.35]},
        {"diameter_px": [7, 120], "foreground": 0.8, "background": ["dark", 0.35]},
    ],
)
def test_objects_that_are_not_described_as_such_stop_who_needs_them(tmp_path, stated):
    draft = good()
    draft.rdf["config"]["zooready"]["objects"] = stated
    with opened(draft.write(tmp_path / "a.zip")) as bundle, pytest.raises(BundleInvalid, match="objects is .*; give diameter_px"):
        trained_objects(bundle)


@pytest.mark.parametrize("odd", [[3, 6], [[3, 6]], [[6, 3], [12, 9]], [[3, 6], [9, 12]], [["a", 6], [12, 9]], "3, 6", [[0, 6], [12, 9]]])
def test_a_blur_to_show_that_cannot_be_is_a_fault(tmp_path, odd):
    draft = good()
    draft.rdf["config"]["zooready"] |= {"blur_px": [4, 16], "blur_shown_px": odd}
    with opened(draft.write(tmp_path / "a.zip")) as bundle, pytest.raises(BundleInvalid, match=r"blur_shown_px is .*; give \[\[below"):
        known_blur(bundle)
