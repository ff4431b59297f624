"""``zooready demo``: what it hands on; what it makes is seen in README.md."""

import json
from types import SimpleNamespace

from zooready.cli import main
from zooready.commands import demo
from zooready.errors import InputInvalid
from zooready.families import load_record
from zooready.records import Verdict


def test_the_time_limit_is_that_of_every_program(monkeypatch, tmp_path, capsys):
    def checked(bundle, **how):
        raise InputInvalid(f"a limit of {how['time_limit_s']} s")

    monkeypatch.setattr(demo, "shipped", lambda: ("mrbcr",))
    monkeypatch.setattr(demo, "export", lambda name, **how: SimpleNamespace(path=how["out"], unavailable={}))
    monkeypatch.setattr(demo, "check", checked)
    assert main(["demo", "--out", str(tmp_path), "--time-limit", "7"]) == 2
    assert "a limit of 7 s" in capsys.readouterr().err


def test_the_verdicts_get_into_the_record_and_nothing_else_changes(tmp_path):
    ran = Verdict(consumer="cellprofiler", format="onnx", status="passed", level="ran", difference=3e-6, tolerance=1e-4)
    model = demo.Model(name="mrbcr", bundle=tmp_path, comparison=SimpleNamespace(verdicts=(ran,)), notes=())
    demo.write_verdicts(demo.Demonstration(models=(model,), report=tmp_path, exit_code=0), tmp_path)
    written, before = json.loads((tmp_path / "mrbcr.json").read_text(encoding="utf-8")), load_record("mrbcr")
    (kept,) = written.pop("verdicts")
    assert kept["consumer"] == "cellprofiler"
    assert kept["difference"] == 3e-6
    assert "seconds" not in kept
    assert written == {key: value for key, value in before.items() if key != "verdicts"}
