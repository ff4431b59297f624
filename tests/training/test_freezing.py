"""Training that holds the encoder for its first steps: it does not change by a bit, then it learns, and a stop changes nothing."""

from dataclasses import replace

import pytest
import torch
from test_train import TINY, bits, breaking_at, run, tiny
from test_warm_start import folder
from torch import nn

from zooready.cli import main
from zooready.commands import runs
from zooready.errors import InputInvalid
from zooready.families import FAMILIES
from zooready.records import Part, Recipe
from zooready.training import checkpoint, module
from zooready.training.freezing import encoder, freezing
from zooready.training.recipes import read_recipe
from zooready.training.warm_start import Start

pytestmark = pytest.mark.filterwarnings("ignore")
ENCODER = "down."


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def bytes_of(state):
    return {name: value.numpy().tobytes() for name, value in state.items()}


def watched(monkeypatch):
    """The weights before each step of the trainings that follow."""
    seen = []
    step = module.Task.training_step

    def watching(task, batch, number):
        seen.append(bytes_of(task.network.state_dict()))
        return step(task, batch, number)

    monkeypatch.setattr(module.Task, "training_step", watching)
    return seen


def changed(before, after, *, inside):
    """Names of the tensors, of the encoder or of what follows it, that differ."""
    return {name for name in before if name.startswith(ENCODER) is inside and before[name] != after[name]}


@pytest.mark.parametrize("optimizer", ["AdamW", "Muon"])
def test_the_encoder_is_the_same_to_the_bit_until_its_share_is_over_and_learns_then(first, tmp_path, monkeypatch, optimizer):
    """With weight decay, which must not touch it either, and with the running statistics of its normalisations."""
    start, seen = runs.start_of(first.folder), watched(monkeypatch)
    family = tiny(recipe=replace(TINY.training.recipe, optimizer=optimizer, weight_decay=0.1))
    finished = run(tmp_path / "run", family, start=start, freeze=0.5)
    assert len(seen) == 12
    began = bytes_of(dict(start.weights))
    assert {name for name in began if "running_mean" in name and name.startswith(ENCODER)}
    for step in range(7):
        assert not changed(began, seen[step], inside=True), step
        assert changed(began, seen[step], inside=False) or step == 0
    everything = {name for name in began if name.startswith(ENCODER)}
    assert changed(seen[6], seen[7], inside=True) >= {name for name in everything if "running" in name or name.endswith("0.weight")}
    assert changed(began, bits(finished), inside=True) == everything
    assert bits(finished) != bits(run(tmp_path / "free", family, start=start))


def test_the_share_counts_and_is_remembered(first, tmp_path, monkeypatch):
    start, seen = runs.start_of(first.folder), watched(monkeypatch)
    finished = run(tmp_path / "run", start=start, freeze=0.25)
    assert not changed(seen[0], seen[3], inside=True)
    assert changed(seen[3], seen[4], inside=True)
    assert checkpoint.read(finished.folder).freeze == 0.25
    assert "Its encoder was held for the first 25 % of the steps." in runs.trained(finished.folder, TINY).provenance["training"]
    with pytest.raises(InputInvalid, match="holds a run with freeze = 0.25, not 0.0"):
        run(tmp_path / "run", start=start)
    assert "encoder" not in runs.trained(run(tmp_path / "free", start=start).folder, TINY).provenance["training"]


def test_training_that_gains_nothing_stops_only_after_the_encoder_has_had_its_turn(first, tmp_path):
    """Each image's opposite is held out, so that the first weights stay the best ones."""
    given = {"data": folder(tmp_path / "data"), "validation": folder(tmp_path / "opposite", is_wrong=True), "steps": 60}
    given["start"] = runs.start_of(first.folder)
    free, held = run(tmp_path / "free", **given), run(tmp_path / "held", **given, freeze=0.5)
    last = [int((finished.folder / "log.csv").read_text().splitlines()[-1].split(",")[0]) for finished in (free, held)]
    assert last == [free.best_step + 20, 30 + 20 + 2]  # epochs have 4 steps
    assert held.best_step < 30


@pytest.mark.parametrize(("share", "stopped_at"), [(0.5, 3), (0.5, 9), (0.67, 17), (0.5, 17)])  # pairs, two a step, of checkpoints 0, 4, 8
def test_a_run_that_was_stopped_while_held_at_the_end_of_that_or_later_ends_with_the_same_weights(first, tmp_path, share, stopped_at):
    settings = {"start": runs.start_of(first.folder), "freeze": share}
    whole = run(tmp_path / "whole", **settings)
    with pytest.raises(OSError, match="the power went"):
        run(tmp_path / "broken", tiny(pair=breaking_at(stopped_at)), **settings)
    assert bits(run(tmp_path / "broken", **settings)) == bits(whole)


