import numpy as np
import pytest
from skimage import restoration

from zooready.errors import InputInvalid
from zooready.evaluation import deconvolution
from zooready.simulate.optics import Optics, blur, psf
from zooready.simulate.specimens import STRUCTURES, filaments

OPTICS = Optics(na=1.3, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05)
WIDE = 100 * filaments(np.random.default_rng(2), 96) + 5
TRUTH, BLURRED = WIDE[16:-16, 16:-16], blur(WIDE, OPTICS)[16:-16, 16:-16]
NOISE = np.random.default_rng(3).normal(size=(64, 64))


def test_richardson_lucy_is_that_of_scikit_image_far_from_the_edges():
    light = BLURRED + 0.1 * np.abs(NOISE)
    ours = deconvolution.richardson_lucy(light, OPTICS, (12,))[12]
    theirs = restoration.richardson_lucy(np.pad(light, 32, mode="reflect"), psf(OPTICS, (65, 65)), num_iter=12, clip=False)[32:-32, 32:-32]
    assert ours[12:-12, 12:-12] == pytest.approx(theirs[12:-12, 12:-12], abs=0.02 * ours.max())


def test_richardson_lucy_sharpens_and_can_be_seen_on_its_way():
    estimates = deconvolution.richardson_lucy(BLURRED, OPTICS, (1, 5, 40))
    assert list(estimates) == [1, 5, 40]
    assert [deconvolution.psnr(estimates[step], TRUTH) for step in estimates] == sorted(
        deconvolution.psnr(estimates[step], TRUTH) for step in estimates
    )
    assert estimates[40].min() >= 0
    assert estimates[5] == pytest.approx(deconvolution.richardson_lucy(BLURRED, OPTICS, (5,))[5])


def test_wiener_sharpens_and_its_noise_ratio_smooths():
    assert deconvolution.psnr(deconvolution.wiener(BLURRED, OPTICS, 1e-3), TRUTH) > deconvolution.psnr(BLURRED, TRUTH) + 1
    rough, smooth = (deconvolution.wiener(BLURRED + NOISE, OPTICS, noise) for noise in (1e-4, 1e-1))
    assert np.abs(np.diff(rough)).mean() > np.abs(np.diff(smooth)).mean()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: deconvolution.wiener(TRUTH, OPTICS, 0.0), r"noise=0\.0: the ratio must be above 0"),
        (lambda: deconvolution.richardson_lucy(TRUTH, OPTICS, ()), r"iterations=\(\): name at least one"),
        (lambda: deconvolution.richardson_lucy(TRUTH, OPTICS, (3, 0)), r"iterations=\(3, 0\): name at least one, each 1 or more"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    with pytest.raises(InputInvalid, match=message):
        call()


def test_the_best_baselines_are_at_least_as_good_as_the_fixed_ones():
    rows = {
        row["method"]: row for row in deconvolution.measured(deconvolution.fields(STRUCTURES, 5, 4, 64), {"half": lambda image: image // 2})
    }
    assert rows["Richardson-Lucy, best iteration"]["psnr"] >= max(rows[f"Richardson-Lucy, {n} iterations"]["psnr"] for n in (30, 100))
    assert rows["Wiener, best"]["psnr"] > rows["input itself"]["psnr"]
    assert rows["half"]["psnr"] == pytest.approx(rows["input itself"]["psnr"], abs=0.1)
    assert {row["fields"] for row in rows.values()} == {4}
