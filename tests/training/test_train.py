"""Training: what a run leaves, and that breaking it changes nothing."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from zooready.errors import InputInvalid, ZooreadyError
from zooready.records import Family, Network, Pair, Part, Recipe, Training
from zooready.tensors import TensorSpec
from zooready.training import checkpoint
from zooready.training.loop import train

pytestmark = pytest.mark.filterwarnings("ignore")


def pair(seed, index):
    rng = np.random.default_rng((seed, index))
    image = rng.normal(100, 20, (1, 16, 16)).astype(np.float32)
    return Pair(input=image, target=(image > 100).astype(np.float32), pixel_size_um=1.0)


def loss(output, target):
    return torch.nn.functional.binary_cross_entropy(output, target)


def right(output, pair):
    return {"right": float(((output[0].numpy() > 0.5) == pair.target).mean())}


TINY = Family(
    name="tiny",
    title="Tiny",
    description="Bright or dark.",
    cite=(),
    input=TensorSpec(name="image", axes="bcyx", channels=("intensity",)),
    outputs=(TensorSpec(name="probabilities", axes="bcyx", channels=("bright",)),),
    network=Network(
        architecture=Part(
            path="zooready.nets.unet.UNet", kwargs={"channels_in": 1, "channels_out": 1, "base": 8, "levels": 2, "final": "sigmoid"}
        ),
        normalization=Part(path="zooready.nets.normalization.MeanStd"),
    ),
    training=Training(
        pair=pair,
        loss=loss,
        metrics=right,
        pair_of=lambda image, mask, side: Pair(input=image, target=(mask[None] > 0).astype(np.float32), pixel_size_um=side),
        recipe=Recipe(steps=12, batch=2, learning_rate=1e-2),
    ),
    pixel_size_um=(1.0, 1.0),
)
WITH_MUON = replace(TINY.training.recipe, optimizer="Muon")


def tiny(restores=False, **training):
    """The tiny family, trained otherwise."""
    return replace(TINY, network=replace(TINY.network, restores=restores), training=replace(TINY.training, **training))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def run(out, family=TINY, **settings):
    return train(family, out, **{"device": "cpu", "chunk": 4, "is_quiet": True, **settings})


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    torch.set_num_threads(1)
    return run(tmp_path_factory.mktemp("unbroken") / "run")


def bits(finished):
    return {name: value.numpy().tobytes() for name, value in finished.state_dict().items()}


def test_a_run_leaves_weights_record_log_and_curve(unbroken):
    names = {path.name for path in unbroken.folder.iterdir()}
    assert names == {"weights.safetensors", "run.json", "log.csv", "curve.png", "last.ckpt", "predictions.png"}
    with (unbroken.folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 13))
    assert [row["step"] for row in rows if row["held_out_loss"]] == ["4", "8", "12"]
    assert np.mean([float(row["loss"]) for row in rows[-4:]]) < np.mean([float(row["loss"]) for row in rows[:4]])
    assert Image.open(unbroken.folder / "curve.png").size[0] > 300


def test_the_record_tells_how_the_weights_came_about(unbroken):
    record = json.loads((unbroken.folder / "run.json").read_text())
    assert (record["family"], record["seed"], record["steps"], record["batch"], record["data"]) == ("tiny", 0, 12, 2, "simulated")
    assert record["is_finished"]
    assert 0.5 < record["metrics"]["right"] <= 1
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
    assert record["precision"] in ("bf16-mixed", "32-true")
    assert str(unbroken.folder.parent) not in json.dumps(record)
    assert checkpoint.read(unbroken.folder) == unbroken


def test_weights_load_into_the_network(unbroken):
    network = TINY.network.architecture.build()
    network.load_state_dict(unbroken.state_dict())
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(unbroken, tmp_path):
    assert bits(run(tmp_path / "same")) == bits(unbroken)
    assert bits(run(tmp_path / "other", seed=1)) != bits(unbroken)


def test_workers_that_make_pairs_change_nothing_but_the_time(unbroken, tmp_path):
    with pytest.raises(OSError, match="the power went"):
        run(tmp_path, tiny(pair=breaking_at(17)), workers=2)
    assert bits(run(tmp_path, workers=2)) == bits(unbroken)
    assert (tmp_path / "log.csv").read_text().count("\n") == 13


def breaking_at(stopped_at):
    def breaking(seed, index):
        if seed == 0 and index == stopped_at:
            raise OSError("the power went")
        return pair(seed, index)

    return breaking


def test_muon_resumes_exactly_too(tmp_path, unbroken):
    family = tiny(recipe=WITH_MUON)
    whole = run(tmp_path / "whole", family)
    assert whole.optimizer == "Muon"
    assert bits(whole) != bits(unbroken)
    with pytest.raises(OSError, match="the power went"):
        run(tmp_path / "broken", tiny(recipe=WITH_MUON, pair=breaking_at(11)))
    assert bits(run(tmp_path / "broken", family)) == bits(whole)


@pytest.mark.parametrize("stopped_at", [3, 9, 17])
def test_an_interrupted_run_ends_with_the_weights_of_an_unbroken_one(unbroken, tmp_path, stopped_at):
    with pytest.raises(OSError, match="the power went"):
        run(tmp_path, tiny(pair=breaking_at(stopped_at)))
    assert not (tmp_path / "weights.safetensors").exists()
    with pytest.raises(InputInvalid, match="its training is not finished"):
        checkpoint.read(tmp_path).state_dict()
    resumed = run(tmp_path)
    assert bits(resumed) == bits(unbroken)
    steps = [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert steps == [str(n) for n in range(1, 13)]


def test_a_killed_process_can_be_resumed(unbroken, tmp_path):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); import test_train as t\n"
        "def slow(seed, index):\n    time.sleep(60 * (seed == 0 and index == 11)); return t.pair(seed, index)\n"
        "t.torch.set_num_threads(1); t.run(t.Path(sys.argv[2]), t.tiny(pair=slow))"
    )
    child = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(Path(__file__).parent), str(tmp_path)])
    while not (tmp_path / "last.ckpt").exists() and child.poll() is None:
        time.sleep(0.05)
    with pytest.raises(InputInvalid, match="another process is training in .*: wait for its end, stop it, or choose another folder"):
        run(tmp_path)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not (tmp_path / "weights.safetensors").exists()
    assert (tmp_path / "last.ckpt").exists()
    assert bits(run(tmp_path)) == bits(unbroken)


def test_a_finished_run_is_not_trained_again(unbroken):
    before = unbroken.weights.stat().st_mtime_ns
    assert run(unbroken.folder) == unbroken
    assert not (unbroken.folder / ".in-use").exists()
    assert unbroken.weights.stat().st_mtime_ns == before


def test_steps_and_batch_override_the_recipe(tmp_path):
    finished = run(tmp_path, steps=4, batch=3)
    assert (finished.steps, finished.batch) == (4, 3)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 5}, "holds a run with seed = 0, not 5: give the same settings"),
        ({"steps": 8}, "holds a run with steps = 12, not 8"),
        ({"batch": 3}, "holds a run with batch = 2, not 3"),
        ({"family": replace(TINY, name="other")}, "holds a run with family = 'tiny', not 'other'"),
        ({"family": tiny(recipe=WITH_MUON)}, "holds a run with optimizer = 'AdamW', not 'Muon'"),
        ({"resume": False}, "already holds a run: give another folder as out"),
        ({"steps": 10}, "steps=10 has no divisor from 4 to 4, so that .*: give steps=8, or a multiple of 4"),
        ({"steps": 0}, "steps=0: give a whole number from 1"),
        ({"batch": -1}, "batch=-1: give a whole number from 1"),
        ({"seed": -1}, "seed=-1: give a whole number from 0"),
        ({"device": "tpu"}, "device='tpu' is not known. Use one of 'auto', 'cpu', 'cuda', 'mps'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(unbroken, settings, message):
    with pytest.raises(InputInvalid, match=message):
        run(unbroken.folder, **settings)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "holds no run.json"), ("{", "cannot be read as the record"), ("{}", "cannot be read")]
)
def test_a_folder_without_a_readable_record_is_no_run(tmp_path, content, message):
    if content:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputInvalid, match=message):
        checkpoint.read(tmp_path)


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "bundle.zip").touch()
    with pytest.raises(InputInvalid, match="bundle.zip holds no run.json: it is not the folder of a training run"):
        checkpoint.read(tmp_path / "bundle.zip")


def test_a_loss_that_is_not_finite_stops_and_leaves_the_batch(tmp_path):
    def poisoned(seed, index):
        simulated = pair(seed, index)
        return replace(simulated, target=simulated.target * np.nan) if (seed, index) == (0, 11) else simulated

    with pytest.raises(ZooreadyError, match=r"the loss is nan at step 5: training stopped. The batch is in .*not-finite-step-5.npz"):
        run(tmp_path, tiny(pair=poisoned, loss=lambda output, target: (output - target).square().mean()))
    batch = np.load(tmp_path / "not-finite-step-5.npz")
    assert batch["input"].shape == (2, 1, 16, 16)
    assert np.isnan(batch["target"]).any(axis=(1, 2, 3)).tolist() == [False, True]


def test_a_network_that_restores_learns_the_target_in_its_inputs_units(tmp_path):
    seen = []

    def watched(output, target):
        seen.append(float(target.mean()))
        return (output - target).square().mean()

    def same(seed, index):
        simulated = pair(seed, index)
        return replace(simulated, target=simulated.input)

    run(tmp_path, tiny(pair=same, loss=watched, metrics=None, restores=True), steps=4)
    assert max(map(abs, seen)) < 1e-3


def test_training_on_a_folder_holds_images_out_and_records_the_hash(tmp_path):
    data = tmp_path / "my data"
    for kind in ("images", "masks"):
        (data / kind).mkdir(parents=True)
    for number in range(5):
        image = np.random.default_rng(number).integers(0, 255, (40, 50), dtype=np.uint8)
        tifffile.imwrite(data / "images" / f"{number}.tif", image)
        tifffile.imwrite(data / "masks" / f"{number}.tif", (image > 128).astype(np.uint8))
    finished = run(tmp_path / "run", steps=4, data=data)
    assert finished.data == "4 images of the folder 'my data', 1 held out"
    assert len(finished.data_sha256) == 64
    with pytest.raises(InputInvalid, match="holds a run with data_sha256"):
        run(tmp_path / "run", steps=4)


def test_a_family_without_pair_of_refuses_a_folder(tmp_path):
    with pytest.raises(InputInvalid, match="tiny trains on its simulation only. Leave data out"):
        run(tmp_path / "run", tiny(pair_of=None), data=tmp_path)


def test_the_progress_bar_shows_steps_and_loss(tmp_path, capsys):
    run(tmp_path, steps=4, is_quiet=False)
    assert "4/4" in capsys.readouterr().out


def test_held_out_pairs_without_metrics_do_not_count(tmp_path):
    seen = []

    def every_second(_, pair):
        seen.append(pair)
        return {"score": 1.0} if len(seen) % 2 else {}

    assert run(tmp_path / "a", tiny(metrics=every_second)).metrics == {"score": 1.0}
    assert len(seen) > 2
    assert run(tmp_path / "b", tiny(metrics=lambda _, pair: {})).metrics == {}


def test_a_metric_that_is_not_finite_does_not_count_and_the_record_is_json(tmp_path):
    seen = []

    def infinite_at_first(_, pair):
        seen.append(pair)
        return {"psnr": math.inf if len(seen) == 1 else 30.0, "distance": math.nan}

    assert run(tmp_path, tiny(metrics=infinite_at_first)).metrics == {"psnr": 30.0}

    def refused(constant):
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads((tmp_path / "run.json").read_text(), parse_constant=refused)["metrics"] == {"psnr": 30.0}
