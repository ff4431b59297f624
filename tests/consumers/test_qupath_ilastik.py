"""QuPath and ilastik: each rule speaks of a bundle that breaks it and is silent about others; both are judged only when named."""

import numpy as np
import pytest
from broken import BROKEN
from foreign import axis, good, npy

from zooready import cli, java
from zooready.bundle.reading import opened
from zooready.comparison import compare, exit_code
from zooready.consumers import ilastik, qupath

LACKS = "no pytorch-2.7.1 among the Java engines here: run `zooready engines install --all`."
BOTH = pytest.mark.parametrize("program", [qupath, ilastik], ids=lambda program: program.NAME)


@pytest.fixture
def no_engine(monkeypatch):
    """As on a machine without QuPath's engine."""
    monkeypatch.setattr(qupath.java, "missing", lambda engine=None: LACKS)


@pytest.fixture
def said(tmp_path):
    """Objections, or remarks, of a program to a draft."""

    def ask(program, draft, what="objections"):
        with opened(draft.write(tmp_path / "draft.zip")) as bundle:
            return list(program.objections(bundle, "torchscript") if what == "objections" else program.remarks(bundle))

    return ask


def preprocessed(*steps):
    draft = good()
    draft.rdf["inputs"][0]["preprocessing"] = [{"id": name, "kwargs": kwargs} for name, kwargs in steps]
    return draft


def measured(halo):
    draft = good()
    draft.rdf["config"]["zooready"]["measured"] = {"halo": halo}
    return draft


def two_outputs(kind="labels"):
    draft = good()
    draft.rdf["outputs"].append({**draft.rdf["outputs"][0], "id": "second"})
    own = draft.rdf["config"]["zooready"]
    own["outputs"].append({"id": "second", "kind": kind})
    for case in own["cases"]:
        case["outputs"] = case["outputs"] * 2
    return draft


def without_torchscript():
    draft = good()
    del draft.rdf["weights"]["torchscript"], draft.rdf["weights"]["onnx"]
    return draft


@BOTH
def test_a_pass_is_by_rules_alone_and_says_that_the_program_did_not_run(program, tmp_path, no_engine):
    (one,) = compare(good().write(tmp_path / "good.zip"), consumers=[program.NAME]).verdicts
    assert (one.status, one.level, one.format, one.difference) == ("passed", "rules", "torchscript", None)
    assert one.why.startswith("No written rule is broken; the program itself did not run; ")
    assert "To run it: " in one.why
    assert dict(one.versions) == {f"rules of {'QuPath' if program is qupath else 'ilastik'}": "read 2026-11"}
    assert exit_code([one], asked={program.NAME}) == 0
    assert exit_code([one], asked={program.NAME}, at_least="engine") == 3


@BOTH
def test_every_rule_has_a_name_and_its_source(program):
    assert all(rule.__doc__ for rule in program.RULES)
    assert len({rule.__name__ for rule in program.RULES}) == len(program.RULES)


@BOTH
def test_several_outputs_are_refused_with_the_argument_that_keeps_one(program, said):
    (one,) = said(program, two_outputs())
    assert "2 outputs (probabilities, second), and" in one
    assert one.endswith("export a bundle for it that keeps a single output, e.g. keep=['second'].")
    assert said(program, two_outputs("image"))[0].endswith("keep=['probabilities'].")


@BOTH
def test_several_inputs_are_refused(program, said):
    draft = good()
    draft.rdf["inputs"].append({**draft.rdf["inputs"][0], "id": "second"})
    assert any("2 inputs (image, second), and" in one and "join them as channels of one input" in one for one in said(program, draft))


@BOTH
def test_what_depends_on_the_whole_image_is_refused_since_tiles_change_it_everywhere(program, said):
    (one,) = said(program, measured("whole image"))
    assert "every value of its result depends on the whole image (measured at export)" in one
    assert "use zooready predict or Fiji for it" in one
    assert said(program, measured(107)) == []


@BOTH
def test_seams_are_remarked_where_no_halo_is_declared(program, said):
    assert any("do not overlap and values within 107 px of their rims differ" in one for one in said(program, measured(107), "remarks"))
    draft = measured(107)
    for one in draft.rdf["outputs"][0]["axes"][2:]:
        one["halo"] = 112
    assert not any("rims" in one for one in said(program, draft, "remarks"))
    assert not any("rims" in one for one in said(program, good(), "remarks"))


@BOTH
def test_normalisation_of_each_tile_is_remarked(program, said):
    (one,) = [one for one in said(program, preprocessed(("zero_mean_unit_variance", {})), "remarks") if "normalisation" in one]
    assert "(512 px" in one
    assert "zero_mean_unit_variance and whatever the network computes from its whole input" in one


@BOTH
def test_labels_are_remarked_to_be_counted_anew_in_every_tile(program, said):
    draft = good()
    draft.rdf["config"]["zooready"]["outputs"][0]["kind"] = "labels"
    assert any("labels are counted anew in every tile" in one for one in said(program, draft, "remarks"))
    assert not any("labels" in one for one in said(program, good(), "remarks"))


def test_qupath_takes_torchscript_alone(tmp_path):
    (one,) = compare(without_torchscript().write(tmp_path / "a.zip"), consumers=["qupath"]).verdicts
    assert (one.status, one.format) == ("refused", None)
    assert one.why == "qupath reads torchscript, and this bundle holds state_dict: export it with torchscript as well."


