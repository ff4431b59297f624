import hashlib
from importlib.resources import as_file, files

import numpy as np
import pytest
import torch

from zooready.evaluation import deconvolution as evaluation
from zooready.evaluation import microscope_range
from zooready.evaluation.mrbcr import BLUR, BLUR_UNSEEN, KNOWN
from zooready.families import load_record, load_weights, mrbcr
from zooready.images.similarity import psnr
from zooready.nets.wrapping import FijiSafe
from zooready.records import Pair
from zooready.simulate import specimens
from zooready.simulate.unseen import UNSEEN

torch.set_num_threads(1)
FAMILY = mrbcr.FAMILY
RECORD = load_record("mrbcr")


def test_a_pair_is_made_again_from_seed_and_index():
    first, again, other = mrbcr.pair(1, 7), mrbcr.pair(1, 7), mrbcr.pair(1, 8)
    assert np.array_equal(first.input, again.input)
    assert np.array_equal(first.target, again.target)
    assert not np.array_equal(first.input, other.input)
    assert not np.array_equal(first.input, mrbcr.pair(2, 7).input)


def test_pairs_are_raw_counts_of_one_unit_from_many_microscopes():
    pairs = [mrbcr.pair(0, index) for index in range(60)]
    assert {pair.input.shape for pair in pairs} == {pair.target.shape for pair in pairs} == {(1, 96, 96)}
    assert {str(pair.input.dtype) for pair in pairs} | {str(pair.target.dtype) for pair in pairs} == {"float32"}
    sizes = [pair.pixel_size_um for pair in pairs]
    assert len(set(sizes)) > 40
    assert 1 <= sizes.count(mrbcr.OPTICS.pixel_size_um) <= 18, "the reference microscope has a share of its own"
    ratios = [pair.target.mean() / pair.input.mean() for pair in pairs if pair.pixel_size_um == mrbcr.OPTICS.pixel_size_um]
    assert np.median(ratios) == pytest.approx(1, abs=0.02)  # blur keeps light, so truth and image have one offset and gain


def test_an_enlarged_specimen_has_coarser_structures():
    fine, coarse = specimens.filaments(np.random.default_rng(1), 96), mrbcr.enlarged(np.random.default_rng(1), 96, specimens.filaments)
    assert fine.shape == coarse.shape == (96, 96)
    assert (coarse.min(), coarse.max()) == (0, 1)
    rough = [np.abs(np.diff(image)).mean() / image.std() for image in (fine, coarse)]
    assert rough[1] < 0.8 * rough[0]


def test_an_uneven_specimen_is_the_same_one_with_mottled_dye():
    smooth = specimens.bumps(np.random.default_rng(3), 96)
    mottled = mrbcr.uneven(np.random.default_rng(4), 96, lambda rng, size: smooth)
    assert (mottled.shape, mottled.max()) == ((96, 96), 1)
    assert mottled.min() >= 0
    assert np.corrcoef(smooth.ravel(), mottled.ravel())[0, 1] > 0.5
    assert np.abs(np.diff(mottled)).mean() > 1.5 * np.abs(np.diff(smooth)).mean()


def test_a_grainy_specimen_is_the_same_one_in_counted_molecules():
    smooth, grains = specimens.bumps(np.random.default_rng(3), 96), mrbcr.grainy(np.random.default_rng(3), 96, specimens.bumps)
    assert grains.max() == pytest.approx(1)
    assert np.abs(np.diff(grains)).mean() > 2 * np.abs(np.diff(smooth)).mean()


def test_the_guard_counts_only_images_that_are_worse_than_they_were():
    target = torch.randn(2, 1, 32, 32)
    image = target + 0.5 * torch.randn(2, 1, 32, 32)
    asked = mrbcr.GUARD * mrbcr.MARGIN
    assert float(mrbcr.guard(image, target, image)) == pytest.approx(asked, rel=1e-4)
    assert float(mrbcr.guard(target, target, image)) == 0
    one_worse = torch.cat((target[:1], image[1:] + 2 * torch.randn(1, 1, 32, 32)))
    worse = float(mrbcr.guard(one_worse, target, image))
    assert worse > asked
    assert float(mrbcr.guard((3 * one_worse + 7,), target, image)) == pytest.approx(worse, rel=1e-3), "scale and offset do not matter"


def test_light_varies_over_the_declared_range():
    fields = [mrbcr.scene(np.random.default_rng((3, i)), 64, mrbcr.SPECIMENS[0]) for i in range(60)]
    photons = np.array([(f.image.max() - f.camera.offset) / f.camera.gain for f in fields])
    assert photons.min() < 120
    assert photons.max() > 700
    assert len({f.camera for f in fields}) == 60


