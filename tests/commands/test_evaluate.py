"""``zooready evaluate``: a card and its record from a run or from shipped weights."""

import json
from dataclasses import replace

import pytest

from zooready.commands import evaluate as command
from zooready.commands.evaluate import evaluate
from zooready.errors import InputInvalid
from zooready.evaluation import Evaluation
from zooready.families import FAMILIES
from zooready.training import checkpoint
from zooready.training.checkpoint import Checkpoint


@pytest.fixture
def quick(monkeypatch):
    """An evaluation of one number, and no program that runs."""
    evaluation = Evaluation(
        measure=lambda weights: {
            "tables": {"t": [{"method": "m", "psnr": 31.5}]},
            "metrics": {"psnr": 31.5},
            "measured_on": {"t": "a field"},
        },
        spot=lambda weights: {"psnr": 31.5},
        draw=lambda weights, folder: [],
        data="simulated, in words",
        suited=("thin specimens",),
        unsuited=("thick ones",),
        limits=("NA 1.3",),
    )
    monkeypatch.setattr(command, "evaluation_of", lambda family: evaluation)
    verdict = {"consumer": "torch", "format": "onnx", "status": "passed", "level": "ran", "difference": 1e-7, "tolerance": 1e-5}
    monkeypatch.setattr(command, "_verdicts", lambda source, torchscript, time_limit_s: [verdict])


@pytest.fixture
def run(tmp_path):
    """A finished run of seed 0 with untrained weights."""
    finished = Checkpoint(
        folder=tmp_path / "run", family="mrbcr", seed=0, steps=2, batch=1, data="simulated", precision="32-true", git="ab" * 20,
        versions={"torch": "2.15.0"}, is_finished=True,
    )  # fmt: skip
    finished.folder.mkdir()
    checkpoint.write_weights(FAMILIES["mrbcr"].network.architecture.build().state_dict(), finished.weights)
    finished.write()
    return finished.folder


def test_a_run_gets_a_card_and_a_record(quick, run, tmp_path):
    messages = []
    card = evaluate(run, tmp_path / "cards", progress=messages.append)
    text = card.read_text(encoding="utf-8")
    record = json.loads((tmp_path / "cards" / "mrbcr.json").read_text(encoding="utf-8"))
    assert "| m | 31.500 |" in text
    assert "passed (ran) 1e-07" in text
    assert "2 steps of 1 pair, AdamW, seed 0" in text
    assert (record["seed"], record["data"], record["spot"]) == (0, "simulated, in words", {"psnr": 31.5})
    assert str(tmp_path) not in json.dumps(record)
    assert len(messages) == 2


def test_the_time_limit_is_that_of_every_program(quick, run, tmp_path, monkeypatch):
    limits = []
    monkeypatch.setattr(command, "_verdicts", lambda source, torchscript, time_limit_s: limits.append(time_limit_s) or [])
    command.run(tmp_path / "cards", [str(run)], time_limit_s=7)
    assert limits == [7]


def test_the_record_can_lie_elsewhere(quick, run, tmp_path):
    (tmp_path / "records").mkdir()
    evaluate(run, tmp_path / "cards", records=tmp_path / "records")
    assert (tmp_path / "records" / "mrbcr.json").is_file()
    assert not (tmp_path / "cards" / "mrbcr.json").exists()


def test_shipped_weights_keep_tables_that_other_trainings_made(quick, tmp_path):
    evaluate("mrbcr", tmp_path)
    record = json.loads((tmp_path / "mrbcr.json").read_text(encoding="utf-8"))
    assert record["tables"]["t"] == [{"method": "m", "psnr": 31.5}]
    assert "held-out" in record["tables"]
    assert record["steps"] == FAMILIES["mrbcr"].training.recipe.steps


def test_a_family_without_an_evaluation_is_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(FAMILIES, "segmentation", replace(FAMILIES["segmentation"], evaluation=""))
    with pytest.raises(InputInvalid, match="segmentation has no evaluation: choose from segmentation3d, spots, mrbcr, .*plcnn"):
        evaluate("segmentation", tmp_path)


def test_classes_of_ones_own_are_refused(quick, tmp_path):
    Checkpoint(
        folder=tmp_path, family="plcnn", seed=0, steps=1, batch=1, data="d", data_sha256="ab", classes=("a", "b"), channels=("c",)
    ).write()
    with pytest.raises(InputInvalid, match="tells 2 classes of your own apart, whose truth only you have: its run.json holds"):
        evaluate(tmp_path, tmp_path / "cards")


def test_what_is_neither_a_run_nor_a_family_is_refused(tmp_path):
    with pytest.raises(InputInvalid, match="it is not the folder of a training run"):
        evaluate(tmp_path, tmp_path / "cards")
