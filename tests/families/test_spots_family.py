"""What is particular to spots: how they are matched, and the classical method beside the network."""

import numpy as np
import pytest
import torch

from zooready.evaluation import spots as evaluation
from zooready.families import spots as family
from zooready.simulate import spots

torch.set_num_threads(1)


def scene(at, size=64, photons=200.0):
    points = spots.Spots(at=np.array(at, float), height=np.ones(len(at)), width_px=np.full(len(at), 1.4))
    light = photons * spots.rendered(points, size) + 10.0
    return spots.exposed(np.random.default_rng(1), points, photons, light)


def test_the_target_itself_scores_one_and_an_empty_output_zero():
    pair = family.field(np.random.default_rng(3), 96)
    assert pair.truth.max() > 3
    assert family.metrics(torch.from_numpy(pair.target[None]), pair)["f1"] > 0.9  # spots nearer than 3 px become one
    assert family.metrics(torch.zeros(1, 2, 96, 96), pair)["f1"] == 0


def test_whatever_is_drawn_around_a_spot_becomes_its_mark():
    labels = np.zeros((40, 50), int)
    labels[10, 12], labels[20:33, 30:43] = 7, 2  # a single pixel, and a square
    pair = family.pair_of(np.ones((1, 40, 50)), labels)
    assert sorted(np.bincount(pair.truth.ravel())[1:]) == [21, 21]
    assert pair.truth[10, 12] != pair.truth[26, 36] != 0
    assert pair.target[1, 26, 36] == 1
    assert not family.pair_of(np.ones((1, 40, 50)), 0 * labels).truth.any()


def test_the_classical_method_finds_bright_spots_and_its_best_threshold_is_no_worse():
    image, truth = scene([(12, 12), (30, 40), (50, 20), (20.5, 50.5)])
    f1, distance = evaluation.scored(evaluation.classical(image, truth), truth)
    assert f1 == 1
    assert distance < 0.6
    assert evaluation.scored(evaluation.classical(image), truth)[0] <= f1


def test_points_as_an_objective_shows_them_have_the_light_that_was_asked_for():
    image, truth = evaluation.diffracted(1)
    assert image.shape == truth.shape == (evaluation.FIELD_PX,) * 2
    assert truth.max() > 0
    answers = image[truth > 0].mean(), image[truth == 0].mean()
    assert answers[0] > answers[1]


def test_the_sample_is_always_the_same():
    first, again = family.sample(), family.sample()
    assert (first.array.shape, first.array.dtype, first.axes) == ((256, 256), np.uint16, "yx")
    assert np.array_equal(first.array, again.array)


@pytest.mark.parametrize("change", list(evaluation.CONDITIONS.values()))
def test_every_condition_draws_as_many_spots_as_it_says(change):
    settings = {**evaluation.PLAIN, **change}
    _, truth = evaluation.condition(0, **settings)
    asked = round(settings["share"] * settings.get("px", evaluation.FIELD_PX) ** 2)
    assert 0.85 * asked <= truth.max() <= asked


def test_light_falls_towards_the_corners_of_a_condition_and_its_spots_with_it(monkeypatch):
    monkeypatch.setattr(spots, "exposed", lambda rng, points, photons, light: (points, light))
    (even, full), (uneven, dim) = (evaluation.condition(0, **evaluation.PLAIN, corner=corner) for corner in (1.0, 0.3))
    share = dim / full
    assert share[0, 0] == pytest.approx(0.3)
    assert share[-1, -1] == pytest.approx(0.3)
    assert share[95:97, 95:97] == pytest.approx(1, abs=1e-3)
    assert (even.height == 1).all()
    assert uneven.height == pytest.approx(share[tuple(np.rint(even.at).astype(int).T)])
