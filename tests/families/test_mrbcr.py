import numpy as np
import pytest
import torch

from zooready.families import mrbcr

torch.set_num_threads(1)
FAMILY = mrbcr.FAMILY


def test_a_pair_is_made_again_from_seed_and_index():
    first, again, other = mrbcr.pair(1, 7), mrbcr.pair(1, 7), mrbcr.pair(1, 8)
    assert np.array_equal(first.input, again.input)
    assert np.array_equal(first.target, again.target)
    assert not np.array_equal(first.input, other.input)
    assert not np.array_equal(first.input, mrbcr.pair(2, 7).input)


def test_pairs_are_raw_counts_of_one_unit_with_pixel_sizes_in_the_range():
    pairs = [mrbcr.pair(0, index) for index in range(60)]
    assert {pair.input.shape for pair in pairs} == {pair.target.shape for pair in pairs} == {(1, 96, 96)}
    assert {str(pair.input.dtype) for pair in pairs} | {str(pair.target.dtype) for pair in pairs} == {"float32"}
    assert {pair.pixel_size_um for pair in pairs} == set(mrbcr.PIXEL_SIZES_UM)
    assert (min(mrbcr.PIXEL_SIZES_UM), max(mrbcr.PIXEL_SIZES_UM)) == FAMILY.pixel_size_um
    ratios = [pair.target.mean() / pair.input.mean() for pair in pairs]
    assert np.median(ratios) == pytest.approx(1, abs=0.02)  # blur keeps light, so truth and picture have one offset and gain


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
    expected = step**2 + mrbcr.FOURIER * step * 8 / 40  # ortho FFT of a constant: 8 * step at zero, 8 x 5 frequencies
    assert float(mrbcr.loss(target + 0.5, target)) == pytest.approx(expected, rel=1e-5)


def test_loss_sums_three_scales_with_targets_strided_like_the_inputs():
    target = torch.randn(2, 1, 16, 16)
    scales = [target, target[..., ::2, ::2], target[..., ::4, ::4]]
    assert float(mrbcr.loss(scales, target)) == 0
    wrong = [0.1 + scale if level == 2 else scale for level, scale in enumerate(scales)]
    assert float(mrbcr.loss(wrong, target)) > 0
    assert float(mrbcr.loss([wrong[2]], target[..., ::4, ::4])) > 0


def test_loss_sees_both_axes_alike():
    target, output = torch.randn(1, 1, 16, 16), torch.randn(1, 1, 16, 16)
    assert float(mrbcr.loss(output.mT, target.mT)) == pytest.approx(float(mrbcr.loss(output, target)), rel=0.05)


def test_loss_does_not_depend_on_contrast():
    target, output = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 16, 16)
    assert float(mrbcr.loss(8 * output, 8 * target)) == pytest.approx(float(mrbcr.loss(output, target)), rel=1e-5)


def test_sample_is_a_small_calibrated_picture_and_always_the_same():
    first, again = mrbcr.sample(), mrbcr.sample()
    assert (first.array.shape, first.array.dtype, first.axes, first.pixel_size_um) == ((256, 256), np.uint16, "yx", 0.05)
    assert np.array_equal(first.array, again.array)


def test_network_restores_a_normalised_picture():
    network, normalization = FAMILY.architecture.build(), FAMILY.normalization.build()
    image = torch.from_numpy(mrbcr.pair(0, 0).input[None])
    assert sum(parameter.numel() for parameter in network.parameters()) == 236_630
    assert network(normalization(image)).shape == image.shape
    assert FAMILY.restores


def test_metrics_do_not_depend_on_units_and_name_the_input_itself():
    pair = mrbcr.pair(0, 3)
    perfect = torch.from_numpy((pair.target[None] - 7) / 3)
    found = mrbcr.metrics(perfect, pair)
    assert found["psnr"] > 80
    assert found["ssim"] == pytest.approx(1, abs=1e-3)
    same = mrbcr.metrics(torch.from_numpy(pair.input[None] / 50), pair)
    assert (same["psnr"], same["ssim"]) == pytest.approx((same["psnr_input"], same["ssim_input"]), abs=1e-3)


@pytest.mark.parametrize("shape", [(20, 24), (1, 20, 24)])
def test_pictures_from_files_become_pairs(shape):
    made = mrbcr.pair_of(np.ones((1, 20, 24), np.uint16), np.full(shape, 9), 0.05)
    assert made.input.shape == made.target.shape == (1, 20, 24)
    assert (made.input.dtype, made.target.dtype, made.pixel_size_um) == (np.float32, np.float32, 0.05)
    assert made.target.max() == 9
