"""Explanations of a class against closed forms, and the checks of the literature on a network that has learnt something."""

import numpy as np
import pytest
import torch
from patterns import CLASSES, Patterns, cell, standard
from torch import nn

from zooready.errors import ConsumerMissing
from zooready.explanation import attribution, integrated_gradients, occlusion, randomised, rank_correlation, share_inside


class Linear(nn.Module):
    """Two scores: a weighted sum of the pixels, and its half."""

    def __init__(self, weights):
        super().__init__()
        self.weights = torch.from_numpy(weights)

    def forward(self, image):
        total = (image * self.weights).sum((1, 2, 3))
        return torch.stack([total, total / 2], 1)


@pytest.fixture
def weights():
    return np.random.default_rng(5).normal(size=(1, 2, 24, 20)).astype(np.float32)


@pytest.fixture
def image():
    return np.random.default_rng(6).uniform(0, 9, (1, 2, 24, 20)).astype(np.float32)


@pytest.fixture(scope="module")
def learnt(trained):
    network = Patterns()
    network.load_state_dict(trained)
    return network.eval()


def scoring(network):
    """Softmax of the network's logits for raw pixels, normalised inside as in its bundle."""

    def score(image):
        mean, spread = image.mean((2, 3), keepdim=True), image.std((2, 3), keepdim=True, correction=0)
        return torch.softmax(network((image - mean) / spread), 1)

    return score


def make_image(pattern, seed):
    image, mask = cell(np.random.default_rng(seed), pattern)
    return image[None, None].astype(np.float32), mask


def test_the_classifier_has_learnt_something(learnt):
    rng = np.random.default_rng(77)
    labels = rng.integers(0, 3, 60)
    images = standard(np.stack([cell(rng, CLASSES[label])[0][None] for label in labels]))
    assert (learnt(images).argmax(1).numpy() == labels).mean() > 0.9


def test_gradients_of_a_linear_score_are_its_weights_times_the_way(weights, image):
    baseline = np.full_like(image, 2)
    values, facts = integrated_gradients(Linear(weights), image, baseline, 0)
    assert values == pytest.approx((weights * (image - baseline))[0], abs=1e-4)
    assert facts["score"] == pytest.approx(float((weights * image).sum()), rel=1e-4)
    assert facts["score_of_baseline"] == pytest.approx(float((weights * baseline).sum()), rel=1e-4)
    assert facts["steps"] == attribution.STEPS[0]


def test_the_other_class_and_the_other_baseline_give_other_gradients(weights, image):
    zero = np.zeros_like(image)
    values, _ = integrated_gradients(Linear(weights), image, zero, 0)
    assert integrated_gradients(Linear(weights), image, zero, 1)[0] == pytest.approx(values / 2, abs=1e-4)
    assert integrated_gradients(Linear(weights), image, image, 0)[0] == pytest.approx(0 * values, abs=1e-4)


@pytest.mark.parametrize("pattern", CLASSES)
def test_gradients_of_the_learnt_network_add_up_to_the_rise_of_its_score(learnt, pattern):
    image, _ = make_image(pattern, 21)
    target = CLASSES.index("bars")
    score, baseline = scoring(learnt), attribution.blurred(image)
    values, facts = integrated_gradients(score, image, baseline, target)
    with torch.no_grad():
        final, initial = (float(score(torch.from_numpy(array))[0, target]) for array in (image, baseline))
    assert float(values.sum()) == pytest.approx(final - initial, abs=attribution.COMPLETE * abs(final - initial) + 1e-5)
    assert facts["completeness_error"] == pytest.approx(abs(float(values.sum()) - (final - initial)) / abs(final - initial), rel=0.01)


def at_a_cliff(steepness):
    """What integrated gradients say of a score that jumps on the way from a black image to a white one."""

    def cliff(image):
        total = torch.sigmoid(steepness * (image.mean((1, 2, 3)) - 0.31))
        return torch.stack([total, total], 1)

    image = np.ones((1, 1, 16, 16), np.float32)
    return integrated_gradients(cliff, image, 0 * image, 0)[1]


def test_a_score_with_a_cliff_takes_more_steps():
    facts = at_a_cliff(400)
    assert facts["steps"] > attribution.STEPS[0]
    assert facts["completeness_error"] <= attribution.COMPLETE
    assert facts["is_complete"]


def test_a_cliff_that_no_number_of_steps_finds_is_not_called_complete():
    facts = at_a_cliff(1e6)
    assert (facts["steps"], facts["is_complete"]) == (attribution.STEPS[-1], False)


def test_a_constant_baseline_tells_nothing_about_a_network_that_normalises_and_a_blurred_one_does(learnt):
    image, _ = make_image("spots", 9)
    values, _ = integrated_gradients(scoring(learnt), image, np.full_like(image, image.mean()), CLASSES.index("spots"))
    other, _ = integrated_gradients(scoring(learnt), image, attribution.blurred(image), CLASSES.index("spots"))
    assert abs(values.sum()) < 0.05 < 0.5 < other.sum()


