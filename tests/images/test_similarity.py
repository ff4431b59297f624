import numpy as np
import pytest
from scipy import ndimage

from zooready.errors import InputInvalid
from zooready.images.similarity import fit, psnr, ssim
from zooready.simulate.specimens import filaments

TRUTH = 100 * filaments(np.random.default_rng(2), 64) + 5
BLURRED = ndimage.gaussian_filter(TRUTH, 2)
NOISE = np.random.default_rng(3).normal(size=(64, 64))


def test_fit_finds_scale_and_offset():
    assert fit(3 * TRUTH - 40, TRUTH) == pytest.approx(TRUTH)
    assert fit(-TRUTH, TRUTH) == pytest.approx(TRUTH)


def test_fit_leaves_what_no_line_explains():
    left = TRUTH - fit(BLURRED, TRUTH)
    assert left.sum() == pytest.approx(0, abs=1e-6)
    assert (left * BLURRED).sum() == pytest.approx(0, abs=1e-4)
    assert np.abs(left).max() > 1


def test_a_constant_image_fits_as_the_mean():
    assert fit(np.zeros((64, 64)), TRUTH) == pytest.approx(np.full((64, 64), TRUTH.mean()))


def test_scores_do_not_depend_on_units():
    for score in (psnr, ssim):
        assert score(BLURRED, TRUTH) == pytest.approx(score(7 * BLURRED + 1000, TRUTH))


def test_psnr_of_known_noise_is_known():
    assert psnr(TRUTH + NOISE, TRUTH) == pytest.approx(20 * np.log10(np.ptp(TRUTH) / NOISE.std()), abs=0.1)


def test_more_noise_scores_lower():
    for score in (psnr, ssim):
        assert score(TRUTH, TRUTH) > score(TRUTH + NOISE, TRUTH) > score(TRUTH + 9 * NOISE, TRUTH)


def test_thin_stacks_are_compared_plane_by_plane():
    rng = np.random.default_rng(0)
    truth = rng.random((3, 16, 20))
    image = truth + rng.normal(0, 0.1, truth.shape)
    assert ssim(truth, truth) == pytest.approx(1)
    assert 0.5 < ssim(image, truth) < 0.999
    assert ssim(image[:1], truth[:1]) == pytest.approx(ssim(image[0], truth[0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(TRUTH[:9], TRUTH), r"image \(9, 64\) and truth \(64, 64\) differ in shape: compare images of one size"),
        (lambda: fit(TRUTH * np.nan, TRUTH), r"image or truth holds NaN or infinity"),
        (lambda: psnr(TRUTH, np.full((64, 64), 7.0)), r"the truth is constant \(7\): similarity to it has no meaning"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(InputInvalid, match=message):
        call()
