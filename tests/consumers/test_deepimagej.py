"""Each rule of DeepImageJ: what it says of a bundle that breaks it, and that it is silent about one that does not."""

import numpy as np
import pytest
from foreign import axis, good, npy

from zooready.bundle.reading import opened
from zooready.comparison import compare
from zooready.consumers import java_pytorch
from zooready.consumers.deepimagej import in_fiji
from zooready.consumers.deepimagej.rules import RULES
from zooready.images.files import write_image
from zooready.records import Image


@pytest.fixture
def found(tmp_path):
    """Objections to a draft."""

    def objections(draft):
        with opened(draft.write(tmp_path / "draft.zip")) as bundle:
            return list(in_fiji.objections(bundle, "torchscript"))

    return objections


def preprocessed(*steps):
    draft = good()
    draft.rdf["inputs"][0]["preprocessing"] = [{"id": name, "kwargs": kwargs} for name, kwargs in steps]
    return draft


def output_axis(name, **more):
    draft = good()
    (one,) = [one for one in draft.rdf["outputs"][0]["axes"] if one["id"] == name]
    one |= more
    return draft


def test_the_good_bundle_breaks_no_rule(found):
    assert found(good()) == []


def test_without_a_fiji_rules_are_the_judge_and_the_cure_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("ZOOREADY_FIJI", raising=False)
    (one,) = compare(good().write(tmp_path / "good.zip"), consumers=["deepimagej"]).verdicts
    assert (one.status, one.level, dict(one.versions)) == ("passed", "rules", {"rules of JDLL": "0.6.1"})
    assert "the program itself did not run. To run it: install Fiji (fiji.sc) with its update site DeepImageJ" in one.why


def test_every_rule_is_a_function_with_a_name_and_a_reason():
    assert all(rule.__doc__ and rule.__name__ for rule in (*RULES, *in_fiji.WEIGHT_RULES))
    assert len({rule.__name__ for rule in RULES}) == len(RULES)


