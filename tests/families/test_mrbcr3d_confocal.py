import numpy as np
import pytest
import torch

from zooready.families import mrbcr3d_confocal as family
from zooready.simulate import microscopes, thick
from zooready.simulate.modalities import Confocal, Gaussian

torch.set_num_threads(1)


def test_a_pair_is_made_again_from_seed_and_index():
    first, again, other = family.pair(1, 7), family.pair(1, 7), family.pair(1, 8)
    assert np.array_equal(first.input, again.input)
    assert np.array_equal(first.target, again.target)
    assert not np.array_equal(first.input, other.input)


def test_pairs_are_raw_counts_of_one_unit_and_none_is_empty():
    pairs = [family.pair(0, index) for index in range(12)]
    assert {pair.input.shape for pair in pairs} == {pair.target.shape for pair in pairs} == {(1, *family.SHAPE)}
    assert np.median([pair.target.mean() / pair.input.mean() for pair in pairs]) == pytest.approx(1, abs=0.1)
    assert min(np.ptp(pair.target) for pair in pairs) > 0


def test_microscopes_of_training_are_gaussian_and_confocal_and_always_the_same():
    points, confocals = microscopes.sectioning()
    assert {type(one.modality) for one in points} == {Gaussian}
    assert {type(one.modality) for one in confocals} == {Confocal}
    across = [one.modality.across_um / one.optics.pixel_size_um for one in points]
    assert (across[0], across[-1]) == pytest.approx(microscopes.ACROSS_PX)
    along = [one.modality.along_um / one.z_step_um for one in points]
    assert microscopes.ALONG_PLANES[0] <= min(along) < 0.5
    assert 1.5 < max(along) <= microscopes.ALONG_PLANES[1]
    assert [microscopes.blur_px(one.optics) for one in confocals][:: len(confocals) - 1] == pytest.approx(microscopes.CONFOCAL_BLUR_PX)
    microscopes.sectioning.cache_clear()
    assert microscopes.sectioning() == (points, confocals)


def test_a_stack_has_the_point_of_its_microscope():
    def point(rng, shape, aspect):
        return np.pad(np.ones((1, 1, 1)), [(side // 2, side - side // 2 - 1) for side in shape])

    points, _ = microscopes.sectioning()
    for scope in (points[20], points[50]):
        blurred = family.scene(np.random.default_rng(3), (13, 33, 33), point, scope)
        light = np.maximum(blurred.image.astype(float) - np.median(blurred.image), 0)
        assert blurred.modality == scope.modality
        assert np.abs(np.subtract(np.unravel_index(light.argmax(), light.shape), (6, 16, 16))).max() <= 1


def test_dye_is_unevenly_bound_in_a_share_of_stacks_and_stays_where_it_was():
    def even(rng, shape):
        return thick.globes(rng, shape, 2.0)

    volumes = [
        (family.uneven(np.random.default_rng(seed), (6, 24, 24), family.FINE, even), even(np.random.default_rng(seed), (6, 24, 24)))
        for seed in range(30)
    ]
    changed = [not np.array_equal(mottled, plain) for mottled, plain in volumes]
    assert 0.6 < np.mean(changed) < 0.95
    assert all(np.array_equal(mottled > 0, plain > 0) for mottled, plain in volumes)
    assert max(mottled.max() for mottled, _ in volumes) == pytest.approx(1)


def test_the_sample_is_a_calibrated_stack_and_always_the_same():
    first, again = family.sample(), family.sample()
    assert (first.array.shape, first.axes, first.pixel_size_um, first.z_um) == ((16, 96, 96), "zyx", 0.07, 0.2)
    assert np.array_equal(first.array, again.array)
