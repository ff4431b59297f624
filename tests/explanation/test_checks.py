"""The checks themselves: shares, rank correlation, random weights, completeness, against what can be counted by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from zooready.errors import InputInvalid
from zooready.explanation import completeness_error, randomised, rank_correlation, share_inside
from zooready.explanation.checks import centred_box


def test_a_map_that_is_one_in_the_cell_lies_there_and_only_by_chance_in_the_box():
    mask = np.zeros((40, 40), bool)
    mask[2:12, 2:12] = True
    share = share_inside(mask * 3.0, mask)
    assert (share.inside, share.box, share.area) == (1.0, 0.0, 100 / 1600)


def test_a_constant_map_has_the_share_of_the_area_in_both():
    mask = np.zeros((30, 60), int)
    mask[5:15, 10:42] = 4
    share = share_inside(np.full((30, 60), 7.0), mask)
    assert share.inside == pytest.approx(320 / 1800)
    assert share.box == pytest.approx(320 / 1800, rel=0.05)


def test_only_what_is_above_zero_counts():
    values = np.array([[4.0, -100.0], [1.0, -3.0]])
    assert share_inside(values, np.array([[1, 1], [0, 0]])).inside == pytest.approx(4 / 5)


def test_the_box_has_the_images_proportions_and_lies_in_its_middle():
    rows, columns = np.nonzero(centred_box((50, 100), 200))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 29, 40, 59)


@pytest.mark.parametrize(
    ("values", "mask", "words"),
    [
        (np.ones((4, 4)), np.ones((4, 5)), r"mask has shape \(4, 5\) and the map \(4, 4\)"),
        (np.ones((4, 4)), np.zeros((4, 4)), "mask is empty"),
        (-np.ones((4, 4)), np.ones((4, 4)), "nothing of the map is above 0"),
    ],
    ids=["shape", "empty", "negative"],
)
def test_shares_that_cannot_be_told_are_refused(values, mask, words):
    with pytest.raises(InputInvalid, match=words):
        share_inside(values, mask)


def test_rank_correlation_is_one_for_any_rising_function_and_minus_one_for_a_falling_one():
    values = np.random.default_rng(1).normal(size=(8, 9))
    assert rank_correlation(values, np.exp(values)) == pytest.approx(1)
    assert rank_correlation(values, -(values**3)) == pytest.approx(-1)
    assert rank_correlation(values, np.ones((8, 9))) == 0


def test_random_weights_replace_every_learnt_one_and_leave_the_network_alone():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(4, 2))
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(5)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    other = randomised(network)
    assert all(float((a - b).detach().abs().min()) > 1 for a, b in zip(network.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


def test_random_weights_depend_on_the_seed_alone():
    network = nn.Linear(4, 2)
    torch.manual_seed(1)
    first = randomised(network, seed=3).weight
    torch.manual_seed(2)
    assert torch.equal(first, randomised(network, seed=3).weight)
    assert not torch.equal(first, randomised(network, seed=4).weight)


def test_weights_without_a_rule_are_drawn_with_their_own_spread():
    class Free(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.linspace(2, 4, 10_000))

    drawn = randomised(Free()).weight
    assert float(drawn.detach().std()) == pytest.approx(float(Free().weight.detach().std()), rel=0.05)
    assert abs(float(drawn.detach().mean())) < 0.1


def test_completeness_is_the_missing_part_of_the_rise():
    assert completeness_error(np.full((2, 2), 0.1), 0.9, 0.4) == pytest.approx(0.2)
    assert completeness_error(np.full((2, 2), 0.125), 0.9, 0.4) == pytest.approx(0, abs=1e-12)