def test_the_description_has_one_name_only(tmp_path, found):
    import zipfile

    path = good().write(tmp_path / "a.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name.replace("rdf.yaml", "bioimageio.yaml"), old.read(name))
    with opened(tmp_path / "b.zip") as bundle:
        assert list(in_fiji.objections(bundle, None)) == [
            "the description is not called rdf.yaml, the only name that JDLL looks for: rename it."
        ]


@pytest.mark.parametrize("key", ["name", "description", "license", "documentation"])
def test_texts_are_plain_strings(found, key):
    draft = good()
    draft.rdf[key] = {"source": "README.md"}
    (one,) = found(draft)
    assert f"'{key}' is {{'source': 'README.md'" in one
    assert "JDLL reads it as text only (ClassCastException): write a plain, quoted string" in one


def test_a_documentation_mapping_has_the_cure_that_the_specification_takes(found):
    draft = good()
    draft.rdf["documentation"] = {"source": "README.md"}
    assert "the file's name, and format_version 0.5.10, since later ones refuse that" in found(draft)[0]
    draft.rdf |= {"documentation": "README.md", "format_version": "0.5.10"}
    assert found(draft) == []


def test_an_id_is_needed_beside_a_config_only(found):
    draft = good()
    draft.rdf.pop("id", None)
    assert found(draft) == [
        "no 'id' at the top of rdf.yaml, but a 'config', on which JDLL stops with a NullPointerException: add one, e.g. id: my-network."
    ]
    del draft.rdf["config"]
    assert found(draft) == []


def test_the_older_engine_runs_and_is_not_the_one_that_is_checked(tmp_path, found, monkeypatch):
    draft = without("onnx")
    draft.rdf["weights"]["torchscript"]["pytorch_version"] = "1.13.1"
    assert found(draft) == []
    monkeypatch.delenv("ZOOREADY_FIJI", raising=False)
    monkeypatch.setattr(java_pytorch, "missing", lambda: None)
    monkeypatch.setattr(java_pytorch, "versions", dict)
    monkeypatch.setattr(java_pytorch, "run", lambda bundle, format, images: [case.outputs for case in bundle.cases])
    *_, fiji = compare(draft.write(tmp_path / "older.zip"), consumers=["java-pytorch", "deepimagej"]).verdicts
    assert (fiji.status, fiji.level) == ("passed", "rules")
    assert "asks for PyTorch 1.13.1, which DeepImageJ fetches at its first run; only '2.0.0' asks for the engine" in fiji.why


def test_percentiles_outside_the_network_are_remarked_and_refused_by_no_engine(tmp_path, found, monkeypatch):
    draft = preprocessed(("scale_range", {"min_percentile": 1, "max_percentile": 99}))
    assert found(draft) == []
    monkeypatch.delenv("ZOOREADY_FIJI", raising=False)
    monkeypatch.setattr(java_pytorch, "missing", lambda: None)
    *_, fiji = compare(draft.write(tmp_path / "percentiles.zip"), consumers=["java-pytorch", "deepimagej"]).verdicts
    assert (fiji.status, fiji.level) == ("passed", "rules")
    assert "'scale_range' takes percentiles without interpolation in JDLL" in fiji.why


def test_an_axis_without_a_type_is_named(found):
    draft = good()
    del draft.rdf["inputs"][0]["axes"][2]["type"]
    assert found(draft) == ["axis 'y' of 'image' has no type, on which JDLL stops with a NullPointerException: add type: space (or other)."]


@pytest.mark.parametrize("name", ["time", "index", "Y", "height"])
def test_axes_are_called_by_letters(found, name):
    draft = good()
    draft.rdf["outputs"][0]["axes"][2]["id"] = name
    assert any(f"axis '{name}' of 'probabilities' is none of JDLL's letters b, i, t, z, c, y, x" in one for one in found(draft))


def test_batch_and_channel_may_be_spelt_out(found):
    draft = good()
    draft.rdf["inputs"][0]["axes"][:2] = [{"type": "batch", "id": "batch"}, {"type": "channel", "id": "channel", "channel_names": ["a"]}]
    assert found(draft) == []


def test_every_tensor_has_channels(found):
    draft = good()
    del draft.rdf["inputs"][0]["axes"][1]
    assert any("'image' has no channel axis, and JDLL needs one: add type: channel" in one for one in found(draft))


def test_the_minimum_is_a_multiple_of_the_step(found):
    draft = good()
    draft.rdf["inputs"][0]["axes"][3]["size"] = {"min": 32, "step": 16}
    assert found(draft) == []
    draft.rdf["inputs"][0]["axes"][3]["size"] = {"min": 40, "step": 16}
    assert "axis 'x' of 'image' has min 40, no multiple of its step 16" in found(draft)[0]


def test_halos_are_equal_and_in_steps_and_refer_to_the_input(found):
    draft = output_axis("y", halo=8)
    assert found(draft) == ["'probabilities' has different halos on y and x, and JDLL needs the same: give both the larger one."]
    for one in draft.rdf["outputs"][0]["axes"][2:]:
        one["halo"] = 8
    assert found(draft) == []
    for one in draft.rdf["inputs"][0]["axes"][2:]:
        one["size"] = {"min": 16, "step": 16}
    assert "axis 'y' of 'probabilities' has a halo of 8, no multiple of the step 16: round it up." in found(draft)
    draft.rdf["outputs"][0]["axes"][2]["size"] = 16
    assert any("has a halo but a size of its own: refer to the input's axis" in one for one in found(draft))


def test_outputs_are_as_large_as_the_input(found):
    assert "axis 'y' of 'probabilities' has scale 0.5, which JDLL reads the other way round" in found(output_axis("y", scale=0.5))[0]
    shifted = {"tensor_id": "image", "axis_id": "y", "offset": -8}
    assert "has offset -8, which JDLL doubles: pad inside the network" in found(output_axis("y", size=shifted))[0]
    assert "has a size that depends on the data" in found(output_axis("y", size={"min": 1, "max": None}))[0]
    draft = good()
    draft.rdf["inputs"][0]["axes"][2]["scale"] = 0.1
    assert "axis 'y' of 'image' has scale 0.1" in found(draft)[0]


def test_fixed_sizes_have_an_exact_ratio(found):
    draft = output_axis("y", size=16)
    draft.rdf["inputs"][0]["axes"][2]["size"] = 16
    assert found(draft) == []
    draft.rdf["outputs"][0]["axes"][2]["size"] = 12
    assert "axis 'y' of 'probabilities' is 12 for an input of 16, no exact ratio" in found(draft)[0]


def test_a_stack_of_fixed_depth_from_a_flat_image_is_fine(found):
    draft = good()
    draft.rdf["outputs"][0]["axes"].insert(2, axis("z", size=7))
    assert found(draft) == []


def test_types_are_declared_float32(found):
    draft = good()
    draft.rdf["inputs"][0]["data"] = {"type": "uint8"}
    draft.rdf["outputs"][0]["data"] = [{"type": "float32"}, {"type": "int64"}]
    assert [one.split(",")[0] for one in found(draft)] == ["'image' is declared uint8", "'probabilities' is declared int64"]


def test_operators_that_jdll_has_not_are_named(found):
    assert found(preprocessed(("scale_mean_variance", {}))) == ["no 'scale_mean_variance' in JDLL: fold it into the network."]
    assert found(preprocessed(("ensure_dtype", {"dtype": "float32"}), ("sigmoid", {}))) == []
    draft = good()
    draft.rdf["outputs"][0]["postprocessing"] = [{"id": "softmax"}]
    assert found(draft) == ["no 'softmax' in JDLL: fold it into the network."]


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("scale_linear", {"gain": [1.0, 2.0], "offset": 0.0}, "'scale_linear' has a list as 'gain'"),
        ("fixed_zero_mean_unit_variance", {"mean": [1.0], "std": 2.0}, "'fixed_zero_mean_unit_variance' has a list as 'mean'"),
        ("binarize", {"threshold": [0.5]}, "'binarize' has a list as 'threshold'"),
        ("clip", {"min": 0}, "'clip' has no max, and JDLL needs min and max"),
        ("zero_mean_unit_variance", {"axes": ["batch", "y", "x"]}, "'zero_mean_unit_variance' over the batch axis is misread"),
    ],
)
def test_operators_that_jdll_gets_wrong_are_named(found, name, kwargs, message):
    (one,) = found(preprocessed((name, kwargs)))
    assert message in one
    assert "fold it into the network" in one


