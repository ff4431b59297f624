"""Simulated stacks of nuclei: the same from the same seed, labels that fit the light, sizes that were asked for."""

import numpy as np
import pytest
from scipy import ndimage

from zooready.errors import InputInvalid
from zooready.simulate import nuclei_stacks

SHAPE = (16, 64, 72)


def made(seed, **settings):
    return nuclei_stacks.field(np.random.default_rng(seed), SHAPE, **settings)


def test_a_stack_is_made_again_from_its_seed_and_others_differ():
    (image, labels), (again, same), (other, _) = made(1), made(1), made(2)
    assert image.shape == labels.shape == SHAPE
    assert np.array_equal(image, again)
    assert np.array_equal(labels, same)
    assert not np.array_equal(image, other)


def test_an_image_holds_whole_counts_and_labels_are_numbered_parts():
    for seed in range(6):
        image, labels = made(seed)
        assert image.min() >= 0
        assert np.array_equal(image, np.rint(image))
        assert sorted(set(labels.ravel()) - {0}) == list(range(1, labels.max() + 1))
        assert all(ndimage.label(labels == name)[1] == 1 for name in range(1, labels.max() + 1))


def test_nuclei_are_brighter_than_what_lies_between_them():
    brighter = [image[labels > 0].mean() > image[labels == 0].mean() for image, labels in map(made, range(8)) if labels.any()]
    assert len(brighter) >= 5
    assert all(brighter)


@pytest.mark.parametrize(("diameter_px", "aspect"), [(20.0, 1.0), (20.0, 4.0)])
def test_nuclei_have_the_width_that_is_asked_for_and_planes_the_distance(diameter_px, aspect):
    volumes = []
    for seed in range(5):
        labels = nuclei_stacks.field(np.random.default_rng(seed), (48, 128, 128), diameter_px, aspect)[1]
        inner = [name for name, box in enumerate(ndimage.find_objects(labels), 1)
                 if all(part.start > 0 and part.stop < side for part, side in zip(box, labels.shape, strict=True))]  # fmt: skip
        volumes += [np.count_nonzero(labels == name) * aspect for name in inner]
    assert len(volumes) > 10
    assert 0.5 * diameter_px < (6 * np.median(volumes) / np.pi) ** (1 / 3) < 1.2 * diameter_px


@pytest.mark.parametrize("settings", [{"diameter_px": 0.0}, {"diameter_px": np.nan}, {"aspect": -1.0}])
def test_impossible_sizes_are_refused(settings):
    with pytest.raises(InputInvalid, match="must be a positive number"):
        made(0, **settings)
