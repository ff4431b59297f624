"""Runs in programs that few machines have: kept with the weights that ran, and gone with them."""

import json
from pathlib import Path

import pytest

from zooready.commands import demo
from zooready.evaluation import recorded_runs
from zooready.evaluation.recorded_runs import recorded_words, renew, shipped_sha256
from zooready.families import shipped
from zooready.records import Verdict

README = Path(__file__).parent.parent.parent / "README.md"
TABLE = """\
| model | format | torch | deepimagej | pyimagej |
|---|---|---|---|---|
| mrbcr | state_dict | passed (ran) 0e+00 |  |  |
| mrbcr | torchscript | passed (ran) 4e-06 | passed (engine) 4e-06 | missing |"""


def verdict(consumer="pyimagej", **changes):
    facts = {"format": "torchscript", "status": "passed", "level": "ran", "difference": 3.14e-6, "versions": {"pyimagej": "1.8.0"}}
    return Verdict(consumer=consumer, **{**facts, **changes})


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file of records in place of the shipped one, none in it."""
    path = tmp_path / "programs.json"
    read = recorded_runs._read
    monkeypatch.setattr(recorded_runs, "_read", lambda given=None: read(given or path))
    return path


def test_a_pass_that_ran_is_kept_with_date_weights_and_versions(file):
    (run,) = renew("mrbcr", [verdict()], "2026-11-27", file)
    assert (run.consumer, run.date, run.difference, run.versions) == ("pyimagej", "2026-11-27", 3.1e-6, {"pyimagej": "1.8.0"})
    assert run.sha256 == shipped_sha256("mrbcr")
    assert recorded_runs.recorded_runs("mrbcr") == (run,)


@pytest.mark.parametrize("changes", [{"status": "differs"}, {"status": "missing"}, {"level": "engine"}, {"level": "rules"}])
def test_what_did_not_pass_by_running_is_not_kept(file, changes):
    assert renew("mrbcr", [verdict(**changes)], "2026-11-27", file) == ()


def test_a_later_run_replaces_the_one_of_its_program_only(file):
    renew("mrbcr", [verdict(), verdict("deepimagej")], "2026-11-27", file)
    runs = renew("mrbcr", [verdict(difference=1e-6)], "2026-11-28", file)
    assert [(run.consumer, run.date) for run in runs] == [("deepimagej", "2026-11-27"), ("pyimagej", "2026-11-28")]


def test_renewed_weights_have_no_run(file, monkeypatch):
    renew("mrbcr", [verdict()], "2026-11-27", file)
    monkeypatch.setattr(recorded_runs, "shipped_sha256", lambda name: "other")
    assert recorded_runs.recorded_runs("mrbcr") == ()
    assert renew("mrbcr", [], "2026-11-28", file) == ()


def test_one_file_of_weights_is_that_of_both_its_families():
    assert shipped_sha256("deepz-stack") == shipped_sha256("deepz")


def test_the_table_shows_the_run_beside_todays_verdict_and_instead_of_missing(file):
    renew("mrbcr", [verdict(), verdict("deepimagej")], "2026-11-27", file)
    shown = demo.with_records(TABLE)
    assert "| mrbcr | state_dict | passed (ran) 0e+00 |  |  |" in shown
    assert "| passed (ran) 4e-06 | passed (engine) 4e-06; ran, 2026-11-27 3e-06 | ran, 2026-11-27 3e-06 |" in shown
    assert "- `pyimagej` ran on 2026-11-27: pyimagej 1.8.0." in shown
    assert demo.with_records(shown) == shown


def test_the_table_says_missing_again_when_the_weights_were_renewed(file, monkeypatch):
    renew("mrbcr", [verdict(), verdict("deepimagej")], "2026-11-27", file)
    shown = demo.with_records(TABLE)
    monkeypatch.setattr(recorded_runs, "shipped_sha256", lambda name: "other")
    assert demo.with_records(shown) == TABLE


def test_what_ran_today_needs_no_record(file):
    renew("mrbcr", [verdict()], "2026-11-27", file)
    today = TABLE.replace("missing", "passed (ran) 5e-06")
    assert demo.with_records(today) == today


def test_versions_of_a_program_are_told_once(file):
    runs = [*renew("mrbcr", [verdict()], "2026-11-27", file), *renew("plcnn", [verdict()], "2026-11-28", file)]
    assert list(recorded_words(runs)) == ["- `pyimagej` ran on 2026-11-27 and 2026-11-28: pyimagej 1.8.0."]


def test_the_shipped_records_are_of_shipped_families():
    content = json.loads((Path(recorded_runs.__file__).parent.parent / "weights" / recorded_runs.FILE).read_text(encoding="utf-8"))
    assert set(content) <= set(shipped())


def test_the_table_of_the_readme_has_the_runs_of_todays_weights_and_no_others():
    before, after = demo.around_table(README)
    table = README.read_text(encoding="utf-8").removeprefix(before + demo.BEGIN).removesuffix(demo.END + after).strip()
    assert table == demo.with_records(table), "the weights were renewed: make recorded writes the table, benchmarks/recorded.py runs them"
