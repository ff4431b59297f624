"""``zooready demo``: what it hands on; what it makes is seen in README.md."""

from types import SimpleNamespace

from zooready.cli import main
from zooready.commands import demo
from zooready.errors import InputInvalid


def test_the_time_limit_is_that_of_every_program(monkeypatch, tmp_path, capsys):
    def checked(bundle, **how):
        raise InputInvalid(f"a limit of {how['time_limit_s']} s")

    monkeypatch.setattr(demo, "shipped", lambda: ("mrbcr",))
    monkeypatch.setattr(demo, "export", lambda name, **how: SimpleNamespace(path=how["out"], unavailable={}))
    monkeypatch.setattr(demo, "check", checked)
    assert main(["demo", "--out", str(tmp_path), "--time-limit", "7"]) == 2
    assert "a limit of 7 s" in capsys.readouterr().err