def test_loss_is_the_closed_form_of_a_constant_difference():
    target = torch.zeros(2, 1, 8, 8)
    target[..., ::2] = 2.0  # standard deviation 1 (population), sqrt(64 / 63) (sample)
    spread = (64 / 63) ** 0.5
    step = 0.5 / spread
    expected = np.log(step**2 + mrbcr.FOURIER * step * 8 / 40 + mrbcr.FLOOR)  # ortho FFT of a constant: 8 * step at zero, 8 x 5 frequencies
    assert float(mrbcr.loss(target + 0.5, target)) == pytest.approx(expected, rel=1e-5)


def test_loss_sums_three_scales_with_targets_strided_like_the_inputs():
    target = torch.randn(2, 1, 16, 16)
    scales = [target, target[..., ::2, ::2], target[..., ::4, ::4]]
    lowest = np.log(mrbcr.FLOOR)
    assert float(mrbcr.loss(scales, target)) == pytest.approx(3 * lowest)
    wrong = [0.1 + scale if level == 2 else scale for level, scale in enumerate(scales)]
    assert float(mrbcr.loss(wrong, target)) > 3 * lowest + 1
    assert float(mrbcr.loss([wrong[2]], target[..., ::4, ::4])) > lowest + 1


def test_loss_asks_for_the_same_gain_in_decibels_of_every_image():
    target = torch.randn(1, 1, 16, 16).repeat(2, 1, 1, 1)
    far, near = target + torch.tensor([2.0, 1.0]).reshape(2, 1, 1, 1), target + torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1)
    each = [float(mrbcr.loss(target[:1] + gap, target[:1])) for gap in (2.0, 1.0)]
    assert float(mrbcr.loss(far, target)) == pytest.approx(sum(each) / 2, abs=1e-4)
    assert float(mrbcr.loss(near, target)) == pytest.approx(float(mrbcr.loss(far, target)), abs=1e-4)


def test_loss_sees_both_axes_alike():
    target, output = torch.randn(1, 1, 16, 16), torch.randn(1, 1, 16, 16)
    assert float(mrbcr.loss(output.mT, target.mT)) == pytest.approx(float(mrbcr.loss(output, target)), rel=0.05)


def test_loss_does_not_depend_on_contrast():
    target, output = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 16, 16)
    assert float(mrbcr.loss(8 * output, 8 * target)) == pytest.approx(float(mrbcr.loss(output, target)), rel=1e-5)


def test_sample_is_a_small_calibrated_image_and_always_the_same():
    first, again = mrbcr.sample(), mrbcr.sample()
    assert (first.array.shape, first.array.dtype, first.axes, first.pixel_size_um) == ((256, 256), np.uint16, "yx", 0.05)
    assert np.array_equal(first.array, again.array)


def test_network_restores_a_normalised_image():
    network, normalization = FAMILY.network.architecture.build(), FAMILY.network.normalization.build()
    image = torch.from_numpy(mrbcr.pair(0, 0).input[None])
    assert sum(parameter.numel() for parameter in network.parameters()) == 270_532
    assert network(normalization(image)).shape == image.shape
    assert FAMILY.network.restores


def test_metrics_do_not_depend_on_units_and_name_the_input_itself():
    pair = mrbcr.pair(0, 3)
    perfect = torch.from_numpy((pair.target[None] - 7) / 3)
    metrics = mrbcr.metrics(perfect, pair)
    assert metrics["psnr"] > 80
    assert metrics["ssim"] == pytest.approx(1, abs=1e-3)
    same = mrbcr.metrics(torch.from_numpy(pair.input[None] / 50), pair)
    assert (same["psnr"], same["ssim"]) == pytest.approx((same["psnr_input"], same["ssim_input"]), abs=1e-3)


def test_an_empty_truth_has_no_metrics():
    pair = mrbcr.pair(0, 3)
    empty = Pair(input=pair.input, target=np.full_like(pair.target, 3), pixel_size_um=1.0)
    assert mrbcr.metrics(torch.zeros(1, *pair.target.shape), empty) == {}


@pytest.mark.parametrize("shape", [(20, 24), (1, 20, 24)])
def test_images_from_files_become_pairs(shape):
    example = mrbcr.pair_of(np.ones((1, 20, 24), np.uint16), np.full(shape, 9), 0.05)
    assert example.input.shape == example.target.shape == (1, 20, 24)
    assert (example.input.dtype, example.target.dtype, example.pixel_size_um) == (np.float32, np.float32, 0.05)
    assert example.target.max() == 9


@pytest.fixture(scope="module")
def restore():
    """The shipped model: (y, x) counts in, (y, x) counts out."""
    network = FAMILY.network.architecture.build().eval()
    network.load_state_dict(load_weights("mrbcr"))
    model = FijiSafe(network, FAMILY.network.normalization.build(), stride=8, minimum=8, restores=True).eval()

    def restored(image):
        with torch.no_grad():
            return model(torch.from_numpy(image.astype(np.float32))[None, None])[0, 0].numpy()

    return restored


