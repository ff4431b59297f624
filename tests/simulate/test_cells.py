"""Simulated cells: ten patterns, each where its compartment is."""

import numpy as np
import pytest
from scipy import ndimage

from zooready.errors import InputInvalid
from zooready.simulate import cells
from zooready.simulate.patterns import PATTERNS, share, winding

EVERY = tuple(PATTERNS)
ALONE = 20  # cells a pattern


def drawn(pattern, count=ALONE, size=cells.SIZE):
    """(structure, cell) of lone cells, before optics and camera."""
    for number in range(count):
        rng = np.random.default_rng((31, number))
        cell = cells.outlined(rng, size)
        yield PATTERNS[pattern](rng, cell), cell


@pytest.mark.parametrize("pattern", EVERY)
def test_the_same_generator_gives_the_same_cell_and_another_gives_another(pattern):
    (image, mask), (again, mask_again), (other, other_mask) = (cells.cell(np.random.default_rng(seed), pattern) for seed in (5, 5, 6))
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(mask, mask_again)
    assert not np.array_equal(image, other)
    assert not np.array_equal(mask, other_mask)


@pytest.mark.parametrize("pattern", EVERY)
def test_images_are_counts_with_a_cell_in_the_middle(pattern):
    for seed in range(8):
        image, mask = cells.cell(np.random.default_rng(seed), pattern)
        assert (image.dtype, mask.dtype, image.shape, mask.shape) == (np.uint16, np.bool_, (96, 96), (96, 96))
        assert mask[40:56, 40:56].all()
        assert 0.1 < mask.mean() < 0.7
        assert image.std() > 1


@pytest.mark.parametrize("pattern", EVERY)
def test_a_structure_lies_in_its_cell(pattern):
    for structure, cell in drawn(pattern):
        assert structure.min() >= -1e-9
        assert structure[cell.depth > -0.1].sum() > 0.97 * structure.sum()


@pytest.mark.parametrize("pattern", EVERY)
def test_nuclear_patterns_are_in_the_nucleus_and_the_others_outside(pattern):
    inside = np.mean([share(structure)[cell.nucleus > 0].sum() for structure, cell in drawn(pattern)])
    if pattern in ("DNA", "nucleolus"):
        assert inside > 0.95
    elif pattern not in ("actin", "microtubules"):  # which lie above and below it
        assert inside < 0.2


def test_both_golgi_patterns_stay_at_one_side_of_the_nucleus_and_endosomes_surround_it():
    def away(pattern):
        distances = []
        for structure, cell in drawn(pattern, 60):
            middle = np.array(ndimage.center_of_mass(structure))
            distances.append(np.hypot(*(middle - cell.nucleus_centre)) / cell.nucleus_radius)
        return np.median(distances)

    assert min(away("giantin"), away("gpp130")) > 0.8
    assert away("endosome") < 0.5


def test_giantin_has_fewer_and_larger_pieces_than_gpp130():
    def pieces(pattern):
        return np.mean([ndimage.label(structure > 0.1 * structure.max())[1] for structure, _ in drawn(pattern, 60)])

    assert pieces("gpp130") > 1.5 * pieces("giantin")


def test_the_er_thins_out_towards_the_outline():
    inner, outer = np.mean(
        [
            [structure[(cell.depth > 0.4) & (cell.nucleus < 0)].mean(), structure[(cell.depth > 0) & (cell.depth < 0.2)].mean()]
            for structure, cell in drawn("ER")
        ],
        axis=0,
    )
    assert inner > 2 * outer


def test_difficulty_blurs_dims_and_hides():
    def contrast_and_light(difficulty):
        images = [cells.cell(np.random.default_rng((3, n)), "mitochondria", difficulty)[0].astype(float) for n in range(20)]
        fine = [np.std(image - ndimage.gaussian_filter(image, 2)) / image.std() for image in images]
        return np.mean(fine), np.median([np.percentile(image, 99.5) - np.median(image) for image in images])

    (sharp, bright), (soft, dim) = contrast_and_light(0.0), contrast_and_light(3.0)
    assert sharp > 1.1 * soft
    assert bright > 2 * dim


def test_a_bigger_image_shows_more_of_the_surroundings_and_no_bigger_cell():
    areas = [np.mean([cells.cell(np.random.default_rng(n), "DNA", size=size)[1].sum() for n in range(12)]) for size in (96, 160)]
    assert areas[1] == pytest.approx(areas[0], rel=0.1)


def test_neighbours_lie_beside_the_cell_and_are_cut_by_the_border():
    touched = 0
    for number in range(30):
        rng = np.random.default_rng(number)
        middle = cells.outlined(rng, 96)
        neighbour = cells.outlined(rng, 96, beside=middle).depth > 0
        assert not (neighbour & (middle.depth > 0)).any()
        border = np.ones((96, 96), bool)
        border[1:-1, 1:-1] = False
        touched += bool((neighbour & border).any())
    assert touched > 20


def test_leak_spreads_light_over_the_whole_cell():
    def rest(leak):
        rng = np.random.default_rng(2)
        cell = cells.outlined(rng, 96)
        light = cells.emission(rng, cell, "nucleolus", leak)
        return light[(cell.depth > 0) & (cell.nucleus < -0.1)].sum() / light.sum()

    assert rest(0.0) < 0.01
    assert rest(0.5) == pytest.approx(0.5 / 1.5 * 0.9, abs=0.1)  # of the leak, the part that is not in or near the nucleus


def test_curves_have_their_length_and_their_bend():
    rng = np.random.default_rng(0)
    path, light = winding(rng, np.zeros((2, 1)), np.zeros(1), np.array([20.0]), bend=0.0)
    np.testing.assert_allclose(path[1], 0.5 * np.arange(1, 41))
    np.testing.assert_allclose(path[0], 0, atol=1e-12)
    assert light.shape == (40,)
    bent, _ = winding(rng, np.zeros((2, 1)), np.zeros(1), np.array([20.0]), bend=0.2)
    assert np.abs(bent[0]).max() > 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "golgi"}, "pattern='golgi' is not known. Use one of actin, DNA, endosome"),
        ({"pattern": "DNA", "difficulty": -1}, "difficulty=-1: it must be 0 or more"),
    ],
)
def test_what_cannot_be_simulated_is_refused(settings, message):
    with pytest.raises(InputInvalid, match=message):
        cells.cell(np.random.default_rng(0), **settings)
