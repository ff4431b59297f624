from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from zooready.evaluation.resolution import width_px
from zooready.families import FAMILIES, mrbcr, superres
from zooready.families.superres import CONFOCAL_TO_STED, LOW_TO_HIGH_NA, TIRF_TO_SIM
from zooready.simulate.stages import Microscope

torch.set_num_threads(1)
STEPS = {"superres-sted": CONFOCAL_TO_STED, "superres-tirfsim": TIRF_TO_SIM, "superres-widefield": LOW_TO_HIGH_NA}
WIDTHS_NM = {"superres-sted": (290, 110), "superres-tirfsim": (187, 99), "superres-widefield": (680, 370)}  # of the table and the cards


def width_nm(microscope: Microscope) -> float:
    """Full width at half maximum of a microscope's point spread function."""
    spread = microscope.modality.psf(microscope.optics, (129, 129))
    return width_px(spread, np.array([64.0, 64.0])) * microscope.optics.pixel_size_um * 1000


@pytest.mark.parametrize("name", STEPS)
def test_the_microscopes_are_as_wide_as_the_words_say(name):
    step = STEPS[name]
    assert (width_nm(step.seen), width_nm(step.shown)) == pytest.approx(WIDTHS_NM[name], rel=0.02)


@pytest.mark.parametrize("name", STEPS)
def test_a_width_of_so_many_percent_is_that_of_the_image(name):
    step = STEPS[name]
    rng = np.random.default_rng(0)
    field = superres.scene(rng, 64, superres.SPECIMENS[0], step, width=1.15)
    seen = Microscope(optics=field.optics, modality=field.modality)
    assert width_nm(seen) == pytest.approx(1.15 * width_nm(step.seen), rel=0.02)


def test_the_target_does_not_depend_on_the_width_of_the_input():
    fields = [superres.scene(np.random.default_rng(3), 64, superres.SPECIMENS[0], CONFOCAL_TO_STED, width) for width in (0.85, 1.15)]
    truths = [(field.truth - field.camera.offset) / field.camera.gain for field in fields]
    assert np.corrcoef(truths[0].ravel(), truths[1].ravel())[0, 1] == pytest.approx(1, abs=1e-6)
    assert not np.array_equal(fields[0].image, fields[1].image)


@pytest.mark.parametrize(("name", "more"), [("superres-sted", 0.05), ("superres-widefield", 0.05), ("superres-tirfsim", 0.15)])
def test_the_target_has_the_units_and_the_offset_of_the_input(name, more):
    """The negative rings of structured illumination are cut off, which makes its images a tenth brighter."""
    pairs = [FAMILIES[name].training.pair(0, index) for index in range(12)]
    assert np.median([pair.target.mean() / pair.input.mean() for pair in pairs]) == pytest.approx(1, abs=more)
    assert {pair.input.shape for pair in pairs} == {pair.target.shape for pair in pairs} == {(1, 96, 96)}


def test_widths_and_empty_fields_are_among_the_pairs(monkeypatch):
    drawn = []

    def scene(rng, size, specimen, step, width=1.0):
        drawn.append((specimen, width))
        return original(rng, size, specimen, step, width)

    original = superres.scene
    monkeypatch.setattr(superres, "scene", scene)
    for index in range(150):
        superres.pair(0, index, CONFOCAL_TO_STED)
    assert {width for _, width in drawn} == set(superres.WIDTHS)
    assert {specimen for specimen, _ in drawn} == set(superres.SPECIMENS)
    assert superres.empty in superres.SPECIMENS


def test_an_empty_field_is_background_and_noise_with_a_flat_truth():
    field = superres.scene(np.random.default_rng(0), 64, superres.empty, CONFOCAL_TO_STED)
    assert np.ptp(field.truth) == 0
    assert field.image.mean() == pytest.approx(field.truth.mean(), rel=0.05)
    assert field.image.std() > 0


