"""``export`` of modules, runs and families: one function, and a sentence where what was given does not go together."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from networks import ABOUT
from torch import nn

import zooready
from zooready import cli
from zooready.commands.export import bundle_of
from zooready.commands.runs import provenance_of, trained
from zooready.errors import BundleInvalid, InputInvalid
from zooready.exporting import exported
from zooready.families import FAMILIES
from zooready.training.checkpoint import RECORD

IMAGE = np.zeros((8, 8), np.float32)


@pytest.fixture
def calls(monkeypatch):
    """What reaches the export of modules, in place of it."""
    seen = []

    def export(module, example, about, out, **options):
        seen.append({"module": module, "example": example, "about": about, "out": out, **options})
        return SimpleNamespace(path=Path(out))

    monkeypatch.setattr(exported, "export", export)
    return seen


def test_a_module_is_exported_as_it_was_given(calls):
    network = nn.Conv2d(1, 1, 1)
    zooready.export(network, IMAGE, ABOUT, "a.zip", normalization="min-max", keep=[0], torchscript="plain", restores=True, time_limit_s=90)
    assert calls == [
        {"module": network, "example": IMAGE, "about": ABOUT, "out": "a.zip", "normalization": "min-max", "keep": (0,)}
        | {"torchscript": "plain", "form": "rich", "float16": False, "restores": True, "time_limit_s": 90, "progress": None}
    ]


def test_a_family_states_everything_by_its_record(calls):
    family = FAMILIES["segmentation"]
    zooready.export("segmentation")
    (call,) = calls
    assert call["out"] == Path("segmentation.zip")
    assert call["about"].name == family.title
    assert (call["architecture"], call["head"], call["outputs"]) == (family.network.architecture, family.network.head, family.outputs)
    assert np.array_equal(call["example"].array, family.sample().array)
    state = trained("segmentation").weights
    assert all(value.equal(state[name]) for name, value in call["module"].state_dict().items())


def test_facts_and_zip_of_a_family_can_be_given(calls):
    zooready.export("segmentation", about=ABOUT, out="b.zip")
    assert (calls[0]["about"], calls[0]["out"]) == (ABOUT, "b.zip")


def test_outputs_of_a_family_are_kept_by_id(calls):
    zooready.export("segmentation", keep=["labels", "probabilities"])
    assert calls[0]["keep"] == (1, 0)
    with pytest.raises(InputInvalid, match="segmentation has no output 'maps': choose from probabilities, labels"):
        zooready.export("segmentation", keep=["maps"])


def test_the_command_names_outputs_by_the_same_ids(calls, monkeypatch):
    monkeypatch.setattr("zooready.commands.export.export", lambda source, **options: calls.append((source, options)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["export", "segmentation", "--outputs", "labels", "-o", "c.zip"])
    assert callable(calls[0][1].pop("progress"))
    assert calls == [("segmentation", {"keep": ["labels"], "out": Path("c.zip"), "torchscript": "auto", "form": "rich"})]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((nn.Conv2d(1, 1, 1),), "a Conv2d was given without example and about and out: only a run or a family has its own. Give all three"),
        ((nn.Conv2d(1, 1, 1), IMAGE, ABOUT), "a Conv2d was given without out"),
        (
            ("segmentation", IMAGE),
            "'segmentation' was given with example: the record of a run or a family states that itself",
        ),
        (("nowhere",), "'nowhere' is neither the folder of a run nor a family: choose from segmentation, segmentation3d, spots, mrbcr"),
    ],
)
def test_what_does_not_go_together_is_refused(given, message):
    with pytest.raises(InputInvalid, match=message):
        zooready.export(*given)


def test_options_of_the_other_kind_are_refused():
    with pytest.raises(InputInvalid, match=r"'mrbcr' was given with normalization, formats: .*To keep some outputs only, give keep="):
        zooready.export("mrbcr", normalization="none", formats=("onnx",))
    with pytest.raises(InputInvalid, match="family='mrbcr' was given with a Identity: only runs have one. Leave family out"):
        zooready.export(nn.Identity(), IMAGE, ABOUT, "a.zip", family=FAMILIES["mrbcr"])


def test_a_family_without_a_sample_says_where_to_put_one(monkeypatch):
    monkeypatch.setitem(FAMILIES, "mrbcr", replace(FAMILIES["mrbcr"], sample=None))
    with pytest.raises(InputInvalid, match=r"mrbcr has no sample image: put one into the run's folder as sample\.tif"):
        zooready.export("mrbcr")


@pytest.fixture
def quick_export(bundles, monkeypatch):
    """Exports give the classifier of these tests, without work; returns what was asked for."""
    asked = []

    def copy(source, out, torchscript):
        asked.append((str(source), out.name, torchscript))
        shutil.copy(bundles["patterns"], out)
        return SimpleNamespace(path=out)

    monkeypatch.setattr("zooready.commands.export.export", copy)
    return asked


def test_a_run_or_a_shipped_family_is_exported_for_the_question_and_trusted(quick_export, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-run").mkdir()
    (tmp_path / "my-run" / RECORD).write_text("{}")
    for source in ("my-run", "segmentation"):
        with bundle_of(source) as bundle:
            assert bundle.trusted
            assert bundle.kinds == (("scores", "scores"),)
        assert not bundle.folder.exists()
    assert quick_export == [("my-run", "my-run.zip", "plain"), ("segmentation", "segmentation.zip", "plain")]


def test_the_bundle_of_a_family_tells_the_size_of_the_cells_that_it_was_trained_on(monkeypatch):
    monkeypatch.setattr("zooready.exporting.exported.export", lambda *args, provenance, **kwargs: provenance)
    assert zooready.export("plcnn")["crop_px"] == 96
    assert zooready.export("segmentation")["crop_px"] is None


def test_a_bundle_is_not_trusted_unasked(bundles):
    for trust in (False, True):
        with bundle_of(bundles["patterns"], trust_code=trust) as bundle:
            assert bundle.trusted is trust


def test_what_is_neither_bundle_nor_run_nor_family_is_refused():
    with pytest.raises(BundleInvalid, match="nowhere.zip"), bundle_of("nowhere.zip"):
        pass


def test_a_bundle_says_against_what_its_network_was_trained():
    facts = {"steps": 9, "data": "simulated pairs", "seed": 0, "adversary": 0.01}
    assert provenance_of(facts)["adversary"] == 0.01
    assert "Trained against a discriminator, with weight 0.01." in provenance_of(facts)["training"]
    without = provenance_of({**facts, "adversary": None})
    assert "adversary" not in without
    assert "discriminator" not in without["training"]