@pytest.fixture(scope="module")
def rows(restore):
    """Mean PSNR by method on a part of the fields of the record."""
    known = tuple(dict.fromkeys(mrbcr.SPECIMENS))
    sets = {"held-out": (known, evaluation.HELD_OUT_SEED, 10), "unseen": (UNSEEN, evaluation.UNSEEN_SEED, 6)}
    measured = {name: evaluation.measured(evaluation.fields(*chosen), {"m-rBCR": restore}) for name, chosen in sets.items()}
    return {name: {row["method"]: row["psnr"] for row in table} for name, table in measured.items()}


def test_shipped_weights_are_those_of_the_record_and_small():
    with as_file(files("zooready").joinpath("weights", "mrbcr.safetensors")) as path:
        content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == RECORD["sha256"]
    assert len(content) <= 2_000_000


def test_shipped_weights_are_told_nothing_and_beat_richardson_lucy_with_the_true_psf_at_its_best_on_held_out_fields(rows):
    assert rows["held-out"]["m-rBCR"] >= rows["held-out"]["Richardson-Lucy, best iteration"] + 1.0


def test_shipped_weights_beat_richardson_lucy_at_30_iterations_on_unseen_specimens(rows):
    assert rows["unseen"]["m-rBCR"] >= rows["unseen"]["Richardson-Lucy, 30 iterations"]


@pytest.mark.parametrize("title", [BLUR, BLUR_UNSEEN])
def test_at_every_blur_shipped_weights_gain_two_decibels_over_the_input(title):
    assert [row["method"] for row in RECORD["tables"][title] if row[microscope_range.GAIN] < 2] == []


@pytest.mark.parametrize("title", [BLUR, BLUR_UNSEEN])
def test_no_single_field_of_any_blur_comes_back_worse_than_it_was(title):
    assert [row["method"] for row in RECORD["tables"][title] if row[microscope_range.WORST] < -0.1] == []


def test_at_the_reference_microscope_shipped_weights_reach_what_the_card_says():
    assert RECORD["metrics"]["psnr"] >= 31.5


def test_stacks_of_others_gain_or_stay_as_they_are_in_the_mean():
    gains = {row["method"]: row["m-rBCR, dB"] - row["input itself, dB"] for row in RECORD["tables"]["real images"]}
    assert gains["pollen, as a stack"] >= 0.3
    assert gains["pollen, a plane (32)"] >= 0.25
    assert [words for words, gain in gains.items() if gain < -0.1 and "gains least" not in words] == []


def test_a_row_of_the_blurs_is_what_the_weights_give(restore):
    fields = microscope_range.scenes(KNOWN, microscope_range.HELD_OUT_SEED, 5.0, 20)
    gains = [psnr(restore(field.image), field.truth) - psnr(field.image, field.truth) for field in fields]
    row = next(row for row in RECORD["tables"][BLUR] if row["method"] == "blur of 5 px")
    assert (row[microscope_range.GAIN], row[microscope_range.WORST]) == pytest.approx((np.mean(gains), min(gains)), abs=0.03)


def test_noise_alone_gives_no_structure(restore):
    noise = np.random.default_rng(0).poisson(20, (128, 128)).astype(np.float32) + 100
    assert restore(noise).std() < 0.5 * noise.std()


def test_the_record_agrees_with_what_a_part_of_its_fields_gives(rows):
    for name in ("held-out", "unseen"):
        for row in RECORD["tables"][name]:
            assert rows[name][row["method"]] == pytest.approx(row["psnr"], abs=5 * row["psnr_error"])


def test_the_record_tells_of_the_recipe_and_enough_fields():
    recipe = FAMILY.training.recipe
    assert (RECORD["steps"], RECORD["batch"], RECORD["optimizer"]) == (recipe.steps, recipe.batch, recipe.optimizer)
    assert {row["fields"] for row in RECORD["tables"]["held-out"]} == {evaluation.HELD_OUT_FIELDS}
    assert {row["fields"] for row in RECORD["tables"]["unseen"]} == {evaluation.UNSEEN_FIELDS}
    assert RECORD["metrics"]["psnr"] == next(row["psnr"] for row in RECORD["tables"]["held-out"] if row["method"] == "m-rBCR")


@pytest.mark.parametrize(
    "image", [np.zeros((1, 1)), np.full((5, 7), 500.0), np.full((33, 50), 65535.0)], ids=["one pixel", "flat", "saturated"]
)
def test_images_without_content_come_back_within_half_a_count(restore, image):
    assert restore(image) == pytest.approx(image, abs=0.5)
