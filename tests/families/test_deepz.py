"""Deep-Z: pairs of any two planes of a series, and the stack that comes from the same weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import zooready
from zooready.bundle.reading import opened
from zooready.consumers.deepimagej.fiji import facts
from zooready.families import FAMILIES, deepz, deepz_confocal, deepz_pair, deepz_stack
from zooready.families import load_weights as weights_of
from zooready.nets.normalization import FirstMeanStd, normalised
from zooready.simulate import volumes
from zooready.training.loop import train

torch.set_num_threads(1)
TINY = {"widths": (4, 4, 4), "encoder": (1, 1, 1), "decoder": (1, 1, 1)}


@pytest.fixture
def few(monkeypatch):
    """Series of one quickly drawn specimen."""
    monkeypatch.setattr(deepz, "SPECIMENS", (volumes.beads,))
    monkeypatch.setattr(deepz, "ABERRATION", deepz.ABERRATION[:1])
    made = deepz.series
    made.cache_clear()
    yield
    made.cache_clear()


def test_a_pair_is_an_image_with_one_distance_and_the_plane_at_that_distance(few):
    seen = set()
    for index in range(40):
        pair = deepz.pair(0, index % 4 + deepz.SERIES * (index // 4))
        (distance,) = np.unique(pair.input[1])
        seen.add(float(distance))
        assert pair.input.shape == (2, 96, 96)
        assert pair.target.shape == (1, 96, 96)
    assert min(seen) < -2
    assert max(seen) > 2
    assert seen <= set(deepz_stack.PLANES_UM)


def test_a_pair_goes_the_way_that_its_distance_says(few, monkeypatch):
    planes = np.zeros((21, 128, 128), np.float32)
    planes[:] = np.linspace(0.1, 1, 21)[:, None, None]  # later planes are brighter
    monkeypatch.setattr(deepz, "series", lambda seed, number: planes)
    for index in range(30):
        pair = deepz.pair(0, index)
        gained = pair.target.mean() - pair.input[0].mean()
        assert abs(pair.input[1, 0, 0]) < 1 or np.sign(gained) == np.sign(pair.input[1, 0, 0])


def test_a_batch_sees_different_series_and_each_is_replaced_after_some_time():
    numbers = [deepz.number_of(index) for index in range(deepz.SERIES * (deepz.REUSED + 1))]
    assert len(set(numbers[: deepz.SERIES])) == deepz.SERIES
    first = [number for number in numbers if number % deepz.SERIES == 5]
    assert len(set(first)) == 2
    changed = [index for index in range(deepz.SERIES, len(numbers)) if numbers[index] != numbers[index - deepz.SERIES]]
    assert max(np.bincount(np.array(changed) // deepz.SERIES)) <= deepz.SERIES // deepz.REUSED + 1, "all are replaced at once"


def test_what_is_turned_stays_aligned():
    planes = np.broadcast_to(np.random.default_rng(0).random((128, 128), np.float32), (3, 128, 128))
    part = deepz.turned(np.random.default_rng(3), planes)
    assert part.shape == (3, 96, 96)
    assert np.array_equal(part[0], part[2])


def test_the_loss_asks_for_the_same_decibels_of_dim_and_bright_planes():
    target = torch.randn(1, 1, 32, 32)
    wrong = target + 0.3 * torch.randn(1, 1, 32, 32)
    assert float(deepz.loss(wrong, target)) == pytest.approx(float(deepz.loss(5 * wrong, 5 * target)), abs=1e-4)
    assert float(deepz.loss(target, target)) == pytest.approx(np.log(deepz.FLOOR), abs=1e-5)


def test_the_guard_weighs_only_planes_that_are_worse_than_the_image_itself():
    target = torch.randn(1, 2, 32, 32)
    image = torch.cat((target[:, :1] + 0.5 * torch.randn(1, 1, 32, 32), torch.ones(1, 1, 32, 32)), 1)
    assert float(deepz.guard(3 * target + 1, target, image)) == 0
    worse = torch.cat((target[:, :1], torch.randn(1, 1, 32, 32)), 1)
    unlike = torch.cat((target[:, :1], target[:, :1] * 0.1 + torch.randn(1, 1, 32, 32)), 1)
    assert float(deepz.guard(worse, unlike, image)) > 0.1


def test_it_can_be_trained_against_a_discriminator(few, tmp_path):
    part = replace(deepz.FAMILY.network.architecture, kwargs=TINY)
    family = replace(
        deepz.FAMILY,
        network=replace(deepz.FAMILY.network, architecture=part),
        training=replace(deepz.FAMILY.training, metrics=None),
    )
    train(family, tmp_path / "run", steps=2, batch=1, chunk=1, device="cpu", is_quiet=True, adversary=0.005)
    columns = (tmp_path / "run" / "log.csv").read_text().splitlines()[0].split(",")
    assert {"error", "adversarial", "discriminator"} <= set(columns)


def test_distances_reach_the_network_over_ten_and_intensities_come_back():
    image = torch.rand(1, 2, 8, 8) * 100
    statistics = FirstMeanStd(deepz.UNIT_UM).statistics(image)
    torch.testing.assert_close(normalised(image, statistics)[:, 1], image[:, 1] / 10)


def test_the_stack_is_the_middle_plane_and_its_whole_series(few):
    pair = deepz_stack.pair(0, 1)
    assert (pair.input.shape, pair.target.shape) == ((1, 96, 96), (21, 96, 96))
    errors = [np.abs(pair.input[0] - plane).mean() for plane in pair.target]
    assert int(np.argmin(errors)) == 10


def test_sections_share_the_images_unit_and_are_dark_where_the_image_is_hazy(monkeypatch):
    monkeypatch.setattr(deepz, "SPECIMENS", (volumes.beads,))
    deepz_confocal.series.cache_clear()
    pair = deepz_confocal.pair(0, 1)
    deepz_confocal.series.cache_clear()
    assert (pair.input.shape, pair.target.shape) == ((1, 96, 96), (21, 96, 96))
    section, image = pair.target[10], pair.input[0]
    assert section.sum() < image.sum()
    assert np.percentile(section, 10) < np.percentile(image, 10)
    assert section.max() < 2 * image.max()
    network = FAMILIES["deepz-confocal"].network.architecture.build()
    assert sum(part.numel() for part in network.parameters()) == 449_476
    assert network(torch.rand(1, 1, 16, 24)).shape == (1, 21, 16, 24)


def test_a_pair_of_planes_is_the_planes_that_are_said_with_aberrations_of_both_signs(few):
    pair = deepz_pair.pair(0, 1)
    assert (pair.input.shape, pair.target.shape) == ((2, 96, 96), (21, 96, 96))
    for channel, plane in enumerate(deepz_pair.RECORDED):
        assert int(np.argmin([np.abs(pair.input[channel] - truth).mean() for truth in pair.target])) == plane
    assert [deepz_stack.PLANES_UM[plane] for plane in deepz_pair.RECORDED] == [-1.0, 1.0]
    assert min(deepz_pair.ABERRATION) == -max(deepz_pair.ABERRATION) < 0
    assert 0.0 in deepz_pair.ABERRATION


def test_two_planes_are_judged_and_guarded_by_the_nearer_one(few):
    pair = deepz_pair.pair(0, 1)
    image, target = torch.from_numpy(pair.input)[None], torch.from_numpy(pair.target)[None]
    nearest = image[:, list(deepz_pair.NEAREST)]
    metrics = deepz_pair.metrics(nearest, pair)
    assert metrics["psnr"] == pytest.approx(metrics["psnr_input"], abs=1e-4)
    farther = image[:, [1 - channel for channel in deepz_pair.NEAREST]]
    assert deepz_pair.metrics(farther, pair)["psnr"] < metrics["psnr"]
    assert float(deepz_pair.guard(farther, target, image)) > float(deepz_pair.guard(nearest, target, image))


def test_metrics_of_a_stack_are_means_over_its_planes(few):
    pair = deepz_stack.pair(0, 1)
    perfect = deepz_stack.metrics(torch.from_numpy(pair.target[None] * 3 + 7), pair)
    assert perfect["psnr"] > 80
    assert perfect["psnr_input"] < 60
    assert deepz_stack.metrics(torch.zeros(1, 21, 96, 96), replace(pair, target=np.zeros_like(pair.target))) == {}


def test_a_bundle_states_its_planes_and_the_macro_calibrates_them(tmp_path):
    network = replace(FAMILIES["deepz-stack"].network)
    part = replace(network.architecture, kwargs={**network.architecture.kwargs, **TINY, "distances": (-0.1, 0.0, 0.1)})
    spec = replace(deepz_stack.FAMILY.outputs[0], planes_um=(-1.0, 0.0, 1.0))
    about = zooready.About(name="Stack of three", description="A test.", authors=({"name": "A. Tester"},), license="BSD-3-Clause")
    module = part.build()
    torch.nn.init.normal_(module.last.weight, std=0.1)
    zooready.export(
        module, np.random.default_rng(0).random((48, 40), np.float32), about, tmp_path / "stack.zip", architecture=part,
        normalization=network.normalization, head=network.head, restores=True, outputs=(spec,), torchscript="plain",
    )  # fmt: skip
    with opened(tmp_path / "stack.zip") as bundle:
        assert bundle.plane_distance_um == 1.0
        assert [output.axes for output in bundle.outputs] == ["bczyx"]
        assert bundle.cases[0].outputs[0].shape == (1, 1, 3, 48, 40)
        said = facts(bundle, "stack")
        assert (said["stacks"], said["made"], said["z"]) == ("true", "1", "false")
        assert "planes_um:\n" in (bundle.folder / "rdf.yaml").read_text() or "planes_um: [" in (bundle.folder / "rdf.yaml").read_text()


def test_both_families_have_the_same_weights():
    single, stack = weights_of("deepz"), weights_of("deepz-stack")
    assert all(torch.equal(single[key], stack[key]) for key in single)
    for name in ("deepz", "deepz-stack"):
        FAMILIES[name].network.architecture.build().load_state_dict(weights_of(name))
