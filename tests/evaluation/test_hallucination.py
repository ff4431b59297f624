"""What the shipped super-resolution networks must not do: show structure where there is none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from zooready.evaluation import deconvolution, deconvolution_cards
from zooready.families import FAMILIES, load_weights, shipped, superres
from zooready.families.superres import CONFOCAL_TO_STED, LOW_TO_HIGH_NA, TIRF_TO_SIM
from zooready.simulate.across import across
from zooready.simulate.camera import Camera
from zooready.simulate.specimens import rings

torch.set_num_threads(1)
STEPS = {"superres-sted": CONFOCAL_TO_STED, "superres-tirfsim": TIRF_TO_SIM, "superres-widefield": LOW_TO_HIGH_NA}
SHIPPED = [name for name in STEPS if name in shipped()]
SIDE, SEEDS = 128, range(4_160_010, 4_160_016)  # of training, seeds are small


def restoring(name):
    return deconvolution_cards.restoring(FAMILIES[name], load_weights(name))


def lone(rng, size):
    """A single point in the middle."""
    image = np.zeros((size, size))
    image[size // 2, size // 2] = 1
    return image


def invented(restore, step):
    """The largest deviation of what a method makes of background and noise, in standard deviations of that noise."""
    deviations = []
    for seed in SEEDS:
        image = superres.scene(np.random.default_rng(seed), SIDE, superres.empty, step).image
        output = restore(image)
        deviations.append(np.abs(output - output.mean()).max() / image.std())
    return max(deviations)


def test_something_was_shipped():
    assert "superres-sted" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_background_with_noise_stays_nearly_empty(name):
    """A third of what the noise itself shows; Richardson-Lucy shows half of it to more than all of it."""
    assert invented(restoring(name), STEPS[name]) < invented(lambda image: image, STEPS[name]) / 3


@pytest.mark.parametrize("name", SHIPPED)
def test_far_from_a_point_there_is_nothing(name):
    restore, away = restoring(name), np.hypot(*(np.indices((SIDE, SIDE)) - SIDE // 2)) > 30
    for seed in SEEDS:
        output = restore(superres.scene(np.random.default_rng(seed), SIDE, lone, STEPS[name]).image)
        background = np.median(output)
        assert np.abs(output[away] - background).max() < 0.02 * (output.max() - background)


@pytest.mark.parametrize("name", SHIPPED)
def test_two_exposures_of_one_place_agree_better_than_their_images(name):
    """What is invented from noise differs from one exposure to the next."""
    step, restore = STEPS[name], restoring(name)
    place = rings(np.random.default_rng(3), 4 * SIDE)  # drawn once, so that only the noise differs
    seen = replace(step.seen, camera=Camera())
    exposures = [
        across(
            np.random.default_rng(seed), SIDE, lambda _, size: place[:size, :size], seen=seen, shown=step.shown, photons=200, background=5
        )
        for seed in (1, 2)
    ]
    images = [exposure.image for exposure in exposures]
    outputs = [restore(image) for image in images]
    alike = [np.corrcoef(first.ravel(), second.ravel())[0, 1] for first, second in (images, outputs)]
    assert alike[1] > alike[0]
    assert alike[1] > 0.97


def test_a_network_that_sharpens_noise_is_caught():
    """An inverse filter, which shows structure everywhere, fails where the shipped network passes."""

    def sharpened(image):
        field = superres.scene(np.random.default_rng(0), SIDE, superres.empty, CONFOCAL_TO_STED)
        return deconvolution.wiener(image.astype(float), field.optics, 1e-4, None, field.modality)

    assert invented(sharpened, CONFOCAL_TO_STED) > 3
