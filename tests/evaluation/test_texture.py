"""Classical measurements of one object."""

import mahotas
import numpy as np
import pytest
from skimage.measure import regionprops

from zooready.errors import InputInvalid
from zooready.evaluation import texture
from zooready.evaluation.texture import measurements

RNG = np.random.default_rng(0)
NOISE = RNG.poisson(20, (48, 60)).astype(np.uint16)
Y, X = np.mgrid[:48, :60]
DISC = np.hypot(Y - 20, X - 30) < 12


def test_names_are_always_the_same_and_values_are_finite():
    pictures = [NOISE, np.zeros((9, 9)), np.full((8, 20), 7.0), DISC * 100, -NOISE.astype(float), NOISE * 1000.0]
    found = [measurements(picture) for picture in pictures] + [measurements(NOISE, DISC), measurements(NOISE, (Y == 3) & (X == 4))]
    assert len({tuple(one) for one in found}) == 1
    assert len(found[0]) == 211
    assert all(np.isfinite(list(one.values())).all() for one in found)


def test_intensities_are_those_of_the_masks_pixels():
    found = measurements(NOISE, DISC)
    assert found["intensity_mean"] == pytest.approx(NOISE[DISC].mean())
    assert found["intensity_sum"] == NOISE[DISC].sum()
    assert found["intensity_p90"] == pytest.approx(np.percentile(NOISE[DISC], 90))
    changed = NOISE.copy()
    changed[~DISC] = 5000
    assert measurements(changed, DISC) == found  # nothing outside the mask counts


def test_shape_is_that_of_the_mask_or_of_what_is_bright():
    (disc,) = regionprops(DISC.astype(np.uint8))
    for found in (measurements(NOISE, DISC), measurements(10 + 90 * DISC)):
        assert found["shape_area"] == DISC.sum()
        assert found["shape_eccentricity"] == pytest.approx(disc.eccentricity)
        assert found["shape_roundness"] == pytest.approx(1, abs=0.12)


def test_only_intensities_know_the_units():
    bright, plain = measurements(3.0 * NOISE), measurements(NOISE)
    for name, value in plain.items():
        if name.startswith("intensity") and name not in ("intensity_skewness", "intensity_kurtosis"):
            assert bright[name] == pytest.approx(3 * value)
        else:
            assert bright[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_parts_are_counted_and_measured():
    picture = np.zeros((40, 40))
    picture[5:10, 5:10] = picture[20:30, 20:24] = 1
    found = measurements(picture)
    assert (found["parts_count"], found["parts_area_max"], found["parts_area_mean"]) == (2, 40, 32.5)
    assert found["parts_largest_share"] == pytest.approx(40 / 65)
    assert found["parts_area_share"] == pytest.approx(65 / 1600)
    assert found["parts_light_share"] == pytest.approx(1)


def test_texture_is_that_of_mahotas():
    found = measurements(NOISE)
    grey = texture.levels(NOISE, np.ones(NOISE.shape, bool))
    assert (grey.min(), grey.max()) == (1, 255)
    pftas, lbp = mahotas.features.pftas(grey), mahotas.features.lbp(grey, 1, 8)
    assert [value for name, value in found.items() if name.startswith("adjacency")] == pytest.approx(list(pftas))
    assert [value for name, value in found.items() if name.startswith("lbp1")] == pytest.approx(list(lbp / lbp.sum()))


def test_haralick_tells_fine_from_coarse_texture():
    fine = RNG.normal(size=(64, 64))
    coarse = np.kron(RNG.normal(size=(16, 16)), np.ones((4, 4)))
    assert measurements(fine)["haralick1_contrast"] > 2 * measurements(coarse)["haralick1_contrast"]
    assert measurements(coarse)["haralick1_correlation"] > 0.5 > abs(measurements(fine)["haralick1_correlation"])
    assert measurements(coarse)["haralick3_correlation"] < measurements(coarse)["haralick1_correlation"]


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.zeros((3, 9, 9)), None, r"a picture of shape \(3, 9, 9\): give \(y, x\) of at least 8 px a side"),
        (np.zeros((7, 20)), None, r"a picture of shape \(7, 20\)"),
        (np.full((9, 9), np.nan), None, "all pixels finite"),
        (np.zeros((9, 9)), np.zeros((9, 9), bool), r"a mask of \(9, 9\) with 0 px"),
        (np.zeros((9, 9)), np.ones((9, 8), bool), r"a mask of \(9, 8\) with 72 px for a picture of \(9, 9\)"),
    ],
)
def test_what_cannot_be_measured_is_refused(image, mask, message):
    with pytest.raises(InputInvalid, match=message):
        measurements(image, mask)
