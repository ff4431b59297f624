from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from zooready.evaluation import microscope_range
from zooready.evaluation import mrbcr as evaluation
from zooready.images.similarity import psnr
from zooready.simulate import microscopes, thick, volumes
from zooready.simulate.modalities import Gaussian
from zooready.simulate.specimens import bumps, filaments


def made(kinds, count):
    return {blur: microscope_range.scenes(kinds, 1, blur, count) for blur in (4.0, 9.2)}


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(microscope_range, "LUCY_ITERATIONS", (3, 10, 30))


def test_fields_of_a_blur_have_that_blur_and_are_made_again():
    first, again = (microscope_range.scenes((filaments, bumps), 1, 5.0, 3) for _ in range(2))
    assert [microscopes.blur_px(field.optics) for field in first] == pytest.approx([5.0] * 3)
    assert all(np.array_equal(one.image, other.image) for one, other in zip(first, again, strict=True))
    assert not np.array_equal(first[0].image, first[2].image)


def test_the_wrong_microscope_blurs_a_fifth_more_or_less_but_never_less_than_any_can():
    (field,) = microscope_range.scenes((filaments,), 1, 9.0, 1)
    assert microscopes.blur_px(microscope_range.wrong(field, wider=True).optics) == pytest.approx(9 * 1.2)
    assert microscopes.blur_px(microscope_range.wrong(field, wider=False).optics) == pytest.approx(9 / 1.2)
    (limit,) = microscope_range.scenes((filaments,), 1, 4.0, 1)
    assert microscopes.blur_px(microscope_range.wrong(limit, wider=False).optics) == pytest.approx(4 * 1.2)
    point = replace(field, modality=Gaussian(across_um=0.2, along_um=0.5))
    assert microscope_range.wrong(point, wider=False).modality == Gaussian(across_um=0.2 / 1.2, along_um=0.5 / 1.2)


def test_a_network_that_does_nothing_gains_nothing_and_one_that_harms_is_seen(quick):
    rows = microscope_range.by_blur(lambda image: image, made((filaments, bumps), 2))
    assert [row["method"] for row in rows] == ["blur of 4 px", "blur of 9.2 px"]
    assert all((row[microscope_range.GAIN], row[microscope_range.WORST]) == (0, 0) for row in rows)
    assert all(row[microscope_range.TRUE] > row[microscope_range.INPUT] for row in rows)
    noise = np.random.default_rng(0)
    harmed = microscope_range.by_blur(lambda image: image + noise.normal(0, np.ptp(image), image.shape), made((filaments, bumps), 2))
    assert all(row[microscope_range.WORST] <= row[microscope_range.GAIN] < -3 for row in harmed)


def test_stacks_of_a_blur_are_sampled_and_what_does_nothing_gains_nothing(quick):
    stacks = microscope_range.stacks((volumes.beads, thick.globes), 1, 5.0, 2, (6, 24, 24))
    assert [microscopes.blur_px(field.optics) for field in stacks] == pytest.approx([5.0] * 2)
    assert all(field.image.shape == field.truth.shape == (6, 24, 24) for field in stacks)
    assert all(1 <= field.z_step_um / field.optics.pixel_size_um <= 8 for field in stacks)
    assert all(field.z_step_um <= field.optics.nyquist_z_um for field in stacks)
    (row,) = microscope_range.by_blur(lambda image: image, {5.0: stacks})
    assert (row[microscope_range.GAIN], row[microscope_range.WORST]) == (0, 0)
    assert row[microscope_range.TRUE] > row[microscope_range.INPUT]


def test_each_condition_changes_the_image_and_not_the_specimen():
    fields = {words: microscope_range.condition(0, (filaments,), **change) for words, change in microscope_range.CONDITIONS.items()}
    plain, *others = fields.values()
    assert all(not np.array_equal(plain.image, field.image) for field in others)
    assert all(np.corrcoef(plain.truth.ravel(), field.truth.ravel())[0, 1] > 0.999999 for field in others)
    assert psnr(plain.image, plain.truth) > psnr(fields["20 photons"].image, fields["20 photons"].truth) + 2


def test_the_picture_has_a_panel_for_each_table(quick, tmp_path):
    rows = microscope_range.by_blur(lambda image: image, made((bumps,), 1))
    microscope_range.draw({"one": rows}, tmp_path / "one.png", (4.0, 9.2))
    microscope_range.draw({"one": rows, "two": rows}, tmp_path / "two.png", (4.0, 9.2))
    assert Image.open(tmp_path / "two.png").width == Image.open(tmp_path / "one.png").width == 880
    assert (tmp_path / "two.png").read_bytes() != (tmp_path / "one.png").read_bytes()


def test_the_table_of_objectives_is_the_formula():
    rows = {row["method"]: row for row in evaluation.objectives()}
    assert rows["100x / 1.4"]["blur with 6.5 um camera pixels, px"] == pytest.approx(0.52 / (1.4 * 0.065), abs=0.05)
    assert rows["20x / 0.75"]["largest, um"] == pytest.approx(0.52 / (0.75 * 4), abs=5e-4)
