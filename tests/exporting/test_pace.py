"""An export says what it does, and ends when its time is over."""

import subprocess
import time

import pytest
import torch
from networks import ABOUT, cells, conv

import zooready
from zooready.cli import main
from zooready.commands import export as command
from zooready.errors import InputInvalid
from zooready.exporting import pace
from zooready.formats.torchscript import tracing
from zooready.processes import on_time, within


def test_every_step_is_told_before_it_begins(tmp_path):
    told = []
    zooready.export(conv(1, 1), cells(40, 44), ABOUT, tmp_path / "a.zip", torchscript="plain", progress=told.append)
    order = [
        "measuring the network",
        "computing the stored outputs",
        "writing and comparing TorchScript (plain)",
        "writing and comparing ONNX",
        "packing",
    ]
    assert [what for what in told if what in order] == order
    assert any(what.startswith("measuring the network: a trace of 1 x 1 x ") for what in told)


def test_an_export_ends_when_its_time_is_over_and_leaves_nothing(tmp_path):
    with pytest.raises(InputInvalid, match=r"longer than its time limit of 1e-06 s; it was at: [a-z ]+[.] Nothing was written"):
        zooready.export(conv(1, 1), cells(40, 44), ABOUT, tmp_path / "b.zip", torchscript="plain", time_limit_s=1e-6)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds, tmp_path):
    with pytest.raises(InputInvalid, match="give seconds above 0, or None"):
        zooready.export(conv(1, 1), cells(40, 44), ABOUT, tmp_path / "a.zip", time_limit_s=seconds)


def test_a_recording_has_no_more_time_than_the_export(tmp_path, monkeypatch):
    waited = []

    class Endless:
        def wait(self, limit):
            waited.append(limit)
            raise subprocess.TimeoutExpired("recording", limit)

    monkeypatch.setattr(tracing, "start_worker", lambda *job, **options: Endless())
    monkeypatch.setattr(tracing, "end", lambda worker: None)
    image = torch.rand(1, 1, 8, 8)
    for seconds in (None, 30.0):
        with within(seconds, InputInvalid("over")), pytest.raises(InputInvalid, match=r"recording took longer than [\d.]+ s"):
            tracing.record_apart(conv(1, 1).eval(), image, variant="plain", route="trace", folder=tmp_path)
    assert waited[0] == tracing.TIME_LIMIT_S
    assert 0 < waited[-1] <= 30


def test_what_is_told_inside_ends_with_the_block():
    told = []
    with pace.watched(told.append, None):
        pace.begin("one")
    pace.begin("nobody listens")
    assert told == ["one"]


def late(tell):
    with pace.watched(tell, 0.01):
        pace.begin("two")
        time.sleep(0.02)
        on_time()


def test_the_step_at_which_time_ended_is_told():
    with pytest.raises(InputInvalid, match="it was at: two"):
        late(None)


def test_the_command_takes_the_limit_and_shows_what_is_done(monkeypatch, tmp_path, capsys):
    given = {}

    def stopped(source, **options):
        given.update(options)
        options["progress"]("packing")
        raise InputInvalid("ended")

    monkeypatch.setattr(command, "export", stopped)
    assert main(["export", "segmentation", "--time-limit", "60", "-o", str(tmp_path / "a.zip")]) == 2
    assert given["time_limit_s"] == 60.0
