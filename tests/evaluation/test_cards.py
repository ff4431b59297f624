"""Model cards say what the records say, and the records what the weights give."""

from pathlib import Path

import pytest
import torch

from zooready.evaluation import cards, evaluation_of
from zooready.evaluation.recorded_runs import Run
from zooready.families import FAMILIES, load_record, load_weights, shipped

FOLDER = Path(__file__).parents[2] / "model_cards"
torch.set_num_threads(1)


def differing(name, record):
    """Names of the numbers of a record that the shipped weights do not reproduce on a few images."""
    spot = evaluation_of(FAMILIES[name]).spot(load_weights(name))
    assert set(spot) == set(record["spot"])
    return [key for key, value in spot.items() if record["spot"][key] != pytest.approx(value, abs=0.01)]


@pytest.mark.parametrize("name", shipped())
def test_the_card_in_the_repository_is_what_its_record_gives(name):
    written = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert written == cards.of_shipped(name), "run `zooready list --cards model_cards`"


@pytest.mark.parametrize("name", ["mrbcr3d", "mrbcr3d-confocal"])
def test_a_card_warns_of_another_pixel_size_where_the_network_was_trained_for_some(name):
    warned = "- Images of another kind or pixel size than those it was trained on" in cards.of_shipped(name)
    assert warned is (name == "mrbcr3d")


@pytest.mark.parametrize("name", shipped())
def test_the_record_is_what_its_weights_give(name):
    assert not differing(name, load_record(name)), "run `make evaluate`"


def test_a_record_that_differs_from_its_weights_is_noticed():
    record = load_record("mrbcr3d")
    wrong = {**record, "spot": {**record["spot"], "psnr_unseen": record["spot"]["psnr_unseen"] + 0.1}}
    assert differing("mrbcr3d", wrong) == ["psnr_unseen"]


@pytest.mark.parametrize("name", shipped())
def test_every_measured_score_stands_in_the_card(name):
    page = cards.page(FAMILIES[name], load_record(name))
    for content in load_record(name)["tables"].values():
        for _, row in cards._rows(content):
            assert all(cards.number(value) in page for value in row.values())


@pytest.mark.parametrize("name", shipped())
def test_a_card_tells_uses_limits_failures_and_where_it_ran(name):
    page, record = cards.page(FAMILIES[name], load_record(name)), load_record(name)
    for heading in ("For", "Not for", "Measured quality", "Images", "Physical limits", "Where its bundle ran", "How it was made"):
        assert f"## {heading}\n" in page
    assert "Failure cases" in page
    assert all((FOLDER / image["file"]).stat().st_size < 400_000 for image in record["images"])
    assert {"java-pytorch", "java-onnx", "bioimageio"} <= {
        verdict["consumer"] for verdict in record["verdicts"] if verdict["status"] == "passed"
    }
    assert not {verdict["status"] for verdict in record["verdicts"]} & {"differs", "failed", "refused"}


@pytest.mark.parametrize("name", [name for name in shipped() if name.startswith("mrbcr")])
def test_tables_of_restoration_have_the_row_of_the_input_itself(name):
    for title in ("held-out", "unseen"):
        assert [row["method"] for row in load_record(name)["tables"][title]][0] == "input itself"


def test_cards_are_written_for_every_shipped_model(tmp_path):
    assert [path.stem for path in cards.write(tmp_path)] == list(shipped())


def test_confusion_has_a_row_a_class_and_its_recall():
    record = {"confusion": {"classes": ["a", "b"], "counts": [[3, 1], [0, 4]]}}
    lines = list(cards._confusion(FAMILIES["plcnn"], record))
    assert lines[2:6] == ["| true | a | b | recall |", "|---|---|---|---|", "| a | 3 | 1 | 0.750 |", "| b | 0 | 4 | 1.000 |"]


def test_only_a_pass_shows_its_level():
    verdict = {"consumer": "torch", "format": "onnx", "status": "passed", "level": "ran", "difference": 2e-7, "tolerance": 1e-5}
    assert cards._cell(verdict, None) == "passed (ran) 2e-07"
    assert cards._cell({**verdict, "status": "missing", "difference": None}, None) == "missing"


def test_a_recorded_run_fills_what_is_missing_and_never_hides_a_difference():
    run = Run(consumer="pyimagej", format="torchscript", date="2026-11-27", sha256="0", difference=3e-7, versions={"pyimagej": "1.8.0"})
    record = load_record("mrbcr")
    verdict = {"consumer": "pyimagej", "format": "torchscript", "status": "missing", "level": None, "difference": None}

    def card(**changes):
        others = [other for other in record["verdicts"] if other["consumer"] != "pyimagej"]
        return cards.page(FAMILIES["mrbcr"], {**record, "verdicts": [*others, {**verdict, **changes}], "recorded": (run,)})

    assert "| passed (ran 2026-11-27) 3e-07 |" in card()
    assert "- `pyimagej` ran on 2026-11-27: pyimagej 1.8.0.\n" in card()
    assert "| passed (ran 2026-11-27) 3e-07 |" in card(status="passed", level="engine", difference=1e-6)
    assert "(ran 2026-11-27)" not in card(status="differs", difference=0.5)
    assert "| passed (ran) 1e-06 |" in card(status="passed", level="ran", difference=1e-6)