def test_plane_by_plane_normalisation_is_wrong_with_several_planes(found):
    draft = preprocessed(("zero_mean_unit_variance", {"axes": ["y", "x"]}))
    assert found(draft) == []
    draft.files["test_image.npy"] = npy(np.zeros((1, 2, 16, 20), np.float32))
    assert "'zero_mean_unit_variance' plane by plane gives each plane's statistics to all of them" in found(draft)[0]


def test_tiling_may_be_allowed_explicitly(found):
    draft = good()
    draft.rdf["config"]["deepimagej"] = {"allow_tiling": True}
    assert found(draft) == []


def test_stardist_goes_to_another_reader(found):
    draft = good()
    draft.rdf["name"] = "my StarDist network"
    assert found(draft) == []
    draft.rdf["config"]["stardist"] = {}
    assert "JDLL opens it as a StarDist model" in found(draft)[0]


def test_images_on_which_fiji_hangs_are_refused(found, monkeypatch):
    monkeypatch.setattr("zooready.consumers.deepimagej.rules.ELEMENTS", 319)
    assert found(good()) == [
        "the test input has 320 elements, and DeepImageJ hangs above 319: store a smaller one, and use zooready predict."
    ]


def test_an_image_on_which_fiji_hangs_is_refused_by_deepimagej_and_run_by_others(monkeypatch, tmp_path):
    monkeypatch.delenv("ZOOREADY_FIJI", raising=False)
    monkeypatch.setattr("zooready.consumers.deepimagej.rules.ELEMENTS", 400)
    write_image(Image(array=np.random.default_rng(0).uniform(0, 4, (21, 20)).astype(np.float32), axes="yx"), tmp_path / "large.tif")
    consumers = ["torch", "onnxruntime", "deepimagej"]
    comparison = compare(good().write(tmp_path / "good.zip"), consumers=consumers, image=tmp_path / "large.tif")
    status = {(verdict.consumer, verdict.format): verdict.status for verdict in comparison.verdicts}
    assert status == {
        ("torch", "state_dict"): "untrusted",
        ("torch", "torchscript"): "passed",
        ("onnxruntime", "onnx"): "passed",
        ("deepimagej", "torchscript"): "refused",
    }
    (why,) = [verdict.why for verdict in comparison.verdicts if verdict.consumer == "deepimagej"]
    assert why == "The image has 420 pixels, and DeepImageJ hangs above 400: use zooready predict."
    assert [outputs[0].shape for outputs in comparison.results.values()] == [(1, 2, 21, 20)] * 2


def without(*formats):
    draft = good()
    for format in formats:
        del draft.rdf["weights"][format]
    return draft


def test_the_formats_inside_decide(found):
    assert found(without("onnx", "pytorch_state_dict")) == []
    assert "only onnx inside" in found(without("torchscript", "pytorch_state_dict"))[0].lower()
    assert "only state_dict inside, which Fiji cannot run with its own engines" in found(without("torchscript", "onnx"))[0]


def test_onnx_alone_crashes_fiji_also_beside_a_state_dict(found):
    assert found(without("torchscript")) == [
        "only ONNX inside, with which DeepImageJ 3 crashes Fiji at the end of every run: add TorchScript."
    ]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (2.1, "pytorch_version is 2.1 and not text"),
        (None, "pytorch_version is None and not text"),
        ("1.11.0", "pytorch_version '1.11.0' asks for an engine that Fiji does not have"),
        ("3.0.0", "pytorch_version '3.0.0' asks for an engine"),
    ],
)
def test_the_version_is_text_and_begins_with_two(found, version, message):
    draft = without("onnx")
    draft.rdf["weights"]["torchscript"]["pytorch_version"] = version
    assert message in found(draft)[0]


def test_the_torchscript_file_ends_in_pt(found):
    draft = good()
    draft.files["weights.torchscript"] = draft.files.pop("weights.pt")
    draft.rdf["weights"]["torchscript"]["source"] = "weights.torchscript"
    assert found(draft) == [
        "the TorchScript file is called 'weights.torchscript', and Fiji's engine loads names that end in .pt only: call it weights.pt."
    ]


def test_a_file_that_is_no_torchscript_is_a_verdict(found):
    draft = good()
    draft.files["weights.pt"] = b"no zip"
    assert len(found(draft)) == 1


def test_what_users_will_notice_is_remarked(tmp_path):
    draft = good()
    draft.rdf["inputs"][0]["axes"][2]["size"] = {"min": 16, "step": 16}
    draft.rdf["outputs"][0]["axes"][2]["halo"] = 16
    with opened(draft.write(tmp_path / "a.zip")) as bundle:
        seams, rim = in_fiji.remarks(bundle)
    assert "sizes that are no multiple of 16 (y of 'image') are cut into tiles" in seams
    assert "Fiji mirrors the image at its rim" in rim
