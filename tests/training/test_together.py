"""Several processes train one network: started by torchrun, on the CPU, they give the weights of one process with the whole batch."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from zooready.errors import InputInvalid
from zooready.records import Recipe
from zooready.training import checkpoint, together

HERE = Path(__file__).parent
SCRIPT = """
import sys
from pathlib import Path
from zooready.commands.runs import start_of
from zooready.training import devices
from zooready.training.loop import train
sys.path.insert(0, sys.argv[1])
from test_train import TINY
devices._has_bfloat16 = lambda: False  # rounding to eight bits would hide what is compared
batch, steps = map(int, sys.argv[3:5])
settings = {"start": start_of(sys.argv[5]), "freeze": 0.4} if len(sys.argv) > 5 else {}
result = train(TINY, Path(sys.argv[2]), steps=steps, batch=batch, device="cpu", is_quiet=True, chunk=5, **settings)
print("finished", result.is_finished)
"""
LIMIT_S = 600


def run(tmp_path, out, *, batch=4, steps=10, processes=1, source=None):
    """Train in so many processes; what they print."""
    script = tmp_path / "train_tiny.py"
    script.write_text(SCRIPT)
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [sys.executable, "-W", "ignore", *start, str(script), str(HERE), str(out), str(batch), str(steps)]
    command += [str(source)] if source else []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def apart(first, second):
    """The largest difference of two runs' weights and statistics, over the largest of the tensor."""
    weights = [load_file(folder / "weights.safetensors") for folder in (first, second)]
    assert weights[0].keys() == weights[1].keys()
    differences = [
        (weights[0][name].double() - weights[1][name].double()).abs().max() / weights[0][name].double().abs().max().clamp(min=1e-3)
        for name in weights[0]
    ]
    return float(max(differences))


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one_with_the_whole_batch(tmp_path):
    alone, both, half = (tmp_path / name for name in ("alone", "both", "half"))
    run(tmp_path, alone)
    printed = run(tmp_path, both, processes=2)
    run(tmp_path, half, batch=2)
    assert apart(alone, both) <= 1e-4
    assert apart(alone, half) > 1e-2  # what half of each batch would have given
    assert sorted(printed.split("\n")) == ["", "finished False", "finished True"]  # one process writes
    assert {path.name for path in both.iterdir()} == {path.name for path in alone.iterdir()}
    logs = [(folder / "log.csv").read_text().splitlines()[1:] for folder in (alone, both)]
    losses = [[float(line.split(",")[1]) for line in log] for log in logs]
    assert losses[1] == pytest.approx(losses[0], abs=2e-5)
    assert checkpoint.read(both).batch == checkpoint.read(alone).batch == 4
    assert checkpoint.read(both).is_finished


@pytest.mark.slow
def test_two_processes_hold_an_encoder_and_release_it_as_one_does(tmp_path):
    """What is released must be shared again: each process alone would go where its own part of the batch leads."""
    first, alone, both = (tmp_path / name for name in ("first", "alone", "both"))
    run(tmp_path, first)
    run(tmp_path, alone, source=first)
    run(tmp_path, both, source=first, processes=2)
    assert checkpoint.read(both).freeze == 0.4
    assert apart(alone, both) <= 1e-4
    own, begun = (load_file(folder / "weights.safetensors")["down.0.0.weight"] for folder in (both, first))
    assert (own - begun).abs().max() > 1e-3  # the encoder did learn afterwards


@pytest.mark.slow
def test_a_run_of_two_processes_that_was_stopped_goes_on_in_one(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(tmp_path, whole)
    script = SCRIPT.replace("result = train", "from zooready.training import callbacks\nkept = callbacks.Log.on_train_epoch_end\n"
        "def end(self, trainer, task):\n    kept(self, trainer, task)\n    sys.exit(0)\n"
        "callbacks.Log.on_train_epoch_end = end\nresult = train")  # fmt: skip
    (tmp_path / "stopping.py").write_text(script)
    start = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*start, str(tmp_path / "stopping.py"), str(HERE), str(broken), "4", "10"],
        env=environment, cwd=tmp_path, capture_output=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert not checkpoint.read(broken).is_finished
    assert (broken / "last.ckpt").exists()
    assert len((broken / "log.csv").read_text().splitlines()) == 6
    run(tmp_path, broken)
    assert apart(whole, broken) <= 1e-4
    assert len((broken / "log.csv").read_text().splitlines()) == 11


def test_normalisation_over_the_batch_is_that_of_pytorch_outside_of_processes():
    torch.manual_seed(0)
    own = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3))
    expected = own(torch.ones(2, 1, 5, 5))
    state = {name: value.clone() for name, value in own.state_dict().items()}
    shared = together.joined(own)
    assert isinstance(shared[1], together.JointBatchNorm)
    assert shared.state_dict().keys() == state.keys()
    torch.testing.assert_close(shared(torch.ones(2, 1, 5, 5)), expected)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(steps=10, batch=3), "batch=3 for 2 processes: it is the number of pairs per step of all of them"),
        (replace(Recipe(steps=10, batch=4), adversary=0.1), "2 processes: a training against an adversary runs in one"),
    ],
)
def test_what_processes_cannot_share_is_refused(recipe, words):
    with pytest.raises(InputInvalid, match=words):
        together.demand_divisible(recipe, 2)
    together.demand_divisible(recipe, 1)


def test_processes_are_those_that_were_asked_for_or_that_torchrun_started(monkeypatch):
    for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert together.counted(None, None) == (1, 1)
    assert together.counted(4, 2) == (4, 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert together.counted(None, None) == (4, 2)
    with pytest.raises(InputInvalid, match="devices=0: give a whole number from 1"):
        together.counted(0, None)