def test_a_recipe_and_the_command_line_may_ask_for_it(first, tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "tiny", TINY)
    (tmp_path / "recipe.yaml").write_text("freeze: 0.5\nsteps: 4")
    assert read_recipe(tmp_path / "recipe.yaml") == {"freeze": 0.5, "steps": 4}
    given = ["train", "tiny", "--device", "cpu", "--from", str(first.folder), "--recipe", str(tmp_path / "recipe.yaml")]
    assert main([*given, "--out", str(tmp_path / "run")]) == 0
    assert main([*given, "--out", str(tmp_path / "other"), "--freeze", "0"]) == 0
    assert [checkpoint.read(tmp_path / name).freeze for name in ("run", "other")] == [0.5, 0.0]
    (tmp_path / "recipe.yaml").write_text("freeze: 1")
    with pytest.raises(InputInvalid, match="freeze: Input should be less than 1"):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(tmp_path, share):
    with pytest.raises(InputInvalid, match=r"freeze=.*: give the share of the steps .* such as 0\.3"):
        run(tmp_path, freeze=share)


def test_random_weights_are_not_held(tmp_path):
    with pytest.raises(InputInvalid, match="freeze=0.3 holds the encoder as it begins, and here it begins with random weights"):
        run(tmp_path, freeze=0.3)


def test_an_encoder_of_which_a_part_is_random_is_not_held_and_the_part_is_named(first, tmp_path):
    """Weights of one channel for a network of two: its first layer fits nothing, and would stay so."""
    wider = Part(path=TINY.network.architecture.path, kwargs={**TINY.network.architecture.kwargs, "channels_in": 2})
    family = replace(TINY, network=replace(TINY.network, architecture=wider))
    with pytest.raises(InputInvalid, match=r"freeze=0.3: 1 tensor of the encoder would be held at random .*: down.0.0.weight. Leave"):
        run(tmp_path, family, start=runs.start_of(first.folder), freeze=0.3)


class Stranger(nn.Module):
    """Somebody's network; the parameter is one that they hold themselves, for good."""

    def __init__(self, name):
        super().__init__()
        self.part = nn.Sequential()
        self.part.add_module(name, nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
        self.part.add_module("rest", nn.Conv2d(2, 1, 1))
        self.part.get_submodule(name)[0].bias.requires_grad_(False)


@pytest.mark.parametrize("name", ["encoder", "backbone"])
def test_the_encoder_of_a_strangers_network_is_found_by_its_usual_names(name):
    network = Stranger(name).train()
    how = freezing(network, 0.5, 10, [])
    assert (encoder(network), how.steps) == ((f"part.{name}",), 5)
    own, rest = network.part.get_submodule(name), network.part.rest
    modes = []
    for step in (0, 4, 5):
        network.train()
        how.before(step)
        modes.append((own[1].training, own[0].weight.requires_grad, own[0].bias.requires_grad, rest.weight.requires_grad, rest.training))
    assert modes == [(False, False, False, True, True)] * 2 + [(True, True, False, True, True)]


def test_of_few_steps_the_encoder_learns_in_the_last():
    network = Stranger("encoder")
    assert [freezing(network, share, steps, []).steps for share, steps in ((0.999, 2), (0.9, 1), (0.9, 10))] == [1, 0, 9]


def test_a_network_without_an_encoder_and_one_with_nothing_after_it_are_refused():
    with pytest.raises(InputInvalid, match=r"freeze=0.5: Stranger names no encoder .* Leave freeze out, or name its parts in ENCODER"):
        freezing(Stranger("first"), 0.5, 10, [])
    alone = nn.Sequential()
    alone.add_module("encoder", nn.Conv2d(1, 1, 1))
    with pytest.raises(InputInvalid, match="all of Sequential is its encoder, so nothing would learn"):
        freezing(alone, 0.5, 10, [])
    assert freezing(alone, 0.0, 10, None).steps == 0


@pytest.mark.parametrize("name", [name for name in FAMILIES if not name.startswith("mrbcr") and FAMILIES[name].network.architecture])
def test_every_family_with_an_encoder_names_parts_that_are_there(name):
    network = FAMILIES[name].network.architecture.build()
    if ".bcr." in FAMILIES[name].network.architecture.path:  # a hierarchy of scales without a way down and up
        assert encoder(network) == ()
        return
    how = freezing(network, 0.1, 100, [])
    share = sum(parameter.numel() for parameter in how.parameters) / sum(parameter.numel() for parameter in network.parameters())
    assert 0.2 < share < 1
    assert Recipe(steps=1, batch=1).freeze == FAMILIES[name].training.recipe.freeze == 0.0


def test_a_start_without_weights_for_the_last_layer_trains_it_while_the_encoder_is_held(first, tmp_path, monkeypatch):
    """The usual case: other classes, so that only what follows the encoder begins at random."""
    two = Part(path=TINY.network.architecture.path, kwargs={**TINY.network.architecture.kwargs, "channels_out": 2})
    family = replace(TINY, network=replace(TINY.network, architecture=two))
    family = replace(family, training=replace(family.training, metrics=None, loss=lambda output, target: (output - target).square().mean()))
    seen = watched(monkeypatch)
    run(tmp_path, family, start=Start(weights=first.state_dict(), words="the first run"), freeze=0.5)
    assert "last.weight" in changed(seen[0], seen[6], inside=False)
    assert not changed(seen[0], seen[6], inside=True)
