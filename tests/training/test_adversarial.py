"""Training against a discriminator, on the smallest case."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from zooready.errors import InputInvalid, ZooreadyError
from zooready.records import Adversary, Family, Network, Pair, Part, Recipe, Training
from zooready.tensors import TensorSpec
from zooready.training.loop import train

pytestmark = pytest.mark.filterwarnings("ignore")


def pair(seed, index):
    image = np.random.default_rng((seed, index)).normal(100, 20, (1, 32, 32)).astype(np.float32)
    return Pair(input=image, target=np.abs(image - 100) + 50, pixel_size_um=1.0)


def terms(output, target):
    return {"error": (output - target).square().mean(), "bias": 0.5 * (output.mean() - target.mean()).abs()}


DISCRIMINATOR = Part(path="zooready.nets.superres.Discriminator", kwargs={"width": 2})
TINY = Family(
    name="tiny",
    title="Tiny",
    description="A sharper image.",
    cite=(),
    input=TensorSpec(name="image", axes="bcyx", channels=("intensity",)),
    outputs=(TensorSpec(name="restored", axes="bcyx", channels=("intensity",)),),
    network=Network(
        architecture=Part(path="zooready.nets.bcr.BCR", kwargs={"width": 2, "levels": 1, "depth": 1, "inverse": 1}),
        normalization=Part(path="zooready.nets.normalization.MeanStd"),
        restores=True,
    ),
    training=Training(
        pair=pair,
        loss=lambda scales, target: (scales[0] - target).abs().mean(),
        adversary=Adversary(discriminator=DISCRIMINATOR, terms=terms, learning_rate=1e-2),
        recipe=Recipe(steps=12, batch=2, learning_rate=1e-2),
    ),
    pixel_size_um=(1.0, 1.0),
)


def run(out, family=TINY, **settings):
    torch.set_num_threads(1)
    return train(family, out, **{"device": "cpu", "chunk": 4, "is_quiet": True, "adversary": 0.5, **settings})


def bits(finished):
    return {name: value.numpy().tobytes() for name, value in finished.state_dict().items()}


def rows(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return run(tmp_path_factory.mktemp("unbroken") / "run")


def test_both_networks_are_trained_and_steps_are_those_of_the_first(unbroken):
    assert [int(row["step"]) for row in rows(unbroken.folder)] == list(range(1, 13))
    state = torch.load(unbroken.folder / "last.ckpt", weights_only=True)
    assert len(state["optimizer_states"]) == 2
    torch.manual_seed(0)
    TINY.network.architecture.build()
    untrained = DISCRIMINATOR.build().state_dict()
    trained = {name: state["state_dict"][f"discriminator.{name}"] for name in untrained}
    assert all(not torch.equal(trained[name], untrained[name]) for name in untrained)
    assert unbroken.adversary == 0.5
    assert set(unbroken.state_dict()) == set(TINY.network.architecture.build().state_dict()), "the discriminator is not shipped"


def test_the_log_has_the_terms_whose_sum_is_the_loss(unbroken):
    for row in rows(unbroken.folder):
        assert float(row["loss"]) == pytest.approx(sum(float(row[name]) for name in ("error", "bias", "adversarial")), abs=1e-5)
        assert float(row["discriminator"]) > 0


@pytest.mark.parametrize("stopped_at", [3, 17])
def test_an_interrupted_run_ends_with_the_same_weights_and_log(unbroken, tmp_path, stopped_at):
    def breaking(seed, index):
        if seed == 0 and index == stopped_at:
            raise OSError("the power went")
        return pair(seed, index)

    with pytest.raises(OSError, match="the power went"):
        run(tmp_path, replace(TINY, training=replace(TINY.training, pair=breaking)))
    resumed = run(tmp_path)
    assert bits(resumed) == bits(unbroken)
    without_time = [[{**row, "seconds": ""} for row in rows(folder)] for folder in (tmp_path, unbroken.folder)]
    assert without_time[0] == without_time[1]
    states = [torch.load(folder / "last.ckpt", weights_only=True)["state_dict"] for folder in (tmp_path, unbroken.folder)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_the_weight_of_the_adversarial_term_changes_the_weights(unbroken, tmp_path):
    finished = {weight: run(tmp_path / str(weight), adversary=weight) for weight in (0.0, 0.1, None)}
    assert len({str(bits(of)) for of in (*finished.values(), unbroken)}) == 4
    assert "adversarial" not in rows(tmp_path / "0.0")[0]
    assert "discriminator" not in rows(tmp_path / "0.0")[0]
    assert "error" not in rows(tmp_path / "None")[0], "without a weight the family's own loss is used"


def test_the_discriminator_learns_to_tell_noise_from_stripes(tmp_path):
    def stripes(seed, index):
        simulated = pair(seed, index)
        return replace(simulated, target=np.broadcast_to(100 + 20 * np.sin(np.arange(32)), (1, 32, 32)).astype(np.float32))

    family = replace(TINY, training=replace(TINY.training, pair=stripes))
    run(tmp_path, family, steps=40, learning_rate=1e-6)
    losses = [float(row["discriminator"]) for row in rows(tmp_path)]
    assert losses[0] == pytest.approx(2 * np.log(2), abs=0.1), "at first it cannot tell"
    assert losses[-1] < 0.3


def test_a_loss_that_is_not_finite_stops_and_leaves_the_batch(tmp_path):
    def poisoned(seed, index):
        simulated = pair(seed, index)
        return replace(simulated, target=simulated.target * np.nan) if (seed, index) == (0, 11) else simulated

    with pytest.raises(ZooreadyError, match="the loss is nan at step 5: training stopped"):
        run(tmp_path, replace(TINY, training=replace(TINY.training, pair=poisoned)))
    assert (tmp_path / "not-finite-step-5.npz").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adversary": 0.25}, "holds a run with adversary = 0.5, not 0.25"),
        ({"adversary": -1.0}, "adversary=-1.0: give the weight of the adversarial term"),
        ({"family": replace(TINY, training=replace(TINY.training, adversary=None))}, "adversary=0.5: tiny has no adversary"),
    ],
)
def test_settings_that_do_not_fit_are_refused(unbroken, settings, message):
    with pytest.raises(InputInvalid, match=message):
        run(unbroken.folder, **settings)