def test_ilastik_wants_more_than_a_state_dict(tmp_path):
    (one,) = compare(without_torchscript().write(tmp_path / "a.zip"), consumers=["ilastik"]).verdicts
    assert (one.status, one.format) == ("refused", None)
    assert one.why == "only state_dict inside, and ilastik prefers TorchScript (a state dict alone has failed there): add TorchScript."


def test_qupath_takes_planes(said):
    draft = good()
    draft.rdf["outputs"][0]["axes"].insert(2, axis("z", size=1))
    assert any("'probabilities' has axes 'bczyx', and QuPath takes images of c, y, x alone" in one for one in said(qupath, draft))


def test_qupath_needs_axes_of_one_order(said):
    draft = good()
    axes = draft.rdf["outputs"][0]["axes"]
    axes.append(axes.pop(1))
    assert said(qupath, draft) == [
        "the input has axes 'bcyx' and the output 'byxc', and QuPath needs the same order: transpose inside the network."
    ]


def test_qupath_leaves_out_steps_that_it_does_not_know(said):
    assert said(qupath, preprocessed(("softmax", {}))) == [
        "no 'softmax' in QuPath, which leaves it out and goes on: fold it into the network."
    ]
    assert said(qupath, preprocessed(("ensure_dtype", {"dtype": "float32"}), ("sigmoid", {}))) == []
    assert "no 'ensure_dtype' in QuPath" in said(qupath, preprocessed(("ensure_dtype", {"dtype": "uint8"})))[0]


def test_qupath_turns_absent_percentiles_round(said):
    (one,) = said(qupath, preprocessed(("scale_range", {"max_percentile": 99.8})))
    assert one == "'scale_range' has no min_percentile, for which QuPath takes the opposite end: write both down."
    assert said(qupath, preprocessed(("scale_range", {"min_percentile": 1, "max_percentile": 99.8}))) == []


def test_ilastik_shows_images_with_channels(said):
    draft = good()
    draft.rdf["outputs"][0]["axes"] = draft.rdf["outputs"][0]["axes"][:2]
    assert any("'probabilities' has axes 'bc', and ilastik needs c, y and x" in one for one in said(ilastik, draft))


def test_the_second_channel_that_ilastik_adds_is_remarked(said):
    assert not any("1 - p" in one for one in said(ilastik, good(), "remarks"))
    draft = good()
    draft.rdf["config"]["zooready"]["cases"] = []
    draft.files["test_probabilities.npy"] = npy(np.zeros((1, 1, 16, 20), np.float32))
    assert "'probabilities' has one channel p, to which ilastik adds a second, 1 - p" in said(ilastik, draft, "remarks")


def test_programs_that_are_judged_only_when_named_leave_a_check_of_everything_alone(tmp_path, monkeypatch, no_engine):
    from zooready import comparison, consumers

    few = {name: consumers.CONSUMERS[name] for name in ("onnxruntime", "qupath", "ilastik")}
    for room in (consumers, comparison.comparing):
        monkeypatch.setattr(room, "CONSUMERS", few)
    path = two_outputs("image").write(tmp_path / "two.zip")
    assert {one.consumer for one in compare(path).verdicts} == {"onnxruntime"}
    assert cli.main(["check", str(path), "--in", "qupath"]) == 1
    single = good().write(tmp_path / "one.zip")
    assert cli.main(["check", str(single)]) == 0
    assert cli.main(["check", str(single), "--in", "qupath", "ilastik"]) == 0


@pytest.mark.slow
def test_the_single_output_variant_of_a_shipped_model_passes_where_the_whole_one_is_refused(tmp_path, no_engine):
    path = tmp_path / "labels.zip"
    assert cli.main(["export", "segmentation", "--outputs", "labels", "--torchscript", "plain", "-o", str(path)]) == 0
    found = compare(path, consumers=["qupath", "ilastik"]).verdicts
    assert [(one.consumer, one.status, one.level) for one in found] == [("qupath", "passed", "rules"), ("ilastik", "passed", "rules")]
    with opened(path) as bundle:
        assert bundle.kinds == (("labels", "labels"),)


def test_without_its_engine_qupath_says_how_to_get_it(tmp_path, no_engine):
    (one,) = compare(good().write(tmp_path / "good.zip"), consumers=["qupath"]).verdicts
    assert LACKS in one.why


def test_steps_that_qupath_itself_computes_are_judged_by_rules_though_the_engine_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr(qupath.java, "missing", lambda engine=None: None)
    monkeypatch.setattr(qupath, "run", lambda bundle, format, images: pytest.fail("the engine was started"))
    path = preprocessed(("sigmoid", {})).write(tmp_path / "steps.zip")
    (one,) = compare(path, consumers=["qupath"]).verdicts
    assert (one.status, one.level) == ("passed", "rules")
    assert "sigmoid is computed by QuPath and not by the network" in one.why


@pytest.mark.java
@pytest.mark.skipif(bool(java.missing(qupath.ENGINE)), reason="QuPath's engine is not here: zooready engines install --all")
def test_its_engine_gives_the_stored_numbers_and_catches_changed_weights(tmp_path):
    (one,) = compare(good().write(tmp_path / "good.zip"), consumers=["qupath"]).verdicts
    assert (one.status, one.level, one.versions["pytorch"], one.versions["djl"]) == ("passed", "engine", "2.7.1", "0.36.0")
    assert one.difference < 1e-5
    (two,) = compare(BROKEN["one_weight_changed"].write(tmp_path / "changed.zip"), consumers=["qupath"]).verdicts
    assert two.status == "differs"
