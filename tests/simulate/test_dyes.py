"""Dyes in specimens of two and three dimensions."""

from functools import partial

import numpy as np
import pytest

from zooready.simulate import dyes, microscopes
from zooready.simulate.specimens import filaments
from zooready.simulate.volumes import beads

CHANGES = (dyes.enlarged, dyes.uneven, dyes.grainy)


def even(rng, size):
    return np.ones((size, size) if isinstance(size, int) else size)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("size", "draw"), [(33, filaments), ((7, 20, 31), beads)])
def test_every_change_gives_a_specimen_of_the_size_asked_for(change, size, draw):
    specimen = change(np.random.default_rng(2), size, draw)
    assert specimen.shape == ((33, 33) if isinstance(size, int) else size)
    assert specimen.min() >= 0
    assert specimen.max() == pytest.approx(1)


def test_enlarged_twice_is_four_times_as_large():
    def block(rng, size):
        image = np.zeros((size, size))
        image[size // 4 : size // 2, size // 4 : size // 2] = 1
        return image

    rng, wide = np.random.default_rng(0), []
    for draw in (block, partial(dyes.enlarged, draw=partial(dyes.enlarged, draw=block))):
        wide.append(np.count_nonzero(draw(rng, 64).max(0) > 0.5))
    assert wide == [16, pytest.approx(16, abs=2)]  # of the field's side; drawn on a quarter of its pixels


def test_an_uneven_dye_mottles_what_is_even_and_the_aspect_stretches_it():
    flat = dyes.uneven(np.random.default_rng(1), (16, 32, 32), even)
    assert flat.std() > 0.02
    far = dyes.uneven(np.random.default_rng(1), (16, 32, 32), even, aspect=8.0)
    assert not np.allclose(flat, far)


def test_fewer_molecules_are_grainier():
    rough = [dyes.grainy(np.random.default_rng(seed), 64, even) for seed in range(12)]
    assert max(image.std() / image.mean() for image in rough) > 5 * min(image.std() / image.mean() for image in rough)


def test_microscopes_for_stacks_sample_their_images():
    made = microscopes.for_stacks()
    assert len(made) == microscopes.STACKS
    for optics, step_um in made:
        assert step_um <= optics.nyquist_z_um
        assert (
            microscopes.ASPECTS[0] - 1e-9 <= step_um / optics.pixel_size_um <= microscopes.ASPECTS[1]
            or step_um >= 0.35 * optics.nyquist_z_um - 1e-9
        )