def test_an_empty_field_has_no_metrics_and_a_finite_loss():
    target = torch.zeros(2, 1, 32, 32)
    assert torch.isfinite(mrbcr.loss(torch.randn(2, 1, 32, 32), target))
    pair = replace(superres.pair(0, 0, CONFOCAL_TO_STED), target=np.full((1, 96, 96), 7, np.float32))
    assert FAMILIES["superres-sted"].training.metrics(torch.zeros(1, 1, 96, 96), pair) == {}


def test_points_come_in_twos_as_well_as_in_clusters():
    image = superres.twins(np.random.default_rng(0), 96)
    assert image.shape == (96, 96)
    assert image.max() == pytest.approx(1)
    points, count = ndimage.label(image > 0.3)
    assert count >= 6
    middles = np.array(ndimage.center_of_mass(image, points, range(1, count + 1)))
    inside = middles[((middles > 9) & (middles < 87)).all(1)]
    nearest = np.sort(np.linalg.norm(inside[:, None] - middles[None], axis=2), 1)[:, 1]
    assert np.mean(nearest < 9.5) > 0.5


def test_straight_lines_are_even_along_themselves_and_never_rows_of_dots():
    image = superres.rods(np.random.default_rng(4), 96)
    assert image.shape == (96, 96)
    assert image.max() == pytest.approx(1)
    lines, count = ndimage.label(image > 0.15)
    sizes = ndimage.sum_labels(np.ones_like(image), lines, range(1, count + 1))
    lone = lines == 1 + int(np.argsort(sizes)[len(sizes) // 2])  # one of middling size, unlikely to be crossed
    ridge = image[lone & (image == ndimage.maximum_filter(image, 3))]
    core = np.sort(image[lone])[-int(0.2 * lone.sum()) :]
    assert len(ridge) <= 5
    assert core.min() > 0.8 * core.max()


@pytest.mark.parametrize("wrong", ["noise", "blur"])
def test_the_terms_of_adversarial_training_are_zero_for_the_target_and_grow_with_errors(wrong):
    rng = np.random.default_rng(0)
    target = torch.as_tensor(superres.twins(rng, 64)[None, None], dtype=torch.float32)
    assert {name: pytest.approx(0, abs=1e-5) for name in ("squared error", "similarity")} == superres.terms(target, target)

    def worse(amount):
        if wrong == "noise":
            return target + 0.05 * amount * torch.as_tensor(np.random.default_rng(1).normal(size=(1, 1, 64, 64)), dtype=torch.float32)
        return torch.as_tensor(ndimage.gaussian_filter(target.numpy(), (0, 0, amount, amount)))

    some, more = (superres.terms(worse(amount), target) for amount in (1.0, 3.0))
    assert all(0 < float(some[name]) < float(more[name]) for name in some)


def test_terms_do_not_depend_on_the_scale_of_images_with_contrast():
    rng = np.random.default_rng(2)
    target = torch.as_tensor(rng.normal(size=(2, 1, 32, 32)), dtype=torch.float32)
    output = target + 0.1 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    first, second = superres.terms(output, target), superres.terms(10 * output, 10 * target)
    assert all(float(first[name]) == pytest.approx(float(second[name]), rel=1e-4) for name in first)


def test_the_three_families_differ_in_their_microscopes_and_in_sharpening_only():
    families = [FAMILIES[name] for name in STEPS]
    assert len({str(replace(family.network, head=None)) for family in families}) == 1
    assert [family.network.head for family in families] == [superres.SHARPENED, None, None]
    assert len({family.training.recipe for family in families}) == 1
    assert len({family.training.loss for family in families}) == 1
    samples = [family.sample() for family in families]
    assert [sample.pixel_size_um for sample in samples] == [0.03, 0.04, 0.16]
    assert [family.pixel_size_um for family in families] == [(0.03, 0.03), (0.04, 0.04), (0.16, 0.16)]