def test_hiding_a_part_of_a_linear_score_takes_what_its_window_held(weights, image):
    values, facts = occlusion(Linear(weights), image, np.zeros((1, 1, 1, 1)), 0, window=4)
    held = (weights * image)[0].sum(0)
    corner = held[:4, :4].sum(), held[:4, 2:6].sum()
    assert values[0, 0] == pytest.approx(corner[0], rel=1e-4)  # hidden by one window
    assert values[0, 2] == pytest.approx(np.mean(corner), rel=1e-4)  # by two
    assert (facts["window_px"], facts["stride_px"]) == (4, 2)
    assert facts["largest_fall"] == pytest.approx(values.max())


def test_occlusion_follows_class_fill_and_window(weights, image):
    values, facts = occlusion(Linear(weights), image, np.zeros((1, 1, 1, 1)), 0)
    assert facts["window_px"] == 20 // attribution.WINDOW
    assert occlusion(Linear(weights), image, np.zeros((1, 1, 1, 1)), 1)[0] == pytest.approx(values / 2, abs=1e-4)
    assert not np.allclose(occlusion(Linear(weights), image, np.full((1, 1, 1, 1), 5.0), 0)[0], values, atol=0.1)
    assert not np.allclose(occlusion(Linear(weights), image, np.zeros((1, 1, 1, 1)), 0, window=6)[0], values, atol=0.1)


def test_hiding_nothing_changes_nothing(learnt):
    image, _ = make_image("spots", 9)
    assert (occlusion(scoring(learnt), image, image, 1)[0] == 0).all()
    image[..., :20] = np.percentile(image, 5)
    values, _ = occlusion(scoring(learnt), image, attribution.background(image), 1)
    assert attribution.background(image).ravel() == image[0, 0, 0, 0]
    assert (values[:, :15] == 0).all()
    assert np.abs(values[:, 25:]).max() > 1e-5


def test_all_channels_of_a_pixel_get_their_own_gradient_and_one_occlusion(weights, image):
    values, _ = integrated_gradients(Linear(weights), image, 0 * image, 0)
    assert values.shape == (2, 24, 20)
    assert occlusion(Linear(weights), image, np.zeros((1, 1, 1, 1)), 0)[0].shape == (24, 20)


def test_background_is_dark_and_blur_keeps_the_light_but_not_the_pattern():
    image, mask = make_image("bars", 3)
    assert image.min() <= attribution.background(image)[0, 0, 0, 0] < np.median(image)
    blurred = attribution.blurred(image)
    assert blurred.mean() == pytest.approx(image.mean(), rel=0.02)
    assert blurred[0, 0][mask].std() < 0.6 * image[0, 0][mask].std()


@pytest.mark.parametrize("method", ["gradients", "occlusion"])
def test_random_weights_change_the_explanation(learnt, method):
    """Adebayo et al. 2018; beside it, another image's noise hardly changes it, so that the change is that of the weights."""
    target = CLASSES.index("bars")

    def explained(network, image):
        if method == "gradients":
            return integrated_gradients(scoring(network), image, attribution.blurred(image), target)[0]
        return occlusion(scoring(network), image, attribution.background(image), target)[0]

    image, mask = make_image("bars", 3)
    again = image + np.random.default_rng(8).normal(0, 3, image.shape).astype(np.float32)
    of_learnt, within = explained(learnt, image), mask[None] if method == "gradients" else mask
    assert rank_correlation(explained(learnt, again)[within], of_learnt[within]) > 0.8
    for seed in range(3):
        of_random = explained(randomised(learnt, seed), image)
        assert abs(rank_correlation(of_random[within], of_learnt[within])) < 0.5


def test_what_speaks_for_the_class_lies_in_the_cell_and_not_in_a_box_of_its_size(learnt):
    image, mask = cell(np.random.default_rng(9), "spots", middle=(34, 14))
    values, _ = integrated_gradients(scoring(learnt), image[None, None].astype(np.float32), attribution.blurred(image[None, None]), 1)
    share = share_inside(values[0], mask)
    assert share.inside > 0.6 > share.box + 0.2


def test_without_captum_the_cure_is_told(weights, image, monkeypatch):
    monkeypatch.setattr(attribution, "find_spec", lambda name: None)
    with pytest.raises(ConsumerMissing, match=r"captum.*not installed: pip install 'zooready\[explain\]'"):
        integrated_gradients(Linear(weights), image, image, 0)
    with pytest.raises(ConsumerMissing, match=r"pip install 'zooready\[explain\]'"):
        occlusion(Linear(weights), image, image, 0)
